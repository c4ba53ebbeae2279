// Program to plan: dead steps dropped, neighbours fused, values put into slots that later values
// reuse. Fusing never changes what a row computes, only when.
#include "backend/cpu/plan.h"

#include <algorithm>
#include <map>
#include <utility>

namespace inlay::backend::cpu {
namespace {

Index round_up(Index x, Index to) { return (x + to - 1) / to * to; }

class Planner {
 public:
  Planner(const Program& program, const Kernels& kernels, Index positions, bool fuse)
      : program_(program), kernels_(kernels), positions_(positions), fuse_(fuse) {}

  Plan make();

 private:
  using Values = std::vector<ValueId>;

  void find_uses();
  void fuse_steps();
  void fuse_residual(std::size_t step, ValueId a, ValueId b);
  const Step& step_of(ValueId value) const {
    return program_.steps()[static_cast<std::size_t>(program_.value(value).step)];
  }
  std::size_t index_of(ValueId value) const {
    return static_cast<std::size_t>(program_.value(value).step);
  }
  bool used_once(ValueId value) const {
    return !program_.is_output(value) && uses_[static_cast<std::size_t>(value)] == 1;
  }

  // The value that step i's operation leaves, after what was fused behind it.
  ValueId result_of(std::size_t i) const { return result_[i]; }
  Values inputs_of(std::size_t i) const;

  Place place(ValueId value, Index column = 0) const;
  int take_slot(Rows rows, Index width);
  Place place_result(ValueId value, const Values& overwritable, std::size_t op);
  void release_inputs(std::size_t op);

  WeightId weight(WeightSpec spec);
  WeightId table(const WeightRef& ref);
  WeightId vector(const WeightRef& ref, Index width, float fill);
  WeightId panels(const std::vector<WeightRef>& parts, Index n, Index k);
  WeightId panel_bias(const std::vector<WeightRef>& weights, const std::vector<WeightRef>& biases);
  WeightId turns(const Rope& rope);
  WeightId position_panels(const AttentionStep& step, const WeightRef& weight,
                           const WeightRef& bias);
  int distances(const Disentangled& disentangled);
  Place prepare(std::size_t i, const Columns& columns, const HeadNorm& norm,
                const AttentionStep& step, Index heads);

  void emit(std::size_t i, const EmbedStep& step);
  void emit(std::size_t i, const NormStep& step);
  void emit(std::size_t i, const LinearStep& step);
  void emit(std::size_t i, const GatedLinearStep& step);
  void emit(std::size_t i, const ExpertsStep& step);
  void emit(std::size_t i, const AttentionStep& step);
  void emit(std::size_t i, const ResidualStep& step);
  void emit(std::size_t i, const SelectRowsStep& step);
  void emit(std::size_t i, const PoolStep& step);
  void emit(std::size_t i, const VocabularyMaxStep& step);
  void emit(std::size_t i, const NormalizeStep& step);
  void emit(std::size_t i, const TruncateStep& step);

