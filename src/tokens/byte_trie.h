// A double-array trie over bytes: the state after one more byte is one addition and one comparison
// away. Used for Unigram's pieces and for added tokens.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace inlay::tokens {

class ByteTrie {
 public:
  static constexpr std::uint32_t kRoot = 0;

  // By the bytes of the keys, as build() wants them.
  static void sort(std::vector<std::pair<std::string_view, std::int32_t>>* keys);
  // `keys` are distinct, not empty and sorted by bytes; values are not negative.
  void build(const std::vector<std::pair<std::string_view, std::int32_t>>& keys);
  bool empty() const { return cells_.empty(); }

  // Moves `state` along `byte`; false (state unchanged) when no key goes on that way.
  bool step(std::uint32_t* state, char byte) const noexcept {
    const std::uint32_t next = cells_[*state].base + static_cast<unsigned char>(byte);
    if (cells_[next].parent != *state) return false;
    *state = next;
    return true;
  }
  std::int32_t value(std::uint32_t state) const noexcept {
    return cells_[state].value;
  }  // -1: no key ends here

 private:
  static constexpr std::uint32_t kFree = 0xFFFFFFFFU;
  struct Cell {
    std::uint32_t base = 0;  // children of this state are at base + byte
    std::uint32_t parent = kFree;
    std::int32_t value = -1;
  };
  struct Builder;
  std::vector<Cell> cells_;
};

}  // namespace inlay::tokens
