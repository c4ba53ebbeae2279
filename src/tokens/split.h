// Cutting a text at matches: what becomes of the matched parts (the reference's
// SplitDelimiterBehavior).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "tokens/regex.h"

namespace inlay::tokens {

enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

// From a string such as "Isolated"; throws kBadInput for another.
SplitBehavior read_split_behavior(const JsonValue& json);

// A stretch of the text, matched or between matches.
struct Stretch {
  Range range;
  bool match;
};

// Matches, as Regex::find_all gives them, and what lies between, in order: they cover the text.
// Nothing between two matches that touch; an empty text is one unmatched stretch.
void cover(std::string_view text, const std::vector<Range>& matches,
           std::vector<Stretch>* stretches);

// Turns stretches into the parts that stay, in place. Parts may be empty.
void apply_behavior(SplitBehavior behavior, std::vector<Stretch>* stretches,
                    std::vector<Range>* parts);

}  // namespace inlay::tokens
