// ELECTRA: BERT's layers behind embeddings that may be narrower (Clark et al. 2020,
// arXiv:2003.10555). ms-marco-electra-base. Follows transformers' modeling_electra.py; the masked
// language model is the generator.
#include <cmath>

#include "arch/arch.h"
#include "arch/config.h"
#include "arch/heads.h"
#include "arch/layers.h"

namespace inlay::arch {
namespace {

constexpr PostNormNames kNames{"attention.self.query",
                               "attention.self.key",
                               "attention.self.value",
                               "attention.output.dense",
                               "attention.output.LayerNorm",
                               "intermediate.dense",
                               "output.dense",
                               "output.LayerNorm"};

bool match(const files::ModelFiles& model) { return model.model_type() == "electra"; }

void append_head(const files::ModelFiles& model, const std::shared_ptr<const Weights>& weights,
                 float eps, const WeightRef& embeddings, Head head, Body* body) {
  if (head == Head::kMaskedLm) {
    append_masked_lm(model, weights,
                     {"generator_predictions.dense",
                      "generator_predictions.LayerNorm",
                      "generator_lm_head",
                      {"generator_lm_head.bias"},
                      Activation::kGelu,
                      eps},
                     embeddings, body);
  } else if (head == Head::kClassifier) {
    append_classifier(model, weights,
                      {"classifier.dense", Activation::kGelu, "", 0, "classifier.out_proj"}, body);
  } else if (head == Head::kCausalLm) {
    no_head(model, head, "lm_head.weight");
  }
}

Body build(const files::ModelFiles& model, std::shared_ptr<const Weights> weights,
           const BuildOptions& options) {
  const JsonValue config = model.config();
  require_text(config, "position_embedding_type", "absolute");
  require_flag(config, "is_decoder", false);
  const EncoderSizes s = encoder_sizes(config);
  const std::int64_t e = config_int(config, "embedding_size", 1, kMaxWidth, 128);
  PostNormForm form;
  form.activation = config_activation(config, "hidden_act", "gelu");
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
  WeightRef projection;
  WeightRef projection_bias;
  if (e != s.hidden_size) {
    projection = binder.take("embeddings_project.weight", {s.hidden_size, e});
    projection_bias = binder.take("embeddings_project.bias", {s.hidden_size});
  }
  std::vector<PostNormLayer> layers;
  for (std::int64_t i = 0; i < s.num_layers; ++i) {
    layers.push_back(take_post_norm_layer(&binder, "encoder.layer." + std::to_string(i) + ".",
                                          kNames, s.hidden_size, s.intermediate_size));
  }
  binder.finish();

  Body body;
  Program& p = body.program;
  p.hold(binder.weights());
  ValueId x = p.embed("embeddings", embed);
  x = p.norm("embeddings.norm", {NormKind::kLayer, x, kNoValue, norm.weight, norm.bias, form.eps});
  if (projection.present())
    x = p.linear("embeddings.projection", {x, {projection}, {projection_bias}, Activation::kNone});
  for (std::size_t i = 0; i < layers.size(); ++i) {
    x = add_post_norm_layer(&p, "layer." + std::to_string(i), x, layers[i], form,
                            i + 1 == layers.size() ? read_row : std::nullopt);
  }
  body.hidden = x;
  append_head(model, weights, form.eps, embed.tokens, options.head, &body);
  return body;
}

}  // namespace

extern const Architecture kElectra;
const Architecture kElectra{"electra", "electra", match, build};

}  // namespace inlay::arch
