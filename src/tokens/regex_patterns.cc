// See regex_patterns.h.
#include "tokens/regex_patterns.h"

#include <algorithm>
#include <array>

#include "base/utf8.h"
#include "tokens/unicode.h"

namespace inlay::tokens {
namespace {

constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kO200k =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr std::uint32_t kUpperish = kLu | kLt | kLm | kLo | kMark;
constexpr std::uint32_t kLowerish = kLl | kLm | kLo | kMark;
constexpr char32_t kLongS = 0x17F;  // folds to s

// Flags of ASCII characters, as far as the patterns ask; equal to char_record()'s (a test
// compares).
constexpr std::array<std::uint32_t, 128> kAsciiFlags = [] {
  std::array<std::uint32_t, 128> flags{};
  for (unsigned c = 'A'; c <= 'Z'; ++c) flags[c] = kLu;
  for (unsigned c = 'a'; c <= 'z'; ++c) flags[c] = kLl;
  for (unsigned c = '0'; c <= '9'; ++c) flags[c] = kNd;
  for (unsigned c = '\t'; c <= '\r'; ++c) flags[c] = kRegexSpace;
  flags[' '] = kRegexSpace;
  return flags;
}();

// A place in the text and what stands there.
class Cursor {
 public:
  Cursor(std::string_view text, std::size_t at) : text_(text), at_(at) {}
  std::size_t at() const { return at_; }
  bool end() const { return at_ == text_.size(); }
  char byte() const { return text_[at_]; }
  CodePoint character() const { return utf8_decode(text_, at_); }
  std::uint32_t flags() const {
    const auto first = static_cast<unsigned char>(byte());
    return first < 0x80 ? kAsciiFlags[first] : char_flags(character().value);
  }
  void advance() { at_ += utf8_bytes(byte()); }
  bool is(std::uint32_t flags_wanted) const { return !end() && (flags() & flags_wanted) != 0; }
  bool is_none(std::uint32_t flags_refused) const {
    return !end() && (flags() & flags_refused) == 0;
  }
  bool is_newline() const { return !end() && (byte() == '\n' || byte() == '\r'); }
  void skip(std::uint32_t wanted) {
    while (at_ < text_.size()) {
      const auto first = static_cast<unsigned char>(text_[at_]);
      if (first < 0x80) {
        if ((kAsciiFlags[first] & wanted) == 0) return;
        ++at_;
        continue;
      }
      const CodePoint c = character();
      if ((char_flags(c.value) & wanted) == 0) return;
      at_ += c.bytes;
    }
  }
  void skip_none(std::uint32_t refused) {
    while (is_none(refused)) advance();
  }

