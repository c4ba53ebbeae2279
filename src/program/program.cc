// Building a Program: each step is checked against the values and weights before it.
#include "program/program.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace inlay {
namespace {

[[noreturn]] void bad_step(const std::string& name, const std::string& message) {
  fail(ErrorCode::kBadInput, "step " + name, message);
}

void check_shape(const std::string& step, const WeightRef& weight, const Shape& expected) {
  if (!weight.present()) return;
  if (weight.tensor.shape == expected) return;
  bad_step(step, "expected " + weight.name + " of shape " + shape_text(expected) + ", got " +
                     shape_text(weight.tensor.shape) + ". The config and the checkpoint disagree.");
}

void check_table(const std::string& step, const WeightRef& weight, std::int64_t width) {
  if (weight.tensor.shape.size() != 2 || weight.tensor.shape[0] < 1 ||
      weight.tensor.shape[1] != width) {
    bad_step(step, "expected " + weight.name + " of shape [rows, " + std::to_string(width) +
                       "], got " + shape_text(weight.tensor.shape) + ".");
  }
}

struct InputsOf {
  std::vector<ValueId> operator()(const ExternalGraphStep&) const { return {}; }
  std::vector<ValueId> operator()(const EmbedStep&) const { return {}; }
  std::vector<ValueId> operator()(const NormStep& s) const {
    return s.residual == kNoValue ? std::vector{s.input} : std::vector{s.input, s.residual};
  }
  std::vector<ValueId> operator()(const AttentionStep& s) const {
    if (s.probabilities) return {s.query.value, s.key.value};
    return {s.query.value, s.key.value, s.value.value};
  }
  std::vector<ValueId> operator()(const ResidualStep& s) const { return {s.a, s.b}; }
  template <typename S>
  std::vector<ValueId> operator()(const S& s) const {
    return {s.input};
  }
};

}  // namespace

WeightRef weight_rows(const WeightRef& weight, std::int64_t begin, std::int64_t count) {
  if (!weight.present()) return weight;
  WeightRef part = weight;
  const Shape& shape = weight.tensor.shape;
  if (shape.empty() || begin < 0 || count < 1 || begin + count > shape[0]) {
    fail(ErrorCode::kBadInput, weight.name,
         "expected at least " + std::to_string(begin + count) + " rows, got " + shape_text(shape) +
             ".");
  }
  if (count == shape[0]) return part;
  part.name += "[" + std::to_string(begin) + ":" + std::to_string(begin + count) + "]";
  const std::size_t row = weight.tensor.bytes() / static_cast<std::size_t>(shape[0]);
  part.tensor.shape[0] = count;
  part.tensor.data =
      static_cast<const char*>(weight.tensor.data) + static_cast<std::size_t>(begin) * row;
  return part;
}

// transformers' make_log_bucket_position: distances below half the buckets keep their own, farther
// ones share by logarithm. In float, as there.
std::int64_t relative_row(std::int64_t span, std::int64_t buckets, std::int64_t max_positions,
                          std::int64_t distance) {
  std::int64_t bucket = distance;
  const std::int64_t middle = buckets / 2;
  const std::int64_t size = distance < 0 ? -distance : distance;
  if (buckets > 0 && size > middle) {
    const auto m = static_cast<float>(middle);
    const float share = std::log(static_cast<float>(size) / m) /
                        std::log(static_cast<float>(max_positions - 1) / m);
    bucket = static_cast<std::int64_t>(std::ceil(share * (m - 1))) + middle;
    if (distance < 0) bucket = -bucket;
  }
  return std::clamp<std::int64_t>(bucket + span, 0, 2 * span - 1);
}

const char* rows_name(Rows rows) noexcept {
  static constexpr const char* kNames[] = {"tokens", "texts", "spans"};
  return kNames[static_cast<std::size_t>(rows)];
}

const char* step_kind_name(const StepArgs& args) noexcept {
  static constexpr const char* kNames[] = {
      "external_graph", "embed",     "norm",     "linear",      "gated_linear",
      "experts",        "attention", "residual", "select_rows", "pool",
      "vocabulary_max", "normalize", "truncate"};
  static_assert(std::size(kNames) == std::variant_size_v<StepArgs>);
  return kNames[args.index()];
}

std::vector<ValueId> step_inputs(const StepArgs& args) { return std::visit(InputsOf{}, args); }

