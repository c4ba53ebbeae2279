// Adds the steps of a layer in execution order.
#include "arch/layers.h"

namespace inlay::arch {

void split_query_key_value(const WeightRef& fused, const WeightRef& fused_bias,
                           AttentionWeights* weights) {
  if (!fused.present()) return;  // noted by the binder, which throws in its finish()
  const std::int64_t width = fused.tensor.shape[0] / 3;
  weights->query = weight_rows(fused, 0, width);
  weights->key = weight_rows(fused, width, width);
  weights->value = weight_rows(fused, 2 * width, width);
  weights->query_bias = weight_rows(fused_bias, 0, width);
  weights->key_bias = weight_rows(fused_bias, width, width);
  weights->value_bias = weight_rows(fused_bias, 2 * width, width);
}

NormWeights take_norm(Binder* binder, const std::string& name, std::int64_t size) {
  return {binder->take(name + ".weight", {size}), binder->take(name + ".bias", {size})};
}

PostNormLayer take_post_norm_layer(Binder* binder, const std::string& prefix,
                                   const PostNormNames& names, std::int64_t hidden_size,
                                   std::int64_t intermediate_size) {
  const auto take = [&](std::string_view name, std::int64_t out, std::int64_t in, WeightRef* weight,
                        WeightRef* bias) {
    const std::string full = prefix + std::string(name);
    *weight = binder->take(full + ".weight", {out, in});
    *bias = binder->take(full + ".bias", {out});
  };
  const std::int64_t h = hidden_size;
  PostNormLayer w;
  take(names.query, h, h, &w.attention.query, &w.attention.query_bias);
  take(names.key, h, h, &w.attention.key, &w.attention.key_bias);
  take(names.value, h, h, &w.attention.value, &w.attention.value_bias);
  take(names.out, h, h, &w.attention.out, &w.attention.out_bias);
  take(names.up, intermediate_size, h, &w.up, &w.up_bias);
  take(names.down, h, intermediate_size, &w.down, &w.down_bias);
  w.attention_norm = take_norm(binder, prefix + std::string(names.attention_norm), h);
  w.norm = take_norm(binder, prefix + std::string(names.norm), h);
  return w;
}

ValueId add_self_attention(Program* program, const std::string& name, ValueId x, ValueId rows,
                           const AttentionWeights& weights, AttentionStep form) {
  const std::int64_t width = form.heads * form.head_size;
  const std::int64_t kv_width = form.kv_heads * form.head_size;
  if (rows == x) {
    const ValueId qkv = program->linear(name + ".query_key_value",
                                        {x,
                                         {weights.query, weights.key, weights.value},
                                         {weights.query_bias, weights.key_bias, weights.value_bias},
                                         Activation::kNone});
    form.query = {qkv, 0};
    form.key = {qkv, width};
    form.value = {qkv, width + kv_width};
  } else {
    form.query.value = program->linear(
        name + ".query", {rows, {weights.query}, {weights.query_bias}, Activation::kNone});
    const ValueId kv = program->linear(name + ".key_value", {x,
                                                             {weights.key, weights.value},
                                                             {weights.key_bias, weights.value_bias},
                                                             Activation::kNone});
    form.key = {kv, 0};
    form.value = {kv, kv_width};
  }
  const ValueId context = program->attention(name, std::move(form));
  return program->linear(name + ".output",
                         {context, {weights.out}, {weights.out_bias}, Activation::kNone});
}

namespace {
ValueId add_feed_forward(Program* program, const std::string& name, ValueId x,
                         const PostNormLayer& layer, Activation activation) {
  if (layer.router.present()) {
    return program->experts(name + ".experts", {x, layer.router, layer.expert_up, layer.expert_down,
                                                layer.expert_bias, layer.top_k, activation});
  }
  const ValueId up =
      layer.gate.present()
          ? program->gated_linear(name + ".gated_up", {x, layer.gate, layer.up, layer.gate_bias,
                                                       layer.up_bias, activation})
          : program->linear(name + ".up", {x, {layer.up}, {layer.up_bias}, activation});
  return program->linear(name + ".down", {up, {layer.down}, {layer.down_bias}, Activation::kNone});
}
}  // namespace

ValueId add_post_norm_layer(Program* program, const std::string& name, ValueId x,
                            const PostNormLayer& layer, const PostNormForm& form,
                            std::optional<SelectKind> read_row) {
  AttentionStep attention_form = form.attention;
  ValueId rows = x;
  if (read_row) {
    rows = program->select_rows(name + ".rows", {x, *read_row});
    attention_form.query_row = *read_row;
  }
  const ValueId attention = add_self_attention(program, name + ".attention", x, rows,
                                               layer.attention, std::move(attention_form));
  const auto norm = [&](const char* suffix, ValueId input, ValueId residual,
                        const NormWeights& weights) {
    return program->norm(
        name + suffix, {NormKind::kLayer, input, residual, weights.weight, weights.bias, form.eps});
  };
  ValueId middle = norm(".attention.norm", attention, rows, layer.attention_norm);
  if (layer.outer_attention_norm.weight.present())
    middle = norm(".attention.outer_norm", middle, rows, layer.outer_attention_norm);
  const ValueId out = add_feed_forward(program, name, middle, layer, form.activation);
  return norm(".norm", out, middle, layer.norm);
}

}  // namespace inlay::arch
