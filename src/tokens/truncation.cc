// See truncation.h.
#include "tokens/truncation.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "base/error.h"

namespace inlay::tokens {
namespace {

Lengths longest_first(Lengths have, std::size_t room) {
  std::size_t shorter = have.first, longer = have.second;
  const bool swapped = shorter > longer;
  if (swapped) std::swap(shorter, longer);
  longer = shorter > room ? shorter : std::max(shorter, room - shorter);
  if (shorter + longer > room) {
    shorter = room / 2;
    longer = shorter + room % 2;
  }
  if (swapped) std::swap(shorter, longer);
  return {std::min(have.first, shorter), std::min(have.second, longer)};
}

}  // namespace

Lengths truncate(Lengths have, bool pair, std::size_t room, TruncationStrategy strategy) {
  if (room == 0) return {};
  const std::size_t total = have.first + have.second;
  if (total <= room) return have;
  if (strategy == TruncationStrategy::kLongestFirst) {
    return pair ? longest_first(have, room) : Lengths{room, 0};
  }
  const bool second = strategy == TruncationStrategy::kOnlySecond;
  if (second && !pair) {
    fail(ErrorCode::kUsage, "truncation",
         "expected two texts for only_second, got one. Use another strategy.");
  }
  std::size_t& target = second ? have.second : have.first;
  const std::size_t excess = total - room;
  if (target <= excess) {
    fail(ErrorCode::kBadInput, "truncation",
         std::string("expected the ") + (second ? "second" : "first") +
             " text alone to give way, got another that fills the limit by itself. Use "
             "longest_first or a larger "
             "max_length.");
  }
  target -= excess;
  return have;
}

std::size_t tokens_needed(std::size_t index, bool pair, std::size_t room, std::size_t first,
                          TruncationStrategy strategy) {
  if (!pair || strategy != TruncationStrategy::kLongestFirst || room % 2 == 0) return room + 1;
  return index == 0 ? std::numeric_limits<std::size_t>::max() : std::max(room, first) + 1;
}

}  // namespace inlay::tokens