 private:
  std::string_view text_;
  std::size_t at_;
};

// End of 's 't 're 've 'm 'll 'd at `at`; `at` itself when there is none. `fold`: in either case,
// and long s.
std::size_t contraction_end(std::string_view text, std::size_t at, bool fold) {
  if (at + 1 >= text.size() || text[at] != '\'') return at;
  const auto lower = [&](std::size_t i) {
    const char c = i < text.size() ? text[i] : '\0';
    return fold && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  const char first = lower(at + 1), second = lower(at + 2);
  switch (first) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return at + 2;
    case 'r':
    case 'v':
      return second == 'e' ? at + 3 : at;
    case 'l':
      return second == 'l' ? at + 3 : at;
    default:
      break;
  }
  if (fold && static_cast<unsigned char>(first) >= 0x80 &&
      utf8_decode(text, at + 1).value == kLongS)
    return at + 3;
  return at;
}

// \s+(?!\S)|\s+ at white space: all of the run at the text's end, else all but its last character,
// but at least one.
std::size_t whitespace_end(std::string_view text, std::size_t at) {
  Cursor cursor(text, at);
  std::size_t last = at;
  while (cursor.is(kRegexSpace)) {
    last = cursor.at();
    cursor.advance();
  }
  return cursor.end() || last == at ? cursor.at() : last;
}

// \s*[\r\n]+ at white space: through the run's last line break; `at` when it has none.
std::size_t line_break_end(std::string_view text, std::size_t at) {
  std::size_t end = at;
  for (Cursor cursor(text, at); cursor.is(kRegexSpace);) {
    const bool newline = cursor.is_newline();
    cursor.advance();
    if (newline) end = cursor.at();
  }
  return end;
}

// ` ?[^\s\p{L}\p{N}]+` with `tail` bytes after it; `at` when it does not match.
std::size_t symbols_end(std::string_view text, std::size_t at, std::string_view tail) {
  Cursor cursor(text, at);
  if (cursor.byte() == ' ') cursor.advance();
  const std::size_t begin = cursor.at();
  cursor.skip_none(kRegexSpace | kLetter | kNumber);
  if (cursor.at() == begin) return at;
  std::size_t end = cursor.at();
  while (end < text.size() && tail.find(text[end]) != std::string_view::npos) ++end;
  return end;
}

std::size_t digits_end(std::string_view text, std::size_t at, int most) {
  Cursor cursor(text, at);
  for (; most > 0 && cursor.is(kNumber); --most) cursor.advance();
  return cursor.at();
}

std::size_t gpt2_end(std::string_view text, std::size_t at) {
  if (const std::size_t end = contraction_end(text, at, false); end != at) return end;
  Cursor cursor(text, at);
  if (cursor.byte() == ' ') cursor.advance();
  const std::size_t begin = cursor.at();
  if (!cursor.end()) {
    const std::uint32_t flags = cursor.flags();
    if ((flags & kLetter) != 0) {
      cursor.skip(kLetter);
    } else if ((flags & kNumber) != 0) {
      cursor.skip(kNumber);
    } else if ((flags & kRegexSpace) == 0) {
      cursor.skip_none(kRegexSpace | kLetter | kNumber);
    }
    if (cursor.at() != begin) return cursor.at();
  }
  return whitespace_end(text, at);
}

// [^\r\n\p{L}\p{N}]?\p{L}+; `at` when it does not match.
std::size_t letters_end(std::string_view text, std::size_t at) {
  Cursor cursor(text, at);
  if (!cursor.is_newline() && cursor.is_none(kLetter | kNumber)) cursor.advance();
  const std::size_t begin = cursor.at();
  cursor.skip(kLetter);
  return cursor.at() == begin ? at : cursor.at();
}

template <int kMostDigits>
std::size_t cl100k_end(std::string_view text, std::size_t at) {
  if (const std::size_t end = contraction_end(text, at, true); end != at) return end;
  if (const std::size_t end = letters_end(text, at); end != at) return end;
  if (const std::size_t end = digits_end(text, at, kMostDigits); end != at) return end;
  if (const std::size_t end = symbols_end(text, at, "\r\n"); end != at) return end;
  if (const std::size_t end = line_break_end(text, at); end != at) return end;
  return whitespace_end(text, at);
}

// [U]*[W]+ when `lower_needed`, else [U]+[W]*, from `at`; `at` when it does not match. U and W
// share characters, so when no W follows the U run, the run gives back its characters down to the
// last that is in W.
std::size_t cased_end(std::string_view text, std::size_t at, bool lower_needed) {
  Cursor cursor(text, at);
  std::size_t last_shared = at;  // end of the last character of the U run that is in W too
  while (!cursor.end()) {
    const std::uint32_t flags = cursor.flags();
    if ((flags & kUpperish) == 0) break;
    cursor.advance();
    if ((flags & kLowerish) != 0) last_shared = cursor.at();
  }
  const std::size_t upper_end = cursor.at();
  cursor.skip(kLowerish);
  if (!lower_needed) return upper_end == at ? at : cursor.at();
  return cursor.at() != upper_end ? cursor.at() : last_shared;
}

std::size_t o200k_end(std::string_view text, std::size_t at) {
  Cursor after(text, at);
  if (!after.is_newline() && after.is_none(kLetter | kNumber)) after.advance();
  for (const bool lower_needed : {true, false}) {
    for (const std::size_t begin :
         {after.at(), at}) {  // with the optional first character, then without
      const std::size_t end = cased_end(text, begin, lower_needed);
      if (end != begin) return contraction_end(text, end, true);
      if (begin == at) break;
    }
  }
  if (const std::size_t end = digits_end(text, at, 3); end != at) return end;
  if (const std::size_t end = symbols_end(text, at, "\r\n/"); end != at) return end;
  if (const std::size_t end = line_break_end(text, at); end != at) return end;
  return whitespace_end(text, at);
}

// Every character is matched by some alternative of these patterns, so matches follow each other
// without gaps.
template <std::size_t (*kEnd)(std::string_view, std::size_t)>
void match_all(std::string_view text, std::vector<Range>* matches) {
  matches->clear();
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = kEnd(text, at);
    matches->push_back({static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(end)});
    at = end;
  }
}

struct KnownPattern {
  std::string_view pattern;
  PatternMatcher matcher;
};
constexpr std::array<KnownPattern, 4> kKnownPatterns = {{
    {kGpt2, match_all<gpt2_end>},
    {kLlama3, match_all<cl100k_end<3>>},
    {kQwen2, match_all<cl100k_end<1>>},
    {kO200k, match_all<o200k_end>},
}};

}  // namespace

PatternMatcher find_pattern_matcher(std::string_view pattern) noexcept {
  const auto found =
      std::find_if(kKnownPatterns.begin(), kKnownPatterns.end(),
                   [&](const KnownPattern& known) { return known.pattern == pattern; });
  return found == kKnownPatterns.end() ? nullptr : found->matcher;
}

}  // namespace inlay::tokens
