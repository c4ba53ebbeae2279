// Oniguruma's Ruby syntax, as tokenizer.json files use it, rewritten for PCRE2: every class by its
// code points (from unicode.h), anchors and flags by their Ruby meaning.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace inlay::tokens {

// A translation of this size is cut off: it is too large for PCRE2 anyway.
inline constexpr std::size_t kMaxTranslatedBytes = 1 << 20;

// Throws kBadInput for a broken class or escape, kUnsupported for syntax that is not translated;
// `where` names the file and place. A class of many ranges is written where it stands, which
// matches fastest, or, with `share`, once at the end and called by name: PCRE2 takes 64 KiB of
// compiled pattern, and a class such as \p{L} is four of them.
std::string translate_regex(std::string_view pattern, std::string_view where, bool share);

}  // namespace inlay::tokens
