// Steps on rows as calls. Rows of tokens are [texts, length, width], rows of texts [texts, width].
#include "backend/padded/tape.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <numeric>
#include <utility>

#include "backend/padded/tape_writer.h"
#include "base/error.h"

namespace inlay::backend::padded {
namespace {

using Kind = HostInput::Kind;

std::int64_t elements(const Shape& shape) {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

HostInput host(Kind kind) {
  HostInput input;
  input.kind = kind;
  return input;
}

}  // namespace

std::vector<std::string> tape_reasons(const Program& program, const std::string& room) {
  std::vector<std::string> reasons;
  for (const Step& step : program.steps()) {
    const auto refuse = [&](const std::string& what) {
      reasons.push_back("step " + step.name + ": " + what);
    };
    if (std::holds_alternative<ExpertsStep>(step.args)) refuse(room + " has no experts");
    const auto* attention = std::get_if<AttentionStep>(&step.args);
    if (attention != nullptr && attention->disentangled.embeddings.present())
      refuse(room + " has no disentangled attention");
    const auto* pool = std::get_if<PoolStep>(&step.args);
    if (pool != nullptr && pool->spans) refuse(room + " has no pooling of spans (late chunking)");
    const auto* embed = std::get_if<EmbedStep>(&step.args);
    if (embed == nullptr || !embed->positions.present()) continue;
    const std::int64_t rows = embed->positions.tensor.shape[0];
    if (embed->position_offset < 0 || embed->position_pad_id >= rows)
      refuse("positions outside the table of " + std::to_string(rows) + " rows");
  }
  if (program.steps().empty()) reasons.emplace_back("program: it has no steps");
  if (std::string reason = external_graph_reason(program); !reason.empty())
    reasons.push_back(std::move(reason));
  return reasons;
}

Tape make_tape(const Program& program) { return TapeWriter(program).run(); }

std::int64_t weight_bytes(const Tape& tape, const std::string& dtype, int bits) {
  const std::int64_t each = dtype == "fp32" ? 4 : 2;
  std::int64_t bytes = 0;
  for (const TapeWeight& weight : tape.weights) {
    const std::int64_t count = elements(weight.shape);
    const bool table = weight.role == Role::kTable;
    const bool fewer = bits != 0 && (table || weight.role == Role::kMatrix);
    const std::int64_t group = fewer ? quantised_group(weight.shape.back()) : 0;
    // A scale and an offset a group.
    bytes += group == 0 ? count * each
                        : count * (table ? kTableBits : bits) / 8 + count / group * 2 * each;
  }
  return bytes;
}

Tape TapeWriter::run() {
  for (const Step& step : program_.steps()) {
    if (value(step.output) != kNone) continue;  // done together with the step before it
    values_[static_cast<std::size_t>(step.output)] =
        std::visit([&](const auto& args) { return lower(args, step.output); }, step.args);
  }
  for (const ValueId id : program_.outputs()) tape_.outputs.push_back(value(id));
  mark_dead();
  return std::move(tape_);
}

// Weights stay; what the host makes and what calls write may go after the last call that reads it.
void TapeWriter::mark_dead() {
  std::vector<bool> done(static_cast<std::size_t>(tape_.registers), false);
  for (const TapeWeight& weight : tape_.weights) done[static_cast<std::size_t>(weight.out)] = true;
  for (const Register output : tape_.outputs) done[static_cast<std::size_t>(output)] = true;
  for (auto at = tape_.instructions.rbegin(); at != tape_.instructions.rend(); ++at) {
    for (const Register input : at->inputs) {
      if (input == kNone || done[static_cast<std::size_t>(input)]) continue;
      done[static_cast<std::size_t>(input)] = true;
      at->dead.push_back(input);
    }
  }
}

Register TapeWriter::call(Op op, std::vector<Register> inputs, std::vector<std::int64_t> integers,
                          double real) {
  std::string key = "call " + std::to_string(static_cast<int>(op)) + " " +
                    std::to_string(std::bit_cast<std::uint64_t>(real));
  for (const Register input : inputs) key += " r" + std::to_string(input);
  for (const std::int64_t integer : integers) key += " " + std::to_string(integer);
  const auto [at, added] = known_.try_emplace(key, tape_.registers);
  if (!added) return at->second;
  tape_.instructions.push_back(
      {op, std::move(inputs), std::move(integers), real, tape_.registers, {}});
  return tape_.registers++;
}

Register TapeWriter::weight(std::vector<WeightRef> parts, std::vector<std::int64_t> sizes,
                            Role role) {
  std::string key = "weight " + std::to_string(static_cast<int>(role));
  for (std::size_t i = 0; i < parts.size(); ++i)
    key += "|" + (parts[i].present() ? parts[i].name : "0 x " + std::to_string(sizes[i]));
  const auto [at, added] = known_.try_emplace(key, tape_.registers);
  if (!added) return at->second;
  TapeWeight made;
  made.role = role;
  made.out = tape_.registers++;
  if (role == Role::kTable || role == Role::kMatrix) {
    made.shape = parts[0].tensor.shape;
    for (std::size_t i = 1; i < parts.size(); ++i) made.shape[0] += parts[i].tensor.shape[0];
  } else {
    made.shape = {std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0})};
  }
  made.parts = std::move(parts);
  made.sizes = std::move(sizes);
  tape_.weights.push_back(std::move(made));
  return tape_.weights.back().out;
}

