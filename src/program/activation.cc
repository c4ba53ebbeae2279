// Names of activations, after transformers' ACT2FN and torch.nn.modules.activation.
#include "program/activation.h"

#include <array>

namespace inlay {
namespace {

struct Name {
  std::string_view text;
  Activation activation;
};

// The first entry of an activation is the one printed.
constexpr std::array<Name, 29> kNames{{
    {"none", Activation::kNone},
    {"linear", Activation::kNone},
    {"Identity", Activation::kNone},
    {"gelu", Activation::kGelu},
    {"gelu_python", Activation::kGelu},
    {"GELU", Activation::kGelu},
    {"gelu_new", Activation::kGeluTanh},
    {"gelu_pytorch_tanh", Activation::kGeluTanh},
    {"gelu_python_tanh", Activation::kGeluTanh},
    {"gelu_fast", Activation::kGeluTanh},
    {"gelu_accurate", Activation::kGeluTanh},
    {"quick_gelu", Activation::kGeluQuick},
    {"gelu_10", Activation::kGelu10},
    {"relu", Activation::kRelu},
    {"ReLU", Activation::kRelu},
    {"relu2", Activation::kRelu2},
    {"relu6", Activation::kRelu6},
    {"leaky_relu", Activation::kLeakyRelu},
    {"silu", Activation::kSilu},
    {"swish", Activation::kSilu},
    {"SiLU", Activation::kSilu},
    {"mish", Activation::kMish},
    {"tanh", Activation::kTanh},
    {"Tanh", Activation::kTanh},
    {"hardswish", Activation::kHardswish},
    {"sqrtsoftplus", Activation::kSqrtSoftplus},
    {"laplace", Activation::kLaplace},
    {"sigmoid", Activation::kSigmoid},
    {"Sigmoid", Activation::kSigmoid},
}};

}  // namespace

std::optional<Activation> activation_from_name(std::string_view name) noexcept {
  for (const auto& entry : kNames) {
    if (entry.text == name) return entry.activation;
  }
  return std::nullopt;
}

const char* activation_name(Activation activation) noexcept {
  for (const auto& entry : kNames) {
    if (entry.activation == activation) return entry.text.data();
  }
  return "none";
}

}  // namespace inlay
