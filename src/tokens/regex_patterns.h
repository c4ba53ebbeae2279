// The published split patterns, matched by hand. Each alternative is tried in the pattern's order,
// as a backtracking engine would; each matcher is linear in the text.
#pragma once

#include <string_view>
#include <vector>

#include "tokens/regex.h"

namespace inlay::tokens {

// Replaces `matches` by the pattern's matches.
using PatternMatcher = void (*)(std::string_view text, std::vector<Range>* matches);

// The matcher for a pattern with exactly this text; nullptr when there is none.
PatternMatcher find_pattern_matcher(std::string_view pattern) noexcept;

}  // namespace inlay::tokens
