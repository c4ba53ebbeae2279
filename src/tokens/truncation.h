// How many tokens of one or two texts stay when there is room for fewer.
#pragma once

#include <cstddef>

#include "tokens/tokenizer.h"

namespace inlay::tokens {

struct Lengths {
  std::size_t first = 0, second = 0;
};

// `room` is what special tokens leave of max_length. As the reference: longest_first cuts the
// longer text down to the other, then both alike; only_first and only_second throw kBadInput when
// their text would have to vanish and there is room for something, kUsage when there is no second
// text.
Lengths truncate(Lengths have, bool pair, std::size_t room, TruncationStrategy strategy);

// How many tokens of text `index` (0 or 1) are enough to decide what stays, and whether something
// is cut: one more than the room, but longest_first with an odd room gives the odd token to the
// longer text, which only whole lengths tell. `first` is the first text's count when index is 1.
std::size_t tokens_needed(std::size_t index, bool pair, std::size_t room, std::size_t first,
                          TruncationStrategy strategy);

}  // namespace inlay::tokens
