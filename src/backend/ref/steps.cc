// Plain loops. Each follows the formula in program.h; nothing here is fast.
#include "backend/ref/steps.h"

#include <algorithm>
#include <cmath>

namespace inlay::backend::ref {
float dot(const float* a, const float* b, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * b[i];
  return static_cast<float>(sum);
}

namespace {

double gelu(double x) { return 0.5 * x * (1.0 + std::erf(x / std::sqrt(2.0))); }
double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double softplus(double x) { return x > 20.0 ? x : std::log1p(std::exp(x)); }  // torch's threshold

// Rows [begin, end) to one; positions count from `first`.
void pool_into(const Matrix& x, std::int64_t first, std::int64_t begin, std::int64_t end,
               PoolMode mode, float* out) {
  const std::int64_t kept = end - begin;
  if (kept < 1) return;  // nothing left to pool: zeros
  for (std::int64_t d = 0; d < x.width; ++d) {
    double sum = 0;
    double weights = 0;
    float largest = x.row(begin)[d];
    for (std::int64_t r = begin; r < end; ++r) {
      const double weight =
          mode == PoolMode::kWeightedMean ? static_cast<double>(r - first + 1) : 1.0;
      sum += weight * x.row(r)[d];
      weights += weight;
      largest = std::max(largest, x.row(r)[d]);
    }
    switch (mode) {
      case PoolMode::kCls:
        out[d] = x.row(begin)[d];
        break;
      case PoolMode::kLastToken:
        out[d] = x.row(end - 1)[d];
        break;
      case PoolMode::kMax:
        out[d] = largest;
        break;
      case PoolMode::kMean:
      case PoolMode::kWeightedMean:
        out[d] = static_cast<float>(sum / weights);
        break;
      case PoolMode::kMeanSqrtLen:
        out[d] = static_cast<float>(sum / std::sqrt(weights));
        break;
    }
  }
}

}  // namespace

Text text_of(const PackedBatch& batch, std::int64_t index) {
  const auto t = static_cast<std::size_t>(index);
  const auto begin = static_cast<std::size_t>(batch.offsets[t]);
  const std::size_t count = static_cast<std::size_t>(batch.offsets[t + 1]) - begin;
  Text text{batch.ids.subspan(begin, count), {}, 0, static_cast<std::int64_t>(count)};
  if (!batch.type_ids.empty()) text.type_ids = batch.type_ids.subspan(begin, count);
  if (!batch.pool_begin.empty()) text.pool_begin = batch.pool_begin[t];
  if (!batch.key_counts.empty()) text.key_count = batch.key_counts[t];
  text.first_row = batch.offsets[t];
  if (!batch.spans.empty()) {
    const auto first = static_cast<std::size_t>(batch.span_offsets[t]);
    text.spans =
        batch.spans.subspan(first, static_cast<std::size_t>(batch.span_offsets[t + 1]) - first);
  }
  return text;
}

const float* Context::weight(const WeightRef& ref) const {
  return ref.present() ? weights.at(ref.name).data() : nullptr;
}

double activate(Activation activation, double x) {
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kGelu:
      return gelu(x);
    case Activation::kGeluTanh:
      return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::kGeluQuick:
      return x * sigmoid(1.702 * x);
    case Activation::kGelu10:
      return std::clamp(gelu(x), -10.0, 10.0);
    case Activation::kRelu:
      return std::max(x, 0.0);
    case Activation::kRelu2:
      return std::max(x, 0.0) * std::max(x, 0.0);
    case Activation::kRelu6:
      return std::clamp(x, 0.0, 6.0);
    case Activation::kLeakyRelu:
      return x < 0 ? 0.01 * x : x;
    case Activation::kSilu:
      return x * sigmoid(x);
    case Activation::kMish:
      return x * std::tanh(softplus(x));
    case Activation::kTanh:
      return std::tanh(x);
    case Activation::kSigmoid:
      return sigmoid(x);
    case Activation::kHardswish:
      return x * std::clamp(x + 3.0, 0.0, 6.0) / 6.0;
    case Activation::kSqrtSoftplus:
      return std::sqrt(softplus(x));
    case Activation::kLaplace:
      return 0.5 * (1.0 + std::erf((x - 0.707107) / (0.282095 * std::sqrt(2.0))));
  }
  return x;
}

void run_step(const Context& c, const EmbedStep& step, Matrix* out) {
  const float* tokens = c.weight(step.tokens);
  const float* positions = c.weight(step.positions);
  const float* types = c.weight(step.types);
  std::int64_t position = step.position_offset;
  for (std::int64_t r = 0; r < out->rows; ++r) {
    const auto i = static_cast<std::size_t>(r);
    const std::int32_t id = c.text.ids[i];
    const std::int32_t type = c.text.type_ids.empty() ? 0 : c.text.type_ids[i];
    const bool pad = step.position_pad_id >= 0 && id == step.position_pad_id;
    const std::int64_t at = pad ? step.position_pad_id : position++;
    for (std::int64_t d = 0; d < out->width; ++d) {
      float sum = step.scale * tokens[id * out->width + d];
      if (types != nullptr) sum += types[type * out->width + d];
      if (positions != nullptr) sum += positions[at * out->width + d];
      out->row(r)[d] = sum;
    }
  }
}

