// Pieces of encoder layers that families share in form and differ in by names: self-attention with
// its projections, and the post-norm layer of BERT with a gated or a plain feed-forward, or with
// experts.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "program/binder.h"
#include "program/program.h"

namespace inlay::arch {

struct AttentionWeights {
  WeightRef query, key, value;  // [heads * head_size, hidden]; key and value: kv heads
  WeightRef query_bias, key_bias, value_bias;  // may be absent
  WeightRef out, out_bias;  // [hidden, heads * head_size], the bias may be absent
};
// Takes a fused projection [3 * width, hidden] apart: query, key and value one after the other.
void split_query_key_value(const WeightRef& fused, const WeightRef& fused_bias,
                           AttentionWeights* weights);

// Projections of `x`, attention and output projection. `rows` are the rows that queries are made
// for: x itself, or one row of each text selected from it by `form.query_row`; keys and values come
// from every token. `form` says heads, scale, window, rope and so on; its columns are set here.
ValueId add_self_attention(Program* program, const std::string& name, ValueId x, ValueId rows,
                           const AttentionWeights& weights, AttentionStep form);

struct NormWeights {
  WeightRef weight, bias;  // [hidden], the bias may be absent
};

struct PostNormLayer {
  AttentionWeights attention;
  NormWeights attention_norm, norm;
  NormWeights outer_attention_norm;  // JinaBERT's second norm of the same sum; may be absent
  // Feed-forward: down(activation(up x)), or down(activation(gate x) * up x) where gate is present.
  WeightRef gate, gate_bias, up, up_bias, down, down_bias;
  // In its place where router is present; shapes as in ExpertsStep.
  WeightRef router, expert_up, expert_down, expert_bias;
  std::int64_t top_k = 0;
};

// Where a layer's matrices and norms stand behind its prefix; each has ".weight" and ".bias".
struct PostNormNames {
  std::string_view query, key, value, out, attention_norm, up, down, norm;
};
PostNormLayer take_post_norm_layer(Binder* binder, const std::string& prefix,
                                   const PostNormNames& names, std::int64_t hidden_size,
                                   std::int64_t intermediate_size);
NormWeights take_norm(Binder* binder, const std::string& name, std::int64_t size);

struct PostNormForm {
  AttentionStep attention;
  Activation activation = Activation::kGelu;
  float eps = 0;
};

// x = norm(x + attention(x)), or outer_norm(x + norm(x + attention(x))) where that is present; then
// x = norm(x + feed_forward(x)). With `read_row` set for that row of
// each text alone.
ValueId add_post_norm_layer(Program* program, const std::string& name, ValueId x,
                            const PostNormLayer& layer, const PostNormForm& form,
                            std::optional<SelectKind> read_row);

}  // namespace inlay::arch
