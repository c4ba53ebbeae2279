// Cutting batches and putting results back.
#include "backend/padded/groups.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "base/error.h"
#include "batch/check_batch.h"

namespace inlay::backend::padded {
std::vector<Output> outputs_of(const Program& program) {
  std::vector<Output> outputs;
  for (const ValueId id : program.outputs())
    outputs.push_back({program.value(id).rows, program.value(id).width});
  return outputs;
}

void check_batch(const char* room, const PackedBatch& batch, const CompileOptions& limits,
                 std::span<const Output> outputs, std::span<const std::span<float>> outs) {
  const std::int64_t tokens = batch.tokens();
  const std::int64_t texts = std::max<std::int64_t>(batch.texts(), 0);
  bool fits = outs.size() == outputs.size();
  for (std::size_t i = 0; fits && i < outs.size(); ++i) {
    const std::int64_t rows = outputs[i].rows == Rows::kTokens ? tokens : texts;
    fits = static_cast<std::int64_t>(outs[i].size()) == rows * outputs[i].width;
  }
  if (!fits) fail(ErrorCode::kInternal, room, "expected outputs of [texts or tokens, width].");
  inlay::check_batch(room, batch, {limits.max_tokens, limits.max_texts, limits.max_text_tokens});
}

std::span<const std::int32_t> Grouper::sort(const PackedBatch& batch) {
  const std::span<std::int32_t> order(order_.data(), static_cast<std::size_t>(batch.texts()));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return text_length(batch, a) > text_length(batch, b);
  });
  return order;
}

Group next_group(const PackedBatch& batch, const Cut& cut, std::span<const std::int32_t>* left) {
  std::size_t count = 1;
  while (count < left->size() && static_cast<std::int64_t>(count) < cut.texts &&
         text_length(batch, (*left)[count]) >= cut.least) {
    ++count;
  }
  Group group{left->first(count), static_cast<std::int64_t>(count), cut.length};
  if (cut.fixed && count > 1) group.texts = cut.texts;
  *left = left->subspan(count);
  return group;
}

GroupFloats group_floats(const Program& program, std::int64_t length) {
  const std::int64_t texts = group_texts(length);
  GroupFloats floats;
  for (const Value& value : program.values()) {
    if (value.rows == Rows::kTokens)
      floats.rows = std::max(floats.rows, value.width * texts * length);
  }
  for (const Step& step : program.steps()) {
    const auto* attention = std::get_if<AttentionStep>(&step.args);
    if (attention == nullptr) continue;
    const bool every = program.value(attention->query.value).rows == Rows::kTokens;
    floats.scores =
        std::max(floats.scores, attention->heads * texts * length * (every ? length : 1));
  }
  return floats;
}

void count_tokens(const PackedBatch& batch, const Group& group, TokenCounts* counts) {
  for (const std::int32_t member : group.members) counts->real += text_length(batch, member);
  counts->computed += group.texts * group.length;
}

void take_rows(const PackedBatch& batch, const Group& group, const Output& output,
               const float* from, std::span<float> out) {
  const bool tokens = output.rows == Rows::kTokens;
  for (const std::int32_t member : group.members) {
    const std::int64_t first =
        tokens ? batch.offsets[static_cast<std::size_t>(member)] : std::int64_t{member};
    const std::int64_t rows = tokens ? text_length(batch, member) : 1;
    std::copy_n(from, rows * output.width, out.data() + first * output.width);
    from += (tokens ? group.length : 1) * output.width;
  }
}

}  // namespace inlay::backend::padded
