// Operations in Metal kernels of Inlay's own. Each returns nothing where Metal or the shape does
// not allow it, or they are switched off; operation.cc then does the same with MLX's operations.
#pragma once

#include <cstdint>
#include <optional>

#include "backend/mlx/device/operation.h"

namespace inlay::backend::mlx {

// Of softmax(scale Q K^T) V: q [T, R, H D], k and v [T, S, K D], key counts int32 [T] of the host.
struct AttentionShape {
  std::int64_t heads = 0, kv_heads = 0, head_size = 0;
  bool causal = false;
  std::int64_t window = -1;
  double scale = 1;
};
std::optional<mx::array> own_attention(Session& session, const AttentionShape& shape,
                                       const mx::array& q, const mx::array& k, const mx::array& v,
                                       const mx::array& key_counts);

// layer_norm(x + residual) * weight + bias, rows of the last axis.
std::optional<mx::array> own_residual_norm(Session& session, const mx::array& x,
                                           const mx::array& residual, const mx::array& weight,
                                           const mx::array& bias, double eps);

// gelu(x + bias), the exact one.
std::optional<mx::array> own_bias_gelu(Session& session, const mx::array& x, const mx::array& bias);

// x [T, S, W] pooled by a PoolMode over rows [begins, lengths) of each text, host's int32 [T] each,
// and normalised or not: fp32 [T, 1, W].
std::optional<mx::array> own_pool(Session& session, const mx::array& x, const mx::array& lengths,
                                  const mx::array& begins, std::int64_t mode, bool normalize);

// The rows of x [T, S, in] that are no padding, [tokens, in], and the maximum over them of
// log1p(relu(logits + bias)) text by text, where logits are those of such rows: fp32 [T, V].
bool own_vocabulary(const Session& session);
mx::array real_rows(const mx::array& x, const mx::array& lengths, mx::StreamOrDevice stream);
mx::array own_vocabulary_max(Session& session, const mx::array& logits, const mx::array& bias,
                             const mx::array& lengths, bool twice);

}  // namespace inlay::backend::mlx
