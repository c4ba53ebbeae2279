// One function a step: its operations, where its inputs and result lie, and how its weights are
// stored.
#include <algorithm>
#include <utility>

#include "backend/cuda/planner.h"
#include "base/error.h"

namespace inlay::backend::cuda {
namespace {

void lower(std::int64_t* limit, std::int64_t to) {
  if (*limit < 0 || to < *limit) *limit = to;
}

Op operation(OpKind kind) {
  Op op{};
  op.kind = kind;
  return op;
}

}  // namespace

Place Planner::weight(WeightSpec spec) {
  std::string key = std::to_string(static_cast<int>(spec.kind)) + "/" +
                    std::to_string(static_cast<int>(spec.type)) + "/" +
                    std::to_string(spec.factor) + "/" + std::to_string(spec.fill) + "/" +
                    std::to_string(spec.n) + "/" + std::to_string(spec.k);
  for (const WeightRef& part : spec.parts) key += "/" + part.name + shape_text(part.tensor.shape);
  const auto append = [&key](const auto& values) {
    key.append(reinterpret_cast<const char*>(values.data()),
               values.size() * sizeof(values.front()));
  };
  append(spec.rope.inv_freq);
  append(spec.numbers);
  key += "/" + std::to_string(spec.rope.factor) + "/" + std::to_string(spec.span) + "/" +
         std::to_string(spec.buckets) + "/" + std::to_string(spec.positions);
  auto found = known_.find(key);
  const bool shared = spec.kind != WeightSpec::Kind::kSpace && spec.type != Type::kE4M3;
  if (!shared || found == known_.end()) {
    spec.offset = plan_.weight_bytes;
    plan_.weight_bytes += round_up(spec.bytes(), 256);
    plan_.weights.push_back(std::move(spec));
    found = known_.insert_or_assign(key, plan_.weights.size() - 1).first;
  }
  const WeightSpec& stored = plan_.weights[found->second];
  return {stored.offset, stored.kind == WeightSpec::Kind::kColumns ? stored.n : stored.ld,
          Block::kWeights, stored.type, RowKind::kTexts};
}

Place Planner::matrix(const std::vector<WeightRef>& parts, Type type, float factor) {
  if (parts.empty() || !parts[0].present()) return {};
  WeightSpec spec;
  spec.kind = WeightSpec::Kind::kMatrix;
  spec.type = type;
  spec.parts = parts;
  for (const WeightRef& part : parts) spec.n += part.tensor.shape[0];
  spec.k = parts[0].tensor.shape[1];
  spec.ld = round_up(spec.k, 16);
  spec.factor = factor;
  return weight(std::move(spec));
}

// Parts that are absent have a shape all the same: their size counts.
Place Planner::vector(const std::vector<WeightRef>& parts, Type type, float fill, float factor) {
  const auto is_present = [](const WeightRef& part) { return part.present(); };
  if (std::none_of(parts.begin(), parts.end(), is_present)) return {};
  WeightSpec spec;
  spec.kind = WeightSpec::Kind::kVector;
  spec.type = type;
  spec.parts = parts;
  spec.n = 1;
  for (const WeightRef& part : parts) spec.k += part.tensor.shape[0];
  spec.ld = round_up(spec.k, 16);
  spec.factor = factor;
  spec.fill = fill;
  return weight(std::move(spec));
}

Place Planner::biases(const std::vector<WeightRef>& weights, const std::vector<WeightRef>& biases,
                      Type type) {
  std::vector<WeightRef> parts;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    WeightRef part = biases.empty() ? WeightRef{} : biases[i];
    part.tensor.shape = {weights[i].tensor.shape[0]};
    parts.push_back(std::move(part));
  }
  return vector(parts, type, 0);
}

Place Planner::turns(const Rope& rope) {
  if (rope.inv_freq.empty()) return {};
  WeightSpec spec;
  spec.kind = WeightSpec::Kind::kTurns;
  spec.rope = rope;
  spec.n = plan_.capacity.text_tokens;
  spec.k = spec.ld = 2 * static_cast<std::int64_t>(rope.inv_freq.size());
  return weight(std::move(spec));
}

