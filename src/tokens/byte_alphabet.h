// GPT-2's byte alphabet: every byte has a printable character that stands for it.
#pragma once

#include <array>
#include <cstdint>

namespace inlay::tokens {

// The printable Latin-1 bytes stand for themselves; the others take U+0100, U+0101, ... in order.
constexpr bool byte_stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

inline constexpr std::array<char32_t, 256> kByteCharacters = [] {
  std::array<char32_t, 256> table{};
  char32_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte)
    table[byte] = byte_stands_for_itself(byte) ? byte : next++;
  return table;
}();

// The byte that a character stands for; -1: none.
inline constexpr int character_byte(char32_t c) {
  constexpr std::array<std::int16_t, 0x144> kBytes = [] {
    std::array<std::int16_t, 0x144> table{};
    for (auto& entry : table) entry = -1;
    for (unsigned byte = 0; byte < 256; ++byte)
      table[kByteCharacters[byte]] = static_cast<std::int16_t>(byte);
    return table;
  }();
  return c < kBytes.size() ? kBytes[c] : -1;
}

}  // namespace inlay::tokens
