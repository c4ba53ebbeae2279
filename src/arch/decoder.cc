// Decoder stacks used as embedders and rerankers: Llama, Mistral, Qwen2, Qwen3 and Gemma 3's text
// model. Pre-norm RMS layers, rotary positions, grouped keys and values, gated feed-forward; causal
// or, where the config says so, bidirectional. Follows transformers' modeling_llama.py,
// modeling_mistral.py, modeling_qwen2.py, modeling_qwen3.py, modeling_gemma3.py and
// masking_utils.py.
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

enum class Family { kLlama, kMistral, kQwen2, kQwen3, kGemma3 };

std::optional<Family> family_of(const files::ModelFiles& model) {
  const std::string type = model.model_type();
  if (type == "llama" || type == "llama_bidirec") return Family::kLlama;
  if (type == "mistral") return Family::kMistral;
  if (type == "qwen2") return Family::kQwen2;
  if (type == "qwen3") return Family::kQwen3;
  if (type == "gemma3_text") return Family::kGemma3;
  return std::nullopt;
}

bool match(const files::ModelFiles& model) { return family_of(model).has_value(); }

struct Settings {
  Family family;
  std::int64_t vocab_size, hidden_size, num_layers, num_heads, num_kv_heads, head_size;
  std::int64_t intermediate_size, max_positions;
  Activation activation;
  float eps, scale;
  bool causal;
  bool qkv_bias, out_bias, mlp_bias;
  bool gemma() const { return family == Family::kGemma3; }
  bool head_norms() const { return gemma() || family == Family::kQwen3; }
};

struct LayerKind {
  std::int64_t window = -1;  // farthest key seen, < 0: all
  Rope rope;
};

struct LayerWeights {
  AttentionWeights attention;
  WeightRef query_norm, key_norm;              // Qwen3, Gemma 3
  WeightRef norm, mlp_norm;                    // before attention, before the feed-forward
  WeightRef attention_out_norm, mlp_out_norm;  // Gemma 3: before the residual is added
  WeightRef gate, up, down, gate_bias, up_bias, down_bias;
};

std::int64_t head_size(const JsonValue& config, Family family, std::int64_t hidden,
                       std::int64_t heads) {
  if (config.find("head_dim")) return config_int(config, "head_dim", 1, kMaxWidth);
  if (family == Family::kQwen3) return 128;  // the config classes' own defaults
  if (family == Family::kGemma3) return 256;
  if (hidden % heads == 0) return hidden / heads;
  fail(ErrorCode::kBadInput, config.where() + "num_attention_heads",
       "expected a divisor of hidden_size " + std::to_string(hidden) + ", got " +
           std::to_string(heads) + ".");
}

Settings read_settings(const files::ModelFiles& model) {
  const JsonValue config = model.config();
  Settings s{};
  s.family = *family_of(model);
  s.vocab_size = config_int(config, "vocab_size", 1, kMaxRows);
  s.hidden_size = config_int(config, "hidden_size", 1, kMaxWidth);
  s.num_layers = config_int(config, "num_hidden_layers", 1, kMaxLayers);
  s.num_heads = config_int(config, "num_attention_heads", 1, kMaxWidth);
  s.num_kv_heads = config_int(config, "num_key_value_heads", 1, s.num_heads, s.num_heads);
  s.head_size = head_size(config, s.family, s.hidden_size, s.num_heads);
  s.intermediate_size = config_int(config, "intermediate_size", 1, kMaxWidth);
  s.max_positions = config_int(config, "max_position_embeddings", 1, kMaxRows);
  s.activation = s.gemma() ? config_activation(config, "hidden_activation", "gelu_pytorch_tanh")
                           : config_activation(config, "hidden_act", "silu");
  s.eps = config_float(config, "rms_norm_eps", 0, 1, 1e-6);
  const double squared = s.gemma() ? config_float(config, "query_pre_attn_scalar", 1e-6, 1e9, 256)
                                   : static_cast<double>(s.head_size);
  s.scale = static_cast<float>(1.0 / std::sqrt(squared));
  s.causal = config.bool_or("is_causal", true) &&
             !config.bool_or("use_bidirectional_attention", false) &&
             model.model_type() != "llama_bidirec";
  const bool bias = s.family != Family::kMistral && config.bool_or("attention_bias", false);
  s.qkv_bias = bias || s.family == Family::kQwen2;
  s.out_bias = bias && s.family != Family::kQwen2;
  s.mlp_bias = s.family == Family::kLlama && config.bool_or("mlp_bias", false);
  if (s.gemma() && config.find("attn_logit_softcapping")) {
    fail(ErrorCode::kUnsupported, config.where() + "attn_logit_softcapping",
         "expected null, got a number. Capped attention scores are not built in.");
  }
  return s;
}