// E W^T + b, times what scores are multiplied by: computed on the device, once.
Place Planner::position_table(const AttentionStep& step, const WeightRef& weight_ref,
                              const WeightRef& bias) {
  if (!weight_ref.present()) return {};
  const float factor = step.scale * kLog2E;
  Op op = operation(OpKind::kLinear);
  op.linear.in = matrix({step.disentangled.embeddings}, Type::kF32);
  op.linear.weight = matrix({weight_ref}, Type::kF32, factor);
  op.linear.bias = op.linear.bias_f32 = vector({bias}, Type::kF32, 0, factor);
  op.linear.rows = step.disentangled.embeddings.tensor.shape[0];
  op.linear.n = weight_ref.tensor.shape[0];
  op.linear.k = weight_ref.tensor.shape[1];
  WeightSpec space;
  space.kind = WeightSpec::Kind::kSpace;
  space.n = op.linear.rows;
  space.k = op.linear.n;
  space.ld = round_up(space.k, 16);
  op.linear.out = weight(std::move(space));
  plan_.setup.push_back(op);
  return op.linear.out;
}

// Where attention finds queries or keys: as they are, or normed and turned first. In place when
// this step alone reads the value, else in a slot of their own.
Place Planner::prepare(std::size_t i, const Columns& columns, const HeadNorm& norm,
                       const AttentionStep& step, std::int64_t heads) {
  const Place in = place(columns.value, columns.begin);
  if (!norm.weight.present() && step.rope.inv_freq.empty()) return in;
  Op op = operation(OpKind::kPrepare);
  PrepareOp& args = op.prepare;
  args.in = args.out = in;
  args.heads = heads;
  args.head_size = step.head_size;
  if (norm.weight.present()) {
    args.weight = vector({norm.weight}, Type::kF32, 1);
    if (norm.bias.present()) args.bias = vector({norm.bias}, Type::kF32, 0);
  }
  args.eps = norm.eps;
  args.rms = norm.kind == NormKind::kRms;
  args.whole = norm.whole;
  args.turns = turns(step.rope);
  args.pairs = static_cast<std::int64_t>(step.rope.inv_freq.size());
  args.interleaved = step.rope.interleaved;
  args.last_row = step.query_row == SelectKind::kLast;
  if (in.rows == RowKind::kTokens && args.pairs > 0) plan_.row_positions = true;
  int mine = 0;
  for (const ValueId input : step_inputs(program_.steps()[i].args)) mine += input == columns.value;
  if (program_.is_output(columns.value) || uses_[static_cast<std::size_t>(columns.value)] != mine ||
      in.type != plan_.type) {
    args.out = take_temporary(in.rows, heads * step.head_size, plan_.type);
  }
  plan_.ops.push_back(op);
  return args.out;
}

void Planner::linear(const Place& in, const std::vector<WeightRef>& weights,
                     const std::vector<WeightRef>& bias, Activation activation, const Place& out) {
  Op op = operation(OpKind::kLinear);
  LinearOp& args = op.linear;
  args.in = in;
  args.weight = matrix(weights, plan_.type);
  args.bias = biases(weights, bias, plan_.type);
  args.bias_f32 = biases(weights, bias, Type::kF32);
  args.out = out;
  for (const WeightRef& part : weights) args.n += part.tensor.shape[0];
  args.k = weights[0].tensor.shape[1];
  args.activation = activation;
  plan_.ops.push_back(op);
}

void Planner::emit(std::size_t i, const EmbedStep& step) {
  Op op = operation(OpKind::kEmbed);
  EmbedOp& args = op.embed;
  args.tokens = matrix({step.tokens}, plan_.type);
  args.positions = matrix({step.positions}, plan_.type);
  args.types = matrix({step.types}, plan_.type);
  args.width = step.tokens.tensor.shape[1];
  args.scale = step.scale;
  args.eps = -1;
  ValueId result = program_.steps()[i].output;
  if (tail_[i] != kNone) {
    const Step& next = program_.steps()[tail_[i]];
    const auto& norm = std::get<NormStep>(next.args);
    args.weight = vector({norm.weight}, Type::kF32, 1);
    args.bias = vector({norm.bias}, Type::kF32, 0);
    args.eps = norm.eps;
    args.rms = norm.kind == NormKind::kRms;
    result = next.output;
  }
  lower(&plan_.vocab_size, step.tokens.tensor.shape[0]);
  if (step.types.present()) lower(&plan_.type_count, step.types.tensor.shape[0]);
  if (step.positions.present()) {
    lower(&plan_.max_positions, step.positions.tensor.shape[0] - step.position_offset);
    const PositionRule rule{static_cast<std::int32_t>(step.position_offset), step.position_pad_id};
    auto& rules = plan_.position_rules;
    const auto found = std::find(rules.begin(), rules.end(), rule);
    args.position_rule = static_cast<std::int32_t>(found - rules.begin());
    if (found == rules.end()) rules.push_back(rule);
  }
  if (args.eps >= 0) {
    place_norm(result, &args.out, &args.quantized);
  } else {
    args.out = place_result(result);
  }
  plan_.ops.push_back(op);
}