Register TapeWriter::vector(const WeightRef& part) {
  if (!part.present()) return kNone;
  return weight({part}, {part.tensor.elements()}, Role::kNumbers);
}

Register TapeWriter::input(HostInput input, Role role, Needed needed) {
  for (const TapeInput& known : tape_.inputs) {
    if (same_input(known.input, input) && known.role == role && known.needed == needed)
      return known.out;
  }
  tape_.inputs.push_back({std::move(input), role, needed, tape_.registers++});
  return tape_.inputs.back().out;
}

Register TapeWriter::columns(const Columns& columns, std::int64_t width) {
  if (columns.begin == 0 && program_.value(columns.value).width == width)
    return value(columns.value);
  return slice(value(columns.value), 1, columns.begin, columns.begin + width);
}

Register TapeWriter::normed(NormKind kind, Register x, Register residual, const WeightRef& weight,
                            const WeightRef& bias, float eps) {
  return call(Op::kNorm, {x, residual, vector(weight), vector(bias)},
              {static_cast<std::int64_t>(kind)}, eps);
}

Register TapeWriter::product(Register x, const std::vector<WeightRef>& weights,
                             const std::vector<WeightRef>& biases, Activation activation) {
  std::vector<std::int64_t> sizes;
  sizes.reserve(weights.size());
  for (const WeightRef& part : weights) sizes.push_back(part.tensor.shape[0]);
  const bool biased = std::any_of(biases.begin(), biases.end(),
                                  [](const WeightRef& bias) { return bias.present(); });
  const Register bias = biased ? weight(biases, sizes, Role::kNumbers) : kNone;
  return call(Op::kLinear, {x, weight(weights, sizes, Role::kMatrix), bias},
              {static_cast<std::int64_t>(activation)});
}

const NormalizeStep* TapeWriter::only_normalized(ValueId id) const {
  const NormalizeStep* found = nullptr;
  if (program_.is_output(id)) return nullptr;
  for (const Step& step : program_.steps()) {
    const std::vector<ValueId> inputs = step_inputs(step.args);
    if (std::find(inputs.begin(), inputs.end(), id) == inputs.end()) continue;
    const auto* normalize = std::get_if<NormalizeStep>(&step.args);
    if (normalize == nullptr || found != nullptr) return nullptr;
    found = normalize;
  }
  return found;
}

Register TapeWriter::lower(const EmbedStep& step, ValueId) {
  const auto take = [&](const WeightRef& table, HostInput indices) {
    const Register rows = weight({table}, {table.tensor.elements()}, Role::kTable);
    return call(Op::kTake, {rows, input(std::move(indices), Role::kInteger)});
  };
  Register sum = take(step.tokens, host(Kind::kIds));
  if (step.scale != 1.0F) sum = call(Op::kScale, {sum}, {}, double{step.scale});
  if (step.types.present()) sum = call(Op::kAdd, {sum, take(step.types, host(Kind::kTypes))});
  if (step.positions.present()) {
    HostInput places = host(Kind::kPositions);
    places.embed = &step;
    sum = call(Op::kAdd, {sum, take(step.positions, std::move(places))});
  }
  return sum;
}

