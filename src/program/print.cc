// The Program as text: one step a line, value = kind(inputs) with what matters, then rows and
// width.
#include <type_traits>

#include "program/program.h"

namespace inlay {
namespace {

std::string value_name(ValueId id) { return "%" + std::to_string(id); }
std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

std::string columns(const Columns& c) {
  return c.begin == 0 ? value_name(c.value)
                      : value_name(c.value) + "[" + std::to_string(c.begin) + ":]";
}

const char* mode_name(PoolMode mode) {
  static constexpr const char* kNames[] = {
      "cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"};
  return kNames[static_cast<std::size_t>(mode)];
}

struct Describe {
  std::string operator()(const ExternalGraphStep& s) const {
    std::string text = s.graph.name + ", " + s.dtype + ", ";
    for (const ExternalGraphStep::Given& given : s.inputs) text += given.name + " ";
    return text + "to " + s.output;
  }
  std::string operator()(const EmbedStep& s) const {
    std::string text = s.tokens.name;
    if (s.positions.present())
      text += ", " + s.positions.name + " from " + std::to_string(s.position_offset);
    if (s.position_pad_id >= 0) text += " skipping id " + std::to_string(s.position_pad_id);
    if (s.types.present()) text += ", " + s.types.name;
    if (s.scale != 1.0F) text += ", scale " + number(s.scale);
    return text;
  }
  std::string operator()(const NormStep& s) const {
    std::string text = value_name(s.input);
    if (s.residual != kNoValue) text += " + " + value_name(s.residual);
    text += s.kind == NormKind::kLayer ? ", layer" : ", rms";
    if (s.weight.present()) text += ", " + s.weight.name;
    return text + ", eps " + number(s.eps);
  }
  std::string operator()(const LinearStep& s) const {
    std::string text = value_name(s.input);
    for (const WeightRef& weight : s.weights) text += ", " + weight.name;
    if (s.biases.empty()) text += ", no bias";
    if (s.activation != Activation::kNone)
      text += std::string(", ") + activation_name(s.activation);
    return text;
  }
  std::string operator()(const AttentionStep& s) const {
    std::string text = "q " + columns(s.query) + ", k " + columns(s.key) +
                       (s.probabilities ? ", probabilities" : ", v " + columns(s.value)) + ", " +
                       std::to_string(s.heads) + " heads";
    if (s.kv_heads != s.heads) text += " over " + std::to_string(s.kv_heads);
    text += " of " + std::to_string(s.head_size) + ", scale " + number(s.scale);
    if (s.causal) text += ", causal";
    if (s.window >= 0) text += ", window " + std::to_string(s.window);
    if (s.query_norm.weight.present()) text += ", query norm " + s.query_norm.weight.name;
    if (s.key_norm.weight.present()) text += ", key norm " + s.key_norm.weight.name;
    if (!s.rope.inv_freq.empty()) {
      text += ", rope of " + std::to_string(2 * s.rope.inv_freq.size()) + " columns";
      if (s.rope.interleaved) text += " interleaved";
    }
    if (!s.alibi.empty()) text += ", alibi";
    if (s.relative_bias.present()) text += ", bias " + s.relative_bias.name;
    if (s.disentangled.embeddings.present())
      text += ", disentangled " + s.disentangled.embeddings.name;
    return text;
  }
  std::string operator()(const GatedLinearStep& s) const {
    return value_name(s.input) + ", " + activation_name(s.activation) + " of " + s.gate.name +
           ", times " + s.up.name;
  }
  std::string operator()(const ExpertsStep& s) const {
    return value_name(s.input) + ", " + std::to_string(s.top_k) + " of " +
           std::to_string(s.router.tensor.shape[0]) + " by " + s.router.name + ", " + s.up.name +
           ", " + activation_name(s.activation) + ", " + s.down.name;
  }
  std::string operator()(const VocabularyMaxStep& s) const {
    return value_name(s.input) + ", " + (s.weight.present() ? s.weight.name : "logits") +
           (s.sum ? ", sum" : ", max") +
           (s.activation == SparseActivation::kLog1pRelu ? " of log1p(relu)"
                                                         : " of log1p(log1p(relu))");
  }
  std::string operator()(const ResidualStep& s) const {
    return value_name(s.a) + ", " + value_name(s.b);
  }
  std::string operator()(const SelectRowsStep& s) const {
    return value_name(s.input) + (s.select == SelectKind::kFirst ? ", first" : ", last");
  }
  std::string operator()(const PoolStep& s) const {
    std::string text = value_name(s.input);
    for (const PoolMode mode : s.modes) text += std::string(", ") + mode_name(mode);
    return s.spans ? text + ", spans" : text;
  }
  std::string operator()(const NormalizeStep& s) const { return value_name(s.input); }
  std::string operator()(const TruncateStep& s) const {
    return value_name(s.input) + ", " + std::to_string(s.width);
  }
};

}  // namespace

std::string Program::text() const {
  std::string out;
  for (const Step& step : steps_) {
    const Value& result = value(step.output);
    out += value_name(step.output) + " = " + step_kind_name(step.args) + "(" +
           std::visit(Describe{}, step.args) + ")  [" + rows_name(result.rows) + ", " +
           std::to_string(result.width) + "]  # " + step.name + "\n";
  }
  out += "return";
  for (const ValueId id : outputs_) out += (id == outputs_[0] ? " " : ", ") + value_name(id);
  return out + "\n";
}

}  // namespace inlay
