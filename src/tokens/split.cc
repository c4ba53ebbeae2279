// See split.h.
#include "tokens/split.h"

#include <algorithm>

#include "base/error.h"

namespace inlay::tokens {
namespace {

// Joins a match to the part before it, unless the stretch before was a match too. The list is
// walked as it stands, so that a reversed list joins matches to what follows them.
void merge_with_neighbour(const std::vector<Stretch>& stretches, std::vector<Range>* parts) {
  bool previous_match = false;
  for (const Stretch& stretch : stretches) {
    if (stretch.match && !previous_match && !parts->empty()) {
      parts->back().begin = std::min(parts->back().begin, stretch.range.begin);
      parts->back().end = std::max(parts->back().end, stretch.range.end);
    } else {
      parts->push_back(stretch.range);
    }
    previous_match = stretch.match;
  }
}

void merge_contiguous(const std::vector<Stretch>& stretches, std::vector<Range>* parts) {
  bool previous_match = false;
  for (const Stretch& stretch : stretches) {
    if (stretch.match == previous_match && !parts->empty()) {
      parts->back().end = stretch.range.end;
    } else {
      parts->push_back(stretch.range);
    }
    previous_match = stretch.match;
  }
}

}  // namespace

SplitBehavior read_split_behavior(const JsonValue& json) {
  const std::string_view name = json.string();
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  fail(ErrorCode::kBadInput, json.where(),
       "expected Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous, got \"" +
           printable(name) + "\". Correct the file.");
}

void cover(std::string_view text, const std::vector<Range>& matches,
           std::vector<Stretch>* stretches) {
  stretches->clear();
  if (text.empty()) {
    stretches->push_back({{0, 0}, false});
    return;
  }
  std::uint32_t previous = 0;
  for (const Range& match : matches) {
    if (previous != match.begin) stretches->push_back({{previous, match.begin}, false});
    stretches->push_back({match, true});
    previous = match.end;
  }
  const auto size = static_cast<std::uint32_t>(text.size());
  if (previous != size) stretches->push_back({{previous, size}, false});
}

void apply_behavior(SplitBehavior behavior, std::vector<Stretch>* stretches,
                    std::vector<Range>* parts) {
  parts->clear();
  switch (behavior) {
    case SplitBehavior::kRemoved:
      for (const Stretch& stretch : *stretches) {
        if (!stretch.match) parts->push_back(stretch.range);
      }
      break;
    case SplitBehavior::kIsolated:
      for (const Stretch& stretch : *stretches) parts->push_back(stretch.range);
      break;
    case SplitBehavior::kContiguous:
      merge_contiguous(*stretches, parts);
      break;
    case SplitBehavior::kMergedWithPrevious:
      merge_with_neighbour(*stretches, parts);
      break;
    case SplitBehavior::kMergedWithNext:
      std::reverse(stretches->begin(), stretches->end());
      merge_with_neighbour(*stretches, parts);
      std::reverse(parts->begin(), parts->end());
      break;
  }
}

}  // namespace inlay::tokens
