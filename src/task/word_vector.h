// What models that hash words share: the hash, and sparse vectors grown word by word.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "inlay/inlay.hpp"

namespace inlay::task {

// MurmurHash3_x86_32 (Austin Appleby, public domain) with seed 0, as mmh3.hash gives it.
std::int32_t murmur3(std::string_view bytes) noexcept;
// abs(mmh3.hash(word)), fastembed's index of a word. The one hash whose size has no int32, -2^31,
// becomes 2^31 - 1.
std::int32_t word_index(std::string_view word) noexcept;

// Words by index; a later word of the same index takes the place of an earlier.
class WordVector {
 public:
  void set(std::int32_t index, double value, std::string_view word) {
    values_[index] = {value, std::string(word)};
  }
  SparseVector take(bool words) &&;

 private:
  std::map<std::int32_t, std::pair<double, std::string>> values_;
};

}  // namespace inlay::task
