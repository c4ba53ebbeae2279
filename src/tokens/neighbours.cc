// See neighbours.h.
#include "tokens/neighbours.h"

#include <algorithm>
#include <bit>

namespace inlay::tokens {
namespace {

// Bytes of the character that begins with `lead`; 0 where none does.
std::size_t bytes_of(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80   ? 1
         : byte < 0xC0 ? 0
         : byte < 0xE0 ? 2
         : byte < 0xF0 ? 3
         : byte < 0xF8 ? 4
                       : 0;
}

// The code points below U+10000 whose UTF-8 ends with these continuation bytes and has at least one
// more in front.
void characters_ending(std::string_view bytes, std::vector<char32_t>* characters) {
  char32_t low = 0;
  for (const char byte : bytes) low = low << 6U | (static_cast<unsigned char>(byte) & 0x3FU);
  if (bytes.size() > 2) return;
  const char32_t step = bytes.size() == 1 ? 1U << 6U : 1U << 12U;
  for (char32_t c = low; c < 0x10000; c += step) {
    if (c >= (bytes.size() == 1 ? 0x80U : 0x800U)) characters->push_back(c);
  }
}

// The code points below U+10000 whose UTF-8 has `size` bytes and begins with these.
void characters_beginning(std::string_view bytes, std::size_t size,
                          std::vector<char32_t>* characters) {
  if (size > 3) return;
  char32_t high = static_cast<unsigned char>(bytes[0]) & (size == 1 ? 0x7FU : 0xFFU >> (size + 1));
  for (std::size_t i = 1; i < bytes.size(); ++i)
    high = high << 6U | (static_cast<unsigned char>(bytes[i]) & 0x3FU);
  const auto open = static_cast<unsigned>(6 * (size - bytes.size()));
  for (char32_t c = high << open; c < (high + 1) << open; ++c) characters->push_back(c);
}

}  // namespace

void Neighbours::add(std::string_view token) {
  for (std::size_t at = 1; at < token.size(); ++at) {
    if (!utf8_continues(token[at])) add_edge(token, at);
  }
}

// The edge before token[at]. Where bytes of a character are missing, all that it may be count.
void Neighbours::add_edge(std::string_view token, std::size_t at) {
  std::size_t begin = at - 1;
  while (begin > 0 && utf8_continues(token[begin])) --begin;
  const std::string_view left = token.substr(begin, at - begin);
  std::vector<char32_t>&lefts = lefts_, &rights = rights_;
  lefts.clear();
  rights.clear();
  if (utf8_continues(left[0])) {
    characters_ending(left, &lefts);
  } else if (bytes_of(left[0]) == left.size()) {
    characters_beginning(left, left.size(), &lefts);
  }
  const std::size_t size = bytes_of(token[at]);
  std::size_t end = at + 1;
  while (end < token.size() && utf8_continues(token[end])) ++end;
  // No well-formed text has what is left out here.
  if (size == 0 || end - at > size || (end < token.size() && end - at < size)) return;
  characters_beginning(token.substr(at, end - at), size, &rights);
  constexpr std::size_t kMost = 2048;
  if (lefts.size() * rights.size() <= kMost) {
    for (const char32_t x : lefts) {
      for (const char32_t y : rights) pairs_.push_back(pair(x, y));
    }
  } else if (lefts.size() <= rights.size()) {
    for (const char32_t c : lefts) bind(&after_, c);
  } else {
    for (const char32_t c : rights) bind(&before_, c);
  }
}

void Neighbours::seal() {
  constexpr std::size_t kFewest = 1U << 12U, kMost = 1U << 22U;
  const std::size_t bits = std::clamp(std::bit_ceil(16 * pairs_.size()), kFewest, kMost);
  shift_ = 32 - static_cast<unsigned>(std::countr_zero(bits));
  bits_.assign(bits / 64, 0);
  for (const std::uint32_t pair : pairs_) {
    const std::uint32_t at = hash(pair) >> shift_;
    bits_[at / 64] |= std::uint64_t{1} << (at % 64);
  }
  pairs_ = {};
  lefts_ = {};
  rights_ = {};
}

}  // namespace inlay::tokens
