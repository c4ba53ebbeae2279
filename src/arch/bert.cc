// BERT and the families that share its encoder: RoBERTa, XLM-RoBERTa, CamemBERT. Post-norm layers,
// absolute positions. Follows transformers' modeling_bert.py and modeling_roberta.py.
#include <array>
#include <cmath>

#include "arch/arch.h"
#include "arch/config.h"
#include "arch/heads.h"
#include "base/error.h"
#include "program/binder.h"

namespace inlay::arch {
namespace {

struct LayerWeights {
  WeightRef query, query_bias, key, key_bias, value, value_bias;
  WeightRef attention_out, attention_out_bias, attention_norm, attention_norm_bias;
  WeightRef up, up_bias, down, down_bias, norm, norm_bias;
};

struct Settings {
  EncoderSizes sizes;
  Activation activation;
  float eps;
};

LayerWeights take_layer(Binder* binder, const EncoderSizes& s, std::int64_t index) {
  const std::string prefix = "encoder.layer." + std::to_string(index) + ".";
  const auto matrix = [&](const char* name, std::int64_t out, std::int64_t in) {
    return binder->take(prefix + name + ".weight", {out, in});
  };
  const auto vector = [&](const std::string& name, std::int64_t size) {
    return binder->take(prefix + name, {size});
  };
  const std::int64_t h = s.hidden_size;
  const std::int64_t f = s.intermediate_size;
  LayerWeights w;
  w.query = matrix("attention.self.query", h, h);
  w.query_bias = vector("attention.self.query.bias", h);
  w.key = matrix("attention.self.key", h, h);
  w.key_bias = vector("attention.self.key.bias", h);
  w.value = matrix("attention.self.value", h, h);
  w.value_bias = vector("attention.self.value.bias", h);
  w.attention_out = matrix("attention.output.dense", h, h);
  w.attention_out_bias = vector("attention.output.dense.bias", h);
  w.attention_norm = vector("attention.output.LayerNorm.weight", h);
  w.attention_norm_bias = vector("attention.output.LayerNorm.bias", h);
  w.up = matrix("intermediate.dense", f, h);
  w.up_bias = vector("intermediate.dense.bias", f);
  w.down = matrix("output.dense", h, f);
  w.down_bias = vector("output.dense.bias", h);
  w.norm = vector("output.LayerNorm.weight", h);
  w.norm_bias = vector("output.LayerNorm.bias", h);
  return w;
}

// One layer. With `read_row` set, queries, feed-forward and output exist for that row of each text
// alone; keys and values still come from every token.
ValueId add_layer(Program* p, const std::string& name, ValueId x, const LayerWeights& w,
                  const Settings& settings, std::optional<SelectKind> read_row) {
  const std::int64_t h = settings.sizes.hidden_size;
  AttentionStep attention;
  attention.heads = attention.kv_heads = settings.sizes.num_heads;
  attention.head_size = settings.sizes.head_size;
  attention.scale =
      static_cast<float>(1.0 / std::sqrt(static_cast<double>(settings.sizes.head_size)));
  ValueId rows = x;
  if (read_row) {
    rows = p->select_rows(name + ".rows", {x, *read_row});
    const ValueId q =
        p->linear(name + ".query", {rows, {w.query}, {w.query_bias}, Activation::kNone});
    const ValueId kv = p->linear(
        name + ".key_value", {x, {w.key, w.value}, {w.key_bias, w.value_bias}, Activation::kNone});
    attention.query = {q, 0};
    attention.key = {kv, 0};
    attention.value = {kv, h};
    attention.query_row = *read_row;
  } else {
    const ValueId qkv =
        p->linear(name + ".query_key_value", {x,
                                              {w.query, w.key, w.value},
                                              {w.query_bias, w.key_bias, w.value_bias},
                                              Activation::kNone});
    attention.query = {qkv, 0};
    attention.key = {qkv, h};
    attention.value = {qkv, 2 * h};
  }
  const ValueId context = p->attention(name + ".attention", attention);
  const ValueId out =
      p->linear(name + ".attention.output",
                {context, {w.attention_out}, {w.attention_out_bias}, Activation::kNone});
  const ValueId mid =
      p->norm(name + ".attention.norm",
              {NormKind::kLayer, out, rows, w.attention_norm, w.attention_norm_bias, settings.eps});
  const ValueId up = p->linear(name + ".up", {mid, {w.up}, {w.up_bias}, settings.activation});
  const ValueId down = p->linear(name + ".down", {up, {w.down}, {w.down_bias}, Activation::kNone});
  return p->norm(name + ".norm", {NormKind::kLayer, down, mid, w.norm, w.norm_bias, settings.eps});
}

// What remains of the last layer for Head::kAttention.
ValueId add_attention_row(Program* p, const std::string& name, ValueId x, const LayerWeights& w,
                          const Settings& settings) {
  AttentionStep attention;
  attention.heads = attention.kv_heads = settings.sizes.num_heads;
  attention.head_size = settings.sizes.head_size;
  attention.scale =
      static_cast<float>(1.0 / std::sqrt(static_cast<double>(settings.sizes.head_size)));
  const ValueId first = p->select_rows(name + ".rows", {x, SelectKind::kFirst});
  attention.query.value =
      p->linear(name + ".query", {first, {w.query}, {w.query_bias}, Activation::kNone});
  attention.key.value = p->linear(name + ".key", {x, {w.key}, {w.key_bias}, Activation::kNone});
  attention.probabilities = true;
  return p->attention(name + ".attention", attention);
}

bool is_roberta(std::string_view family) {
  return family == "roberta" || family == "xlm-roberta" || family == "camembert";
}

std::string family_of(const files::ModelFiles& model) {
  std::string type = model.model_type();
  if (!type.empty()) return type;
  // Files older than model_type: the class name says it.
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kClasses{
      {{"BertFor", "bert"},
       {"BertModel", "bert"},
       {"Roberta", "roberta"},
       {"XLMRoberta", "xlm-roberta"}}};
  for (const std::string& name : model.architectures()) {
    for (const auto& [prefix, family] : kClasses) {
      if (name.starts_with(prefix)) return std::string(family);
    }
  }
  return "";
}

bool match(const files::ModelFiles& model) {
  const std::string family = family_of(model);
  return family == "bert" || is_roberta(family);
}

void refuse_variants(const JsonValue& config) {
  const std::string positions = config.string_or("position_embedding_type", "absolute");
  if (positions != "absolute") {
    fail(ErrorCode::kUnsupported, config.where() + "position_embedding_type",
         "expected \"absolute\", got \"" + printable(positions) +
             "\". This variant of BERT is not built in.");
  }
  if (config.bool_or("is_decoder", false)) {
    fail(ErrorCode::kUnsupported, config.where() + "is_decoder",
         "expected an encoder, got a decoder (true).");
  }
}

void append_head(const files::ModelFiles& model, const std::shared_ptr<const Weights>& weights,
                 bool roberta, const Settings& settings, const WeightRef& embeddings, Head head,
                 Body* body) {
  if (head == Head::kMaskedLm && roberta) {
    append_masked_lm(model, weights,
                     {"lm_head.dense",
                      "lm_head.layer_norm",
                      "lm_head.decoder",
                      {"lm_head.bias", "lm_head.decoder.bias"},
                      Activation::kGelu,
                      settings.eps},
                     embeddings, body);
  } else if (head == Head::kMaskedLm) {
    append_masked_lm(model, weights,
                     {"cls.predictions.transform.dense",
                      "cls.predictions.transform.LayerNorm",
                      "cls.predictions.decoder",
                      {"cls.predictions.bias", "cls.predictions.decoder.bias"},
                      settings.activation,
                      settings.eps},
                     embeddings, body);
  } else if (head == Head::kClassifier && roberta) {
    append_classifier(model, weights,
                      {"classifier.dense", Activation::kTanh, "", 0, "classifier.out_proj"}, body);
  } else if (head == Head::kClassifier) {
    append_classifier(model, weights, {"pooler.dense", Activation::kTanh, "", 0, "classifier"},
                      body);
  } else if (head == Head::kCausalLm) {
    no_head(model, head, "lm_head.weight");
  }
}

Body build(const files::ModelFiles& model, std::shared_ptr<const Weights> weights,
           const BuildOptions& options) {
  const JsonValue config = model.config();
  refuse_variants(config);
  Settings settings{};
  settings.sizes = encoder_sizes(config);
  settings.activation = config_activation(config, "hidden_act", "gelu");
  settings.eps = config_float(config, "layer_norm_eps", 0, 1, 1e-12);
  const EncoderSizes& s = settings.sizes;

  const bool roberta = is_roberta(family_of(model));
  std::optional<SelectKind> read_row = options.read_row;
  if (options.head == Head::kClassifier) read_row = SelectKind::kFirst;
  Binder binder(weights, "embeddings.word_embeddings.weight", model.name());
  EmbedStep embed;
  embed.tokens = binder.take("embeddings.word_embeddings.weight", {s.vocab_size, s.hidden_size});
  embed.positions =
      binder.take("embeddings.position_embeddings.weight", {s.max_positions, s.hidden_size});
  if (s.type_vocab_size > 0) {
    embed.types =
        binder.take("embeddings.token_type_embeddings.weight", {s.type_vocab_size, s.hidden_size});
  }
  if (roberta) {
    const std::int64_t pad = config_int(config, "pad_token_id", 0, s.vocab_size - 1, 1);
    embed.position_offset = pad + 1;
    embed.position_pad_id = static_cast<std::int32_t>(pad);
  }
  NormStep norm;
  norm.weight = binder.take("embeddings.LayerNorm.weight", {s.hidden_size});
  norm.bias = binder.take("embeddings.LayerNorm.bias", {s.hidden_size});
  norm.eps = settings.eps;
  std::vector<LayerWeights> layers;
  for (std::int64_t i = 0; i < s.num_layers; ++i) layers.push_back(take_layer(&binder, s, i));
  binder.finish();

  Body body;
  Program& p = body.program;
  p.hold(binder.weights());
  norm.input = p.embed("embeddings", embed);
  ValueId x = p.norm("embeddings.norm", norm);
  for (std::int64_t i = 0; i < s.num_layers; ++i) {
    const bool last = i + 1 == s.num_layers;
    const std::string name = "layer." + std::to_string(i);
    const LayerWeights& layer = layers[static_cast<std::size_t>(i)];
    x = last && options.head == Head::kAttention
            ? add_attention_row(&p, name, x, layer, settings)
            : add_layer(&p, name, x, layer, settings, last ? read_row : std::nullopt);
  }
  body.hidden = x;
  append_head(model, weights, roberta, settings, embed.tokens, options.head, &body);
  return body;
}

}  // namespace

extern const Architecture kBert;
const Architecture kBert{"bert", "bert, roberta, xlm-roberta, camembert", match, build};

}  // namespace inlay::arch
