// The rare activations, in double, one element at a time: the same bits on every instruction set.
#include <algorithm>
#include <cmath>

#include "backend/cpu/kernels.h"

namespace inlay::backend::cpu {
namespace {

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double softplus(double x) { return x > 20.0 ? x : std::log1p(std::exp(x)); }  // torch's threshold

double activate(Activation activation, double x) {
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kGelu:
      return 0.5 * x * (1.0 + std::erf(x * M_SQRT1_2));
    case Activation::kGeluTanh:
      return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::kGeluQuick:
      return x * sigmoid(1.702 * x);
    case Activation::kGelu10:
      return std::clamp(0.5 * x * (1.0 + std::erf(x * M_SQRT1_2)), -10.0, 10.0);
    case Activation::kRelu:
      return x < 0.0 ? 0.0 : x;
    case Activation::kRelu2:
      return x < 0.0 ? 0.0 : x * x;
    case Activation::kRelu6:
      return std::clamp(x, 0.0, 6.0);
    case Activation::kLeakyRelu:
      return x < 0.0 ? 0.01 * x : x;
    case Activation::kSilu:
      return x * sigmoid(x);
    case Activation::kMish:
      return x * std::tanh(softplus(x));
    case Activation::kTanh:
      return std::tanh(x);
    case Activation::kSigmoid:
      return sigmoid(x);
    case Activation::kHardswish:
      return x * (std::clamp(x + 3.0, 0.0, 6.0) / 6.0);
    case Activation::kSqrtSoftplus:
      return std::sqrt(softplus(x));
    case Activation::kLaplace:
      return 0.5 * (1.0 + std::erf((x - 0.707107) / (0.282095 * M_SQRT2)));
  }
  return x;
}

}  // namespace

void activate_scalar(Activation activation, float* values, Index count) {
  for (Index i = 0; i < count; ++i) {
    values[i] = static_cast<float>(activate(activation, static_cast<double>(values[i])));
  }
}

void log1p_relu(float* values, Index count, bool twice) {
  for (Index i = 0; i < count; ++i) {
    if (values[i] <= 0.0F) {  // most of a vocabulary
      values[i] = 0;
      continue;
    }
    const double once = std::log1p(static_cast<double>(values[i]));
    values[i] = static_cast<float>(twice ? std::log1p(once) : once);
  }
}

}  // namespace inlay::backend::cpu
