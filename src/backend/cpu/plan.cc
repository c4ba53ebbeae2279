// Program to plan: dead steps dropped, neighbours fused, values put into slots that later values
// reuse. Fusing never changes what a row computes, only when.
#include <algorithm>
#include <utility>

#include "backend/cpu/planner.h"

namespace inlay::backend::cpu {

void Planner::find_uses() {
  const auto& steps = program_.steps();
  live_.assign(steps.size(), false);
  uses_.assign(program_.values().size(), 0);
  for (const ValueId output : program_.outputs()) live_[index_of(output)] = true;
  for (std::size_t i = steps.size(); i-- > 0;) {
    if (!live_[i]) continue;
    for (const ValueId input : step_inputs(steps[i].args)) {
      live_[index_of(input)] = true;
      ++uses_[static_cast<std::size_t>(input)];
    }
  }
}

// a + b where one of them is a linear's result that nothing else reads: its epilogue adds the
// other, which must exist by then.
void Planner::fuse_residual(std::size_t step, ValueId a, ValueId b) {
  for (const auto& [sum, other] : {std::pair{a, b}, std::pair{b, a}}) {
    const std::size_t linear = index_of(sum);
    if (sum == other || !used_once(sum) || index_of(other) >= linear) continue;
    if (!std::holds_alternative<LinearStep>(program_.steps()[linear].args)) continue;
    if (residual_[linear] != kNoValue) continue;
    residual_[linear] = other;
    if (std::holds_alternative<ResidualStep>(program_.steps()[step].args)) {
      swallowed_[step] = true;
      result_[linear] = program_.steps()[step].output;
    }
    return;
  }
}

void Planner::fuse_steps() {
  const auto& steps = program_.steps();
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (!live_[i]) continue;
    if (const auto* norm = std::get_if<NormStep>(&steps[i].args)) {
      const std::size_t before = index_of(norm->input);
      if (norm->residual != kNoValue) {
        fuse_residual(i, norm->input, norm->residual);
      } else if (std::holds_alternative<EmbedStep>(steps[before].args) && used_once(norm->input)) {
        tail_[before] = i;
        swallowed_[i] = true;
        result_[before] = steps[i].output;
      }
    } else if (const auto* sum = std::get_if<ResidualStep>(&steps[i].args)) {
      fuse_residual(i, sum->a, sum->b);
    } else if (std::holds_alternative<NormalizeStep>(steps[i].args) ||
               std::holds_alternative<TruncateStep>(steps[i].args)) {
      const ValueId input = step_inputs(steps[i].args)[0];
      // The pool at the head of a chain of row steps, each read by the next alone.
      std::size_t head = index_of(input);
      if (swallowed_[head]) {
        for (std::size_t p = 0; p < head; ++p) {
          if (result_[p] == input && std::holds_alternative<PoolStep>(steps[p].args)) head = p;
        }
      }
      if (!std::holds_alternative<PoolStep>(steps[head].args) || result_[head] != input ||
          !used_once(input))
        continue;
      actions_[head].push_back(i);
      swallowed_[i] = true;
      result_[head] = steps[i].output;
    }
  }
}

Planner::Values Planner::inputs_of(std::size_t i) const {
  const Step& step = program_.steps()[i];
  Values inputs = step_inputs(step.args);
  if (residual_[i] != kNoValue) inputs.push_back(residual_[i]);
  if (const auto* norm = std::get_if<NormStep>(&step.args); norm && norm->residual != kNoValue) {
    for (const ValueId sum : {norm->input, norm->residual}) {  // added by a linear's epilogue
      const ValueId other = sum == norm->input ? norm->residual : norm->input;
      if (residual_[index_of(sum)] == other && used_once(sum)) return {sum};
    }
  }
  return inputs;
}

Place Planner::place(ValueId value, Index column) const {
  Place found = places_[static_cast<std::size_t>(value)];
  found.column = column;
  return found;
}

void Planner::find_readers() {
  const auto& steps = program_.steps();
  product_reads_.assign(program_.values().size(), false);
  other_reads_.assign(program_.values().size(), false);
  for (const ValueId output : program_.outputs())
    other_reads_[static_cast<std::size_t>(output)] = true;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (!live_[i] || swallowed_[i]) continue;
    const StepArgs& args = steps[i].args;
    const auto* attention = std::get_if<AttentionStep>(&args);
    const bool product = std::holds_alternative<LinearStep>(args) ||
                         std::holds_alternative<GatedLinearStep>(args) ||
                         std::holds_alternative<VocabularyMaxStep>(args) ||
                         (attention != nullptr && attends_bf16(*attention));
    for (const ValueId input : step_inputs(args))
      (product ? product_reads_ : other_reads_)[static_cast<std::size_t>(input)] = true;
    if (residual_[i] != kNoValue) other_reads_[static_cast<std::size_t>(residual_[i])] = true;
  }
}

