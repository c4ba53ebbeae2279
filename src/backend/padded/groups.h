// Batches cut into groups of texts of like length, which run together padded to one length, and
// their results put back in the batch's order.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "backend/padded/inputs.h"

namespace inlay::backend::padded {

// What a library returns for one output of a Program: [texts, width], or [texts, length, width] for
// rows of tokens.
struct Output {
  Rows rows = Rows::kTokens;
  std::int64_t width = 0;
};
std::vector<Output> outputs_of(const Program& program);

// Padded tokens of a group at most, unless one text is longer.
inline constexpr std::int64_t kGroupTokens = 2048;
inline std::int64_t group_texts(std::int64_t length) {
  return length >= kGroupTokens ? 1 : kGroupTokens / length;
}

// Throws kInternal naming the room when a batch is not within the compiled limits, or an output is
// of another size.
void check_batch(const char* room, const PackedBatch& batch, const CompileOptions& limits,
                 std::span<const Output> outputs, std::span<const std::span<float>> outs);

// How the group of a text of some length is made, the longest of its texts.
struct Cut {
  std::int64_t length = 0;  // that its texts are padded to
  std::int64_t least = 1;   // tokens of the shortest text that may join
  std::int64_t texts = 1;   // that may be in it
  bool fixed = false;       // more than one text takes `texts` places, filled or not
};

// Tokens so far, without padding and with it.
struct TokenCounts {
  std::int64_t real = 0, computed = 0;
  double padded_share() const {
    return computed == 0 ? 0 : static_cast<double>(computed - real) / static_cast<double>(computed);
  }
};

inline std::int64_t text_length(const PackedBatch& batch, std::int32_t text) {
  const auto t = static_cast<std::size_t>(text);
  return std::int64_t{batch.offsets[t + 1]} - batch.offsets[t];
}

// Takes the next group from the beginning of `left`, which is not empty and longest first.
Group next_group(const PackedBatch& batch, const Cut& cut, std::span<const std::int32_t>* left);

// Cuts batches, in memory that is kept from batch to batch.
class Grouper {
 public:
  explicit Grouper(std::int64_t max_texts) : order_(static_cast<std::size_t>(max_texts)) {}
  // Calls `use` with each group, the longest texts first; `cut_of` says how that of a length is
  // made. False as soon as `use` is; nothing follows then.
  template <typename CutOf, typename Use>
  bool each(const PackedBatch& batch, const CutOf& cut_of, const Use& use) {
    std::span<const std::int32_t> left = sort(batch);
    while (!left.empty()) {
      if (!use(next_group(batch, cut_of(text_length(batch, left[0])), &left))) return false;
    }
    return true;
  }

 private:
  std::span<const std::int32_t> sort(const PackedBatch& batch);
  std::vector<std::int32_t> order_;  // indices of texts
};

// Floats of a group of the longest texts: its widest rows of tokens, and the scores of an
// attention.
struct GroupFloats {
  std::int64_t rows = 0, scores = 0;
};
GroupFloats group_floats(const Program& program, std::int64_t length);

void count_tokens(const PackedBatch& batch, const Group& group, TokenCounts* counts);
// 7/8 of a length: where a group's texts are shorter, padding costs more than a run of its own.
inline std::int64_t least_of_group(std::int64_t length) { return (length * 7 + 7) / 8; }

// A group's results to where the batch wants them.
void take_rows(const PackedBatch& batch, const Group& group, const Output& output,
               const float* from, std::span<float> out);

}  // namespace inlay::backend::padded