ValueId Program::add(std::string name, StepArgs args, Rows rows, std::int64_t width) {
  if (width < 1) bad_step(name, "expected a positive width, got " + std::to_string(width) + ".");
  for (const Step& step : steps_) {
    if (step.name == name) bad_step(name, "expected a new step name, got one that is taken.");
  }
  const auto id = static_cast<ValueId>(values_.size());
  values_.push_back({rows, width, static_cast<std::int32_t>(steps_.size())});
  steps_.push_back({std::move(name), std::move(args), id});
  outputs_ = {id};
  return id;
}

namespace {
const Value& input_of(const Program& program, const std::string& step, ValueId id) {
  if (id < 0 || id >= static_cast<ValueId>(program.values().size())) {
    bad_step(step, "expected an earlier value, got id " + std::to_string(id) + ".");
  }
  return program.value(id);
}
const Value& token_input(const Program& program, const std::string& step, ValueId id) {
  const Value& value = input_of(program, step, id);
  if (value.rows != Rows::kTokens) {
    bad_step(step,
             std::string("expected one row a token, got [") + rows_name(value.rows) + ", width].");
  }
  return value;
}
}  // namespace

ValueId Program::external_graph(std::string name, ExternalGraphStep args) {
  if (args.rows == Rows::kSpans || args.output.empty() || args.inputs.empty())
    bad_step(name, "expected inputs and an output of tokens or texts.");
  vocab_size_ = args.vocab_size;
  type_count_ = args.type_count;
  if (args.max_tokens > 0) limit_tokens(args.max_tokens);
  const Rows rows = args.rows;
  const std::int64_t width = args.width;
  return add(std::move(name), std::move(args), rows, width);
}

ValueId Program::embed(std::string name, EmbedStep args) {
  if (args.tokens.tensor.shape.size() != 2) {
    bad_step(name, "expected " + args.tokens.name + " of shape [vocab, hidden], got " +
                       shape_text(args.tokens.tensor.shape) + ".");
  }
  const std::int64_t width = args.tokens.tensor.shape[1];
  check_table(name, args.tokens, width);
  if (args.positions.present()) {
    check_table(name, args.positions, width);
    limit_tokens(args.positions.tensor.shape[0] - args.position_offset);
    if (max_tokens_ < 1) {
      bad_step(name, "expected a position table longer than its offset " +
                         std::to_string(args.position_offset) + ", got " +
                         std::to_string(args.positions.tensor.shape[0]) + " rows.");
    }
  }
  if (args.types.present()) {
    check_table(name, args.types, width);
    type_count_ = args.types.tensor.shape[0];
  }
  vocab_size_ = args.tokens.tensor.shape[0];
  return add(std::move(name), std::move(args), Rows::kTokens, width);
}

ValueId Program::norm(std::string name, NormStep args) {
  const Value input = input_of(*this, name, args.input);
  if (args.residual != kNoValue) {
    const Value& residual = input_of(*this, name, args.residual);
    if (residual.rows != input.rows || residual.width != input.width) {
      bad_step(name, "expected a residual of the input's shape, got another.");
    }
  }
  check_shape(name, args.weight, {input.width});
  check_shape(name, args.bias, {input.width});
  if (!(args.eps >= 0.0F) || args.eps > 1.0F)
    bad_step(name, "expected eps in [0, 1], got " + std::to_string(args.eps) + ".");
  return add(std::move(name), std::move(args), input.rows, input.width);
}

ValueId Program::linear(std::string name, LinearStep args) {
  const Value input = input_of(*this, name, args.input);
  if (args.weights.empty() || (!args.biases.empty() && args.biases.size() != args.weights.size())) {
    bad_step(name, "expected as many biases as weights, or none.");
  }
  std::int64_t width = 0;
  for (std::size_t i = 0; i < args.weights.size(); ++i) {
    const WeightRef& weight = args.weights[i];
    if (weight.tensor.shape.size() != 2 || weight.tensor.shape[0] < 1 ||
        weight.tensor.shape[1] != input.width) {
      bad_step(name, "expected " + weight.name + " of shape [out, " + std::to_string(input.width) +
                         "], got " + shape_text(weight.tensor.shape) + ".");
    }
    if (!args.biases.empty()) check_shape(name, args.biases[i], {weight.tensor.shape[0]});
    width += weight.tensor.shape[0];
  }
  return add(std::move(name), std::move(args), input.rows, width);
}

ValueId Program::gated_linear(std::string name, GatedLinearStep args) {
  const std::int64_t in = input_of(*this, name, args.input).width;
  check_table(name, args.gate, in);
  const std::int64_t width = args.gate.tensor.shape[0];
  check_shape(name, args.up, {width, in});
  check_shape(name, args.gate_bias, {width});
  check_shape(name, args.up_bias, {width});
  const Rows rows = value(args.input).rows;
  return add(std::move(name), std::move(args), rows, width);
}