Register TapeWriter::lower(const NormStep& step, ValueId) {
  const Register residual = step.residual == kNoValue ? kNone : value(step.residual);
  return normed(step.kind, value(step.input), residual, step.weight, step.bias, step.eps);
}

Register TapeWriter::lower(const LinearStep& step, ValueId) {
  return product(value(step.input), step.weights, step.biases, step.activation);
}

Register TapeWriter::lower(const GatedLinearStep& step, ValueId) {
  const Register x = value(step.input);
  const Register gate = product(x, {step.gate}, {step.gate_bias}, step.activation);
  return call(Op::kMultiply, {gate, product(x, {step.up}, {step.up_bias}, Activation::kNone)});
}

Register TapeWriter::lower(const ExpertsStep&, ValueId) {
  fail(ErrorCode::kInternal, "padded", "expected a Program without reasons.");
}

Register TapeWriter::lower(const ResidualStep& step, ValueId) {
  return call(Op::kAdd, {value(step.a), value(step.b)});
}

Register TapeWriter::lower(const SelectRowsStep& step, ValueId) {
  const Register x = value(step.input);
  const std::int64_t width = program_.value(step.input).width;
  const Register row =
      step.select == SelectKind::kFirst
          ? slice(x, 2, 0, 1)
          : call(Op::kPool, {input(host(Kind::kLastRow), Role::kExact), x, kNone, kNone}, {0, -1});
  return call(Op::kReshape, {row}, {kTextsOfGroup, width});
}

Register TapeWriter::lower(const PoolStep& step, ValueId out) {
  const Register x = value(step.input);
  const std::int64_t width = program_.value(step.input).width;
  std::vector<Register> parts;
  std::vector<PoolMode> run;  // modes next to each other that are one product
  // One mode that is normalised and not read before is normalised in the same call.
  const bool one = step.modes.size() == 1 && step.modes[0] != PoolMode::kMax;
  const NormalizeStep* normalize = one ? only_normalized(out) : nullptr;
  const auto flush = [&] {
    if (run.empty()) return;
    const auto count = static_cast<std::int64_t>(run.size());
    HostInput weights = host(Kind::kPoolWeights);
    weights.modes = std::exchange(run, {});
    const std::int64_t mode = count == 1 ? static_cast<std::int64_t>(weights.modes[0]) : -1;
    const Register pooled = call(Op::kPool,
                                 {input(std::move(weights), Role::kExact), x,
                                  input(host(Kind::kTextLengths), Role::kInteger),
                                  input(host(Kind::kPoolBegins), Role::kInteger)},
                                 {normalize != nullptr ? 1 : 0, mode});
    parts.push_back(call(Op::kReshape, {pooled}, {kTextsOfGroup, count * width}));
  };
  for (const PoolMode mode : step.modes) {
    if (mode != PoolMode::kMax) {
      run.push_back(mode);
      continue;
    }
    flush();
    const Register largest = call(Op::kRowMaximum, {x, input(host(Kind::kPoolMask), Role::kExact)});
    parts.push_back(call(Op::kMultiply, {largest, input(host(Kind::kPoolAny), Role::kExact)}));
  }
  flush();
  const Register whole = parts.size() == 1 ? parts[0] : call(Op::kConcatenate, parts, {1});
  if (normalize != nullptr) {
    for (const Step& other : program_.steps()) {
      if (std::get_if<NormalizeStep>(&other.args) == normalize)
        values_[static_cast<std::size_t>(other.output)] = whole;
    }
  }
  return whole;
}

Register TapeWriter::lower(const VocabularyMaxStep& step, ValueId) {
  const Register rows = weight({step.weight}, {step.weight.tensor.shape[0]}, Role::kMatrix);
  const Register seen = input(host(step.sum ? Kind::kTextOnes : Kind::kTextMask), Role::kExact);
  return call(Op::kVocabularyMax,
              {value(step.input), rows, vector(step.bias), seen,
               input(host(Kind::kTextLengths), Role::kInteger)},
              {step.sum ? 1 : 0, step.activation == SparseActivation::kLog1pRelu ? 1 : 2});
}

Register TapeWriter::lower(const NormalizeStep& step, ValueId) {
  return call(Op::kNormalize, {value(step.input)});
}

Register TapeWriter::lower(const TruncateStep& step, ValueId) {
  return slice(value(step.input), 1, 0, step.width);
}

}  // namespace inlay::backend::padded