void Planner::emit(std::size_t i, const NormStep& step) {
  Op op = operation(OpKind::kNorm);
  NormOp& args = op.norm;
  args.in = place(step.input);
  if (step.residual != kNoValue) args.residual = place(step.residual);
  if (tail_[i] != kNone) {
    const Step& before = program_.steps()[tail_[i]];
    const auto& sum = std::get<ResidualStep>(before.args);
    args.in = place(sum.a);
    args.residual = place(sum.b);
    if (!used_once(before.output)) args.sum = place_result(before.output);
  }
  args.width = program_.value(step.input).width;
  args.weight = vector({step.weight}, Type::kF32, 1);
  args.bias = vector({step.bias}, Type::kF32, 0);
  args.eps = step.eps;
  args.rms = step.kind == NormKind::kRms;
  place_norm(program_.steps()[i].output, &args.out, &args.quantized);
  plan_.ops.push_back(op);
}

void Planner::emit(std::size_t i, const LinearStep& step) {
  if (e4m3_linear(i, step.input, step.weights, step.biases, step.activation, nullptr)) return;
  const Place in = place_typed(step.input);
  linear(in, step.weights, step.biases, step.activation, place_result(program_.steps()[i].output));
}

void Planner::emit(std::size_t i, const GatedLinearStep& step) {
  const std::int64_t width = step.gate.tensor.shape[0];
  const Place both = take_temporary(
      program_.value(step.input).rows == Rows::kTexts ? RowKind::kTexts : RowKind::kTokens,
      2 * width, plan_.type);
  if (!e4m3_linear(i, step.input, {step.gate, step.up}, {step.gate_bias, step.up_bias},
                   Activation::kNone, &both)) {
    linear(place_typed(step.input), {step.gate, step.up}, {step.gate_bias, step.up_bias},
           Activation::kNone, both);
  }
  Op op = operation(OpKind::kGate);
  op.gate.in = both;
  op.gate.out = place_result(program_.steps()[i].output);
  op.gate.width = width;
  op.gate.activation = step.activation;
  plan_.ops.push_back(op);
}

// All experts as one wide layer, whose columns the router scales, mostly to zero: two products that
// know no routes, so that a row's bits are its own, for as many times the work as there are experts
// to one that is chosen.
void Planner::emit(std::size_t i, const ExpertsStep& step) {
  const Place in = place_typed(step.input);
  Op op = operation(OpKind::kExperts);
  ExpertsOp& experts = op.experts;
  experts.experts = step.router.tensor.shape[0];
  experts.hidden = step.up.tensor.shape[0] / experts.experts;
  experts.top_k = step.top_k;
  experts.logits = take_temporary(in.rows, experts.experts, Type::kF32);
  experts.middle = take_temporary(in.rows, experts.experts * experts.hidden, plan_.type);
  // In fp32: what the router likes best hangs on small differences.
  Op cast = operation(OpKind::kRow);
  cast.row.in = in;
  cast.row.width = program_.value(step.input).width;
  cast.row.out = take_temporary(in.rows, cast.row.width, Type::kF32);
  plan_.ops.push_back(cast);
  Op router = operation(OpKind::kLinear);
  router.linear.in = cast.row.out;
  router.linear.weight = matrix({step.router}, Type::kF32);
  router.linear.out = experts.logits;
  router.linear.n = experts.experts;
  router.linear.k = cast.row.width;
  plan_.ops.push_back(router);
  linear(in, {step.up}, {}, step.activation, experts.middle);
  plan_.ops.push_back(op);
  WeightSpec spec;
  spec.kind = WeightSpec::Kind::kColumns;
  spec.type = plan_.type;
  spec.parts = {step.down};
  spec.n = step.down.tensor.shape[0];
  spec.k = step.down.tensor.shape[1];
  Op down = operation(OpKind::kLinear);
  LinearOp& args = down.linear;
  args.in = experts.middle;
  args.n = spec.k;
  args.k = spec.n;
  args.weight = weight(std::move(spec));
  args.bias = vector({step.bias}, plan_.type, 0);
  args.bias_f32 = vector({step.bias}, Type::kF32, 0);
  args.out = place_result(program_.steps()[i].output);
  plan_.ops.push_back(down);
}