ValueId Program::experts(std::string name, ExpertsStep args) {
  const Value input = input_of(*this, name, args.input);
  check_table(name, args.router, input.width);
  const std::int64_t experts = args.router.tensor.shape[0];
  check_table(name, args.up, input.width);
  check_shape(name, args.down, args.up.tensor.shape);
  check_shape(name, args.bias, {input.width});
  if (args.up.tensor.shape[0] % experts != 0 || args.top_k < 1 || args.top_k > experts) {
    bad_step(name, "expected 1 to " + std::to_string(experts) + " experts a row and " +
                       args.up.name + " to divide by their number, got " +
                       std::to_string(args.top_k) + " and " + shape_text(args.up.tensor.shape) +
                       ".");
  }
  return add(std::move(name), std::move(args), input.rows, input.width);
}

namespace {
void check_attention_extras(const std::string& name, const AttentionStep& args) {
  const std::int64_t width = args.heads * args.head_size;
  const std::int64_t kv_width = args.kv_heads * args.head_size;
  check_shape(name, args.query_norm.weight, {args.query_norm.whole ? width : args.head_size});
  check_shape(name, args.query_norm.bias, {args.query_norm.whole ? width : args.head_size});
  check_shape(name, args.key_norm.weight, {args.key_norm.whole ? kv_width : args.head_size});
  check_shape(name, args.key_norm.bias, {args.key_norm.whole ? kv_width : args.head_size});
  if (2 * static_cast<std::int64_t>(args.rope.inv_freq.size()) > args.head_size) {
    bad_step(name, "expected rotary columns inside a head of " + std::to_string(args.head_size) +
                       ", got " + std::to_string(2 * args.rope.inv_freq.size()) + ".");
  }
  if (!args.alibi.empty() && static_cast<std::int64_t>(args.alibi.size()) != args.heads)
    bad_step(name,
             "expected one ALiBi slope a head, got " + std::to_string(args.alibi.size()) + ".");
  if (args.relative_bias.present()) {
    check_table(name, args.relative_bias, args.heads);
    if (args.relative_bias.tensor.shape[0] % 2 == 0)
      bad_step(name, "expected an odd number of distances in " + args.relative_bias.name + ".");
  }
  const Disentangled& d = args.disentangled;
  if (!d.embeddings.present()) return;
  if (d.embeddings.tensor.shape.size() != 2 || d.span() < 1 || d.buckets < 0 ||
      args.kv_heads != args.heads || (d.buckets > 0 && d.max_positions <= d.buckets / 2)) {
    bad_step(name,
             "expected relative embeddings [2 span, hidden] and as many kv heads as heads, got " +
                 shape_text(d.embeddings.tensor.shape) + ".");
  }
  const std::int64_t hidden = d.embeddings.tensor.shape[1];
  for (const WeightRef* weight : {&d.key, &d.query}) check_shape(name, *weight, {width, hidden});
  for (const WeightRef* bias : {&d.key_bias, &d.query_bias}) check_shape(name, *bias, {width});
}
}  // namespace

ValueId Program::attention(std::string name, AttentionStep args) {
  if (args.heads < 1 || args.kv_heads < 1 || args.head_size < 1 ||
      args.heads % args.kv_heads != 0) {
    bad_step(name, "expected heads to be a positive multiple of kv heads, got " +
                       std::to_string(args.heads) + " and " + std::to_string(args.kv_heads) +
                       " of size " + std::to_string(args.head_size) + ".");
  }
  const Value query = input_of(*this, name, args.query.value);
  const Value& key = token_input(*this, name, args.key.value);
  const std::int64_t width = args.heads * args.head_size;
  const std::int64_t kv_width = args.kv_heads * args.head_size;
  if (args.probabilities) {
    const bool plain = !args.causal && args.window < 0 && args.alibi.empty() &&
                       !args.relative_bias.present() && !args.disentangled.embeddings.present();
    if (!plain || query.rows != Rows::kTexts || args.value.value != kNoValue) {
      bad_step(name,
               "expected plain attention of one query row a text for its probabilities, got "
               "another form.");
    }
    args.value = args.key;
  }
  const Value& value = token_input(*this, name, args.value.value);
  if (args.query.begin < 0 || args.query.begin + width > query.width || args.key.begin < 0 ||
      args.key.begin + kv_width > key.width || args.value.begin < 0 ||
      args.value.begin + kv_width > value.width) {
    bad_step(name, "expected query, key and value columns inside their values, got some outside.");
  }
  check_attention_extras(name, args);
  if (args.probabilities) {
    args.value = {};
    return add(std::move(name), std::move(args), Rows::kTokens, 1);
  }
  return add(std::move(name), std::move(args), query.rows, width);
}

