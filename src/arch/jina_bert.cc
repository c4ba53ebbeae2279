// JinaBERT v2: BERT without a position table, with ALiBi (Press et al. 2021, arXiv:2108.12409) to
// both sides and a gated feed-forward (Günther et al. 2023, arXiv:2310.19923).
// jina-embeddings-v2-*, jina-reranker-v1-*. Follows the Hub's jinaai/jina-bert-implementation and
// jinaai/jina-bert-v2-qk-post-norm (base-code), which norms queries and keys over all heads and the
// attention's sum twice.
#include <cmath>

#include "arch/arch.h"
#include "arch/config.h"
#include "arch/heads.h"
#include "arch/layers.h"
#include "base/error.h"

namespace inlay::arch {
namespace {

struct Layer {
  PostNormLayer weights;
  NormWeights query_norm, key_norm;  // of all heads together; may be absent
};

Layer take_layer(Binder* binder, const EncoderSizes& s, std::int64_t index) {
  const std::string prefix = "encoder.layer." + std::to_string(index) + ".";
  const std::int64_t h = s.hidden_size;
  const std::int64_t f = s.intermediate_size;
  const auto linear = [&](const char* name, std::int64_t out, std::int64_t in, WeightRef* weight,
                          WeightRef* bias) {
    *weight = binder->take(prefix + name + ".weight", {out, in});
    *bias = binder->take(prefix + name + ".bias", {out});
  };
  Layer layer;
  PostNormLayer& w = layer.weights;
  linear("attention.self.query", h, h, &w.attention.query, &w.attention.query_bias);
  linear("attention.self.key", h, h, &w.attention.key, &w.attention.key_bias);
  linear("attention.self.value", h, h, &w.attention.value, &w.attention.value_bias);
  linear("attention.output.dense", h, h, &w.attention.out, &w.attention.out_bias);
  w.attention_norm = take_norm(binder, prefix + "attention.output.LayerNorm", h);
  if (binder->has(prefix + "attention.self.layer_norm_q.weight")) {
    layer.query_norm = take_norm(binder, prefix + "attention.self.layer_norm_q", h);
    layer.key_norm = take_norm(binder, prefix + "attention.self.layer_norm_k", h);
  }
  // The two implementations have the halves of the gated projection the other way round.
  if (binder->has(prefix + "mlp.up_gated_layer.weight")) {
    const WeightRef both = binder->take(prefix + "mlp.up_gated_layer.weight", {2 * f, h});
    if (both.present()) {
      w.up = weight_rows(both, 0, f);
      w.gate = weight_rows(both, f, f);
    }
    linear("mlp.down_layer", h, f, &w.down, &w.down_bias);
    w.outer_attention_norm = take_norm(binder, prefix + "layer_norm_1", h);
    w.norm = take_norm(binder, prefix + "layer_norm_2", h);
  } else {
    const WeightRef both = binder->take(prefix + "mlp.gated_layers.weight", {2 * f, h});
    if (both.present()) {
      w.gate = weight_rows(both, 0, f);
      w.up = weight_rows(both, f, f);
    }
    linear("mlp.wo", h, f, &w.down, &w.down_bias);
    w.norm = take_norm(binder, prefix + "mlp.layernorm", h);
  }
  return layer;
}

// 2^(-8 (i + 1) / n) for n a power of two; else those of the power below, then every other one of
// the power above.
std::vector<float> alibi_slopes(std::int64_t heads) {
  std::int64_t power = 1;
  while (power * 2 <= heads) power *= 2;
  std::vector<float> slopes;
  const auto slope = [](std::int64_t n, std::int64_t i) {
    return static_cast<float>(
        std::exp2(-8.0 * static_cast<double>(i + 1) / static_cast<double>(n)));
  };
  for (std::int64_t i = 0; i < power; ++i) slopes.push_back(slope(power, i));
  for (std::int64_t i = 0; i < heads - power; ++i) slopes.push_back(slope(2 * power, 2 * i));
  return slopes;
}

Activation gate_activation(const JsonValue& config) {
  const std::string type = config.string_or("feed_forward_type", "original");
  if (type == "geglu") return Activation::kGelu;
  if (type == "reglu") return Activation::kRelu;
  fail(ErrorCode::kUnsupported, config.where() + "feed_forward_type",
       "expected geglu or reglu, got \"" + printable(type) +
           "\". No published JinaBERT v2 has another feed-forward.");
}

bool match(const files::ModelFiles& model) {
  if (model.model_type() != "bert") return false;
  if (model.config().string_or("position_embedding_type", "absolute") == "alibi") return true;
  const auto code = model.config().find("auto_map");
  if (!code || !code->is_object()) return false;
  for (const auto& [name, value] : code->members()) {
    if (value.is_string() && value.string().find("JinaBert") != std::string_view::npos) return true;
  }
  return false;
}

void append_head(const files::ModelFiles& model, const std::shared_ptr<const Weights>& weights,
                 float eps, const WeightRef& embeddings, Head head, Body* body) {
  if (head == Head::kMaskedLm) {
    append_masked_lm(model, weights,
                     {"cls.predictions.transform.dense",
                      "cls.predictions.transform.LayerNorm",
                      "cls.predictions.decoder",
                      {"cls.predictions.bias", "cls.predictions.decoder.bias"},
                      config_activation(model.config(), "hidden_act", "gelu"),
                      eps},
                     embeddings, body);
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
  if (config.string_or("position_embedding_type", "absolute") != "alibi") {
    fail(ErrorCode::kUnsupported, config.where() + "position_embedding_type",
         "expected \"alibi\", which every published JinaBERT has, got \"" +
             printable(config.string_or("position_embedding_type", "absolute")) + "\".");
  }
  require_flag(config, "is_decoder", false);
  const EncoderSizes s = encoder_sizes(config);
  PostNormForm form;
  form.activation = gate_activation(config);
  form.eps = config_float(config, "layer_norm_eps", 0, 1, 1e-12);
  form.attention.heads = form.attention.kv_heads = s.num_heads;
  form.attention.head_size = s.head_size;
  form.attention.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(s.head_size)));
  form.attention.alibi = alibi_slopes(s.num_heads);
  std::optional<SelectKind> read_row = options.read_row;
  if (options.head == Head::kClassifier) read_row = SelectKind::kFirst;