void run_step(const Context& c, const NormStep& step, Matrix* out) {
  const Matrix& x = c.value(step.input);
  const float* weight = c.weight(step.weight);
  const float* bias = c.weight(step.bias);
  std::vector<double> row(static_cast<std::size_t>(out->width));
  for (std::int64_t r = 0; r < out->rows; ++r) {
    double mean = 0;
    for (std::int64_t d = 0; d < out->width; ++d) {
      double sum = x.row(r)[d];
      if (step.residual != kNoValue) sum += c.value(step.residual).row(r)[d];
      row[static_cast<std::size_t>(d)] = sum;
      mean += sum;
    }
    mean = step.kind == NormKind::kLayer ? mean / static_cast<double>(out->width) : 0.0;
    double variance = 0;
    for (const double v : row) variance += (v - mean) * (v - mean);
    const double scale = 1.0 / std::sqrt(variance / static_cast<double>(out->width) + step.eps);
    for (std::int64_t d = 0; d < out->width; ++d) {
      double v = (row[static_cast<std::size_t>(d)] - mean) * scale;
      if (weight != nullptr) v *= weight[d];
      if (bias != nullptr) v += bias[d];
      out->row(r)[d] = static_cast<float>(v);
    }
  }
}

void run_step(const Context& c, const LinearStep& step, Matrix* out) {
  const Matrix& x = c.value(step.input);
  std::int64_t column = 0;
  for (std::size_t i = 0; i < step.weights.size(); ++i) {
    const float* weight = c.weight(step.weights[i]);
    const float* bias = step.biases.empty() ? nullptr : c.weight(step.biases[i]);
    const std::int64_t n = step.weights[i].tensor.shape[0];
    for (std::int64_t r = 0; r < out->rows; ++r) {
      for (std::int64_t j = 0; j < n; ++j) {
        const double sum = static_cast<double>(dot(x.row(r), weight + j * x.width, x.width)) +
                           (bias != nullptr ? bias[j] : 0.0F);
        out->row(r)[column + j] = static_cast<float>(activate(step.activation, sum));
      }
    }
    column += n;
  }
}

namespace {
// out[j] = activation(x . weight[j] + bias[j]) for the n rows of weight.
void linear_row(const float* x, std::int64_t width, const float* weight, const float* bias,
                std::int64_t n, Activation activation, float* out) {
  for (std::int64_t j = 0; j < n; ++j) {
    const double sum =
        static_cast<double>(dot(x, weight + j * width, width)) + (bias != nullptr ? bias[j] : 0.0F);
    out[j] = static_cast<float>(activate(activation, sum));
  }
}
}  // namespace

void run_step(const Context& c, const GatedLinearStep& step, Matrix* out) {
  const Matrix& x = c.value(step.input);
  std::vector<float> up(static_cast<std::size_t>(out->width));
  for (std::int64_t r = 0; r < out->rows; ++r) {
    linear_row(x.row(r), x.width, c.weight(step.gate), c.weight(step.gate_bias), out->width,
               step.activation, out->row(r));
    linear_row(x.row(r), x.width, c.weight(step.up), c.weight(step.up_bias), out->width,
               Activation::kNone, up.data());
    for (std::int64_t d = 0; d < out->width; ++d) out->row(r)[d] *= up[static_cast<std::size_t>(d)];
  }
}

void run_step(const Context& c, const ExpertsStep& step, Matrix* out) {
  const Matrix& x = c.value(step.input);
  const std::int64_t experts = step.router.tensor.shape[0];
  const std::int64_t hidden = step.up.tensor.shape[0] / experts;
  const float* bias = c.weight(step.bias);
  std::vector<float> logits(static_cast<std::size_t>(experts));
  std::vector<float> middle(static_cast<std::size_t>(hidden));
  std::vector<double> sum(static_cast<std::size_t>(x.width));
  for (std::int64_t r = 0; r < out->rows; ++r) {
    linear_row(x.row(r), x.width, c.weight(step.router), nullptr, experts, Activation::kNone,
               logits.data());
    const float largest = *std::max_element(logits.begin(), logits.end());
    double total = 0;
    for (const float logit : logits) total += std::exp(static_cast<double>(logit) - largest);
    std::fill(sum.begin(), sum.end(), 0.0);
    for (std::int64_t e = 0; e < experts; ++e) {
      const float mine = logits[static_cast<std::size_t>(e)];
      std::int64_t better = 0;  // experts liked more, or as much and earlier
      for (std::int64_t o = 0; o < experts; ++o) {
        const float other = logits[static_cast<std::size_t>(o)];
        if (other > mine || (other == mine && o < e)) ++better;
      }
      if (better >= step.top_k) continue;
      const double share = std::exp(static_cast<double>(mine) - largest) / total;
      linear_row(x.row(r), x.width, c.weight(step.up) + e * hidden * x.width, nullptr, hidden,
                 step.activation, middle.data());
      const float* down = c.weight(step.down) + e * hidden * x.width;
      for (std::int64_t j = 0; j < hidden; ++j) {
        const double factor = share * middle[static_cast<std::size_t>(j)];
        for (std::int64_t d = 0; d < x.width; ++d)
          sum[static_cast<std::size_t>(d)] += factor * down[j * x.width + d];
      }
    }
    for (std::int64_t d = 0; d < x.width; ++d) {
      out->row(r)[d] =
          static_cast<float>(sum[static_cast<std::size_t>(d)] + (bias != nullptr ? bias[d] : 0.0F));
    }
  }
}

