// NomicBERT (Nussbaum et al. 2024, arXiv:2402.01613; experts: arXiv:2502.07972): post-norm layers
// with rotary positions and a gated feed-forward; nomic-embed-text-v2-moe has a plain one and, in
// every second layer, experts. nomic-embed-text-v1, v1.5, v2-moe, arctic-embed-m-long. Follows
// transformers' modeling_nomic_bert.py and, for what that has not (experts, biases, other
// activations), nomic-ai's modeling_hf_nomic_bert.py. Config and tensors are read in both
// spellings.
#include <algorithm>
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

struct Settings {
  EncoderSizes sizes;
  PostNormForm form;
  bool gated = true, qkv_bias = false, up_bias = false, down_bias = false;
  // Layers i with i % experts_every == 1 have experts; 0: none.
  std::int64_t experts_every = 0, experts = 0, top_k = 0;
  std::int64_t max_tokens = 0;
  bool has_experts(std::int64_t layer) const {
    return experts_every > 0 && layer % experts_every == 1;
  }
};

void refuse_variants(const JsonValue& config) {
  for (const char* field :
       {"prenorm", "parallel_block", "use_rms_norm", "causal", "moe_normalize_expert_weights"}) {
    if (config.bool_or(field, false)) {
      fail(ErrorCode::kUnsupported, config.where() + field,
           "expected false, got true. This variant of NomicBERT is not built in.");
    }
  }
  if (config.find("rotary_emb_scale_base")) {
    fail(ErrorCode::kUnsupported, config.where() + "rotary_emb_scale_base",
         "expected null, got a value. Scaled rotary positions (xPos) are not built in.");
  }
  const std::int64_t shared = config_int(config, "num_shared_experts", 0, kMaxLayers, 0);
  if (shared != 0) {
    fail(ErrorCode::kUnsupported, config.where() + "num_shared_experts",
         "expected 0, got " + std::to_string(shared) + ".");
  }
}

// GPT-2's names, as the Hub's files have them.
Settings read_hub(const JsonValue& config) {
  refuse_variants(config);
  Settings s;
  EncoderSizes& sizes = s.sizes;
  sizes.vocab_size = config_int(config, "vocab_size", 1, kMaxRows);
  sizes.hidden_size = config_int(config, "n_embd", 1, kMaxWidth);
  sizes.num_layers = config_int(config, "n_layer", 1, kMaxLayers);
  sizes.num_heads = config_int(config, "n_head", 1, kMaxWidth);
  sizes.intermediate_size = config_int(config, "n_inner", 1, kMaxWidth, 4 * sizes.hidden_size);
  sizes.max_positions = config_int(config, "n_positions", 1, kMaxRows);
  sizes.type_vocab_size = config_int(config, "type_vocab_size", 0, kMaxRows, 2);
  if (sizes.hidden_size % sizes.num_heads != 0) {
    fail(ErrorCode::kBadInput, config.where() + "n_head",
         "expected a divisor of n_embd " + std::to_string(sizes.hidden_size) + ", got " +
             std::to_string(sizes.num_heads) + ".");
  }
  sizes.head_size = sizes.hidden_size / sizes.num_heads;
  s.form.eps = config_float(config, "layer_norm_epsilon", 0, 1, 1e-5);
  const std::string activation = config.string_or("activation_function", "gelu");
  s.gated = activation == "swiglu" || activation == "geglu" || activation == "glu";
  s.form.activation = activation == "swiglu"  ? Activation::kSilu
                      : activation == "geglu" ? Activation::kGelu
                      : activation == "glu"
                          ? Activation::kSigmoid
                          : config_activation(config, "activation_function", "gelu");
  s.qkv_bias = config.bool_or("qkv_proj_bias", true);
  s.up_bias = config.bool_or("mlp_fc1_bias", true);
  s.down_bias = config.bool_or("mlp_fc2_bias", true);
  s.experts_every = config_int(config, "moe_every_n_layers", 0, kMaxLayers, 0);
  if (s.experts_every > 0) {
    s.experts = config_int(config, "num_experts", 1, kMaxWidth);
    s.top_k = config_int(config, "moe_top_k", 1, s.experts);
    if (s.gated) {
      fail(ErrorCode::kUnsupported, config.where() + "activation_function",
           "expected an activation without a gate beside experts, got \"" + activation + "\".");
    }
  }
  if (config.number_or("rotary_emb_fraction", 0) <= 0) {
    fail(ErrorCode::kUnsupported, config.where() + "rotary_emb_fraction",
         "expected rotary positions (more than 0), got none. This variant is not built in.");
  }
  s.form.attention.rope = config_rope(config, sizes.head_size, {},
                                      {"rotary_emb_base", 10000, "rotary_emb_fraction", 1});
  s.form.attention.rope.interleaved = config.bool_or("rotary_emb_interleaved", false);
  s.max_tokens = sizes.max_positions;
  // Beyond the trained length the reference then changes the base with the length of the longest
  // text beside it; up to it, nothing is scaled.
  if (config.find("rotary_scaling_factor")) {
    s.max_tokens =
        std::min(s.max_tokens, config_int(config, "max_trained_positions", 1, kMaxRows, 2048));
  }
  return s;
}

