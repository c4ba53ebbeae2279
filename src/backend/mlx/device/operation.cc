// Every operation in MLX's own terms, the twin of each kernel included.
#include "backend/mlx/device/operation.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>
#include <vector>

#include "backend/mlx/device/own_kernels.h"
#include "program/program.h"

namespace inlay::backend::mlx {
namespace {

using padded::Call;
using padded::Op;

// Columns of the vocabulary whose logits exist at one time.
constexpr int kVocabularyTile = 4096;
// Head sizes for which MLX has fused attention on Metal; others are padded with zeros to the next,
// which changes no score, and beyond the last MLX takes the long way itself.
constexpr int kFusedHeads[] = {64, 80, 96, 128};

class Operation {
 public:
  Operation(Session& session, const Call& call)
      : session_(session), call_(call), s_(session.device) {}
  mx::array run() const;

 private:
  bool has(std::size_t i) const { return i < call_.input_count && call_.inputs[i] != nullptr; }
  const Held& whole(std::size_t i) const {
    if (!has(i)) throw std::invalid_argument("an operand is missing");
    return *held(call_.inputs[i]);
  }
  const mx::array& in(std::size_t i) const { return whole(i).values; }
  int integer(std::size_t i) const { return static_cast<int>(call_.integers[i]); }
  std::optional<mx::array> maybe(std::size_t i) const {
    return has(i) ? std::optional<mx::array>(in(i)) : std::nullopt;
  }

  mx::array exact(const mx::array& x) const { return mx::astype(x, mx::float32, s_); }
  mx::array scalar(double value, const mx::array& like) const {
    return mx::array(static_cast<float>(value), like.dtype());
  }
  mx::array scaled(const mx::array& x, double factor) const {
    return mx::multiply(x, scalar(factor, x), s_);
  }
  mx::array product(const mx::array& x, const Held& weight, int begin, int end) const;
  mx::array take() const;
  mx::array linear() const;
  mx::array activated(Activation activation, const mx::array& x) const;
  mx::array gelu(const mx::array& x) const;
  mx::array norm() const;
  mx::array attention() const;
  mx::array shares(const mx::array& q, const mx::array& k) const;
  mx::array by_head(const mx::array& x, int heads) const;
  mx::array slice() const;
  mx::array pool() const;
  mx::array vocabulary_max() const;
  mx::array normalized(const mx::array& x) const;

