// MPNet: BERT's layers with one table of relative position biases for all of them (Song et al.
// 2020, arXiv:2004.09297). all-mpnet-base-v2. Follows transformers' modeling_mpnet.py.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "arch/arch.h"
#include "arch/config.h"
#include "arch/heads.h"
#include "arch/layers.h"
#include "base/error.h"

namespace inlay::arch {
namespace {

constexpr PostNormNames kNames{"attention.attn.q", "attention.attn.k",    "attention.attn.v",
                               "attention.attn.o", "attention.LayerNorm", "intermediate.dense",
                               "output.dense",     "output.LayerNorm"};
// The reference counts positions from its padding index, whatever the config says of pad_token_id,
// and has 32 buckets up to a distance of 128, whatever it says of their number.
constexpr std::int64_t kPad = 1;
constexpr std::int64_t kBuckets = 32;
constexpr std::int64_t kMaxDistance = 128;

// T5's bidirectional buckets: half of them for keys after the query; a half's first half one a
// distance, the rest by logarithm, in float as the reference has it.
std::int64_t bucket_of(std::int64_t key_minus_query) {
  constexpr std::int64_t kHalf = kBuckets / 2;
  constexpr std::int64_t kExact = kHalf / 2;
  const std::int64_t side = key_minus_query > 0 ? kHalf : 0;
  const std::int64_t distance = std::abs(key_minus_query);
  if (distance < kExact) return side + distance;
  const float share =
      std::log(static_cast<float>(distance) / static_cast<float>(kExact)) /
      static_cast<float>(std::log(static_cast<double>(kMaxDistance) / static_cast<double>(kExact)));
  const auto step = static_cast<std::int64_t>(share * static_cast<float>(kHalf - kExact));
  return side + std::min(kExact + step, kHalf - 1);
}

// [2 kMaxDistance + 1, heads]: beyond the greatest distance the bucket stays the same.
WeightRef bias_by_distance(Program* program, const WeightRef& buckets) {
  const std::vector<float> rows = to_float(buckets.tensor, buckets.name);
  const std::int64_t heads = buckets.tensor.shape[1];
  std::vector<float> out;
  for (std::int64_t distance = -kMaxDistance; distance <= kMaxDistance; ++distance) {
    const auto row = rows.begin() + bucket_of(distance) * heads;
    out.insert(out.end(), row, row + heads);
  }
  return program->own(buckets.name + " by distance", {2 * kMaxDistance + 1, heads}, std::move(out));
}

bool match(const files::ModelFiles& model) { return model.model_type() == "mpnet"; }

void append_head(const files::ModelFiles& model, const std::shared_ptr<const Weights>& weights,
                 float eps, const WeightRef& embeddings, Head head, Body* body) {
  if (head == Head::kMaskedLm) {
    append_masked_lm(model, weights,
                     {"lm_head.dense",
                      "lm_head.layer_norm",
                      "lm_head.decoder",
                      {"lm_head.bias", "lm_head.decoder.bias"},
                      Activation::kGelu,
                      eps},
                     embeddings, body);
  } else if (head == Head::kClassifier) {
    append_classifier(model, weights,
                      {"classifier.dense", Activation::kTanh, "", 0, "classifier.out_proj"}, body);
  } else if (head == Head::kCausalLm) {
    no_head(model, head, "lm_head.weight");
  }
}

Body build(const files::ModelFiles& model, std::shared_ptr<const Weights> weights,
           const BuildOptions& options) {
  const JsonValue config = model.config();
  const EncoderSizes s = encoder_sizes(config);
  const std::int64_t buckets =
      config_int(config, "relative_attention_num_buckets", 1, kMaxRows, kBuckets);
  if (buckets != kBuckets) {
    fail(ErrorCode::kUnsupported, config.where() + "relative_attention_num_buckets",
         "expected 32, which is what every published MPNet has, got " + std::to_string(buckets) +
             ".");
  }
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
  embed.tokens = binder.take("embeddings.word_embeddings.weight", {s.vocab_size, s.hidden_size});
  embed.positions =
      binder.take("embeddings.position_embeddings.weight", {s.max_positions, s.hidden_size});
  embed.position_offset = kPad + 1;
  embed.position_pad_id = kPad;
  const NormWeights norm = take_norm(&binder, "embeddings.LayerNorm", s.hidden_size);
  const WeightRef bias =
      binder.take("encoder.relative_attention_bias.weight", {kBuckets, s.num_heads});
  std::vector<PostNormLayer> layers;
  for (std::int64_t i = 0; i < s.num_layers; ++i) {
    layers.push_back(take_post_norm_layer(&binder, "encoder.layer." + std::to_string(i) + ".",
                                          kNames, s.hidden_size, s.intermediate_size));
  }
  binder.finish();

  Body body;
  Program& p = body.program;
  p.hold(binder.weights());
  form.attention.relative_bias = bias_by_distance(&p, bias);
  ValueId x = p.embed("embeddings", embed);
  x = p.norm("embeddings.norm", {NormKind::kLayer, x, kNoValue, norm.weight, norm.bias, form.eps});
  for (std::size_t i = 0; i < layers.size(); ++i) {
    x = add_post_norm_layer(&p, "layer." + std::to_string(i), x, layers[i], form,
                            i + 1 == layers.size() ? read_row : std::nullopt);
  }
  body.hidden = x;
  append_head(model, weights, form.eps, embed.tokens, options.head, &body);
  return body;
}

}  // namespace

extern const Architecture kMpnet;
const Architecture kMpnet{"mpnet", "mpnet", match, build};

}  // namespace inlay::arch
