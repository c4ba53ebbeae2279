// Program to plan: dead steps dropped, neighbours fused, values put where later values follow them.
#include "backend/cuda/plan.h"

#include <algorithm>
#include <utility>

#include "backend/cuda/planner.h"
#include "base/error.h"

namespace inlay::backend::cuda {
namespace {

constexpr std::int64_t kAlignment = 256;  // bytes: what cuBLASLt's fastest kernels ask for

RowKind kind_of(Rows rows) {
  return rows == Rows::kTokens  ? RowKind::kTokens
         : rows == Rows::kTexts ? RowKind::kTexts
                                : RowKind::kSpans;
}

std::int64_t rows_at_most(const Capacity& capacity, RowKind rows) {
  return rows == RowKind::kTexts ? capacity.texts : capacity.tokens;
}

}  // namespace

Capacity capacity_of(const CompileOptions& options, std::int64_t chunk_tokens) {
  Capacity capacity;
  capacity.text_tokens = std::min(options.max_text_tokens, options.max_tokens);
  capacity.tokens = std::min(options.max_tokens, std::max(chunk_tokens, capacity.text_tokens));
  capacity.texts = std::min(options.max_texts, capacity.tokens);
  return capacity;
}

std::int64_t WeightSpec::bytes() const {
  return n * (kind == Kind::kColumns ? k : ld) * type_bytes(type);
}

BatchShape Plan::most() const {
  return {capacity.tokens, capacity.texts, capacity.tokens,
          capacity.texts + capacity.tokens / kQueryBlock};
}

Type type_of_dtype(const std::string& dtype) {
  if (dtype == "fp16") return Type::kF16;
  if (dtype == "bf16") return Type::kBF16;
  return Type::kF32;
}

Type narrow_type(const Program& program) {
  for (const Step& step : program.steps()) {
    const auto* norm = std::get_if<NormStep>(&step.args);
    if ((norm != nullptr && norm->kind == NormKind::kRms) ||
        std::holds_alternative<GatedLinearStep>(step.args))
      return Type::kBF16;
  }
  return Type::kF16;
}

MemoryPlan memory_of(const Plan& plan) {
  const std::int64_t words = plan.input_words() * std::int64_t{sizeof(std::int32_t)};
  MemoryPlan memory;
  memory.arena = kStages * (plan.output_bytes + words) + kBounceBytes;
  memory.device = plan.weight_bytes + plan.slot_bytes + plan.output_bytes + words;
  return memory;
}

std::int64_t Addresses::take(std::int64_t bytes) {
  const std::int64_t size = round_up(std::max<std::int64_t>(bytes, 1), kAlignment);
  std::int64_t begin = 0;
  for (const auto& [offset, length] : taken_) {
    if (offset - begin >= size) break;
    begin = offset + length;
  }
  taken_[begin] = size;
  most_ = std::max(most_, begin + size);
  return begin;
}

void Addresses::give(std::int64_t offset) { taken_.erase(offset); }

Planner::Planner(const Program& program, const CompileOptions& options, std::int64_t chunk_tokens)
    : program_(program) {
  plan_.capacity = capacity_of(options, chunk_tokens);
  e4m3_ = options.dtype == "fp8";
  plan_.type = e4m3_ ? narrow_type(program) : type_of_dtype(options.dtype);
}

void Planner::find_uses() {
  const auto& steps = program_.steps();
  live_.assign(steps.size(), false);
  uses_.assign(program_.values().size(), 0);
  last_read_.assign(program_.values().size(), kNone);
  for (const ValueId output : program_.outputs()) live_[index_of(output)] = true;
  for (std::size_t i = steps.size(); i-- > 0;) {
    if (!live_[i]) continue;
    for (const ValueId input : step_inputs(steps[i].args)) {
      const auto v = static_cast<std::size_t>(input);
      live_[index_of(input)] = true;
      ++uses_[v];
      if (last_read_[v] == kNone) last_read_[v] = i;
    }
  }
}

void Planner::fuse_steps() {
  const auto& steps = program_.steps();
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto* norm = std::get_if<NormStep>(&steps[i].args);
    if (!live_[i] || norm == nullptr || norm->residual != kNoValue) continue;
    const std::size_t before = index_of(norm->input);
    if (std::holds_alternative<EmbedStep>(steps[before].args) && used_once(norm->input)) {
      tail_[before] = i;
      swallowed_[i] = true;
    } else if (std::holds_alternative<ResidualStep>(steps[before].args) && before + 1 == i) {
      tail_[i] = before;  // the norm adds, and writes the sum for who else reads it
      swallowed_[before] = true;
    }
  }
}

bool Planner::goes_out(ValueId value) const {
  if (!program_.is_output(value) || uses_[static_cast<std::size_t>(value)] != 0) return false;
  const StepArgs& args = program_.steps()[index_of(value)].args;
  const auto* attention = std::get_if<AttentionStep>(&args);
  return std::holds_alternative<PoolStep>(args) || std::holds_alternative<NormalizeStep>(args) ||
         std::holds_alternative<TruncateStep>(args) || std::holds_alternative<LinearStep>(args) ||
         std::holds_alternative<VocabularyMaxStep>(args) ||
         (attention != nullptr && attention->probabilities);
}

