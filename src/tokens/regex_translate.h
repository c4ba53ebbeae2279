// Oniguruma's Ruby syntax, as tokenizer.json files use it, rewritten for PCRE2: every class by its
// code points (from unicode.h), anchors and flags by their Ruby meaning.
#pragma once

#include <string>
#include <string_view>

namespace inlay::tokens {

// Throws kBadInput for a broken class or escape, kUnsupported for syntax that is not translated;
// `where` names the file and place.
std::string translate_regex(std::string_view pattern, std::string_view where);

}  // namespace inlay::tokens