ValueId Program::residual(std::string name, ResidualStep args) {
  const Value a = input_of(*this, name, args.a);
  const Value& b = input_of(*this, name, args.b);
  if (a.rows != b.rows || a.width != b.width)
    bad_step(name, "expected two values of one shape, got different ones.");
  return add(std::move(name), args, a.rows, a.width);
}

ValueId Program::select_rows(std::string name, SelectRowsStep args) {
  const std::int64_t width = token_input(*this, name, args.input).width;
  return add(std::move(name), args, Rows::kTexts, width);
}

ValueId Program::pool(std::string name, PoolStep args) {
  const std::int64_t width = token_input(*this, name, args.input).width;
  if (args.modes.empty()) bad_step(name, "expected at least one pooling mode, got none.");
  const auto modes = static_cast<std::int64_t>(args.modes.size());
  const Rows rows = args.spans ? Rows::kSpans : Rows::kTexts;
  return add(std::move(name), std::move(args), rows, width * modes);
}

ValueId Program::vocabulary_max(std::string name, VocabularyMaxStep args) {
  std::int64_t vocabulary = token_input(*this, name, args.input).width;
  if (args.weight.present()) {
    check_table(name, args.weight, vocabulary);
    vocabulary = args.weight.tensor.shape[0];
  }
  check_shape(name, args.bias, {vocabulary});
  return add(std::move(name), std::move(args), Rows::kTexts, vocabulary);
}

ValueId Program::normalize(std::string name, NormalizeStep args) {
  const Value input = input_of(*this, name, args.input);
  return add(std::move(name), args, input.rows, input.width);
}

ValueId Program::truncate(std::string name, TruncateStep args) {
  const Value input = input_of(*this, name, args.input);
  if (args.width < 1 || args.width > input.width) {
    bad_step(name, "expected 1 to " + std::to_string(input.width) + " dimensions, got " +
                       std::to_string(args.width) + ".");
  }
  return add(std::move(name), args, input.rows, args.width);
}

void Program::set_outputs(std::vector<ValueId> values) {
  if (values.empty()) bad_step("output", "expected at least one value.");
  for (std::size_t i = 0; i < values.size(); ++i) {
    input_of(*this, "output", values[i]);
    for (std::size_t j = 0; j < i; ++j) {
      if (values[j] == values[i]) bad_step("output", "expected each value once.");
    }
  }
  outputs_ = std::move(values);
}

bool Program::is_output(ValueId value) const {
  return std::find(outputs_.begin(), outputs_.end(), value) != outputs_.end();
}

void Program::limit_tokens(std::int64_t tokens) {
  if (max_tokens_ == 0 || tokens < max_tokens_) max_tokens_ = tokens;
}

WeightRef Program::own(std::string name, Shape shape, std::vector<float> values) {
  std::int64_t count = 0;
  if (!element_count(shape, &count) || count != static_cast<std::int64_t>(values.size()))
    fail(ErrorCode::kInternal, name, "expected as many values as the shape has.");
  auto kept = std::make_shared<std::vector<float>>(std::move(values));
  auto weights = std::make_shared<Weights>();
  weights->keep_alive(kept);
  hold(std::move(weights));
  return {std::move(name), {DType::kF32, std::move(shape), kept->data()}};
}

std::int64_t ExternalGraphStep::bytes() const {
  std::int64_t sum = graph.tensor.elements();
  for (const WeightRef& file : files) sum += file.tensor.elements();
  return sum;
}

const ExternalGraphStep* find_external_graph(const Program& program) {
  for (const Step& step : program.steps()) {
    if (const auto* graph = std::get_if<ExternalGraphStep>(&step.args)) return graph;
  }
  return nullptr;
}

std::string external_graph_reason(const Program& program) {
  const ExternalGraphStep* graph = find_external_graph(program);
  if (graph == nullptr) return {};
  return "only --device onnxruntime runs " + graph->graph.name + " as it is";
}

void Program::release_weights() {
  for (Step& step : steps_) {
    visit_weights(step.args, [](WeightRef& weight) { weight.tensor.data = nullptr; });
  }
  weights_.clear();
}

}  // namespace inlay
