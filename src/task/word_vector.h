// What models that hash words share: the hash, stems, and sparse vectors grown word by word.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "inlay/inlay.hpp"

struct sb_stemmer;

namespace inlay::task {

// MurmurHash3_x86_32 (Austin Appleby, public domain) with seed 0, as mmh3.hash gives it.
std::int32_t murmur3(std::string_view bytes) noexcept;
// abs(mmh3.hash(word)), fastembed's index of a word. The one hash whose size has no int32, -2^31,
// becomes 2^31 - 1.
std::int32_t word_index(std::string_view word) noexcept;

// A Snowball stemmer whose stems are py_rust_stemmers'. Not thread-safe; making one is an
// allocation or two.
class Stemmer {
 public:
  // `language`: one of files::stop_word_languages(). Throws kInternal for another.
  explicit Stemmer(const std::string& language);
  // In place: a word in lower case becomes its stem, which may be empty.
  void stem(std::string* word) const;

 private:
  struct End {
    void operator()(sb_stemmer* stemmer) const noexcept;
  };
  std::unique_ptr<sb_stemmer, End> stemmer_;
  bool hide_io_;
};

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
