// ModernBERT (Warner et al. 2024, arXiv:2412.13663): pre-norm layers, rotary positions, gated
// feed-forward; every few layers attend to the whole text, the others to a window with a rotary
// base of its own. Follows transformers' modeling_modernbert.py.
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

struct LayerWeights {
  NormWeights attention_norm, norm;  // the first layer has no attention_norm
  AttentionWeights attention;
  WeightRef gate, gate_bias, up, up_bias, down, down_bias;
};

struct Settings {
  EncoderSizes sizes;
  Activation activation;
  float eps;
  bool norm_bias, attention_bias, mlp_bias;
  std::vector<bool> sliding;  // of each layer
  std::int64_t window;
};

std::vector<bool> sliding_layers(const JsonValue& config, std::int64_t layers) {
  std::vector<bool> sliding;
  const auto types = config.find("layer_types");
  if (!types) {
    const std::int64_t every = config_int(config, "global_attn_every_n_layers", 1, kMaxLayers, 3);
    for (std::int64_t i = 0; i < layers; ++i) sliding.push_back(i % every != 0);
    return sliding;
  }
  for (const JsonValue& type : types->items()) {
    const std::string_view name = type.string();
    if (name != "sliding_attention" && name != "full_attention") {
      fail(ErrorCode::kUnsupported, type.where(),
           "expected sliding_attention or full_attention, got \"" + printable(name) + "\".");
    }
    sliding.push_back(name == "sliding_attention");
  }
  if (static_cast<std::int64_t>(sliding.size()) != layers) {
    fail(ErrorCode::kBadInput, types->where(),
         "expected " + std::to_string(layers) + " layers as num_hidden_layers says, got " +
             std::to_string(sliding.size()) + ".");
  }
  return sliding;
}

Settings read_settings(const JsonValue& config) {
  Settings s{};
  s.sizes = encoder_sizes(config);
  s.activation = config_activation(config, "hidden_activation", "gelu");
  s.eps = config_float(config, "norm_eps", 0, 1, 1e-5);
  s.norm_bias = config.bool_or("norm_bias", false);
  s.attention_bias = config.bool_or("attention_bias", false);
  s.mlp_bias = config.bool_or("mlp_bias", false);
  s.sliding = sliding_layers(config, s.sizes.num_layers);
  s.window = config_int(config, "local_attention", 1, kMaxRows, 128) / 2;  // to each side
  return s;
}

// A layer norm's weight and, where the config has biases, its bias.
NormWeights take_norm(Binder* binder, const std::string& name, const Settings& s) {
  NormWeights norm;
  norm.weight = binder->take(name + ".weight", {s.sizes.hidden_size});
  if (s.norm_bias) norm.bias = binder->take(name + ".bias", {s.sizes.hidden_size});
  return norm;
}

LayerWeights take_layer(Binder* binder, const Settings& s, std::int64_t index) {
  const std::string prefix = "layers." + std::to_string(index) + ".";
  const std::int64_t h = s.sizes.hidden_size;
  const std::int64_t f = s.sizes.intermediate_size;
  const auto bias = [&](const char* name, std::int64_t size, bool has) {
    return has ? binder->take(prefix + name, {size}) : WeightRef{};
  };
  LayerWeights w;
  if (index > 0) w.attention_norm = take_norm(binder, prefix + "attn_norm", s);
  split_query_key_value(binder->take(prefix + "attn.Wqkv.weight", {3 * h, h}),
                        bias("attn.Wqkv.bias", 3 * h, s.attention_bias), &w.attention);
  w.attention.out = binder->take(prefix + "attn.Wo.weight", {h, h});
  w.attention.out_bias = bias("attn.Wo.bias", h, s.attention_bias);
  w.norm = take_norm(binder, prefix + "mlp_norm", s);
  const WeightRef wi = binder->take(prefix + "mlp.Wi.weight", {2 * f, h});
  const WeightRef wi_bias = bias("mlp.Wi.bias", 2 * f, s.mlp_bias);
  if (wi.present()) {  // the activated half comes first
    w.gate = weight_rows(wi, 0, f);
    w.gate_bias = weight_rows(wi_bias, 0, f);
    w.up = weight_rows(wi, f, f);
    w.up_bias = weight_rows(wi_bias, f, f);
  }
  w.down = binder->take(prefix + "mlp.Wo.weight", {h, f});
  w.down_bias = bias("mlp.Wo.bias", h, s.mlp_bias);
  return w;
}

ValueId add_norm(Program* p, const std::string& name, ValueId x, const NormWeights& norm,
                 float eps) {
  return p->norm(name, {NormKind::kLayer, x, kNoValue, norm.weight, norm.bias, eps});
}

