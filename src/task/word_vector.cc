// See word_vector.h.
#include "task/word_vector.h"

#include <bit>
#include <limits>

namespace inlay::task {

std::int32_t murmur3(std::string_view bytes) noexcept {
  const auto byte = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i]));
  };
  const auto mixed = [](std::uint32_t k) { return std::rotl(k * 0xCC9E2D51U, 15) * 0x1B873593U; };
  std::uint32_t h = 0;
  std::size_t at = 0;
  for (; at + 4 <= bytes.size(); at += 4) {
    h ^= mixed(byte(at) | byte(at + 1) << 8U | byte(at + 2) << 16U | byte(at + 3) << 24U);
    h = std::rotl(h, 13) * 5 + 0xE6546B64U;
  }
  std::uint32_t tail = 0;
  for (std::size_t i = bytes.size(); i > at; --i) tail = tail << 8U | byte(i - 1);
  h ^= mixed(tail);
  h ^= static_cast<std::uint32_t>(bytes.size());
  h = (h ^ h >> 16U) * 0x85EBCA6BU;
  h = (h ^ h >> 13U) * 0xC2B2AE35U;
  return static_cast<std::int32_t>(h ^ h >> 16U);
}

std::int32_t word_index(std::string_view word) noexcept {
  const std::int32_t hash = murmur3(word);
  if (hash >= 0) return hash;
  return hash == std::numeric_limits<std::int32_t>::min() ? std::numeric_limits<std::int32_t>::max()
                                                          : -hash;
}

SparseVector WordVector::take(bool words) && {
  SparseVector out;
  for (auto& [index, entry] : values_) {
    out.indices.push_back(index);
    out.values.push_back(static_cast<float>(entry.first));
    if (words) out.words.push_back(std::move(entry.second));
  }
  return out;
}

}  // namespace inlay::task
