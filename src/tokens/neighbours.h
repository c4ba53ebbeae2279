// Which characters stand side by side inside of tokens. Where two neighbours of a text never do, no
// token crosses the edge between them, and what lies on its two sides can be tokenized by itself.
// So the runs of scripts that write no spaces, and words with punctuation at them, fall into short
// parts that come back as words do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/utf8.h"

namespace inlay::tokens {

// Filled by one thread; after seal() read-only, any thread.
class Neighbours {
 public:
  static constexpr char32_t kEnd = 0x10000;

  // All neighbours of a token. Its bytes may begin and end inside a character, as byte-level BPE's
  // do.
  void add(std::string_view token);
  // No edge beside this character counts.
  void bind(char32_t c) {
    if (c < kEnd) bind(&before_, c), bind(&after_, c);
  }
  void seal();
  bool sealed() const { return !bits_.empty(); }

  // False where a token may cross the edge; now and then where none does, and always beyond
  // U+FFFF. Needs seal().
  bool apart(char32_t left, char32_t right) const {
    if ((left | right) >= kEnd || has(after_, left) || has(before_, right)) return false;
    const std::uint32_t at = hash(pair(left, right)) >> shift_;
    return ((bits_[at / 64] >> (at % 64)) & 1U) == 0;
  }
  // The first such edge behind `at`, where a character of the text begins; the text's end when
  // there is none.
  std::size_t part_end(std::string_view text, std::size_t at) const {
    for (CodePoint c = utf8_decode(text, at);;) {
      at += c.bytes;
      if (at >= text.size()) return text.size();
      const CodePoint next = utf8_decode(text, at);
      if (apart(c.value, next.value)) return at;
      c = next;
    }
  }

 private:
  using Set = std::vector<std::uint64_t>;  // a bit for every character
  static void bind(Set* set, char32_t c) { (*set)[c / 64] |= std::uint64_t{1} << (c % 64); }
  static bool has(const Set& set, char32_t c) { return ((set[c / 64] >> (c % 64)) & 1U) != 0; }
  static std::uint32_t pair(char32_t left, char32_t right) { return left << 16U | right; }
  static std::uint32_t hash(std::uint32_t pair) { return pair * 0x9E3779B1U; }
  void add_edge(std::string_view token, std::size_t at);

  std::vector<std::uint32_t> pairs_;      // until seal()
  std::vector<char32_t> lefts_, rights_;  // of one edge
  std::vector<std::uint64_t> bits_;       // by the upper bits of a pair's hash
  unsigned shift_ = 0;
  Set before_ = Set(kEnd / 64), after_ = Set(kEnd / 64);
};

}  // namespace inlay::tokens