// BERT's names, as transformers saves.
Settings read_transformers(const JsonValue& config) {
  Settings s;
  s.sizes = encoder_sizes(config);
  s.sizes.head_size = config_int(config, "head_dim", 1, kMaxWidth, s.sizes.head_size);
  s.form.eps = config_float(config, "layer_norm_eps", 0, 1, 1e-12);
  s.form.activation = config_activation(config, "hidden_act", "silu");
  s.form.attention.rope = config_rope(config, s.sizes.head_size, {}, {"rope_theta", 1000});
  s.max_tokens = s.sizes.max_positions;
  return s;
}

// The experts of one layer: MegaBlocks' layout, expert after expert.
void take_experts(Binder* binder, const std::string& prefix, const Settings& s, PostNormLayer* w) {
  const std::int64_t h = s.sizes.hidden_size;
  const std::int64_t f = s.sizes.intermediate_size;
  w->router = binder->take(prefix + "router.layer.weight", {s.experts, h});
  w->expert_up = binder->take(prefix + "experts.mlp.w1", {s.experts * f, h});
  w->expert_down = binder->take(prefix + "experts.mlp.w2", {s.experts * f, h});
  w->expert_bias = binder->take(prefix + "experts.bias", {h});
  w->top_k = s.top_k;
}

PostNormLayer take_layer(Binder* binder, const Settings& s, std::int64_t index) {
  const std::string number = std::to_string(index) + ".";
  const bool hub = binder->has("encoder.layers." + number + "attn.out_proj.weight");
  const std::string prefix = (hub ? "encoder.layers." : "layers.") + number;
  const std::int64_t h = s.sizes.hidden_size;
  const std::int64_t f = s.sizes.intermediate_size;
  const std::int64_t q = s.sizes.num_heads * s.sizes.head_size;
  const auto matrix = [&](const char* name, std::int64_t out, std::int64_t in) {
    return binder->take(prefix + name + ".weight", {out, in});
  };
  const auto bias = [&](const char* name, std::int64_t size, bool has) {
    return has ? binder->take(prefix + name + ".bias", {size}) : WeightRef{};
  };
  const auto norm = [&](const char* name) {
    return NormWeights{binder->take(prefix + name + ".weight", {h}),
                       binder->take(prefix + name + ".bias", {h})};
  };
  PostNormLayer w;
  if (hub) {
    split_query_key_value(matrix("attn.Wqkv", 3 * q, h), bias("attn.Wqkv", 3 * q, s.qkv_bias),
                          &w.attention);
  } else {
    w.attention.query = matrix("self_attn.q_proj", q, h);
    w.attention.key = matrix("self_attn.k_proj", q, h);
    w.attention.value = matrix("self_attn.v_proj", q, h);
  }
  const char* out = hub ? "attn.out_proj" : "self_attn.o_proj";
  w.attention.out = matrix(out, h, q);
  w.attention.out_bias = bias(out, h, s.qkv_bias);
  w.attention_norm = norm(hub ? "norm1" : "post_attention_layernorm");
  w.norm = norm(hub ? "norm2" : "post_mlp_layernorm");
  if (s.has_experts(index)) {
    take_experts(binder, prefix + "mlp.", s, &w);
    return w;
  }
  const char* up = !hub ? "mlp.up_proj" : s.gated ? "mlp.fc11" : "mlp.fc1";
  const char* gate = hub ? "mlp.fc12" : "mlp.gate_proj";
  const char* down = hub ? "mlp.fc2" : "mlp.down_proj";
  w.up = matrix(up, f, h);
  w.up_bias = bias(up, f, s.up_bias);
  if (s.gated) {
    w.gate = matrix(gate, f, h);
    w.gate_bias = bias(gate, f, s.up_bias);
  }
  w.down = matrix(down, h, f);
  w.down_bias = bias(down, h, s.down_bias);
  return w;
}

