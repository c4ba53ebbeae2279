// The texts and grids are kernels/kernels.h's; here they meet MLX.
#include "backend/mlx/device/own_kernels.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "backend/mlx/kernels/kernels.h"

namespace inlay::backend::mlx {
namespace {

using Templates = std::vector<std::pair<std::string, mx::fast::TemplateArg>>;

// The kernel made known to MLX; compiled when it first runs with such template arguments. By one
// thread at a time, as every call of this library.
const mx::fast::CustomKernelFunction& kernel(const char* name) {
  static std::map<std::string, mx::fast::CustomKernelFunction> made;
  const auto found = made.find(name);
  if (found != made.end()) return found->second;
  const MetalKernel& text = metal_kernel_named(name);
  const std::vector<std::string> inputs(text.inputs.begin(), text.inputs.end());
  return made
      .emplace(name,
               mx::fast::metal_kernel(name, inputs, {text.output}, std::string(text.source),
                                      std::string(kernel_prelude()), text.ensure_row_contiguous))
      .first->second;
}

mx::array launch(const Session& session, const char* name, const std::vector<mx::array>& inputs,
                 mx::Shape shape, mx::Dtype dtype, const MetalGrid& grid,
                 const Templates& templates) {
  return kernel(name)(inputs, {std::move(shape)}, {dtype}, {grid.grid.x, grid.grid.y, grid.grid.z},
                      {grid.threadgroup.x, grid.threadgroup.y, grid.threadgroup.z}, templates,
                      std::nullopt, false, session.device)[0];
}

mx::array numbers(const std::vector<std::int32_t>& values, mx::Shape shape) {
  return mx::array(values.begin(), std::move(shape), mx::int32);
}

int rows_of(const mx::array& x) { return static_cast<int>(x.size() / x.shape(-1)); }

mx::array as_rows(const Session& session, const mx::array& x) {
  return mx::reshape(x, {rows_of(x), x.shape(-1)}, session.device);
}

}  // namespace

std::optional<mx::array> own_attention(Session& session, const AttentionShape& shape,
                                       const mx::array& q, const mx::array& k, const mx::array& v,
                                       const mx::array& key_counts) {
  if (!session.kernels.wanted || !attention_takes(shape.head_size) || q.shape(1) != k.shape(1))
    return std::nullopt;
  const int length = k.shape(1);
  std::vector<std::int32_t> offsets{0};
  const auto* counts = key_counts.data<std::int32_t>();
  const std::vector<std::int32_t> keys(counts, counts + key_counts.size());
  for (std::size_t t = 0; t < keys.size(); ++t) offsets.push_back(offsets.back() + length);
  // Rows of padding are computed, too: nothing may be left that is no number.
  const std::vector<std::int32_t> items = attention_items(offsets, keys);
  const auto count = static_cast<int>(items.size());
  ++session.kernels.attention;
  mx::array out =
      launch(session, "inlay_attention",
             {as_rows(session, q), as_rows(session, k), as_rows(session, v),
              numbers(items, {count}), mx::array(static_cast<float>(shape.scale))},
             {rows_of(q), q.shape(2)}, q.dtype(), attention_grid(count / 4, shape.heads),
             {{"T", q.dtype()},
              {"HEAD_SIZE", static_cast<int>(shape.head_size)},
              {"GROUP", static_cast<int>(shape.heads / shape.kv_heads)},
              {"WINDOW", static_cast<int>(shape.window)},
              {"CAUSAL", shape.causal}});
  return mx::reshape(out, q.shape(), session.device);
}

std::optional<mx::array> own_residual_norm(Session& session, const mx::array& x,
                                           const mx::array& residual, const mx::array& weight,
                                           const mx::array& bias, double eps) {
  const int width = x.shape(-1);
  if (!session.kernels.wanted || !residual_layer_norm_takes(width) || x.dtype() != residual.dtype())
    return std::nullopt;
  ++session.kernels.norm;
  mx::array out =
      launch(session, "inlay_residual_layer_norm",
             {as_rows(session, x), as_rows(session, residual), weight, bias,
              mx::array(static_cast<float>(eps))},
             {rows_of(x), width}, x.dtype(), residual_layer_norm_grid(rows_of(x), width),
             {{"T", x.dtype()}, {"WIDTH", width}});
  return mx::reshape(out, x.shape(), session.device);
}

std::optional<mx::array> own_bias_gelu(Session& session, const mx::array& x,
                                       const mx::array& bias) {
  const int width = x.shape(-1);
  if (!session.kernels.wanted || !bias_gelu_takes(width)) return std::nullopt;
  ++session.kernels.gelu;
  mx::array out =
      launch(session, "inlay_bias_gelu", {as_rows(session, x), bias}, {rows_of(x), width},
             x.dtype(), bias_gelu_grid(rows_of(x), width), {{"T", x.dtype()}});
  return mx::reshape(out, x.shape(), session.device);
}

std::optional<mx::array> own_pool(Session& session, const mx::array& x, const mx::array& lengths,
                                  const mx::array& begins, std::int64_t mode, bool normalize) {
  const int width = x.shape(-1);
  if (!session.kernels.wanted || mode < 0 || !pool_normalize_takes(width)) return std::nullopt;
  const int texts = x.shape(0);
  std::vector<std::int32_t> ranges;
  for (int t = 0; t < texts; ++t) {
    const std::int32_t first = t * x.shape(1);
    ranges.insert(ranges.end(), {first, first + begins.data<std::int32_t>()[t],
                                 first + lengths.data<std::int32_t>()[t]});
  }
  ++session.kernels.pool;
  mx::array out =
      launch(session, "inlay_pool_normalize", {as_rows(session, x), numbers(ranges, {texts, 3})},
             {texts, width}, mx::float32, pool_normalize_grid(texts),
             {{"T", x.dtype()},
              {"WIDTH", width},
              {"MODE", static_cast<int>(mode)},
              {"NORMALIZE", normalize}});
  return mx::reshape(out, {texts, 1, width}, session.device);
}

bool own_vocabulary(const Session& session) { return session.kernels.wanted; }

mx::array real_rows(const mx::array& x, const mx::array& lengths, mx::StreamOrDevice stream) {
  std::vector<std::int32_t> rows;
  for (int t = 0; t < x.shape(0); ++t) {
    for (std::int32_t r = 0; r < lengths.data<std::int32_t>()[t]; ++r)
      rows.push_back(t * x.shape(1) + r);
  }
  const auto count = static_cast<int>(rows.size());
  const mx::array flat = mx::reshape(x, {rows_of(x), x.shape(-1)}, stream);
  return mx::take(flat, numbers(rows, {count}), 0, stream);
}

mx::array own_vocabulary_max(Session& session, const mx::array& logits, const mx::array& bias,
                             const mx::array& lengths, bool twice) {
  const auto texts = static_cast<int>(lengths.size());
  std::vector<std::int32_t> offsets{0};
  for (int t = 0; t < texts; ++t)
    offsets.push_back(offsets.back() + lengths.data<std::int32_t>()[t]);
  ++session.kernels.vocabulary;
  return launch(session, "inlay_vocabulary_max", {logits, bias, numbers(offsets, {texts + 1})},
                {texts, logits.shape(1)}, mx::float32, vocabulary_max_grid(texts, logits.shape(1)),
                {{"T", logits.dtype()}, {"TWICE", twice}});
}

}  // namespace inlay::backend::mlx
