// One function a step: its operation, where its inputs and result lie, and how its weights are
// stored.
#include <algorithm>
#include <utility>

#include "backend/cpu/planner.h"

namespace inlay::backend::cpu {
namespace {

constexpr float kScoreLog2E = 1.44269504F;  // scores are exponents of two

void lower(std::int64_t* limit, std::int64_t to) {
  if (*limit < 0 || to < *limit) *limit = to;
}

}  // namespace

WeightId Planner::weight(WeightSpec spec) {
  std::string key = std::to_string(static_cast<int>(spec.kind)) + "/" +
                    std::to_string(static_cast<int>(spec.element)) + "/" +
                    std::to_string(static_cast<int>(spec.table)) + (spec.halves ? "h/" : "/") +
                    std::to_string(spec.fill) + "/" + std::to_string(spec.factor);
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

// Tables of tokens, which are large, keep 16 bits where they have them or stand beside narrow
// products. Those of positions and types are floats, of the same values.
WeightId Planner::table(const WeightRef& ref, bool large) {
  if (!ref.present()) return kNoWeight;
  WeightSpec spec;
  spec.kind = WeightSpec::Kind::kTable;
  spec.parts = {ref};
  spec.n = ref.tensor.shape[0];
  spec.k = ref.tensor.shape[1];
  const DType dtype = ref.tensor.dtype;
  const bool narrow = dtype == DType::kBF16 || dtype == DType::kF16;
  if (!large) {
    spec.halves = !narrow && element_ != Element::kFp32;
  } else if (dtype == DType::kBF16) {
    spec.table = TableElement::kBf16;
  } else if (narrow || element_ != Element::kFp32) {
    spec.table = TableElement::kFp16;
  }
  spec.floats = spec.table == TableElement::kFp32 ? spec.n * spec.k : (spec.n * spec.k + 1) / 2;
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

WeightId Planner::panels(const std::vector<WeightRef>& parts, Index n, Index k, Element element) {
  WeightSpec spec;
  spec.kind = WeightSpec::Kind::kPanels;
  spec.element = element;
  spec.parts = parts;
  spec.n = n;
  spec.k = k;
  spec.floats = round_up(n, kernels_.panel) * kernels_.weight_lines(element, k);
  return weight(std::move(spec));
}

Element Planner::element_of(ValueId value) const {
  const Value& rows = program_.value(value);
  if (rows.rows != Rows::kTokens) return Element::kFp32;
  return element_ == Element::kInt8 && rows.width > kInt8Most ? Element::kFp32 : element_;
}

Place Planner::narrow_place(ValueId value) {
  const Value& shape = program_.value(value);
  Place rows;
  rows.rows = shape.rows;
  rows.ld = leading_dimension(row_floats(element_of(value), shape.width));
  rows.slot = take_slot(rows.rows, rows.ld);
  if (element_of(value) == Element::kInt8)
    plan_.scratch_floats = std::max(plan_.scratch_floats, round_up(shape.width, kLanes));
  narrow_[value] = {rows, last_read_[static_cast<std::size_t>(value)]};
  return rows;
}

Place Planner::rows_for(ValueId value) {
  NarrowOp op;
  op.element = element_of(value);
  if (op.element == Element::kFp32) return place(value);
  const auto found = narrow_.find(value);
  if (found != narrow_.end()) return found->second.place;
  op.in = place(value);
  op.width = program_.value(value).width;
  op.out = narrow_place(value);
  plan_.ops.emplace_back(op);
  return op.out;
}

Place Planner::narrow_columns(const Columns& columns) {
  Place rows = rows_for(columns.value);
  rows.column = columns.begin / 2;
  return rows;
}

// Whether only products read what is about to be computed, in bf16: it is written so.
bool Planner::writes_bf16(ValueId value) const {
  return fuse_ && element_ == Element::kBf16 && read_narrow(value) && !read_as_floats(value);
}

// A norm whose result products read writes their rows too, while it has them at hand.
template <typename NormLike>
void Planner::copy_narrow(ValueId value, NormLike* op) {
  if (!fuse_ || !read_narrow(value)) return;
  op->copy_element = element_of(value);
  op->copy = narrow_place(value);
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
  spec.factor = step.scale * kScoreLog2E;
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
  op.tokens = table(step.tokens, true);
  op.positions = table(step.positions, false);
  op.types = table(step.types, false);
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
  copy_narrow(result_of(i), &op);
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
  copy_narrow(result_of(i), &op);
  plan_.ops.emplace_back(op);
}

void Planner::emit(std::size_t i, const LinearStep& step) {
  GemmOp op;
  op.element = element_of(step.input);
  op.in = rows_for(step.input);
  op.k = program_.value(step.input).width;
  op.n = program_.value(program_.steps()[i].output).width;
  op.activation = step.activation;
  op.weights = panels(step.weights, op.n, op.k, op.element);
  op.bias = panel_bias(step.weights, step.biases);
  Values overwritable;
  if (residual_[i] != kNoValue) {
    op.has_residual = true;
    op.residual = place(residual_[i]);
    if (residual_[i] != step.input) overwritable.push_back(residual_[i]);
  }
  op.narrow_out = writes_bf16(result_of(i));
  op.out = op.narrow_out ? narrow_place(result_of(i)) : place_result(result_of(i), overwritable, i);
  plan_.ops.emplace_back(op);
}

void Planner::emit(std::size_t i, const AttentionStep& step) {
  AttentionOp op;
  op.narrow_in = attends_bf16(step);
  if (op.narrow_in) {
    op.query = narrow_columns(step.query);
    op.key = narrow_columns(step.key);
    op.value = narrow_columns(step.value);
  } else {
    op.query = prepare(i, step.query, step.query_norm, step, step.heads);
    op.key = prepare(i, step.key, step.key_norm, step, step.kv_heads);
    if (!step.probabilities) op.value = place(step.value.value, step.value.begin);
  }
  op.probabilities = step.probabilities;
  op.heads = step.heads;
  op.kv_heads = step.kv_heads;
  op.head_size = step.head_size;
  op.scale = step.scale;
  op.causal = step.causal;
  op.query_row = step.query_row;
  op.window = step.window;
  for (const float slope : step.alibi) op.alibi.push_back(slope * kScoreLog2E);
  if (step.relative_bias.present()) {
    WeightSpec spec;
    spec.kind = WeightSpec::Kind::kColumns;
    spec.parts = {step.relative_bias};
    spec.n = step.relative_bias.tensor.shape[0];
    spec.k = step.heads;
    spec.factor = kScoreLog2E;
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
  // int8 would round all keys and values for one query.
  const bool one_row = op.query.rows == Rows::kTexts;
  if (!step.probabilities && !(element_ == Element::kInt8 && one_row)) op.element = element_;
  op.narrow_out = writes_bf16(result_of(i));
  op.out = op.narrow_out ? narrow_place(result_of(i)) : place_result(result_of(i), {}, i);
  for (const Place* prepared : {&op.query, &op.key}) {  // slots for this operation alone
    const Columns& columns = prepared == &op.query ? step.query : step.key;
    if (!op.narrow_in && prepared->slot >= 0 && prepared->slot != place(columns.value).slot)
      busy_[static_cast<std::size_t>(prepared->slot)] = false;
  }
  plan_.scratch_floats = std::max(
      plan_.scratch_floats,
      step.probabilities ? positions_ : attention_scratch(kernels_, step.head_size, op.positions));
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
  op.spans = step.spans;
  op.width = program_.value(step.input).width;
  const Index pooled = op.width * static_cast<Index>(step.modes.size());
  for (const std::size_t action : actions_[i]) {
    const auto* cut = std::get_if<TruncateStep>(&program_.steps()[action].args);
    op.actions.push_back({cut != nullptr ? cut->width : 0});
  }
  op.out = place_result(result_of(i), {}, i);
  if (program_.value(result_of(i)).width < pooled) {
    op.work_ld = leading_dimension(pooled);
    op.work_slot = take_slot(program_.value(result_of(i)).rows, op.work_ld);
    busy_[static_cast<std::size_t>(op.work_slot)] = false;  // for this operation alone
  }
  plan_.ops.emplace_back(std::move(op));
}

void Planner::emit(std::size_t i, const GatedLinearStep& step) {
  GemmOp op;
  op.gated = true;
  op.element = element_of(step.input);
  op.in = rows_for(step.input);
  op.k = program_.value(step.input).width;
  op.n = program_.value(program_.steps()[i].output).width;
  op.activation = step.activation;
  WeightSpec pairs;
  pairs.kind = WeightSpec::Kind::kPairs;
  pairs.element = op.element;
  pairs.parts = {step.gate, step.up};
  pairs.n = op.n;
  pairs.k = op.k;
  pairs.floats = 2 * round_up(op.n, kernels_.panel) * kernels_.weight_lines(op.element, op.k);
  op.weights = weight(std::move(pairs));
  WeightSpec bias;
  bias.kind = WeightSpec::Kind::kPairs;
  bias.parts = {step.gate_bias, step.up_bias};
  for (WeightRef& part : bias.parts) part.tensor.shape = {op.n, 1};  // also of an absent one
  bias.n = op.n;
  bias.k = 1;
  bias.floats = 2 * round_up(op.n, kernels_.panel);
  op.bias = weight(std::move(bias));
  op.narrow_out = writes_bf16(result_of(i));
  op.out = op.narrow_out ? narrow_place(result_of(i)) : place_result(result_of(i), {}, i);
  plan_.ops.emplace_back(op);
}

void Planner::emit(std::size_t i, const ExpertsStep& step) {
  ExpertsOp op;
  op.in = place(step.input);
  op.experts = step.router.tensor.shape[0];
  op.hidden = step.up.tensor.shape[0] / op.experts;
  op.width = program_.value(step.input).width;
  op.top_k = step.top_k;
  op.activation = step.activation;
  op.router = panels({step.router}, op.experts, op.width);
  op.router_bias = panel_bias({step.router}, {});
  for (Index e = 0; e < op.experts; ++e) {
    const WeightRef up = weight_rows(step.up, e * op.hidden, op.hidden);
    op.up.push_back(panels({up}, op.hidden, op.width));
    WeightSpec down;
    down.kind = WeightSpec::Kind::kTurnedPanels;
    down.parts = {weight_rows(step.down, e * op.hidden, op.hidden)};
    down.n = op.width;
    down.k = op.hidden;
    down.floats = round_up(down.n, kernels_.panel) * down.k;
    op.down.push_back(weight(std::move(down)));
  }
  op.up_bias = vector({}, round_up(op.hidden, kernels_.panel), 0);
  op.down_bias = vector({}, round_up(op.width, kernels_.panel), 0);
  op.bias = vector(step.bias, op.width, 0);
  op.out = place_result(result_of(i), {}, i);
  op.route_ld = round_up(op.experts + kRouteFloats * op.top_k, kLanes);
  op.pair_ld = leading_dimension(op.width);
  op.middle_ld = leading_dimension(op.hidden);
  op.route_slot = take_slot(op.in.rows, op.route_ld);
  op.pair_slot = take_slot(op.in.rows, op.top_k * op.pair_ld);
  op.middle_slot = take_slot(op.in.rows, op.top_k * op.middle_ld);
  for (const int slot : {op.route_slot, op.pair_slot, op.middle_slot})
    busy_[static_cast<std::size_t>(slot)] = false;  // for this operation alone
  plan_.ops.emplace_back(std::move(op));
}

void Planner::emit(std::size_t i, const VocabularyMaxStep& step) {
  VocabularyOp op;
  op.element = element_of(step.input);
  op.in = rows_for(step.input);
  op.n = step.weight.tensor.shape[0];
  op.k = step.weight.tensor.shape[1];
  op.weights = panels({step.weight}, op.n, op.k, op.element);
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

}  // namespace inlay::backend::cpu