void append_head(const files::ModelFiles& model, const std::shared_ptr<const Weights>& weights,
                 const PostNormForm& form, const WeightRef& embeddings, Head head, Body* body) {
  if (head == Head::kMaskedLm) {
    append_masked_lm(model, weights,
                     {"cls.predictions.transform.dense",
                      "cls.predictions.transform.layer_norm",
                      "cls.predictions.decoder",
                      {"cls.predictions.decoder.bias", "cls.predictions.bias"},
                      form.activation,
                      form.eps},
                     embeddings, body);
  } else if (head == Head::kClassifier) {
    append_classifier(model, weights, {"pooler.dense", Activation::kTanh, "", 0, "classifier"},
                      body);
  } else if (head == Head::kCausalLm) {
    no_head(model, head, "lm_head.weight");
  }
}

bool match(const files::ModelFiles& model) { return model.model_type() == "nomic_bert"; }

Body build(const files::ModelFiles& model, std::shared_ptr<const Weights> weights,
           const BuildOptions& options) {
  const JsonValue config = model.config();
  Settings s = config.contains("n_embd") ? read_hub(config) : read_transformers(config);
  const EncoderSizes& sizes = s.sizes;
  s.form.attention.heads = s.form.attention.kv_heads = sizes.num_heads;
  s.form.attention.head_size = sizes.head_size;
  s.form.attention.scale =
      static_cast<float>(1.0 / std::sqrt(static_cast<double>(sizes.head_size)));
  std::optional<SelectKind> read_row = options.read_row;
  if (options.head == Head::kClassifier) read_row = SelectKind::kFirst;

  Binder binder(weights, "embeddings.word_embeddings.weight", model.name());
  EmbedStep embed;
  embed.tokens =
      binder.take("embeddings.word_embeddings.weight", {sizes.vocab_size, sizes.hidden_size});
  if (sizes.type_vocab_size > 0) {
    embed.types = binder.take("embeddings.token_type_embeddings.weight",
                              {sizes.type_vocab_size, sizes.hidden_size});
  }
  const std::string first_norm = binder.has("emb_ln.weight") ? "emb_ln" : "embeddings.LayerNorm";
  NormStep norm;
  norm.weight = binder.take(first_norm + ".weight", {sizes.hidden_size});
  norm.bias = binder.take(first_norm + ".bias", {sizes.hidden_size});
  norm.eps = s.form.eps;
  std::vector<PostNormLayer> layers;
  for (std::int64_t i = 0; i < sizes.num_layers; ++i) layers.push_back(take_layer(&binder, s, i));
  binder.finish();

  Body body;
  Program& p = body.program;
  p.hold(binder.weights());
  p.limit_tokens(s.max_tokens);
  norm.input = p.embed("embeddings", embed);
  ValueId x = p.norm("embeddings.norm", norm);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    x = add_post_norm_layer(&p, "layer." + std::to_string(i), x, layers[i], s.form,
                            i + 1 == layers.size() ? read_row : std::nullopt);
  }
  body.hidden = x;
  append_head(model, weights, s.form, embed.tokens, options.head, &body);
  return body;
}

}  // namespace

extern const Architecture kNomicBert;
const Architecture kNomicBert{"nomic_bert", "nomic_bert", match, build};

}  // namespace inlay::arch
