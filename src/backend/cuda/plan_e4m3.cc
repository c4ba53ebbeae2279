// Which products of dtype fp8 have factors of 8 bits, and where those come from. Weights are
// rounded row by row. Inputs are rounded by whoever writes them: norms (before their weight and
// bias, which go into the product), GELU behind a product, attention. Their scales are known from
// weights alone: rows of unit variance bound what a product makes of them, and no attention exceeds
// its values. So a text's bits depend on nothing but the text. Products of anything else stay in 16
// bits.
#include <algorithm>

#include "backend/cuda/planner.h"

namespace inlay::backend::cuda {
namespace {

constexpr std::int64_t kUnit = 16;  // elements of e4m3 that copies of tiles come in

struct ProductOf {
  ValueId input = kNoValue;
  std::vector<WeightRef> weights;
};
// What a step multiplies; no input where it is no product over rows.
ProductOf product_of(const StepArgs& args) {
  if (const auto* linear = std::get_if<LinearStep>(&args)) return {linear->input, linear->weights};
  if (const auto* gated = std::get_if<GatedLinearStep>(&args))
    return {gated->input, {gated->gate, gated->up}};
  return {};
}

std::int64_t rows_of(const std::vector<WeightRef>& parts) {
  std::int64_t rows = 0;
  for (const WeightRef& part : parts) rows += part.tensor.shape[0];
  return rows;
}

}  // namespace

bool Planner::takes_e4m3(std::size_t i) const {
  if (!e4m3_ || !live_[i]) return false;
  const Step& step = program_.steps()[i];
  const ProductOf product = product_of(step.args);
  return product.input != kNoValue && program_.value(step.output).rows == Rows::kTokens &&
         !is_fp32(step.output) && rows_of(product.weights) % kUnit == 0 &&
         product.weights[0].tensor.shape[1] % kUnit == 0;
}

bool Planner::feeds_e4m3(ValueId value) const {
  for (std::size_t i = 0; i < program_.steps().size(); ++i) {
    if (takes_e4m3(i) && product_of(program_.steps()[i].args).input == value) return true;
  }
  return false;
}

bool Planner::feeds_only_e4m3(ValueId value) const {
  if (program_.is_output(value) || uses_[static_cast<std::size_t>(value)] == 0) return false;
  for (std::size_t i = 0; i < program_.steps().size(); ++i) {
    if (!live_[i] || takes_e4m3(i)) continue;
    const std::vector<ValueId> inputs = step_inputs(program_.steps()[i].args);
    if (std::find(inputs.begin(), inputs.end(), value) != inputs.end()) return false;
  }
  return true;
}

Place Planner::place_e4m3(ValueId value, const Place& scale) {
  Place& place = e4m3_places_[static_cast<std::size_t>(value)];
  place = take_slot(RowKind::kTokens, program_.value(value).width, Type::kE4M3);
  e4m3_scales_[static_cast<std::size_t>(value)] = scale;
  return place;
}

void Planner::place_norm(ValueId value, Place* out, Place* quantized) {
  if (program_.value(value).rows == Rows::kTokens && feeds_e4m3(value))
    *quantized = place_e4m3(value, {});
  if (!present(*quantized) || !feeds_only_e4m3(value)) *out = place_result(value);
}

bool Planner::e4m3_linear(std::size_t i, ValueId input, const std::vector<WeightRef>& weights,
                          const std::vector<WeightRef>& bias, Activation activation,
                          const Place* out) {
  const Place in = e4m3_places_[static_cast<std::size_t>(input)];
  if (!takes_e4m3(i) || !present(in)) return false;
  const ValueId output = program_.steps()[i].output;
  const StepArgs& source = program_.steps()[index_of(input)].args;
  const auto space = [&](std::int64_t count) {
    WeightSpec spec;
    spec.kind = WeightSpec::Kind::kSpace;
    spec.n = 1;
    spec.k = spec.ld = count;
    return weight(std::move(spec));
  };
  Op op{};
  op.kind = OpKind::kLinear;
  LinearOp& args = op.linear;
  WeightSpec spec;
  spec.kind = WeightSpec::Kind::kMatrix;
  spec.type = Type::kE4M3;
  spec.parts = weights;
  spec.n = args.n = rows_of(weights);
  spec.k = spec.ld = args.k = weights[0].tensor.shape[1];
  spec.e4m3.biases = bias;
  args.in = in;
  args.scales = space(args.n);
  args.bias_f32 = space(args.n);
  args.activation = activation;
  spec.e4m3.scales = args.scales.offset;
  spec.e4m3.bias = args.bias_f32.offset;
  const auto* norm = std::get_if<NormStep>(&source);
  if (norm != nullptr) {
    spec.e4m3.factor = norm->weight;
    spec.e4m3.shift = norm->bias;
  } else {
    spec.e4m3.input_scale = e4m3_scales_[static_cast<std::size_t>(input)].offset;
  }
  if (out != nullptr) {
    args.out = *out;
  } else if (norm != nullptr && activation == Activation::kGelu && feeds_only_e4m3(output)) {
    args.out_scale = space(1);
    args.out = place_e4m3(output, args.out_scale);
    spec.e4m3.bound_end = args.n;
  } else {
    args.out = place_result(output);
    for (const Step& step : program_.steps()) {  // the values of attention
      const auto* attention = std::get_if<AttentionStep>(&step.args);
      if (norm == nullptr || activation != Activation::kNone || attention == nullptr ||
          attention->probabilities || attention->value.value != output)
        continue;
      if (!present(e4m3_scales_[static_cast<std::size_t>(output)]))
        e4m3_scales_[static_cast<std::size_t>(output)] = space(1);
      const std::int64_t begin = attention->value.begin;
      const std::int64_t end = begin + attention->kv_heads * attention->head_size;
      const bool first = spec.e4m3.bound_end == 0;
      spec.e4m3.bound_begin = first ? begin : std::min(spec.e4m3.bound_begin, begin);
      spec.e4m3.bound_end = std::max(spec.e4m3.bound_end, end);
    }
  }
  const Place scale = e4m3_scales_[static_cast<std::size_t>(output)];
  if (present(scale)) spec.e4m3.out_scale = scale.offset;
  args.weight = weight(std::move(spec));
  plan_.ops.push_back(op);
  return true;
}

}  // namespace inlay::backend::cuda
