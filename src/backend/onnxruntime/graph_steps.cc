// Steps on rows as ONNX nodes. Linear layers are MatMul with the matrix already transposed; pooling
// is a product with the weights that each token has, but for the maximum.
#include <algorithm>
#include <cmath>

#include "backend/onnxruntime/lowering.h"
#include "backend/onnxruntime/ort_api.h"
#include "base/error.h"

namespace inlay::backend::onnxruntime {
namespace {

using Kind = GraphInput::Kind;

// Columns of the vocabulary whose logits exist at one time.
constexpr std::int64_t kVocabularyTile = 4096;
// Of one tensor of weights, as ONNX Runtime takes them out of memory; all together may be more.
constexpr std::int64_t kMostWeightBytes = (std::int64_t{1} << 31U) - 1;

const char* kind_name(Kind kind) {
  static constexpr const char* kNames[] = {
      "ids",          "types",     "positions", "embeddings", "key_mask",     "score_bias",
      "sees",         "turn_cos",  "turn_sin",  "text_mask",  "text_ones",    "last_row",
      "pool_weights", "pool_mask", "pool_any",  "key_counts", "text_lengths", "pool_begins"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::vector<std::int64_t> lengths(const std::vector<WeightRef>& weights) {
  std::vector<std::int64_t> all;
  all.reserve(weights.size());
  for (const WeightRef& weight : weights) all.push_back(weight.tensor.shape[0]);
  return all;
}

}  // namespace

std::vector<std::string> graph_reasons(const Program& program) {
  std::vector<std::string> reasons;
  for (const Step& step : program.steps()) {
    const auto refuse = [&](const std::string& what) {
      reasons.push_back("step " + step.name + ": " + what);
    };
    if (std::holds_alternative<ExpertsStep>(step.args)) refuse("onnxruntime has no experts");
    if (const auto* attention = std::get_if<AttentionStep>(&step.args)) {
      if (attention->disentangled.embeddings.present())
        refuse("onnxruntime has no disentangled attention");
    }
    if (const auto* pool = std::get_if<PoolStep>(&step.args)) {
      if (pool->spans) refuse("onnxruntime has no pooling of spans (late chunking)");
    }
    visit_weights(step.args, [&](const WeightRef& weight) {
      if (!weight.present() || std::holds_alternative<VocabularyMaxStep>(step.args) ||
          std::holds_alternative<ExternalGraphStep>(step.args))
        return;
      const std::int64_t bytes = weight.tensor.elements() * std::int64_t{sizeof(float)};
      if (bytes > kMostWeightBytes) {
        refuse(weight.name + " takes " + std::to_string(bytes) +
               " bytes in fp32, and ONNX Runtime takes no tensor of more than " +
               std::to_string(kMostWeightBytes));
      }
    });
    const auto* embed = std::get_if<EmbedStep>(&step.args);
    if (embed == nullptr || !embed->positions.present()) continue;
    const std::int64_t rows = embed->positions.tensor.shape[0];
    if (embed->position_offset < 0 || embed->position_pad_id >= rows)
      refuse("positions outside the table of " + std::to_string(rows) + " rows");
  }
  if (program.steps().empty()) reasons.emplace_back("program: it has no steps");
  return reasons;
}

Graph make_graph(const Program& program, const GraphOptions& options, const std::string& key) {
  return Lowering(program, options).run(key);
}

Graph Lowering::run(const std::string& key) {
  for (const Step& step : program_.steps()) {
    graph_.set_step(step.name);
    values_[static_cast<std::size_t>(step.output)] =
        std::visit([&](const auto& args) { return lower(args); }, step.args);
    const auto* sparse = std::get_if<VocabularyMaxStep>(&step.args);
    if (sparse != nullptr && !sparse->sum && is_read(step.output))
      values_[static_cast<std::size_t>(step.output)] = sparse_weight(*sparse, value(step.output));
  }
  Graph out;
  for (const ValueId id : program_.outputs()) {
    const Value& value = program_.value(id);
    GraphOutput output{"output_" + std::to_string(out.outputs.size()), value.rows, value.width};
    const StepArgs& args = program_.steps()[static_cast<std::size_t>(value.step)].args;
    const auto* sparse = std::get_if<VocabularyMaxStep>(&args);
    if (sparse != nullptr && !is_read(id) && !sparse->sum)
      output.log1p = sparse->activation == SparseActivation::kLog1pRelu ? 1 : 2;
    graph_.output(output.name, this->value(id), dimensions(value.rows, value.width));
    out.outputs.push_back(std::move(output));
  }
  if (!key.empty()) graph_.metadata("COREML_CACHE_KEY", key);
  out.model = graph_.finish();
  out.weights = std::move(weights_);
  out.inputs = std::move(inputs_);
  return out;
}

bool Lowering::is_read(ValueId id) const {
  return std::any_of(program_.steps().begin(), program_.steps().end(), [id](const Step& step) {
    const std::vector<ValueId> inputs = step_inputs(step.args);
    return std::find(inputs.begin(), inputs.end(), id) != inputs.end();
  });
}

Dimensions Lowering::dimensions(Rows rows, std::int64_t width) const {
  const Dimension all_texts = texts() != 0 ? Dimension(texts()) : Dimension("texts");
  if (rows == Rows::kTexts) return {all_texts, width};
  return {all_texts, length() != 0 ? Dimension(length()) : Dimension("length"), width};
}

std::string Lowering::input(GraphInput wanted) {
  for (const GraphInput& known : inputs_) {
    if (padded::same_input(known, wanted)) return known.name;
  }
  wanted.name = std::string(kind_name(wanted.kind)) + "_" + std::to_string(inputs_.size());
  const Dimension all = texts() != 0 ? Dimension(texts()) : Dimension("texts");
  const Dimension each = length() != 0 ? Dimension(length()) : Dimension("length");
  const Dimension one = std::int64_t{1};
  const bool row = wanted.bias.row != QueryRow::kEvery;
  Dimensions shape;
  switch (wanted.kind) {
    case Kind::kIds:
    case Kind::kTypes:
    case Kind::kPositions:
      shape = {all, each};
      break;
    case Kind::kEmbeddings:
      shape = {all, each, wanted.embed->tokens.tensor.shape[1]};
      break;
    case Kind::kKeyMask:
      shape = {all, one, one, each};
      break;
    case Kind::kScoreBias:
      shape = {row ? all : one, wanted.bias.heads, row ? one : each, each};
      break;
    case Kind::kSees:
      shape = {all, one, row ? one : each, one};
      break;
    case Kind::kTurnCosines:
    case Kind::kTurnSines:
      shape = {row ? all : one, one, row ? one : each, wanted.head_size};
      break;
    case Kind::kTextMask:
    case Kind::kPoolMask:
      shape = {all, each, one};
      break;
    case Kind::kTextOnes:
    case Kind::kLastRow:
      shape = {all, one, each};
      break;
    case Kind::kPoolWeights:
      shape = {all, static_cast<std::int64_t>(wanted.modes.size()), each};
      break;
    case Kind::kPoolAny:
      shape = {all, one};
      break;
    case Kind::kKeyCounts:
    case Kind::kTextLengths:
    case Kind::kPoolBegins:
      shape = {all};
      break;
  }
  graph_.input(wanted.name, is_integer(wanted.kind) ? kInt32 : kFloat, shape);
  inputs_.push_back(std::move(wanted));
  return inputs_.back().name;
}

std::string Lowering::constant(const WeightPiece& piece) {
  return graph_.weight(piece.name, piece.shape, piece.offset);
}

std::string Lowering::slice(const std::string& x, std::int64_t axis, std::int64_t begin,
                            std::int64_t end) {
  return graph_.node("Slice", {x, graph_.integers({begin}), graph_.integers({end}),
                               graph_.integers({axis}), graph_.integers({1})});
}

std::string Lowering::reshape(const std::string& x, std::initializer_list<std::int64_t> shape) {
  return graph_.node("Reshape", {x, graph_.integers(shape)});
}

std::string Lowering::transpose(const std::string& x, std::vector<std::int64_t> order) {
  return graph_.node("Transpose", {x}, {{"perm", std::move(order)}});
}

std::string Lowering::columns(const Columns& columns, std::int64_t width) {
  const Value& whole = program_.value(columns.value);
  if (columns.begin == 0 && whole.width == width) return value(columns.value);
  const std::int64_t axis = whole.rows == Rows::kTexts ? 1 : 2;
  return slice(value(columns.value), axis, columns.begin, columns.begin + width);
}

std::string Lowering::activate(Activation activation, const std::string& x) {
  const auto clip = [&](const std::string& v, float low, float high) {
    return graph_.node("Clip", {v, graph_.scalar(low), graph_.scalar(high)});
  };
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kGelu:
      return graph_.node("Gelu", {x});
    case Activation::kGeluTanh:
      return graph_.node("Gelu", {x}, {{"approximate", std::string("tanh")}});
    case Activation::kGeluQuick:
      return binary("Mul", x, graph_.node("Sigmoid", {scaled(x, 1.702F)}));
    case Activation::kGelu10:
      return clip(graph_.node("Gelu", {x}), -10, 10);
    case Activation::kRelu:
      return graph_.node("Relu", {x});
    case Activation::kRelu2: {
      const std::string positive = graph_.node("Relu", {x});
      return binary("Mul", positive, positive);
    }
    case Activation::kRelu6:
      return clip(x, 0, 6);
    case Activation::kLeakyRelu:
      return graph_.node("LeakyRelu", {x}, {{"alpha", 0.01F}});
    case Activation::kSilu:
      return binary("Mul", x, graph_.node("Sigmoid", {x}));
    case Activation::kMish:
      return binary("Mul", x, graph_.node("Tanh", {graph_.node("Softplus", {x})}));
    case Activation::kTanh:
      return graph_.node("Tanh", {x});
    case Activation::kSigmoid:
      return graph_.node("Sigmoid", {x});
    case Activation::kHardswish:
      return scaled(binary("Mul", x, clip(binary("Add", x, graph_.scalar(3.0F)), 0, 6)),
                    1.0F / 6.0F);
    case Activation::kSqrtSoftplus:
      return graph_.node("Sqrt", {graph_.node("Softplus", {x})});
    case Activation::kLaplace: {
      const std::string centred = binary("Sub", x, graph_.scalar(0.707107F));
      const auto factor = static_cast<float>(1.0 / (0.282095 * std::sqrt(2.0)));
      const std::string erf = graph_.node("Erf", {scaled(centred, factor)});
      return scaled(binary("Add", erf, graph_.scalar(1.0F)), 0.5F);
    }
  }
  return x;
}

std::string Lowering::normed(NormKind kind, const std::string& x, const WeightRef& weight,
                             const WeightRef& bias, std::int64_t width, float eps) {
  const std::string scale = constant(weights_.vector({weight}, {width}, 1.0F));
  const std::string shift =
      bias.present() ? constant(weights_.vector({bias}, {width}, 0.0F)) : std::string();
  if (kind == NormKind::kLayer) {
    return graph_.node("LayerNormalization", {x, scale, shift},
                       {{"axis", std::int64_t{-1}}, {"epsilon", eps}});
  }
  const std::string squares =
      graph_.node("ReduceMean", {binary("Mul", x, x), graph_.integers({-1})});
  const std::string root = graph_.node("Sqrt", {binary("Add", squares, graph_.scalar(eps))});
  const std::string out = binary("Mul", binary("Div", x, root), scale);
  return shift.empty() ? out : binary("Add", out, shift);
}

std::string Lowering::product(const std::string& x, const std::vector<WeightRef>& weights,
                              const std::vector<WeightRef>& biases) {
  const std::string out = binary("MatMul", x, constant(weights_.transposed(weights)));
  const bool biased = std::any_of(biases.begin(), biases.end(),
                                  [](const WeightRef& bias) { return bias.present(); });
  if (!biased) return out;
  return binary("Add", out, constant(weights_.vector(biases, lengths(weights), 0.0F)));
}

std::string Lowering::row_sum(const std::string& row, const std::string& x) {
  return binary("MatMul", row, x);
}

std::string Lowering::lower(const ExternalGraphStep& step) {
  graph_.input(kExternalInput, kFloat, dimensions(step.rows, step.width));
  return kExternalInput;
}

std::string Lowering::lower(const EmbedStep& step) {
  if (options_.host_embeddings) return input({Kind::kEmbeddings, "", &step});
  const auto gather = [&](const WeightRef& table, GraphInput indices) {
    const std::string rows = constant(weights_.rows(table));
    return graph_.node("Gather", {rows, input(std::move(indices))});
  };
  std::string sum = gather(step.tokens, {Kind::kIds, ""});
  if (step.scale != 1.0F) sum = scaled(sum, step.scale);
  if (step.types.present()) sum = binary("Add", sum, gather(step.types, {Kind::kTypes, ""}));
  if (step.positions.present())
    sum = binary("Add", sum, gather(step.positions, {Kind::kPositions, "", &step}));
  return sum;
}

std::string Lowering::lower(const NormStep& step) {
  std::string x = value(step.input);
  if (step.residual != kNoValue) x = binary("Add", x, value(step.residual));
  return normed(step.kind, x, step.weight, step.bias, program_.value(step.input).width, step.eps);
}

std::string Lowering::lower(const LinearStep& step) {
  return activate(step.activation, product(value(step.input), step.weights, step.biases));
}

std::string Lowering::lower(const GatedLinearStep& step) {
  const std::string& x = value(step.input);
  const std::string gate = activate(step.activation, product(x, {step.gate}, {step.gate_bias}));
  return binary("Mul", gate, product(x, {step.up}, {step.up_bias}));
}

std::string Lowering::lower(const ExpertsStep&) {
  fail(ErrorCode::kInternal, "onnxruntime", "expected a Program that supports() takes.");
}

std::string Lowering::lower(const ResidualStep& step) {
  return binary("Add", value(step.a), value(step.b));
}

std::string Lowering::lower(const SelectRowsStep& step) {
  const std::string& x = value(step.input);
  const std::string row = step.select == SelectKind::kFirst
                              ? slice(x, 1, 0, 1)
                              : row_sum(input({Kind::kLastRow, ""}), x);
  return graph_.node("Squeeze", {row, graph_.integers({1})});
}

std::string Lowering::lower(const PoolStep& step) {
  const std::string& x = value(step.input);
  const std::int64_t width = program_.value(step.input).width;
  std::vector<std::string> parts;
  std::vector<PoolMode> run;  // modes next to each other that are one product
  const auto flush = [&] {
    if (run.empty()) return;
    const auto count = static_cast<std::int64_t>(run.size());
    GraphInput weights{Kind::kPoolWeights, ""};
    weights.modes = std::exchange(run, {});
    parts.push_back(reshape(row_sum(input(std::move(weights)), x), {texts(), count * width}));
  };
  for (const PoolMode mode : step.modes) {
    if (mode != PoolMode::kMax) {
      run.push_back(mode);
      continue;
    }
    flush();
    const std::string masked = binary("Add", x, input({Kind::kPoolMask, ""}));
    const std::string largest =
        graph_.node("ReduceMax", {masked, graph_.integers({1})}, {{"keepdims", std::int64_t{0}}});
    parts.push_back(binary("Mul", largest, input({Kind::kPoolAny, ""})));
  }
  flush();
  if (parts.size() == 1) return parts[0];
  return graph_.node("Concat", parts, {{"axis", std::int64_t{1}}});
}

// f of what is at least 0.
std::string Lowering::sparse_weight(const VocabularyMaxStep& step, const std::string& x) {
  const std::string one = graph_.scalar(1.0F);
  const std::string once = graph_.node("Log", {binary("Add", x, one)});
  if (step.activation == SparseActivation::kLog1pRelu) return once;
  return graph_.node("Log", {binary("Add", once, one)});
}

// Without f for the maximum: f is monotonic, and the host does it, or run() where a step reads it.
std::string Lowering::lower(const VocabularyMaxStep& step) {
  const std::string& x = value(step.input);
  const auto reduced = [&](const std::string& logits) {
    if (step.sum) {
      const std::string weight = sparse_weight(step, graph_.node("Relu", {logits}));
      return graph_.node("Squeeze",
                         {row_sum(input({Kind::kTextOnes, ""}), weight), graph_.integers({1})});
    }
    const std::string masked = binary("Add", logits, input({Kind::kTextMask, ""}));
    return graph_.node("ReduceMax", {masked, graph_.integers({1})},
                       {{"keepdims", std::int64_t{0}}});
  };
  if (!step.weight.present()) return step.sum ? reduced(x) : graph_.node("Relu", {reduced(x)});
  const std::int64_t vocabulary = step.weight.tensor.shape[0];
  std::vector<std::string> parts;
  for (std::int64_t begin = 0; begin < vocabulary; begin += kVocabularyTile) {
    const std::int64_t count = std::min(kVocabularyTile, vocabulary - begin);
    const WeightRef bias = step.bias.present() ? weight_rows(step.bias, begin, count) : WeightRef{};
    // A maximum commutes with adding the bias; a sum needs it before the activation.
    parts.push_back(reduced(
        product(x, {weight_rows(step.weight, begin, count)}, {step.sum ? bias : WeightRef{}})));
  }
  std::string out =
      parts.size() == 1 ? parts[0] : graph_.node("Concat", parts, {{"axis", std::int64_t{1}}});
  if (step.sum) return out;
  if (step.bias.present())
    out = binary("Add", out, constant(weights_.vector({step.bias}, {vocabulary}, 0.0F)));
  return graph_.node("Relu", {out});
}

std::string Lowering::lower(const NormalizeStep& step) {
  const std::string& x = value(step.input);
  const std::string squares =
      graph_.node("ReduceSum", {binary("Mul", x, x), graph_.integers({-1})});
  const std::string norm =
      graph_.node("Clip", {graph_.node("Sqrt", {squares}), graph_.scalar(1e-12F)});
  return binary("Div", x, norm);
}

std::string Lowering::lower(const TruncateStep& step) {
  return slice(value(step.input), has_token_rows(step.input) ? 2 : 1, 0, step.width);
}

}  // namespace inlay::backend::onnxruntime