  Binder binder(weights, "embeddings.word_embeddings.weight", model.name());
  EmbedStep embed;
  embed.tokens = binder.take("embeddings.word_embeddings.weight", {s.vocab_size, s.hidden_size});
  if (s.type_vocab_size > 0) {
    embed.types =
        binder.take("embeddings.token_type_embeddings.weight", {s.type_vocab_size, s.hidden_size});
  }
  const NormWeights norm = take_norm(&binder, "embeddings.LayerNorm", s.hidden_size);
  std::vector<Layer> layers;
  for (std::int64_t i = 0; i < s.num_layers; ++i) layers.push_back(take_layer(&binder, s, i));
  binder.finish();

  Body body;
  Program& p = body.program;
  p.hold(binder.weights());
  p.limit_tokens(s.max_positions);
  ValueId x = p.embed("embeddings", embed);
  x = p.norm("embeddings.norm", {NormKind::kLayer, x, kNoValue, norm.weight, norm.bias, form.eps});
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const Layer& layer = layers[i];
    const auto over_all_heads = [&](const NormWeights& w) {
      return HeadNorm{NormKind::kLayer, w.weight, w.bias, form.eps, true};
    };
    form.attention.query_norm = over_all_heads(layer.query_norm);
    form.attention.key_norm = over_all_heads(layer.key_norm);
    x = add_post_norm_layer(&p, "layer." + std::to_string(i), x, layer.weights, form,
                            i + 1 == layers.size() ? read_row : std::nullopt);
  }
  body.hidden = x;
  append_head(model, weights, form.eps, embed.tokens, options.head, &body);
  return body;
}

}  // namespace

extern const Architecture kJinaBert;
const Architecture kJinaBert{"jina_bert", "jina_bert_v2 (bert of jinaai/jina-bert-implementation)",
                             match, build};

}  // namespace inlay::arch
