// ALBERT: BERT's layers, few of them and used again and again, behind narrow embeddings (Lan et al.
// 2019, arXiv:1909.11942). paraphrase-albert-small-v2. Follows transformers' modeling_albert.py.
#include <cmath>

#include "arch/arch.h"
#include "arch/config.h"
#include "arch/heads.h"
#include "arch/layers.h"
#include "base/error.h"

namespace inlay::arch {
namespace {

constexpr PostNormNames kNames{"attention.query", "attention.key",        "attention.value",
                               "attention.dense", "attention.LayerNorm",  "ffn",
                               "ffn_output",      "full_layer_layer_norm"};

bool match(const files::ModelFiles& model) { return model.model_type() == "albert"; }

void append_head(const files::ModelFiles& model, const std::shared_ptr<const Weights>& weights,
                 const PostNormForm& form, const WeightRef& embeddings, Head head, Body* body) {
  if (head == Head::kMaskedLm) {
    append_masked_lm(model, weights,
                     {"predictions.dense",
                      "predictions.LayerNorm",
                      "predictions.decoder",
                      {"predictions.bias", "predictions.decoder.bias"},
                      form.activation,
                      form.eps},
                     embeddings, body);
  } else if (head == Head::kClassifier) {
    // A pretraining checkpoint's classifier says whether two sentences stand in order.
    if (checkpoint_has(*weights, "sop_classifier.classifier.weight"))
      no_head(model, head, "classifier.weight");
    append_classifier(model, weights, {"pooler", Activation::kTanh, "", 0, "classifier"}, body);
  } else if (head == Head::kCausalLm) {
    no_head(model, head, "lm_head.weight");
  }
}

Body build(const files::ModelFiles& model, std::shared_ptr<const Weights> weights,
           const BuildOptions& options) {
  const JsonValue config = model.config();
  require_text(config, "position_embedding_type", "absolute");
  const EncoderSizes s = encoder_sizes(config);
  const std::int64_t e = config_int(config, "embedding_size", 1, kMaxWidth, 128);
  const std::int64_t groups = config_int(config, "num_hidden_groups", 1, s.num_layers, 1);
  const std::int64_t inner = config_int(config, "inner_group_num", 1, kMaxLayers / s.num_layers, 1);
  PostNormForm form;
  form.activation = config_activation(config, "hidden_act", "gelu_new");
  form.eps = config_float(config, "layer_norm_eps", 0, 1, 1e-12);
  form.attention.heads = form.attention.kv_heads = s.num_heads;
  form.attention.head_size = s.head_size;
  form.attention.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(s.head_size)));
  std::optional<SelectKind> read_row = options.read_row;
  if (options.head == Head::kClassifier) read_row = SelectKind::kFirst;

  Binder binder(weights, "embeddings.word_embeddings.weight", model.name());
  EmbedStep embed;
  embed.tokens = binder.take("embeddings.word_embeddings.weight", {s.vocab_size, e});
  embed.positions = binder.take("embeddings.position_embeddings.weight", {s.max_positions, e});
  if (s.type_vocab_size > 0)
    embed.types = binder.take("embeddings.token_type_embeddings.weight", {s.type_vocab_size, e});
  const NormWeights norm = take_norm(&binder, "embeddings.LayerNorm", e);
  const WeightRef mapping =
      binder.take("encoder.embedding_hidden_mapping_in.weight", {s.hidden_size, e});
  const WeightRef mapping_bias =
      binder.take("encoder.embedding_hidden_mapping_in.bias", {s.hidden_size});
  std::vector<PostNormLayer> layers;  // group after group
  for (std::int64_t i = 0; i < groups * inner; ++i) {
    const std::string prefix = "encoder.albert_layer_groups." + std::to_string(i / inner) +
                               ".albert_layers." + std::to_string(i % inner) + ".";
    layers.push_back(
        take_post_norm_layer(&binder, prefix, kNames, s.hidden_size, s.intermediate_size));
  }
  binder.finish();

  Body body;
  Program& p = body.program;
  p.hold(binder.weights());
  ValueId x = p.embed("embeddings", embed);
  x = p.norm("embeddings.norm", {NormKind::kLayer, x, kNoValue, norm.weight, norm.bias, form.eps});
  x = p.linear("embeddings.projection", {x, {mapping}, {mapping_bias}, Activation::kNone});
  const std::int64_t steps = s.num_layers * inner;
  for (std::int64_t i = 0; i < steps; ++i) {
    const std::int64_t depth = i / inner;
    // In floating point, as the reference divides.
    const auto group =
        static_cast<std::int64_t>(static_cast<double>(depth) / (static_cast<double>(s.num_layers) /
                                                                static_cast<double>(groups)));
    const PostNormLayer& layer = layers[static_cast<std::size_t>(group * inner + i % inner)];
    x = add_post_norm_layer(&p, "layer." + std::to_string(i), x, layer, form,
                            i + 1 == steps ? read_row : std::nullopt);
  }
  body.hidden = x;
  append_head(model, weights, form, embed.tokens, options.head, &body);
  return body;
}

}  // namespace

extern const Architecture kAlbert;
const Architecture kAlbert{"albert", "albert", match, build};

}  // namespace inlay::arch
