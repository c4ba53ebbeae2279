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

// Indices of a batch's texts, longest first, in memory that is kept from batch to batch.
class LengthOrder {
 public:
  explicit LengthOrder(std::int64_t max_texts) : order_(static_cast<std::size_t>(max_texts)) {}
  std::span<const std::int32_t> sort(const PackedBatch& batch);

 private:
  std::vector<std::int32_t> order_;
};

inline std::int64_t text_length(const PackedBatch& batch, std::int32_t text) {
  const auto t = static_cast<std::size_t>(text);
  return std::int64_t{batch.offsets[t + 1]} - batch.offsets[t];
}

// How many of `order`, from the first on, make a group of that length: at most `most`, none of them
// shorter than `least`.
std::size_t group_size(const PackedBatch& batch, std::span<const std::int32_t> order,
                       std::int64_t least, std::int64_t most);
// 7/8 of a length: where a group's texts are shorter, padding costs more than a run of its own.
inline std::int64_t least_of_group(std::int64_t length) { return (length * 7 + 7) / 8; }

// A group's results to where the batch wants them.
void take_rows(const PackedBatch& batch, const Group& group, const Output& output,
               const float* from, std::span<float> out);

}  // namespace inlay::backend::padded
