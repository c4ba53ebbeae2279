// Building a Program: each step is checked against the values and weights before it.
#include "program/program.h"

#include <algorithm>

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
  std::vector<ValueId> operator()(const EmbedStep&) const { return {}; }
  std::vector<ValueId> operator()(const NormStep& s) const {
    return s.residual == kNoValue ? std::vector{s.input} : std::vector{s.input, s.residual};
  }
  std::vector<ValueId> operator()(const AttentionStep& s) const {
    return {s.query.value, s.key.value, s.value.value};
  }
  std::vector<ValueId> operator()(const ResidualStep& s) const { return {s.a, s.b}; }
  template <typename S>
  std::vector<ValueId> operator()(const S& s) const {
    return {s.input};
  }
};

}  // namespace

const char* step_kind_name(const StepArgs& args) noexcept {
  static constexpr const char* kNames[] = {"embed",     "norm",      "linear",
                                           "attention", "residual",  "select_rows",
                                           "pool",      "normalize", "truncate"};
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
  output_ = id;
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
  if (value.rows != Rows::kTokens) bad_step(step, "expected one row a token, got one row a text.");
  return value;
}
}  // namespace

ValueId Program::embed(std::string name, EmbedStep args) {
  if (args.tokens.tensor.shape.size() != 2) {
    bad_step(name, "expected " + args.tokens.name + " of shape [vocab, hidden], got " +
                       shape_text(args.tokens.tensor.shape) + ".");
  }
  const std::int64_t width = args.tokens.tensor.shape[1];
  check_table(name, args.tokens, width);
  if (args.positions.present()) {
    check_table(name, args.positions, width);
    max_tokens_ = args.positions.tensor.shape[0] - args.position_offset;
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

ValueId Program::attention(std::string name, AttentionStep args) {
  if (args.heads < 1 || args.kv_heads < 1 || args.head_size < 1 ||
      args.heads % args.kv_heads != 0) {
    bad_step(name, "expected heads to be a positive multiple of kv heads, got " +
                       std::to_string(args.heads) + " and " + std::to_string(args.kv_heads) +
                       " of size " + std::to_string(args.head_size) + ".");
  }
  const Value query = input_of(*this, name, args.query.value);
  const Value& key = token_input(*this, name, args.key.value);
  const Value& value = token_input(*this, name, args.value.value);
  const std::int64_t width = args.heads * args.head_size;
  const std::int64_t kv_width = args.kv_heads * args.head_size;
  if (args.query.begin < 0 || args.query.begin + width > query.width || args.key.begin < 0 ||
      args.key.begin + kv_width > key.width || args.value.begin < 0 ||
      args.value.begin + kv_width > value.width) {
    bad_step(name, "expected query, key and value columns inside their values, got some outside.");
  }
  return add(std::move(name), args, query.rows, width);
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
  return add(std::move(name), std::move(args), Rows::kTexts, width * modes);
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

void Program::set_output(ValueId value) {
  input_of(*this, "output", value);
  output_ = value;
}

void Program::release_weights() {
  for (Step& step : steps_) {
    visit_weights(step.args, [](WeightRef& weight) { weight.tensor.data = nullptr; });
  }
  weights_.clear();
}

}  // namespace inlay