// Which layers see a window: named one by one (layer_types) or by a family's rule.
bool slides(const JsonValue& config, Family family, std::int64_t layer) {
  if (family == Family::kLlama) return false;
  if (family == Family::kMistral) return config.find("sliding_window").has_value();
  const bool qwen = family != Family::kGemma3;
  if (const auto types = config.find("layer_types")) {
    const std::vector<JsonValue> items = types->items();
    if (layer >= static_cast<std::int64_t>(items.size())) {
      fail(ErrorCode::kBadInput, types->where(),
           "expected a type for each of num_hidden_layers, got " + std::to_string(items.size()) +
               ".");
    }
    const JsonValue& item = items[static_cast<std::size_t>(layer)];
    if (item.string() == "sliding_attention") return true;
    if (item.string() == "full_attention") return false;
    fail(ErrorCode::kUnsupported, item.where(),
         "expected full_attention or sliding_attention, got \"" + printable(item.string()) + "\".");
  }
  if (!qwen)
    return (layer + 1) % config_int(config, "sliding_window_pattern", 1, kMaxLayers, 6) != 0;
  return config.bool_or("use_sliding_window", false) && config.find("sliding_window") &&
         layer >= config_int(config, "max_window_layers", 0, kMaxLayers, 28);
}

// transformers' masks: sliding_window tokens with the query's own when causal, that many to either
// side when not; Gemma 3's bidirectional models spread half of it to either side.
std::int64_t window_of(const JsonValue& config, const Settings& s) {
  const std::int64_t size =
      config_int(config, "sliding_window", 1, kMaxRows, s.gemma() ? 4096 : -1);
  if (s.gemma() && config.bool_or("use_bidirectional_attention", false)) return size / 2;
  return s.causal ? size - 1 : size;
}

LayerKind layer_kind(const JsonValue& config, const Settings& s, bool sliding) {
  LayerKind kind;
  if (sliding) kind.window = window_of(config, s);
  RopeKeys keys;
  if (s.gemma() && sliding) {
    keys.theta = "rope_local_base_freq";
    keys.scaled = false;
  } else if (s.gemma()) {
    keys.default_theta = 1e6;
  }
  kind.rope =
      config_rope(config, s.head_size, sliding ? "sliding_attention" : "full_attention", keys);
  return kind;
}

LayerWeights take_layer(Binder* binder, const Settings& s, std::int64_t index) {
  const std::string prefix = "layers." + std::to_string(index) + ".";
  const auto take = [&](const char* name, const Shape& shape) {
    return binder->take(prefix + name + ".weight", shape);
  };
  const auto take_bias = [&](bool wanted, const char* name, std::int64_t size) {
    return wanted ? binder->take(prefix + name + ".bias", {size}) : WeightRef{};
  };
  const std::int64_t h = s.hidden_size;
  const std::int64_t f = s.intermediate_size;
  const std::int64_t q = s.num_heads * s.head_size;
  const std::int64_t kv = s.num_kv_heads * s.head_size;
  LayerWeights w;
  AttentionWeights& a = w.attention;
  a.query = take("self_attn.q_proj", {q, h});
  a.key = take("self_attn.k_proj", {kv, h});
  a.value = take("self_attn.v_proj", {kv, h});
  a.out = take("self_attn.o_proj", {h, q});
  a.query_bias = take_bias(s.qkv_bias, "self_attn.q_proj", q);
  a.key_bias = take_bias(s.qkv_bias, "self_attn.k_proj", kv);
  a.value_bias = take_bias(s.qkv_bias, "self_attn.v_proj", kv);
  a.out_bias = take_bias(s.out_bias, "self_attn.o_proj", h);
  if (s.head_norms()) {
    w.query_norm = take("self_attn.q_norm", {s.head_size});
    w.key_norm = take("self_attn.k_norm", {s.head_size});
  }
  w.norm = take("input_layernorm", {h});
  if (s.gemma()) {
    w.attention_out_norm = take("post_attention_layernorm", {h});
    w.mlp_norm = take("pre_feedforward_layernorm", {h});
    w.mlp_out_norm = take("post_feedforward_layernorm", {h});
  } else {
    w.mlp_norm = take("post_attention_layernorm", {h});
  }
  w.gate = take("mlp.gate_proj", {f, h});
  w.up = take("mlp.up_proj", {f, h});
  w.down = take("mlp.down_proj", {h, f});
  w.gate_bias = take_bias(s.mlp_bias, "mlp.gate_proj", f);
  w.up_bias = take_bias(s.mlp_bias, "mlp.up_proj", f);
  w.down_bias = take_bias(s.mlp_bias, "mlp.down_proj", h);
  return w;
}

// Gemma stores a norm's weight less one.
void add_one(Program* p, WeightRef* weight) {
  std::vector<float> values = to_float(weight->tensor, weight->name);
  for (float& x : values) x += 1.0F;
  *weight = p->own(weight->name + " + 1", weight->tensor.shape, std::move(values));
}

AttentionStep attention_form(const Settings& s, const LayerWeights& w, const LayerKind& kind) {
  AttentionStep step;
  step.heads = s.num_heads;
  step.kv_heads = s.num_kv_heads;
  step.head_size = s.head_size;
  step.scale = s.scale;
  step.causal = s.causal;
  step.window = kind.window;
  step.rope = kind.rope;
  step.query_norm = {NormKind::kRms, w.query_norm, {}, s.eps, false};
  step.key_norm = {NormKind::kRms, w.key_norm, {}, s.eps, false};
  return step;
}

