// One pass over the characters.
#include "task/sentences.h"

#include "base/utf8.h"
#include "tokens/unicode.h"

namespace inlay::task {
namespace {

bool is_one_of(char32_t c, std::u32string_view set) {
  return set.find(c) != std::u32string_view::npos;
}

bool is_stop(char32_t c) { return c == U'.' || c == U'\u2024' || c == U'\uFE52'; }
// Ends a sentence before white space.
bool is_end(char32_t c) {
  return is_stop(c) ||
         is_one_of(c, U"!?\u2026\u203C\u203D\u2047\u2048\u2049\u061F\u06D4\u0964\u0965");
}
// Ends a sentence whatever follows.
bool is_full_width_end(char32_t c) { return is_one_of(c, U"\u3002\uFF01\uFF1F\uFF61"); }
bool is_closer(char32_t c) {
  return is_one_of(c, U"\"')]}\u00BB\u2019\u201D\u203A\u3009\u300B\u300D\u300F\u3011\uFF09\uFF3D");
}
bool is_lower(char32_t c) { return tokens::has(c, tokens::kLl); }

}  // namespace

std::vector<std::size_t> sentence_starts(std::string_view text) {
  std::vector<std::size_t> starts;
  if (text.empty()) return starts;
  starts.push_back(0);
  enum class After { kText, kEnd, kFullWidthEnd };
  After after = After::kText;
  bool stop = false;    // the last mark was a full stop
  bool blank = false;   // white space since
  int line_breaks = 0;  // in it
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = utf8_decode(text, at);
    const std::size_t here = at;
    at += c.bytes;
    if (tokens::is_whitespace(c.value)) {
      blank = true;
      if (c.value == U'\n' || c.value == U'\u2029') ++line_breaks;
      continue;
    }
    const bool mark = is_end(c.value) || is_full_width_end(c.value);
    const bool begins = line_breaks > 1 ||
                        (after == After::kEnd && blank && !(stop && is_lower(c.value))) ||
                        (after == After::kFullWidthEnd && (blank || !(mark || is_closer(c.value))));
    if (begins && here > 0) starts.push_back(here);
    if (mark) {
      after = is_full_width_end(c.value) ? After::kFullWidthEnd : After::kEnd;
      stop = is_stop(c.value);
    } else if (blank || !is_closer(c.value)) {
      after = After::kText;
    }
    blank = false;
    line_breaks = 0;
  }
  return starts;
}

}  // namespace inlay::task