// One layer; with `read_row` set for that row of each text alone.
ValueId add_layer(Program* p, const std::string& name, ValueId x, const LayerWeights& w,
                  const Settings& s, AttentionStep attention, std::optional<SelectKind> read_row) {
  const ValueId in = w.attention_norm.weight.present()
                         ? add_norm(p, name + ".attention.norm", x, w.attention_norm, s.eps)
                         : x;
  ValueId query_rows = in;
  if (read_row) {
    query_rows = p->select_rows(name + ".attention.rows", {in, *read_row});
    x = in == x ? query_rows : p->select_rows(name + ".rows", {x, *read_row});
    attention.query_row = *read_row;
  }
  const ValueId context =
      add_self_attention(p, name + ".attention", in, query_rows, w.attention, std::move(attention));
  const ValueId middle = p->residual(name + ".attention.residual", {x, context});
  const ValueId normed = add_norm(p, name + ".norm", middle, w.norm, s.eps);
  const ValueId up = p->gated_linear(name + ".gated_up",
                                     {normed, w.gate, w.up, w.gate_bias, w.up_bias, s.activation});
  const ValueId down = p->linear(name + ".down", {up, {w.down}, {w.down_bias}, Activation::kNone});
  return p->residual(name + ".residual", {middle, down});
}

void append_head(const files::ModelFiles& model, const std::shared_ptr<const Weights>& weights,
                 const Settings& s, const WeightRef& embeddings, bool mean, Head head, Body* body) {
  if (head == Head::kCausalLm) no_head(model, head, "lm_head.weight");
  if (head == Head::kHidden) return;
  const Activation activation = config_activation(model.config(), "classifier_activation", "gelu");
  if (head == Head::kMaskedLm) {
    append_masked_lm(model, weights,
                     {"head.dense", "head.norm", "decoder", {"decoder.bias"}, activation, s.eps},
                     embeddings, body);
    return;
  }
  if (mean) body->hidden = body->program.pool("head.pool", {body->hidden, {PoolMode::kMean}});
  append_classifier(model, weights, {"head.dense", activation, "head.norm", s.eps, "classifier"},
                    body);
}

// Whether the classifier reads the mean of a text's rows rather than its first.
bool classifier_mean(const JsonValue& config) {
  const std::string pooling = config.string_or("classifier_pooling", "cls");
  if (pooling == "cls" || pooling == "mean") return pooling == "mean";
  fail(ErrorCode::kUnsupported, config.where() + "classifier_pooling",
       "expected cls or mean, got \"" + printable(pooling) + "\".");
}

bool match(const files::ModelFiles& model) { return model.model_type() == "modernbert"; }

Body build(const files::ModelFiles& model, std::shared_ptr<const Weights> weights,
           const BuildOptions& options) {
  const JsonValue config = model.config();
  const Settings s = read_settings(config);
  const bool mean = options.head == Head::kClassifier && classifier_mean(config);
  std::optional<SelectKind> read_row = options.read_row;
  if (options.head == Head::kClassifier)
    read_row = mean ? std::nullopt : std::optional(SelectKind::kFirst);

  Binder binder(weights, "embeddings.tok_embeddings.weight", model.name());
  EmbedStep embed;
  embed.tokens =
      binder.take("embeddings.tok_embeddings.weight", {s.sizes.vocab_size, s.sizes.hidden_size});
  const NormWeights embedding_norm = take_norm(&binder, "embeddings.norm", s);
  std::vector<LayerWeights> layers;
  for (std::int64_t i = 0; i < s.sizes.num_layers; ++i) layers.push_back(take_layer(&binder, s, i));
  const NormWeights final_norm = take_norm(&binder, "final_norm", s);
  binder.finish();

  AttentionStep full;
  full.heads = full.kv_heads = s.sizes.num_heads;
  full.head_size = s.sizes.head_size;
  full.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(s.sizes.head_size)));
  AttentionStep sliding = full;
  sliding.window = s.window;
  full.rope =
      config_rope(config, s.sizes.head_size, "full_attention", {"global_rope_theta", 160000});
  const bool own_base =
      config.find("local_rope_theta") || !config.contains("local_rope_theta");  // null: the other's
  sliding.rope = config_rope(
      config, s.sizes.head_size, "sliding_attention",
      own_base ? RopeKeys{"local_rope_theta", 10000} : RopeKeys{"global_rope_theta", 160000});

  Body body;
  Program& p = body.program;
  p.hold(binder.weights());
  p.limit_tokens(s.sizes.max_positions);
  ValueId x = add_norm(&p, "embeddings.norm", p.embed("embeddings", embed), embedding_norm, s.eps);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    x = add_layer(&p, "layer." + std::to_string(i), x, layers[i], s, s.sliding[i] ? sliding : full,
                  i + 1 == layers.size() ? read_row : std::nullopt);
  }
  body.hidden = add_norm(&p, "final_norm", x, final_norm, s.eps);
  append_head(model, weights, s, embed.tokens, mean, options.head, &body);
  return body;
}

}  // namespace

extern const Architecture kModernbert;
const Architecture kModernbert{"modernbert", "modernbert", match, build};

}  // namespace inlay::arch
