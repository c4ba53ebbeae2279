// GTE's own encoder (Alibaba-NLP/new-impl; Zhang et al. 2024, arXiv:2407.19669): BERT with rotary
// positions and a gated feed-forward. gte-*-en-v1.5, gte-multilingual, arctic-embed-m-v2.0. Follows
// transformers' modeling_gte.py, and reads the Hub's spelling of config and tensors too.
#include <cmath>

#include "arch/arch.h"
#include "arch/config.h"
#include "arch/heads.h"
#include "arch/layers.h"
#include "arch/rope.h"
#include "base/error.h"
#include "program/binder.h"

namespace inlay::arch {
namespace {

// Where a layer's tensors stand. The Hub's files have query, key and value, and up and gate, in one
// tensor each (or query, key and value apart, by pack_qkv).
PostNormLayer take_layer(Binder* binder, const EncoderSizes& s, std::int64_t index) {
  const std::int64_t h = s.hidden_size;
  const std::int64_t f = s.intermediate_size;
  const std::string number = std::to_string(index) + ".";
  const bool hub = binder->has("encoder.layer." + number + "attention.o_proj.weight");
  const std::string prefix = (hub ? "encoder.layer." : "layers.") + number;
  const std::string attention = prefix + (hub ? "attention." : "self_attn.");
  const auto matrix = [&](const std::string& name, std::int64_t out, std::int64_t in) {
    return binder->take(name + ".weight", {out, in});
  };
  const auto bias = [&](const std::string& name, std::int64_t size) {
    return binder->take(name + ".bias", {size});
  };
  PostNormLayer w;
  if (binder->has(attention + "qkv_proj.weight")) {
    split_query_key_value(matrix(attention + "qkv_proj", 3 * h, h),
                          bias(attention + "qkv_proj", 3 * h), &w.attention);
  } else {
    w.attention.query = matrix(attention + "q_proj", h, h);
    w.attention.query_bias = bias(attention + "q_proj", h);
    w.attention.key = matrix(attention + "k_proj", h, h);
    w.attention.key_bias = bias(attention + "k_proj", h);
    w.attention.value = matrix(attention + "v_proj", h, h);
    w.attention.value_bias = bias(attention + "v_proj", h);
  }
  w.attention.out = matrix(attention + "o_proj", h, h);
  w.attention.out_bias = bias(attention + "o_proj", h);
  if (binder->has(prefix + "mlp.up_gate_proj.weight")) {
    const WeightRef both = matrix(prefix + "mlp.up_gate_proj", 2 * f, h);
    if (both.present()) {
      w.up = weight_rows(both, 0, f);
      w.gate = weight_rows(both, f, f);
    }
  } else {
    w.up = matrix(prefix + "mlp.up_proj", f, h);
    w.gate = matrix(prefix + "mlp.gate_proj", f, h);
  }
  w.down = matrix(prefix + "mlp.down_proj", h, f);
  w.down_bias = bias(prefix + "mlp.down_proj", h);
  const auto norm = [&](const char* name) {
    return NormWeights{binder->take(prefix + name + ".weight", {h}),
                       binder->take(prefix + name + ".bias", {h})};
  };
  w.attention_norm = norm(hub ? "attn_ln" : "post_attention_layernorm");
  w.norm = norm(hub ? "mlp_ln" : "post_mlp_layernorm");
  return w;
}

void refuse_variants(const JsonValue& config) {
  const auto refuse_text = [&](const char* field, const char* expected) {
    const std::string value = config.string_or(field, expected);
    if (value == expected) return;
    fail(ErrorCode::kUnsupported, config.where() + field,
         std::string("expected \"") + expected + "\", got \"" + printable(value) +
             "\". This variant of GTE is not built in.");
  };
  refuse_text("position_embedding_type", "rope");
  refuse_text("layer_norm_type", "layer_norm");
  for (const char* field : {"logn_attention_scale", "logn_attention_clip1"}) {
    if (config.bool_or(field, false)) {
      fail(ErrorCode::kUnsupported, config.where() + field,
           "expected false, got true. This variant of GTE is not built in.");
    }
  }
}

void append_head(const files::ModelFiles& model, const std::shared_ptr<const Weights>& weights,
                 const PostNormForm& form, const WeightRef& embeddings, Head head, Body* body) {
  if (head == Head::kMaskedLm) {
    const bool hub = checkpoint_has(*weights, "lm_head.norm.weight");
    append_masked_lm(model, weights,
                     {"lm_head.dense",
                      hub ? "lm_head.norm" : "lm_head.layer_norm",
                      "lm_head.decoder",
                      {"lm_head.decoder.bias", "lm_head.bias"},
                      hub ? form.activation : Activation::kGelu,
                      form.eps},
                     embeddings, body);
  } else if (head == Head::kClassifier) {
    append_classifier(model, weights, {"pooler.dense", Activation::kTanh, "", 0, "classifier"},
                      body);
  } else if (head == Head::kCausalLm) {
    no_head(model, head, "lm_head.weight");
  }
}

bool match(const files::ModelFiles& model) {
  const std::string type = model.model_type();
  return type == "new" || type == "gte";
}

Body build(const files::ModelFiles& model, std::shared_ptr<const Weights> weights,
           const BuildOptions& options) {
  const JsonValue config = model.config();
  refuse_variants(config);
  EncoderSizes s = encoder_sizes(config);
  s.type_vocab_size = config_int(config, "type_vocab_size", 0, kMaxRows, 1);
  PostNormForm form;
  form.activation = config_activation(config, "hidden_act", "gelu");
  form.eps = config_float(config, "layer_norm_eps", 0, 1, 1e-12);
  form.attention.heads = form.attention.kv_heads = s.num_heads;
  form.attention.head_size = s.head_size;
  form.attention.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(s.head_size)));
  form.attention.rope = config_rope(config, s.head_size, {},
                                    {"rope_theta", model.model_type() == "gte" ? 160000.0 : 10000});
  std::optional<SelectKind> read_row = options.read_row;
  if (options.head == Head::kClassifier) read_row = SelectKind::kFirst;

  Binder binder(weights, "embeddings.word_embeddings.weight", model.name());
  EmbedStep embed;
  embed.tokens = binder.take("embeddings.word_embeddings.weight", {s.vocab_size, s.hidden_size});
  if (s.type_vocab_size > 0) {
    embed.types =
        binder.take("embeddings.token_type_embeddings.weight", {s.type_vocab_size, s.hidden_size});
  }
  NormStep norm;
  norm.weight = binder.take("embeddings.LayerNorm.weight", {s.hidden_size});
  norm.bias = binder.take("embeddings.LayerNorm.bias", {s.hidden_size});
  norm.eps = form.eps;
  std::vector<PostNormLayer> layers;
  for (std::int64_t i = 0; i < s.num_layers; ++i) layers.push_back(take_layer(&binder, s, i));
  binder.finish();

  Body body;
  Program& p = body.program;
  p.hold(binder.weights());
  p.limit_tokens(s.max_positions);
  norm.input = p.embed("embeddings", embed);
  ValueId x = p.norm("embeddings.norm", norm);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    x = add_post_norm_layer(&p, "layer." + std::to_string(i), x, layers[i], form,
                            i + 1 == layers.size() ? read_row : std::nullopt);
  }
  body.hidden = x;
  append_head(model, weights, form, embed.tokens, options.head, &body);
  return body;
}

}  // namespace

extern const Architecture kGte;
const Architecture kGte{"gte", "new, gte", match, build};

}  // namespace inlay::arch
