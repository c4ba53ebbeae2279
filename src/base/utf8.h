// UTF-8: checking and stepping. Code points are char32_t; lengths are bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace inlay {

// True for well-formed UTF-8 by the Unicode standard, table 3-7: no overlong forms, no surrogates,
// at most 10FFFF.
bool utf8_valid(std::string_view text) noexcept;
// Offset of the first byte that is not part of well-formed UTF-8; text.size() when all is well.
std::size_t utf8_valid_prefix(std::string_view text) noexcept;

// Whether a byte of valid UTF-8 is not the first of its character.
inline bool utf8_continues(char byte) noexcept {
  return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U;
}
// Start of the character that ends before text[at]; text must be valid UTF-8, `at` > 0 the start of
// a character or the text's end.
inline std::size_t utf8_before(std::string_view text, std::size_t at) noexcept {
  do {
    --at;
  } while (utf8_continues(text[at]));
  return at;
}

// Bytes of the character that begins with this byte; 1 for one that begins none.
inline std::size_t utf8_bytes(char first) noexcept {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

// Offset, from `at` on, of the first byte that is not ASCII; text.size() when there is none.
inline std::size_t utf8_ascii_end(std::string_view text, std::size_t at) noexcept {
  constexpr std::uint64_t kHighBits = 0x8080808080808080U;
  for (std::uint64_t eight; text.size() - at >= sizeof(eight); at += sizeof(eight)) {
    std::memcpy(&eight, text.data() + at, sizeof(eight));
    if ((eight & kHighBits) != 0) break;
  }
  while (at < text.size() && static_cast<unsigned char>(text[at]) < 0x80) ++at;
  return at;
}

struct CodePoint {
  char32_t value;
  std::uint32_t bytes;
};

// The code point at text[at]; text must be valid UTF-8 and `at` the start of a character.
inline CodePoint utf8_decode(std::string_view text, std::size_t at) noexcept {
  const auto byte = [&](std::size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[at + i]));
  };
  const char32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  if (first < 0xE0) return {((first & 0x1FU) << 6U) | (byte(1) & 0x3FU), 2};
  if (first < 0xF0)
    return {((first & 0x0FU) << 12U) | ((byte(1) & 0x3FU) << 6U) | (byte(2) & 0x3FU), 3};
  return {((first & 0x07U) << 18U) | ((byte(1) & 0x3FU) << 12U) | ((byte(2) & 0x3FU) << 6U) |
              (byte(3) & 0x3FU),
          4};
}

inline void utf8_append(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0U | (c >> 6U));
    out += static_cast<char>(0x80U | (c & 0x3FU));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0U | (c >> 12U));
    out += static_cast<char>(0x80U | ((c >> 6U) & 0x3FU));
    out += static_cast<char>(0x80U | (c & 0x3FU));
  } else {
    out += static_cast<char>(0xF0U | (c >> 18U));
    out += static_cast<char>(0x80U | ((c >> 12U) & 0x3FU));
    out += static_cast<char>(0x80U | ((c >> 6U) & 0x3FU));
    out += static_cast<char>(0x80U | (c & 0x3FU));
  }
}

}  // namespace inlay
