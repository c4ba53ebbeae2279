// Regular expressions of tokenizer.json. The published split patterns are matched by hand-written
// code; any other pattern goes to PCRE2 with its character classes expanded from unicode.h, so that
// they mean what they mean to the reference's engine (Oniguruma, Ruby syntax). Which pieces are cut
// where is pre_tokenizers.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace inlay::tokens {

// Bytes [begin, end) of a text.
struct Range {
  std::uint32_t begin;
  std::uint32_t end;
  bool operator==(const Range&) const = default;
};

// A compiled pattern. Immutable; may be used by many threads at once.
class Regex {
 public:
  // `where` names file and place in errors. Throws kBadInput for a pattern that does not compile,
  // kUnsupported for Oniguruma syntax that Inlay does not have.
  explicit Regex(std::string_view pattern, std::string_view where);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;

  // Replaces `matches` by all matches in order, not overlapping, as the reference's find_iter gives
  // them (an empty match right after the previous match is left out). `text` is valid UTF-8. Throws
  // kBadInput when the pattern exceeds its match or memory limit on this text (a catastrophic
  // pattern).
  void find_all(std::string_view text, std::vector<Range>* matches) const;

  // The hand-written matcher that recognised the pattern's exact text, which find_all() uses;
  // nullptr: none.
  using Matcher = void (*)(std::string_view text, std::vector<Range>* matches);
  Matcher matcher() const noexcept;
  // True when a hand-written matcher recognised the pattern's exact text.
  bool hand_written() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace inlay::tokens
