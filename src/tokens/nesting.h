// How deep a tokenizer.json may nest a Sequence in a Sequence: published files stay below 4.
#pragma once

namespace inlay::tokens {
inline constexpr int kMaxNesting = 32;
}  // namespace inlay::tokens