// One layer. With `read_row` set, queries, feed-forward and output exist for that row of each text
// alone; keys and values still come from every token.
ValueId add_layer(Program* p, const std::string& name, ValueId x, const LayerWeights& w,
                  const Settings& s, const LayerKind& kind, std::optional<SelectKind> read_row) {
  const auto norm = [&](const char* suffix, ValueId input, const WeightRef& weight) {
    return p->norm(name + suffix, {NormKind::kRms, input, kNoValue, weight, {}, s.eps});
  };
  AttentionStep form = attention_form(s, w, kind);
  const ValueId attention_in = norm(".norm", x, w.norm);
  ValueId rows = x;
  ValueId query_rows = attention_in;
  if (read_row) {
    form.query_row = *read_row;
    rows = p->select_rows(name + ".rows", {x, *read_row});
    query_rows = p->select_rows(name + ".norm.rows", {attention_in, *read_row});
  }
  ValueId out = add_self_attention(p, name + ".attention", attention_in, query_rows, w.attention,
                                   std::move(form));
  if (s.gemma()) out = norm(".attention.output.norm", out, w.attention_out_norm);
  const ValueId middle = p->residual(name + ".attention.residual", {rows, out});
  const ValueId mlp_in = norm(".mlp.norm", middle, w.mlp_norm);
  const ValueId inner = p->gated_linear(
      name + ".gated_up", {mlp_in, w.gate, w.up, w.gate_bias, w.up_bias, s.activation});
  ValueId down = p->linear(name + ".down", {inner, {w.down}, {w.down_bias}, Activation::kNone});
  if (s.gemma()) down = norm(".down.norm", down, w.mlp_out_norm);
  return p->residual(name + ".residual", {middle, down});
}

void append_head(const files::ModelFiles& model, const std::shared_ptr<const Weights>& weights,
                 const Settings& s, const WeightRef& embeddings, Head head, Body* body) {
  if (head == Head::kHidden) return;
  if (head == Head::kMaskedLm) no_head(model, head, "");
  if (head == Head::kClassifier) {
    ClassifierHead score;
    score.out = "score";
    append_classifier(model, weights, score, body);
    return;
  }
  const JsonValue config = model.config();
  if (s.gemma() && config.find("final_logit_softcapping")) {
    fail(ErrorCode::kUnsupported, config.where() + "final_logit_softcapping",
         "expected null, got a number. Capped logits are not built in.");
  }
  body->decoder = embeddings;
  if (config.bool_or("tie_word_embeddings", s.gemma())) return;
  if (!checkpoint_has(*weights, "lm_head.weight")) no_head(model, head, "lm_head.weight");
  Binder binder(weights, "lm_head.weight", model.name());
  body->decoder = binder.take("lm_head.weight", {s.vocab_size, s.hidden_size});
  binder.finish();
}

Body build(const files::ModelFiles& model, std::shared_ptr<const Weights> weights,
           const BuildOptions& options) {
  const JsonValue config = model.config();
  const Settings s = read_settings(model);
  std::vector<bool> sliding;
  for (std::int64_t i = 0; i < s.num_layers; ++i) sliding.push_back(slides(config, s.family, i));

  Binder binder(weights, "embed_tokens.weight", model.name());
  EmbedStep embed;
  embed.tokens = binder.take("embed_tokens.weight", {s.vocab_size, s.hidden_size});
  if (s.gemma()) embed.scale = std::sqrt(static_cast<float>(s.hidden_size));
  std::vector<LayerWeights> layers;
  for (std::int64_t i = 0; i < s.num_layers; ++i) layers.push_back(take_layer(&binder, s, i));
  WeightRef last_norm = binder.take("norm.weight", {s.hidden_size});
  binder.finish();

  Body body;
  Program& p = body.program;
  p.hold(binder.weights());
  p.limit_tokens(s.max_positions);
  if (s.gemma()) {
    for (LayerWeights& w : layers) {
      for (WeightRef* norm : {&w.norm, &w.attention_out_norm, &w.mlp_norm, &w.mlp_out_norm,
                              &w.query_norm, &w.key_norm})
        add_one(&p, norm);
    }
    add_one(&p, &last_norm);
  }
  std::optional<SelectKind> read_row = options.read_row;
  if (options.head == Head::kClassifier || options.head == Head::kCausalLm)
    read_row = SelectKind::kLast;
  ValueId x = p.embed("embeddings", embed);
  for (std::int64_t i = 0; i < s.num_layers; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const bool last = i + 1 == s.num_layers;
    x = add_layer(&p, "layer." + std::to_string(i), x, layers[at], s,
                  layer_kind(config, s, sliding[at]), last ? read_row : std::nullopt);
  }
  body.hidden = p.norm("norm", {NormKind::kRms, x, kNoValue, last_norm, {}, s.eps});
  append_head(model, weights, s, embed.tokens, options.head, &body);
  return body;
}

}  // namespace

extern const Architecture kDecoder;
const Architecture kDecoder{"decoder", "llama, llama_bidirec, mistral, qwen2, qwen3, gemma3_text",
                            match, build};

}  // namespace inlay::arch
