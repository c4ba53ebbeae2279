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

}  // namespace inlay::tokens