bool Planner::is_fp32(ValueId value) const {
  if (plan_.type == Type::kF32 || goes_out(value)) return true;
  const StepArgs& args = program_.steps()[index_of(value)].args;
  if (std::holds_alternative<VocabularyMaxStep>(args)) return true;
  if (const auto* attention = std::get_if<AttentionStep>(&args)) return attention->probabilities;
  const bool rows = std::holds_alternative<PoolStep>(args) ||
                    std::holds_alternative<NormalizeStep>(args) ||
                    std::holds_alternative<TruncateStep>(args);
  if (!rows) return false;
  // Behind pooling, what products do not read stays in fp32.
  for (std::size_t i = 0; i < program_.steps().size(); ++i) {
    if (!live_[i]) continue;
    const StepArgs& reader = program_.steps()[i].args;
    for (const ValueId input : step_inputs(reader)) {
      if (input == value && !std::holds_alternative<NormalizeStep>(reader) &&
          !std::holds_alternative<TruncateStep>(reader))
        return false;
    }
  }
  return true;
}

Place Planner::place(ValueId value, std::int64_t column) const {
  Place found = places_[static_cast<std::size_t>(value)];
  found.offset += column * type_bytes(found.type);
  return found;
}

Place Planner::place_typed(ValueId value) {
  const Place found = place(value);
  if (found.type == plan_.type) return found;
  const std::int64_t width = program_.value(value).width;
  Op op{};
  op.kind = OpKind::kRow;
  op.row.in = found;
  op.row.out = take_temporary(found.rows, width, plan_.type);
  op.row.width = width;
  plan_.ops.push_back(op);
  return op.row.out;
}

Place Planner::take_slot(RowKind rows, std::int64_t width, Type type) {
  Place slot{};
  slot.block = Block::kSlots;
  slot.type = type;
  slot.rows = rows;
  slot.ld = round_up(width, 16);  // rows of whole 32-byte sectors
  slot.offset = slots_.take(rows_at_most(plan_.capacity, rows) * slot.ld * type_bytes(type));
  return slot;
}

Place Planner::take_temporary(RowKind rows, std::int64_t width, Type type) {
  temporaries_.push_back(take_slot(rows, width, type));
  return temporaries_.back();
}

Place Planner::place_result(ValueId value) {
  const Value& shape = program_.value(value);
  Place& result = places_[static_cast<std::size_t>(value)];
  if (goes_out(value)) {
    const auto& outputs = program_.outputs();
    const auto output = static_cast<std::size_t>(std::find(outputs.begin(), outputs.end(), value) -
                                                 outputs.begin());
    result = {plan_.outputs[output].offset, shape.width, Block::kOutputs, Type::kF32,
              kind_of(shape.rows)};
  } else {
    result = take_slot(kind_of(shape.rows), shape.width, is_fp32(value) ? Type::kF32 : plan_.type);
  }
  return result;
}

// Outputs that are slots, because someone else reads them too or their step writes no fp32.
void Planner::copy_outputs() {
  for (std::size_t i = 0; i < program_.outputs().size(); ++i) {
    const ValueId value = program_.outputs()[i];
    const Place from = place(value);
    if (from.block == Block::kOutputs) continue;
    Op op{};
    op.kind = OpKind::kRow;
    op.row.in = from;
    op.row.width = program_.value(value).width;
    op.row.out = {plan_.outputs[i].offset, op.row.width, Block::kOutputs, Type::kF32, from.rows};
    plan_.ops.push_back(op);
  }
}

Plan Planner::make() {
  const auto& steps = program_.steps();
  find_uses();
  swallowed_.assign(steps.size(), false);
  tail_.assign(steps.size(), kNone);
  places_.assign(program_.values().size(), Place{});
  e4m3_places_.assign(program_.values().size(), Place{});
  e4m3_scales_.assign(program_.values().size(), Place{});
  fuse_steps();
  for (const ValueId output : program_.outputs()) {
    const Value& value = program_.value(output);
    const RowKind rows = kind_of(value.rows);
    plan_.outputs.push_back({rows, value.width, plan_.output_bytes});
    plan_.output_bytes += round_up(
        rows_at_most(plan_.capacity, rows) * value.width * std::int64_t{sizeof(float)}, kAlignment);
  }
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (!live_[i]) continue;
    if (!swallowed_[i]) {
      std::visit([&](const auto& args) { emit(i, args); }, steps[i].args);
      for (const Place& temporary : temporaries_) slots_.give(temporary.offset);
      temporaries_.clear();
    } else if (!std::holds_alternative<NormStep>(steps[i].args)) {
      continue;  // the norm behind this sum reads its inputs, one step later
    }
    for (std::size_t v = 0; v < last_read_.size(); ++v) {
      const bool read = last_read_[v] == i || (tail_[i] != kNone && last_read_[v] == tail_[i]);
      const auto value = static_cast<ValueId>(v);
      if (read && places_[v].block == Block::kSlots && !program_.is_output(value))
        slots_.give(places_[v].offset);
      if (read && present(e4m3_places_[v])) slots_.give(e4m3_places_[v].offset);
    }
  }
  copy_outputs();
  plan_.slot_bytes = slots_.most();
  return std::move(plan_);
}

Plan make_plan(const Program& program, const CompileOptions& options, std::int64_t chunk_tokens) {
  return Planner(program, options, chunk_tokens).make();
}

}  // namespace inlay::backend::cuda