void run_step(const Context& c, const VocabularyMaxStep& step, Matrix* out) {
  const Matrix& x = c.value(step.input);
  std::vector<float> logits(static_cast<std::size_t>(out->width));
  std::vector<double> best(static_cast<std::size_t>(out->width), 0.0);  // f is never below 0
  for (std::int64_t r = 0; r < x.rows; ++r) {
    if (step.weight.present()) {
      linear_row(x.row(r), x.width, c.weight(step.weight), c.weight(step.bias), out->width,
                 Activation::kRelu, logits.data());
    } else {
      std::transform(x.row(r), x.row(r) + x.width, logits.begin(),
                     [](float logit) { return std::max(logit, 0.0F); });
    }
    for (std::int64_t v = 0; v < out->width; ++v) {
      double weight = std::log1p(static_cast<double>(logits[static_cast<std::size_t>(v)]));
      if (step.activation == SparseActivation::kLog1pLog1pRelu) weight = std::log1p(weight);
      double& kept = best[static_cast<std::size_t>(v)];
      kept = step.sum ? kept + weight : std::max(kept, weight);
    }
  }
  for (std::int64_t v = 0; v < out->width; ++v)
    out->row(0)[v] = static_cast<float>(best[static_cast<std::size_t>(v)]);
}

void run_step(const Context& c, const ResidualStep& step, Matrix* out) {
  const Matrix& a = c.value(step.a);
  const Matrix& b = c.value(step.b);
  for (std::size_t i = 0; i < out->data.size(); ++i) out->data[i] = a.data[i] + b.data[i];
}

void run_step(const Context& c, const SelectRowsStep& step, Matrix* out) {
  const Matrix& x = c.value(step.input);
  const float* row = x.row(step.select == SelectKind::kFirst ? 0 : x.rows - 1);
  std::copy(row, row + x.width, out->row(0));
}

void run_step(const Context& c, const PoolStep& step, Matrix* out) {
  const Matrix& x = c.value(step.input);
  for (std::size_t m = 0; m < step.modes.size(); ++m) {
    const std::int64_t column = static_cast<std::int64_t>(m) * x.width;
    if (!step.spans) {
      pool_into(x, 0, c.text.pool_begin, x.rows, step.modes[m], out->row(0) + column);
      continue;
    }
    for (std::int64_t s = 0; s < out->rows; ++s) {
      const auto& span = c.text.spans[static_cast<std::size_t>(s)];
      const std::int64_t begin = span.first - c.text.first_row;
      pool_into(x, begin, begin, span.second - c.text.first_row, step.modes[m],
                out->row(s) + column);
    }
  }
}

void run_step(const Context& c, const NormalizeStep& step, Matrix* out) {
  const Matrix& x = c.value(step.input);
  for (std::int64_t r = 0; r < out->rows; ++r) {
    double squares = 0;
    for (std::int64_t d = 0; d < out->width; ++d)
      squares += static_cast<double>(x.row(r)[d]) * x.row(r)[d];
    const double norm = std::max(std::sqrt(squares), 1e-12);
    for (std::int64_t d = 0; d < out->width; ++d)
      out->row(r)[d] = static_cast<float>(x.row(r)[d] / norm);
  }
}

void run_step(const Context& c, const TruncateStep& step, Matrix* out) {
  const Matrix& x = c.value(step.input);
  for (std::int64_t r = 0; r < out->rows; ++r)
    std::copy(x.row(r), x.row(r) + step.width, out->row(r));
}

std::vector<const WeightRef*> step_weights(const StepArgs& args) {
  std::vector<const WeightRef*> found;
  visit_weights(args, [&](const WeightRef& weight) {
    if (weight.present()) found.push_back(&weight);
  });
  return found;
}

}  // namespace inlay::backend::ref