// Attention reads rows of bf16 where it does nothing but multiply them, in whole lines a head.
bool Planner::attends_bf16(const AttentionStep& step) const {
  if (element_ != Element::kBf16 || step.probabilities || step.head_size % 32 != 0 ||
      !step.alibi.empty() || step.relative_bias.present() ||
      step.disentangled.embeddings.present() || !step.rope.inv_freq.empty() ||
      step.query_norm.weight.present() || step.key_norm.weight.present())
    return false;
  for (const Columns* columns : {&step.query, &step.key, &step.value}) {
    if (program_.value(columns->value).rows != Rows::kTokens || columns->begin % 2 != 0)
      return false;
  }
  return true;
}

bool Planner::read_narrow(ValueId value) const {
  return product_reads_[static_cast<std::size_t>(value)] && element_of(value) != Element::kFp32;
}

bool Planner::read_as_floats(ValueId value) const {
  return other_reads_[static_cast<std::size_t>(value)] || !read_narrow(value);
}

int Planner::take_slot(Rows rows, Index width) {
  // The smallest free slot that is wide enough, else the widest free one, widened, else a new one.
  int best = -1;
  for (std::size_t s = 0; s < plan_.slots.size(); ++s) {
    const Slot& slot = plan_.slots[s];
    if (busy_[s] || slot.rows != rows) continue;
    if (best < 0) {
      best = static_cast<int>(s);
      continue;
    }
    const Index had = plan_.slots[static_cast<std::size_t>(best)].width;
    const bool better = had >= width ? slot.width >= width && slot.width < had : slot.width > had;
    if (better) best = static_cast<int>(s);
  }
  if (best < 0) {
    best = static_cast<int>(plan_.slots.size());
    plan_.slots.push_back({rows, 0});
    busy_.push_back(false);
  }
  const auto s = static_cast<std::size_t>(best);
  plan_.slots[s].width = std::max(plan_.slots[s].width, width);
  busy_[s] = true;
  return best;
}

Place Planner::place_result(ValueId value, const Values& overwritable, std::size_t op) {
  const Value& shape = program_.value(value);
  Place result;
  result.rows = shape.rows;
  const auto& outputs = program_.outputs();
  const auto output = std::find(outputs.begin(), outputs.end(), value);
  if (output != outputs.end()) {
    result.slot = output_slot(static_cast<std::size_t>(output - outputs.begin()));
    result.ld = shape.width;
    places_[static_cast<std::size_t>(value)] = result;
    return result;
  }
  result.ld = leading_dimension(shape.width);
  for (const ValueId input : overwritable) {
    const Place& at = places_[static_cast<std::size_t>(input)];
    if (fuse_ && last_read_[static_cast<std::size_t>(input)] == op && at.ld == result.ld &&
        at.rows == result.rows && at.slot >= 0) {
      result.slot = at.slot;
      places_[static_cast<std::size_t>(value)] = result;
      last_read_[static_cast<std::size_t>(input)] = kNone;  // its slot lives on
      return result;
    }
  }
  result.slot = take_slot(shape.rows, result.ld);
  places_[static_cast<std::size_t>(value)] = result;
  return result;
}

void Planner::release_inputs(std::size_t op) {
  for (std::size_t v = 0; v < last_read_.size(); ++v) {
    if (last_read_[v] == op && places_[v].slot >= 0)
      busy_[static_cast<std::size_t>(places_[v].slot)] = false;
  }
  for (const auto& [value, copy] : narrow_) {
    if (copy.last_read == op) busy_[static_cast<std::size_t>(copy.place.slot)] = false;
  }
}

Plan Planner::make() {
  const auto& steps = program_.steps();
  find_uses();
  swallowed_.assign(steps.size(), false);
  residual_.assign(steps.size(), kNoValue);
  result_.clear();
  for (const Step& step : steps) result_.push_back(step.output);
  tail_.assign(steps.size(), kNone);
  actions_.assign(steps.size(), {});
  if (fuse_) fuse_steps();
  last_read_.assign(program_.values().size(), kNone);
  places_.assign(program_.values().size(), Place{});
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (!live_[i] || swallowed_[i]) continue;
    for (const ValueId input : inputs_of(i)) last_read_[static_cast<std::size_t>(input)] = i;
  }
  find_readers();
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (!live_[i] || swallowed_[i]) continue;
    std::visit([&](const auto& args) { emit(i, args); }, steps[i].args);
    release_inputs(i);
  }
  for (const ValueId output : program_.outputs()) {
    const Value& value = program_.value(output);
    plan_.outputs.push_back({value.rows, value.width});
  }
  for (const Slot& slot : plan_.slots) {
    (slot.rows == Rows::kTexts ? plan_.text_width : plan_.token_width) += slot.width;
  }
  return std::move(plan_);
}

Index leading_dimension(Index width) {
  const Index lines = (width + kLanes - 1) / kLanes * kLanes;
  constexpr Index kSet = 4096 / sizeof(float);
  return lines % kSet == 0 ? lines + kLanes : lines;
}

Plan make_plan(const Program& program, const Kernels& kernels, Index positions, bool fuse,
               Element element) {
  return Planner(program, kernels, positions, fuse, element).make();
}

}  // namespace inlay::backend::cpu
