// UTF-8 against the Unicode standard's table 3-7, byte by byte.
#include "base/utf8.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace inlay {
namespace {

TEST(Utf8, EveryCodePointThereAndBack) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    std::string text;
    utf8_append(text, c);
    const bool surrogate = c >= 0xD800 && c <= 0xDFFF;
    ASSERT_EQ(utf8_valid(text), !surrogate) << std::hex << static_cast<std::uint32_t>(c);
    ASSERT_EQ(utf8_valid_prefix(text), surrogate ? 0 : text.size());
    if (surrogate) continue;
    const CodePoint point = utf8_decode(text, 0);
    ASSERT_EQ(point.value, c);
    ASSERT_EQ(point.bytes, text.size());
  }
}

// Straight from the table: which second bytes a lead byte allows; the rest are 80..BF.
std::size_t expected_prefix(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const auto byte = [&](std::size_t i) -> int {
      return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : -1;
    };
    const auto tail = [&](std::size_t i) { return byte(i) >= 0x80 && byte(i) <= 0xBF; };
    const auto second = [&](int low, int high) { return byte(1) >= low && byte(1) <= high; };
    const int lead = byte(0);
    std::size_t length = 0;
    if (lead <= 0x7F) length = 1;
    if (lead >= 0xC2 && lead <= 0xDF && tail(1)) length = 2;
    if (lead == 0xE0 && second(0xA0, 0xBF) && tail(2)) length = 3;
    if (((lead >= 0xE1 && lead <= 0xEC) || lead == 0xEE || lead == 0xEF) && tail(1) && tail(2))
      length = 3;
    if (lead == 0xED && second(0x80, 0x9F) && tail(2)) length = 3;
    if (lead == 0xF0 && second(0x90, 0xBF) && tail(2) && tail(3)) length = 4;
    if (lead >= 0xF1 && lead <= 0xF3 && tail(1) && tail(2) && tail(3)) length = 4;
    if (lead == 0xF4 && second(0x80, 0x8F) && tail(2) && tail(3)) length = 4;
    if (length == 0) return at;
    at += length;
  }
  return at;
}

TEST(Utf8, EveryPairOfBytesAndRandomOnes) {
  std::string text(2, '\0');
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      text[0] = static_cast<char>(first);
      text[1] = static_cast<char>(second);
      ASSERT_EQ(utf8_valid_prefix(text), expected_prefix(text)) << first << ' ' << second;
      ASSERT_EQ(utf8_valid(text), expected_prefix(text) == 2);
    }
  }
  // Bytes that meet in multi-byte forms, at every place against the vector checker's blocks.
  static constexpr unsigned char kBytes[] = {0x41, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF,
                                             0xC0, 0xC2, 0xDF, 0xE0, 0xE1, 0xED, 0xEF,
                                             0xF0, 0xF1, 0xF4, 0xF5, 0xFF};
  std::mt19937 random(3);
  for (int round = 0; round < 200'000; ++round) {
    std::string bytes(random() % 70, 'a');
    for (int i = 0; i < 4; ++i) {
      if (!bytes.empty())
        bytes[random() % bytes.size()] = static_cast<char>(kBytes[random() % sizeof kBytes]);
    }
    const std::size_t expected = expected_prefix(bytes);
    ASSERT_EQ(utf8_valid_prefix(bytes), expected);
    ASSERT_EQ(utf8_valid(bytes), expected == bytes.size());
  }
}

TEST(Utf8, EmptyIsValid) {
  EXPECT_TRUE(utf8_valid(""));
  EXPECT_EQ(utf8_valid_prefix(""), 0U);
}

}  // namespace
}  // namespace inlay
