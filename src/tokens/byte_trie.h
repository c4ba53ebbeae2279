// A double-array trie over bytes for texts that are matched from some place on, all keys along the
// way. An edge holds up to seven bytes, so that the long branchless ends of words are walked, and
// waited for, in one step instead of seven; a cell is a quarter of a cache line. Used for the
// pieces of WordPiece, Unigram and byte-level BPE and for added tokens.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "base/large_memory.h"

namespace inlay::tokens {

// A text to walk along: any eight bytes of it as one number, the first lowest, zeros past its end.
class TrieText {
 public:
  explicit TrieText(std::string_view text) : data_(text.data()), size_(text.size()) {
    static_assert(std::endian::native == std::endian::little);
    if (size_ >= 8) {
      std::memcpy(&last_, data_ + size_ - 8, 8);
    } else {
      for (std::size_t i = 0; i < size_; ++i)
        last_ |= static_cast<std::uint64_t>(static_cast<unsigned char>(data_[i]))
                 << (8 * (8 - size_ + i));
    }
  }
  std::size_t size() const { return size_; }
  std::uint64_t eight(std::size_t at) const {  // at < size()
    const std::size_t rest = size_ - at;
    if (rest < 8) return last_ >> (8 * (8 - rest));
    std::uint64_t bytes;
    std::memcpy(&bytes, data_ + at, 8);
    return bytes;
  }

 private:
  const char* data_;
  std::size_t size_;
  std::uint64_t last_ = 0;  // the last eight bytes; of a shorter text all, at the upper end
};

// The same where kPadding bytes may be read behind the text, and are zeros.
class PaddedText {
 public:
  static constexpr std::size_t kPadding = 8;
  PaddedText(const char* text, std::size_t size) : data_(text), size_(size) {}
  std::size_t size() const { return size_; }
  std::uint64_t eight(std::size_t at) const {
    std::uint64_t bytes;
    std::memcpy(&bytes, data_ + at, 8);
    return bytes;
  }

 private:
  const char* data_;
  std::size_t size_;
};

class ByteTrie {
 public:
  static constexpr std::uint32_t kRoot = 0;

  // By the bytes of the keys, as build() wants them.
  static void sort(std::vector<std::pair<std::string_view, std::int32_t>>* keys);
  // `keys` are distinct, not empty and sorted by bytes; values are not negative.
  void build(const std::vector<std::pair<std::string_view, std::int32_t>>& keys);
  bool empty() const { return cells_.size() == kLabels; }

  // Moves `state` and `at` along the next edge; false (both unchanged) when no key goes on that
  // way. at < text.size(). The first edge of a key ends with its first character or before, so that
  // walks may begin behind it.
  template <typename Text>
  bool step(const Text& text, std::uint32_t* state, std::size_t* at) const noexcept {
    const std::uint64_t bytes = text.eight(*at);
    const std::uint32_t children = cells_[*state].children;
    const std::uint32_t place = children & kPlace;
    const std::uint32_t next = (children >> kPlaceBits) + ((bytes >> place) & 0xFFU);
    const std::uint64_t edge = cells_[next].edge;
    const std::size_t count = edge & kMostEdge;
    if ((((bytes << 8U | place) ^ edge) & kMasks[count]) != 0 || count > text.size() - *at)
      return false;
    *state = next;
    *at += count;
    return true;
  }
  std::int32_t value(std::uint32_t state) const noexcept {
    return cells_[state].value;
  }  // -1: no key ends here

 private:
  static constexpr std::size_t kMostEdge = 7, kLabels = 256;
  // Which byte of an edge is its label: the first, or the second or third where that one tells all
  // of a state's edges apart, so that a character of several bytes is one step. In bits.
  static constexpr std::uint32_t kPlace = 8 | 16, kPlaceBits = 5;
  static constexpr std::uint64_t kFree = 32;  // as an edge: matches nothing
  static constexpr std::array<std::uint64_t, kMostEdge + 1> kMasks = [] {
    std::array<std::uint64_t, kMostEdge + 1> masks{0xF8};  // the label's place, or free
    for (std::size_t i = 1; i <= kMostEdge; ++i) masks[i] = masks[i - 1] | (0xFFULL << (8 * i));
    return masks;
  }();
  struct Cell {
    std::uint64_t edge = kFree;  // its bytes above the place of its label and their number
    // The labels' place, above it the base: children are at base + label. No two states share one
    // but those without children, whose 0 has free cells behind it.
    std::uint32_t children = 0;
    std::int32_t value = -1;
  };
  struct Builder;
  LargeVector<Cell> cells_{kLabels};
};

}  // namespace inlay::tokens
