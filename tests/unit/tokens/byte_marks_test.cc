// Every way of marking bytes that this processor has, against one look at each byte.
#include "tokens/byte_marks.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace inlay::tokens {
namespace {

TEST(ByteMarks, EveryMarkerSaysWhatIsInTheSet) {
  std::mt19937 random(3);
  std::string bytes(300, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  int markers = 0;
  for (const ByteMarker& marker : byte_markers()) {
    if (marker.mark == nullptr || !marker.available()) continue;
    ++markers;
    for (std::size_t size = 0; size <= 200; ++size) {
      ByteSet set;
      for (unsigned count = random() % 200; count > 0; --count) set.add(random() % 256);
      const std::string_view text = std::string_view(bytes).substr(random() % 64, size);
      std::vector<std::uint64_t> bits(mark_words(size) + 1, 0x5555555555555555ULL);
      marker.mark(set, text, bits.data());
      for (std::size_t i = 0; i < mark_words(size) * 64; ++i) {
        const bool wanted = i < size && set.has(static_cast<unsigned char>(text[i]));
        ASSERT_EQ((bits[i / 64] >> (i % 64)) & 1U, wanted ? 1U : 0U)
            << marker.name << ", size " << size << ", byte " << i;
      }
      ASSERT_EQ(bits.back(), 0x5555555555555555ULL) << marker.name << " writes past the end";
    }
  }
  EXPECT_GE(markers, 1);
}

TEST(ByteMarks, ASetHoldsWhatWasAdded) {
  for (unsigned only = 0; only < 256; ++only) {
    ByteSet set;
    EXPECT_TRUE(set.empty());
    set.add(only);
    EXPECT_FALSE(set.empty());
    for (unsigned byte = 0; byte < 256; ++byte) {
      ASSERT_EQ(set.has(static_cast<unsigned char>(byte)), byte == only) << only << ' ' << byte;
    }
  }
}

TEST(ByteMarks, TheNextMarkIsFoundOverWords) {
  std::vector<std::uint64_t> bits(mark_words(300));
  for (const std::size_t at : {0, 63, 64, 200, 299}) bits[at / 64] |= std::uint64_t{1} << (at % 64);
  EXPECT_EQ(next_mark(bits.data(), 0, 300), 0U);
  EXPECT_EQ(next_mark(bits.data(), 1, 300), 63U);
  EXPECT_EQ(next_mark(bits.data(), 64, 300), 64U);
  EXPECT_EQ(next_mark(bits.data(), 65, 300), 200U);
  EXPECT_EQ(next_mark(bits.data(), 65, 200), 200U);  // none before the end
  EXPECT_EQ(next_mark(bits.data(), 201, 250), 250U);
  EXPECT_EQ(next_mark(bits.data(), 300, 300), 300U);
}

}  // namespace
}  // namespace inlay::tokens