  const Program& program_;
  const Kernels& kernels_;
  const Index positions_;
  const bool fuse_;
  Plan plan_;
  std::vector<int> uses_;               // of each value, by live steps
  std::vector<bool> live_, swallowed_;  // of each step; swallowed: another step does its work
  std::vector<ValueId> residual_;       // of each step: a value its epilogue adds
  std::vector<ValueId> result_;         // of each step
  std::vector<std::size_t> tail_;       // embed: its norm's step; pool: unused
  std::vector<std::vector<std::size_t>> actions_;  // pool: the row steps behind it
  std::vector<std::size_t> last_read_;             // of each value: the last step that reads it
  std::vector<Place> places_;
  std::vector<bool> busy_;  // of each slot
  std::map<std::string, WeightId> known_;
};

constexpr float kLog2E = 1.44269504F;  // scores are exponents of two

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

void lower(std::int64_t* limit, std::int64_t to) {
  if (*limit < 0 || to < *limit) *limit = to;
}

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
}

WeightId Planner::weight(WeightSpec spec) {
  std::string key = std::to_string(static_cast<int>(spec.kind)) + "/" + std::to_string(spec.fill) +
                    "/" + std::to_string(spec.factor);
  if (spec.kind == WeightSpec::Kind::kTurns) {
    key += "/" + std::to_string(spec.rope.factor) + "/" + std::to_string(spec.k);
    key.append(reinterpret_cast<const char*>(spec.rope.inv_freq.data()),
               spec.rope.inv_freq.size() * sizeof(float));
  }
  for (const WeightRef& part : spec.parts) {
    key += "/" + part.name + shape_text(part.tensor.shape);
  }
  const auto [found, is_new] = known_.try_emplace(key, static_cast<WeightId>(plan_.weights.size()));
  if (!is_new) return found->second;
  spec.offset = plan_.weight_floats;
  plan_.weight_floats += round_up(spec.floats, kLanes);
  plan_.weights.push_back(std::move(spec));
  return found->second;
}

WeightId Planner::table(const WeightRef& ref) {
  if (!ref.present()) return kNoWeight;
  WeightSpec spec;
  spec.kind = WeightSpec::Kind::kTable;
  spec.parts = {ref};
  spec.n = ref.tensor.shape[0];
  spec.k = ref.tensor.shape[1];
  spec.floats = spec.n * spec.k;
  return weight(std::move(spec));
}

WeightId Planner::vector(const WeightRef& ref, Index width, float fill) {
  WeightSpec spec;
  spec.kind = WeightSpec::Kind::kPadded;
  WeightRef part = ref;
  part.tensor.shape = {width};  // its size counts also when it is absent
  spec.parts = {part};
  spec.n = width;
  spec.fill = fill;
  spec.floats = round_up(width, kLanes);
  return weight(std::move(spec));
}

WeightId Planner::panels(const std::vector<WeightRef>& parts, Index n, Index k) {
  WeightSpec spec;
  spec.kind = WeightSpec::Kind::kPanels;
  spec.parts = parts;
  spec.n = n;
  spec.k = k;
  spec.floats = round_up(n, kernels_.panel) * k;
  return weight(std::move(spec));
}

// As many values as the stacked weights have rows, and zeros up to a whole panel.
WeightId Planner::panel_bias(const std::vector<WeightRef>& weights,
                             const std::vector<WeightRef>& biases) {
  WeightSpec spec;
  spec.kind = WeightSpec::Kind::kPadded;
  for (std::size_t part = 0; part < weights.size(); ++part) {
    WeightRef ref = biases.empty() ? WeightRef{} : biases[part];
    ref.tensor.shape = {weights[part].tensor.shape[0]};
    spec.n += ref.tensor.shape[0];
    spec.parts.push_back(std::move(ref));
  }
  spec.floats = round_up(spec.n, kernels_.panel);
  return weight(std::move(spec));
}

WeightId Planner::turns(const Rope& rope) {
  if (rope.inv_freq.empty()) return kNoWeight;
  WeightSpec spec;
  spec.kind = WeightSpec::Kind::kTurns;
  spec.rope = rope;
  spec.n = positions_;
  spec.k = 2 * static_cast<Index>(rope.inv_freq.size());
  spec.floats = spec.n * spec.k;
  return weight(std::move(spec));
}

WeightId Planner::position_panels(const AttentionStep& step, const WeightRef& weight_ref,
                                  const WeightRef& bias) {
  if (!weight_ref.present()) return kNoWeight;
  WeightSpec spec;
  spec.kind = WeightSpec::Kind::kPositionPanels;
  spec.parts = {step.disentangled.embeddings, weight_ref, bias};
  spec.n = 2 * step.disentangled.span();
  spec.k = step.head_size;
  spec.factor = step.scale * kLog2E;
  spec.floats = step.heads * round_up(spec.n, kernels_.panel) * spec.k;
  return weight(std::move(spec));
}

int Planner::distances(const Disentangled& d) {
  if (!d.embeddings.present()) return -1;
  const Distances wanted{d.buckets, d.max_positions, d.span()};
  const auto found = std::find(plan_.distances.begin(), plan_.distances.end(), wanted);
  const auto index = static_cast<int>(found - plan_.distances.begin());
  if (found == plan_.distances.end()) plan_.distances.push_back(wanted);
  return index;
}

// Where attention finds queries or keys: as they are, or normed and turned first. In place when
// this step alone reads the value, else in a slot of their own.
Place Planner::prepare(std::size_t i, const Columns& columns, const HeadNorm& norm,
                       const AttentionStep& step, Index heads) {
  const Place in = place(columns.value, columns.begin);
  if (!norm.weight.present() && step.rope.inv_freq.empty()) return in;
  PrepareOp op;
  op.in = op.out = in;
  op.heads = heads;
  op.head_size = step.head_size;
  if (norm.weight.present()) {
    const Index width = norm.whole ? heads * step.head_size : step.head_size;
    op.norm_weight = vector(norm.weight, width, 1);
    op.norm_bias = vector(norm.bias, width, 0);
  }
  op.eps = norm.eps;
  op.rms = norm.kind == NormKind::kRms;
  op.whole = norm.whole;
  op.turns = turns(step.rope);
  op.pairs = static_cast<Index>(step.rope.inv_freq.size());
  op.interleaved = step.rope.interleaved;
  op.row = step.query_row;
  int mine = 0;
  for (const ValueId input : step_inputs(program_.steps()[i].args)) mine += input == columns.value;
  if (in.slot < 0 || uses_[static_cast<std::size_t>(columns.value)] != mine) {
    op.out.ld = leading_dimension(heads * step.head_size);
    op.out.slot = take_slot(in.rows, op.out.ld);
    op.out.column = 0;
  }
  plan_.ops.emplace_back(op);
  return op.out;
}

void Planner::emit(std::size_t i, const EmbedStep& step) {
  EmbedOp op;
  op.tokens = table(step.tokens);
  op.positions = table(step.positions);
  op.types = table(step.types);
  op.width = step.tokens.tensor.shape[1];
  op.scale = step.scale;
  if (tail_[i] != kNone) {
    const auto& norm = std::get<NormStep>(program_.steps()[tail_[i]].args);
    op.norm_weight = vector(norm.weight, op.width, 1);
    op.norm_bias = vector(norm.bias, op.width, 0);
    op.eps = norm.eps;
    op.rms = norm.kind == NormKind::kRms;
  }
  lower(&plan_.vocab_size, step.tokens.tensor.shape[0]);
  if (step.types.present()) lower(&plan_.type_count, step.types.tensor.shape[0]);
  if (step.positions.present()) {
    lower(&plan_.max_positions, step.positions.tensor.shape[0] - step.position_offset);
    const PositionRule rule{static_cast<std::int32_t>(step.position_offset), step.position_pad_id};
    auto& rules = plan_.position_rules;
    const auto found = std::find(rules.begin(), rules.end(), rule);
    op.position_rule = static_cast<int>(found - rules.begin());
    if (found == rules.end()) rules.push_back(rule);
  }
  op.out = place_result(result_of(i), {}, i);
  plan_.ops.emplace_back(op);
}

void Planner::emit(std::size_t i, const NormStep& step) {
  NormOp op;
  const Values inputs = inputs_of(i);
  op.in = place(inputs[0]);
  op.has_residual = inputs.size() > 1;
  if (op.has_residual) op.residual = place(inputs[1]);
  op.width = program_.value(step.input).width;
  op.weight = vector(step.weight, op.width, 1);
  op.bias = vector(step.bias, op.width, 0);
  op.eps = step.eps;
  op.rms = step.kind == NormKind::kRms;
  op.out = place_result(result_of(i), {inputs[0]}, i);
  plan_.ops.emplace_back(op);
}

void Planner::emit(std::size_t i, const LinearStep& step) {
  GemmOp op;
  op.in = place(step.input);
  op.k = program_.value(step.input).width;
  op.n = program_.value(program_.steps()[i].output).width;
  op.activation = step.activation;
  op.weights = panels(step.weights, op.n, op.k);
  op.bias = panel_bias(step.weights, step.biases);
  Values overwritable;
  if (residual_[i] != kNoValue) {
    op.has_residual = true;
    op.residual = place(residual_[i]);
    if (residual_[i] != step.input) overwritable.push_back(residual_[i]);
  }
  op.out = place_result(result_of(i), overwritable, i);
  plan_.ops.emplace_back(op);
}

void Planner::emit(std::size_t i, const AttentionStep& step) {
  AttentionOp op;
  op.query = prepare(i, step.query, step.query_norm, step, step.heads);
  op.key = prepare(i, step.key, step.key_norm, step, step.kv_heads);
  op.value = place(step.value.value, step.value.begin);
  op.heads = step.heads;
  op.kv_heads = step.kv_heads;
  op.head_size = step.head_size;
  op.scale = step.scale;
  op.causal = step.causal;
  op.query_row = step.query_row;
  op.window = step.window;
  for (const float slope : step.alibi) op.alibi.push_back(slope * kLog2E);
  if (step.relative_bias.present()) {
    WeightSpec spec;
    spec.kind = WeightSpec::Kind::kColumns;
    spec.parts = {step.relative_bias};
    spec.n = step.relative_bias.tensor.shape[0];
    spec.k = step.heads;
    spec.factor = kLog2E;
    spec.floats = spec.n * spec.k;
    op.reach = spec.n / 2;
    op.relative_bias = weight(std::move(spec));
  }
  if (step.disentangled.embeddings.present()) {
    const Disentangled& d = step.disentangled;
    op.position_keys = position_panels(step, d.key, d.key_bias);
    op.position_queries = position_panels(step, d.query, d.query_bias);
    op.positions = 2 * d.span();
    op.distances = distances(d);
  }
  op.out = place_result(result_of(i), {}, i);
  for (const Place* prepared : {&op.query, &op.key}) {  // slots for this operation alone
    const Columns& columns = prepared == &op.query ? step.query : step.key;
    if (prepared->slot >= 0 && prepared->slot != place(columns.value).slot)
      busy_[static_cast<std::size_t>(prepared->slot)] = false;
  }
  plan_.scratch_floats =
      std::max(plan_.scratch_floats, attention_scratch(kernels_, step.head_size, op.positions));
  plan_.ops.emplace_back(std::move(op));
}

void Planner::emit(std::size_t i, const ResidualStep& step) {
  AddOp op;
  op.a = place(step.a);
  op.b = place(step.b);
  op.width = program_.value(step.a).width;
  op.out = place_result(result_of(i), {step.a, step.b}, i);
  plan_.ops.emplace_back(op);
}

void Planner::emit(std::size_t i, const SelectRowsStep& step) {
  SelectOp op;
  op.in = place(step.input);
  op.select = step.select;
  op.width = program_.value(step.input).width;
  op.out = place_result(result_of(i), {}, i);
  plan_.ops.emplace_back(op);
}

void Planner::emit(std::size_t i, const PoolStep& step) {
  PoolOp op;
  op.in = place(step.input);
  op.modes = step.modes;
  op.width = program_.value(step.input).width;
  const Index pooled = op.width * static_cast<Index>(step.modes.size());
  for (const std::size_t action : actions_[i]) {
    const auto* cut = std::get_if<TruncateStep>(&program_.steps()[action].args);
    op.actions.push_back({cut != nullptr ? cut->width : 0});
  }
  op.out = place_result(result_of(i), {}, i);
  if (program_.value(result_of(i)).width < pooled) {
    op.work_ld = leading_dimension(pooled);
    op.work_slot = take_slot(Rows::kTexts, op.work_ld);
    busy_[static_cast<std::size_t>(op.work_slot)] = false;  // for this operation alone
  }
  plan_.ops.emplace_back(std::move(op));
}

void Planner::emit(std::size_t i, const GatedLinearStep& step) {
  GemmOp op;
  op.gated = true;
  op.in = place(step.input);
  op.k = program_.value(step.input).width;
  op.n = program_.value(program_.steps()[i].output).width;
  op.activation = step.activation;
  WeightSpec pairs;
  pairs.kind = WeightSpec::Kind::kPairs;
  pairs.parts = {step.gate, step.up};
  pairs.n = op.n;
  pairs.k = op.k;
  pairs.floats = 2 * round_up(op.n, kernels_.panel) * op.k;
  op.weights = weight(std::move(pairs));
  WeightSpec bias;
  bias.kind = WeightSpec::Kind::kPairs;
  bias.parts = {step.gate_bias, step.up_bias};
  for (WeightRef& part : bias.parts) part.tensor.shape = {op.n, 1};  // also of an absent one
  bias.n = op.n;
  bias.k = 1;
  bias.floats = 2 * round_up(op.n, kernels_.panel);
  op.bias = weight(std::move(bias));
  op.out = place_result(result_of(i), {}, i);
  plan_.ops.emplace_back(op);
}

void Planner::emit(std::size_t, const ExpertsStep&) {}  // refused before (supports)

void Planner::emit(std::size_t i, const VocabularyMaxStep& step) {
  VocabularyOp op;
  op.in = place(step.input);
  op.n = step.weight.tensor.shape[0];
  op.k = step.weight.tensor.shape[1];
  op.weights = panels({step.weight}, op.n, op.k);
  op.bias = panel_bias({step.weight}, {step.bias});
  op.sum = step.sum;
  op.twice = step.activation == SparseActivation::kLog1pLog1pRelu;
  op.out = place_result(result_of(i), {}, i);
  plan_.ops.emplace_back(op);
}

void Planner::emit(std::size_t i, const NormalizeStep& step) {
  RowOp op;
  op.in = place(step.input);
  op.width = program_.value(step.input).width;
  op.normalize = true;
  op.out = place_result(result_of(i), {step.input}, i);
  plan_.ops.emplace_back(op);
}

void Planner::emit(std::size_t i, const TruncateStep& step) {
  RowOp op;
  op.in = place(step.input);
  op.width = step.width;
  op.out = place_result(result_of(i), {}, i);
  plan_.ops.emplace_back(op);
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
    (slot.rows == Rows::kTokens ? plan_.token_width : plan_.text_width) += slot.width;
  }
  return std::move(plan_);
}

}  // namespace

Index leading_dimension(Index width) {
  const Index lines = round_up(width, kLanes);
  constexpr Index kSet = 4096 / sizeof(float);
  return lines % kSet == 0 ? lines + kLanes : lines;
}

Plan make_plan(const Program& program, const Kernels& kernels, Index positions, bool fuse) {
  return Planner(program, kernels, positions, fuse).make();
}

}  // namespace inlay::backend::cpu