  Session& session_;
  const Call& call_;
  const mx::StreamOrDevice s_;
};

mx::array Operation::run() const {
  switch (call_.op) {
    case Op::kTake:
      return take();
    case Op::kAdd:
      return mx::add(in(0), in(1), s_);
    case Op::kMultiply:
      return mx::multiply(in(0), in(1), s_);
    case Op::kScale:
      return scaled(in(0), call_.real);
    case Op::kLinear:
      return linear();
    case Op::kNorm:
      return norm();
    case Op::kAttention:
      return attention();
    case Op::kSlice:
      return slice();
    case Op::kConcatenate: {
      std::vector<mx::array> parts;
      for (std::size_t i = 0; i < call_.input_count; ++i) parts.push_back(in(i));
      return mx::concatenate(std::move(parts), -integer(0), s_);
    }
    case Op::kReshape:
      return mx::reshape(in(0), mx::Shape(call_.integers, call_.integers + call_.integer_count),
                         s_);
    case Op::kPool:
      return pool();
    case Op::kRowMaximum:
      return mx::max(mx::add(exact(in(0)), in(1), s_), 1, false, s_);
    case Op::kVocabularyMax:
      return vocabulary_max();
    case Op::kNormalize:
      return normalized(in(0));
  }
  throw std::invalid_argument("an operation that this library does not know");
}

// x W^T with rows [begin, end) of W.
mx::array Operation::product(const mx::array& x, const Held& weight, int begin, int end) const {
  const auto rows = [&](const mx::array& all) {
    if (begin == 0 && end == all.shape(0)) return all;
    return mx::slice(all, {begin, 0}, {end, all.shape(1)}, s_);
  };
  const mx::array values = mx::astype(x, session_.dtype, s_);
  if (weight.bits == 0)
    return mx::matmul(values, mx::transpose(rows(weight.values), {1, 0}, s_), s_);
  return mx::quantized_matmul(values, rows(weight.values), rows(*weight.scales),
                              rows(*weight.offsets), true, weight.group, weight.bits, "affine", s_);
}

mx::array Operation::take() const {
  const Held& table = whole(0);
  const auto rows = [&](const mx::array& all) { return mx::take(all, in(1), 0, s_); };
  if (table.bits == 0) return rows(table.values);
  return mx::dequantize(rows(table.values), rows(*table.scales), rows(*table.offsets), table.group,
                        table.bits, "affine", std::nullopt, std::nullopt, s_);
}

mx::array Operation::linear() const {
  const auto activation = static_cast<Activation>(integer(0));
  mx::array out = product(in(0), whole(1), 0, in(1).shape(0));
  if (has(2)) {
    if (activation == Activation::kGelu) {
      if (const auto own = own_bias_gelu(session_, out, in(2))) return *own;
    }
    out = mx::add(out, in(2), s_);
  }
  return activated(activation, out);
}

// x / 2 (1 + erf(x / sqrt 2))
mx::array Operation::gelu(const mx::array& x) const {
  const mx::array erf = mx::erf(scaled(x, 1 / std::sqrt(2.0)), s_);
  return mx::multiply(scaled(x, 0.5), mx::add(erf, scalar(1, x), s_), s_);
}

mx::array Operation::activated(Activation activation, const mx::array& x) const {
  const auto times_sigmoid = [&](double factor) {
    return mx::multiply(x, mx::sigmoid(scaled(x, factor), s_), s_);
  };
  const auto clipped = [&](const mx::array& v, double low, double high) {
    return mx::clip(v, scalar(low, v), scalar(high, v), s_);
  };
  const mx::array zero = scalar(0, x);
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kGelu:
      return gelu(x);
    case Activation::kGeluTanh: {
      const mx::array cube = mx::multiply(mx::multiply(x, x, s_), x, s_);
      const mx::array inner =
          scaled(mx::add(x, scaled(cube, 0.044715), s_), std::sqrt(2 / std::acos(-1.0)));
      return mx::multiply(scaled(x, 0.5), mx::add(mx::tanh(inner, s_), scalar(1, x), s_), s_);
    }
    case Activation::kGeluQuick:
      return times_sigmoid(1.702);
    case Activation::kGelu10:
      return clipped(gelu(x), -10, 10);
    case Activation::kRelu:
      return mx::maximum(x, zero, s_);
    case Activation::kRelu2:
      return mx::square(mx::maximum(x, zero, s_), s_);
    case Activation::kRelu6:
      return clipped(x, 0, 6);
    case Activation::kLeakyRelu:
      return mx::maximum(x, scaled(x, 0.01), s_);
    case Activation::kSilu:
      return times_sigmoid(1);
    case Activation::kMish:
      return mx::multiply(x, mx::tanh(mx::logaddexp(x, zero, s_), s_), s_);
    case Activation::kTanh:
      return mx::tanh(x, s_);
    case Activation::kSigmoid:
      return mx::sigmoid(x, s_);
    case Activation::kHardswish:
      return scaled(mx::multiply(x, clipped(mx::add(x, scalar(3, x), s_), 0, 6), s_), 1.0 / 6);
    case Activation::kSqrtSoftplus:
      return mx::sqrt(mx::logaddexp(x, zero, s_), s_);
    case Activation::kLaplace: {
      const mx::array centred =
          scaled(mx::subtract(x, scalar(0.707107, x), s_), 1 / (0.282095 * std::sqrt(2.0)));
      return scaled(mx::add(mx::erf(centred, s_), scalar(1, x), s_), 0.5);
    }
  }
  return x;
}

mx::array Operation::norm() const {
  const auto eps = static_cast<float>(call_.real);
  const bool layer = static_cast<NormKind>(integer(0)) == NormKind::kLayer;
  if (layer && has(1) && has(2) && has(3)) {
    if (const auto own = own_residual_norm(session_, in(0), in(1), in(2), in(3), call_.real))
      return *own;
  }
  const mx::array x = has(1) ? mx::add(in(0), in(1), s_) : in(0);
  if (layer) return mx::fast::layer_norm(x, maybe(2), maybe(3), eps, s_);
  const mx::array out = mx::fast::rms_norm(x, maybe(2), eps, s_);
  return has(3) ? mx::add(out, in(3), s_) : out;
}

// [T, rows, n D] as [T, n, rows, D].
mx::array Operation::by_head(const mx::array& x, int heads) const {
  const mx::array split = mx::reshape(x, {x.shape(0), x.shape(1), heads, x.shape(2) / heads}, s_);
  return mx::transpose(split, {0, 2, 1, 3}, s_);
}

mx::array Operation::attention() const {
  const int heads = integer(0);
  const int kv_heads = integer(1);
  const int size = integer(2);
  if (!has(2)) return shares(by_head(in(0), heads), by_head(in(1), kv_heads));
  if (integer(3) != 0) {
    const AttentionShape shape{heads, kv_heads, size, integer(4) != 0, integer(5), call_.real};
    if (const auto own = own_attention(session_, shape, in(0), in(1), in(2), in(4))) return *own;
  }
  int padded_size = size;
  if (session_.device == mx::Device::gpu) {
    for (const int fused : kFusedHeads) {
      if (padded_size == size && fused >= size) padded_size = fused;
    }
  }
  const auto ready = [&](std::size_t i, int count) {
    const mx::array x = by_head(in(i), count);
    if (padded_size == size) return x;
    return mx::pad(x, {{0, 0}, {0, 0}, {0, 0}, {0, padded_size - size}}, mx::array(0.0F),
                   "constant", s_);
  };
  mx::array out = mx::fast::scaled_dot_product_attention(
      ready(0, heads), ready(1, kv_heads), ready(2, kv_heads), static_cast<float>(call_.real),
      has(3) ? "array" : "", maybe(3), {}, false, s_);
  if (padded_size != size)
    out = mx::slice(out, {0, 0, 0, 0}, {out.shape(0), heads, out.shape(2), size}, s_);
  return mx::reshape(mx::transpose(out, {0, 2, 1, 3}, s_), in(0).shape(), s_);
}

// The mean over heads of the softmax. Queries of heads that share keys stand below each other.
mx::array Operation::shares(const mx::array& q, const mx::array& k) const {
  const int texts = q.shape(0);
  const int rows = q.shape(2);
  const int group = q.shape(1) / k.shape(1);
  const mx::array grouped = mx::reshape(q, {texts, k.shape(1), group * rows, q.shape(3)}, s_);
  mx::array scores =
      scaled(mx::matmul(grouped, mx::transpose(k, {0, 1, 3, 2}, s_), s_), call_.real);
  scores = exact(mx::reshape(scores, {texts, q.shape(1), rows, k.shape(2)}, s_));
  if (has(3)) scores = mx::add(scores, in(3), s_);
  return mx::mean(mx::softmax(scores, -1, true, s_), 1, false, s_);
}

mx::array Operation::slice() const {
  const mx::array& x = in(0);
  mx::Shape start(x.ndim(), 0);
  mx::Shape stop = x.shape();
  const std::size_t axis = x.ndim() - static_cast<std::size_t>(integer(0));
  start[static_cast<int>(axis)] = integer(1);
  stop[static_cast<int>(axis)] = integer(2);
  return mx::slice(x, std::move(start), std::move(stop), s_);
}

mx::array Operation::pool() const {
  const bool normalize = integer(0) != 0;
  if (has(2) && has(3)) {
    if (const auto own = own_pool(session_, in(1), in(2), in(3), integer(1), normalize))
      return *own;
  }
  const mx::array out = mx::matmul(in(0), exact(in(1)), s_);
  return normalize ? normalized(out) : out;
}

mx::array Operation::vocabulary_max() const {
  const bool sum = integer(0) != 0;
  const bool twice = integer(1) > 1;
  const int vocabulary = in(1).shape(0);
  const auto weight = [&](const mx::array& x) {
    const mx::array once = mx::log1p(mx::maximum(x, scalar(0, x), s_), s_);
    return twice ? mx::log1p(once, s_) : once;
  };
  const bool own = !sum && has(2) && own_vocabulary(session_);
  const mx::array x = own ? real_rows(in(0), in(4), s_) : in(0);
  std::vector<mx::array> tiles;
  for (int begin = 0; begin < vocabulary; begin += kVocabularyTile) {
    const int end = std::min(begin + kVocabularyTile, vocabulary);
    mx::array logits = product(x, whole(1), begin, end);
    if (own) {
      const mx::array bias = mx::slice(in(2), {begin}, {end}, s_);
      tiles.push_back(own_vocabulary_max(session_, logits, bias, in(4), twice));
      continue;
    }
    if (has(2)) logits = mx::add(logits, mx::slice(in(2), {begin}, {end}, s_), s_);
    logits = exact(logits);
    if (sum) {
      const mx::array total = mx::matmul(in(3), weight(logits), s_);
      tiles.push_back(mx::reshape(total, {total.shape(0), end - begin}, s_));
    } else {
      tiles.push_back(weight(mx::max(mx::add(logits, in(3), s_), 1, false, s_)));
    }
  }
  return mx::concatenate(std::move(tiles), -1, s_);
}

mx::array Operation::normalized(const mx::array& x) const {
  const mx::array values = exact(x);
  const mx::array length = mx::sqrt(mx::sum(mx::square(values, s_), -1, true, s_), s_);
  return mx::divide(values, mx::maximum(length, mx::array(1e-12F), s_), s_);
}

}  // namespace

mx::array run_operation(Session& session, const padded::Call& call) {
  return Operation(session, call).run();
}

}  // namespace inlay::backend::mlx