void Planner::emit(std::size_t i, const AttentionStep& step) {
  Op op = operation(OpKind::kAttention);
  AttentionOp& args = op.attention;
  args.query = prepare(i, step.query, step.query_norm, step, step.heads);
  args.key = prepare(i, step.key, step.key_norm, step, step.kv_heads);
  args.probabilities = step.probabilities;
  if (!step.probabilities) args.value = place(step.value.value, step.value.begin);
  args.heads = step.heads;
  args.kv_heads = step.kv_heads;
  args.head_size = step.head_size;
  args.scale = step.scale * kLog2E;
  args.causal = step.causal;
  args.last_row = step.query_row == SelectKind::kLast;
  args.window = step.window;
  if (!step.alibi.empty()) {
    WeightSpec spec;
    spec.kind = WeightSpec::Kind::kNumbers;
    spec.numbers = step.alibi;
    spec.n = 1;
    spec.k = spec.ld = static_cast<std::int64_t>(step.alibi.size());
    spec.factor = kLog2E;
    args.alibi = weight(std::move(spec));
  }
  if (step.relative_bias.present()) {
    WeightSpec spec;
    spec.kind = WeightSpec::Kind::kColumns;
    spec.parts = {step.relative_bias};
    spec.n = step.relative_bias.tensor.shape[0];
    spec.k = step.heads;
    spec.factor = kLog2E;
    args.reach = spec.n / 2;
    args.relative_bias = weight(std::move(spec));
  }
  if (step.disentangled.embeddings.present()) {
    const Disentangled& d = step.disentangled;
    args.position_keys = position_table(step, d.key, d.key_bias);
    args.position_queries = position_table(step, d.query, d.query_bias);
    WeightSpec spec;
    spec.kind = WeightSpec::Kind::kWords;
    spec.span = d.span();
    spec.buckets = d.buckets;
    spec.positions = d.max_positions;
    args.reach_distance = plan_.capacity.text_tokens - 1;
    spec.n = 1;
    spec.k = spec.ld = 2 * args.reach_distance + 1;
    args.distances = weight(std::move(spec));
  }
  const ValueId result = program_.steps()[i].output;
  args.out_scale =
      step.probabilities ? Place{} : e4m3_scales_[static_cast<std::size_t>(step.value.value)];
  if (present(args.out_scale) && is_matrix_attention(args) && feeds_only_e4m3(result)) {
    args.out = place_e4m3(result, args.out_scale);
  } else {
    args.out_scale = {};
    args.out = place_result(result);
  }
  plan_.ops.push_back(op);
}

void Planner::emit(std::size_t i, const ResidualStep& step) {
  Op op = operation(OpKind::kAdd);
  op.add.a = place(step.a);
  op.add.b = place(step.b);
  op.add.width = program_.value(step.a).width;
  op.add.out = place_result(program_.steps()[i].output);
  plan_.ops.push_back(op);
}

void Planner::emit(std::size_t i, const SelectRowsStep& step) {
  Op op = operation(OpKind::kSelect);
  op.select.in = place(step.input);
  op.select.width = program_.value(step.input).width;
  op.select.last = step.select == SelectKind::kLast;
  op.select.out = place_result(program_.steps()[i].output);
  plan_.ops.push_back(op);
}

void Planner::emit(std::size_t i, const PoolStep& step) {
  Op op = operation(OpKind::kPool);
  op.pool.in = place(step.input);
  op.pool.width = program_.value(step.input).width;
  op.pool.spans = step.spans;
  op.pool.out = place_result(program_.steps()[i].output);
  for (const PoolMode mode : step.modes) {
    op.pool.mode = static_cast<std::int32_t>(mode);
    plan_.ops.push_back(op);
    op.pool.out.offset += op.pool.width * type_bytes(op.pool.out.type);
  }
}

void Planner::emit(std::size_t i, const VocabularyMaxStep& step) {
  Op op = operation(OpKind::kVocabulary);
  VocabularyOp& args = op.vocabulary;
  args.in = place_typed(step.input);
  args.weight = matrix({step.weight}, plan_.type);
  args.bias = biases({step.weight}, {step.bias}, Type::kF32);
  args.n = step.weight.tensor.shape[0];
  args.k = step.weight.tensor.shape[1];
  args.logits = take_temporary(RowKind::kTokens, kVocabularyTile, Type::kF32);
  args.sum = step.sum;
  args.twice = step.activation == SparseActivation::kLog1pLog1pRelu;
  args.out = place_result(program_.steps()[i].output);
  plan_.ops.push_back(op);
}

void Planner::emit(std::size_t i, const NormalizeStep& step) {
  Op op = operation(OpKind::kRow);
  op.row.in = place(step.input);
  op.row.width = program_.value(step.input).width;
  op.row.normalize = true;
  op.row.out = place_result(program_.steps()[i].output);
  plan_.ops.push_back(op);
}

void Planner::emit(std::size_t i, const TruncateStep& step) {
  Op op = operation(OpKind::kRow);
  op.row.in = place(step.input);
  op.row.width = step.width;
  op.row.out = place_result(program_.steps()[i].output);
  plan_.ops.push_back(op);
}

}  // namespace inlay::backend::cuda
