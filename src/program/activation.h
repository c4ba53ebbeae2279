// The activation functions of the field by the names that config.json uses, each with its exact
// formula.
#pragma once

#include <optional>
#include <string_view>

namespace inlay {

// Formulas after transformers' activations.py; x is one element.
enum class Activation {
  kNone,       // x
  kGelu,       // x/2 (1 + erf(x / sqrt 2))
  kGeluTanh,   // x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
  kGeluQuick,  // x sigmoid(1.702 x)
  kGelu10,     // gelu clipped to [-10, 10]
  kRelu,       // max(x, 0)
  kRelu2,      // max(x, 0)^2
  kRelu6,      // min(max(x, 0), 6)
  kLeakyRelu,  // x, or 0.01 x when negative
  kSilu,       // x sigmoid(x)
  kMish,       // x tanh(log(1 + e^x))
  kTanh,
  kSigmoid,
  kHardswish,     // x min(max(x + 3, 0), 6) / 6
  kSqrtSoftplus,  // sqrt(log(1 + e^x)), the softplus being x itself above 20
  kLaplace,       // (1 + erf((x - 0.707107) / (0.282095 sqrt 2))) / 2
};

// The spelling of `hidden_act` in config.json, or a torch class name's last part ("Tanh",
// "Identity").
std::optional<Activation> activation_from_name(std::string_view name) noexcept;
const char* activation_name(Activation activation) noexcept;

}  // namespace inlay
