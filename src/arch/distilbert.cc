// DistilBERT: BERT without token types, under names of its own (Sanh et al. 2019,
// arXiv:1910.01108). Follows transformers' modeling_distilbert.py. Sinusoidal positions are a table
// in the checkpoint like any other.
#include <cmath>

#include "arch/arch.h"
#include "arch/config.h"
#include "arch/heads.h"
#include "arch/layers.h"
#include "base/error.h"

namespace inlay::arch {
namespace {

constexpr PostNormNames kNames{"attention.q_lin",   "attention.k_lin",  "attention.v_lin",
                               "attention.out_lin", "sa_layer_norm",    "ffn.lin1",
                               "ffn.lin2",          "output_layer_norm"};
constexpr float kEps = 1e-12F;  // the config has no member for it

struct Sizes {
  std::int64_t vocab_size, hidden_size, num_layers, num_heads, intermediate_size, max_positions;
};

Sizes read_sizes(const JsonValue& config) {
  Sizes s{};
  s.vocab_size = config_int(config, "vocab_size", 1, kMaxRows);
  s.hidden_size = config_int(config, "dim", 1, kMaxWidth);
  s.num_layers = config_int(config, "n_layers", 1, kMaxLayers);
  s.num_heads = config_int(config, "n_heads", 1, kMaxWidth);
  s.intermediate_size = config_int(config, "hidden_dim", 1, kMaxWidth);
  s.max_positions = config_int(config, "max_position_embeddings", 1, kMaxRows);
  if (s.hidden_size % s.num_heads != 0) {
    fail(ErrorCode::kBadInput, config.where() + "n_heads",
         "expected a divisor of dim " + std::to_string(s.hidden_size) + ", got " +
             std::to_string(s.num_heads) + ".");
  }
  return s;
}

bool match(const files::ModelFiles& model) { return model.model_type() == "distilbert"; }

void append_head(const files::ModelFiles& model, const std::shared_ptr<const Weights>& weights,
                 Activation activation, const WeightRef& embeddings, Head head, Body* body) {
  if (head == Head::kMaskedLm) {
    append_masked_lm(model, weights,
                     {"vocab_transform",
                      "vocab_layer_norm",
                      "vocab_projector",
                      {"vocab_projector.bias"},
                      activation,
                      kEps},
                     embeddings, body);
  } else if (head == Head::kClassifier) {
    append_classifier(model, weights, {"pre_classifier", Activation::kRelu, "", 0, "classifier"},
                      body);
  } else if (head == Head::kCausalLm) {
    no_head(model, head, "lm_head.weight");
  }
}

Body build(const files::ModelFiles& model, std::shared_ptr<const Weights> weights,
           const BuildOptions& options) {
  const JsonValue config = model.config();
  const Sizes s = read_sizes(config);
  PostNormForm form;
  form.activation = config_activation(config, "activation", "gelu");
  form.eps = kEps;
  form.attention.heads = form.attention.kv_heads = s.num_heads;
  form.attention.head_size = s.hidden_size / s.num_heads;
  form.attention.scale =
      static_cast<float>(1.0 / std::sqrt(static_cast<double>(form.attention.head_size)));
  std::optional<SelectKind> read_row = options.read_row;
  if (options.head == Head::kClassifier) read_row = SelectKind::kFirst;

  Binder binder(weights, "embeddings.word_embeddings.weight", model.name());
  EmbedStep embed;
  embed.tokens = binder.take("embeddings.word_embeddings.weight", {s.vocab_size, s.hidden_size});
  embed.positions =
      binder.take("embeddings.position_embeddings.weight", {s.max_positions, s.hidden_size});
  const NormWeights norm = take_norm(&binder, "embeddings.LayerNorm", s.hidden_size);
  std::vector<PostNormLayer> layers;
  for (std::int64_t i = 0; i < s.num_layers; ++i) {
    layers.push_back(take_post_norm_layer(&binder, "transformer.layer." + std::to_string(i) + ".",
                                          kNames, s.hidden_size, s.intermediate_size));
  }
  binder.finish();

  Body body;
  Program& p = body.program;
  p.hold(binder.weights());
  ValueId x = p.embed("embeddings", embed);
  x = p.norm("embeddings.norm", {NormKind::kLayer, x, kNoValue, norm.weight, norm.bias, kEps});
  for (std::size_t i = 0; i < layers.size(); ++i) {
    x = add_post_norm_layer(&p, "layer." + std::to_string(i), x, layers[i], form,
                            i + 1 == layers.size() ? read_row : std::nullopt);
  }
  body.hidden = x;
  append_head(model, weights, form.activation, embed.tokens, options.head, &body);
  return body;
}

}  // namespace

extern const Architecture kDistilbert;
const Architecture kDistilbert{"distilbert", "distilbert", match, build};

}  // namespace inlay::arch
