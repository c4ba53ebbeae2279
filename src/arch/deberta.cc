// DeBERTa v2 and v3: BERT's layers with disentangled attention (He et al. 2020, arXiv:2006.03654;
// 2021, arXiv:2111.09543). mxbai-rerank-v1, nli-deberta-v3. Follows transformers'
// modeling_deberta_v2.py.
#include <algorithm>
#include <cmath>

#include "arch/arch.h"
#include "arch/config.h"
#include "arch/heads.h"
#include "arch/layers.h"
#include "base/error.h"

namespace inlay::arch {
namespace {

constexpr PostNormNames kNames{"attention.self.query_proj",
                               "attention.self.key_proj",
                               "attention.self.value_proj",
                               "attention.output.dense",
                               "attention.output.LayerNorm",
                               "intermediate.dense",
                               "output.dense",
                               "output.LayerNorm"};

struct Settings {
  EncoderSizes sizes;
  std::int64_t embedding_size;
  bool biased_input;  // absolute positions are added to the embeddings
  PostNormForm form;
  // Relative positions.
  bool relative, content_to_position, position_to_content, shared_projections, normed_embeddings;
  std::int64_t buckets, max_relative;
  bool disentangled() const { return relative && (content_to_position || position_to_content); }
  std::int64_t span() const { return buckets > 0 ? buckets : max_relative; }
};

// "p2c|c2p" or ["p2c", "c2p"].
void read_position_types(const JsonValue& config, Settings* s) {
  const auto member = config.find("pos_att_type");
  if (!member) return;
  std::string joined;
  if (member->is_array()) {
    for (const JsonValue& item : member->items()) joined += std::string(item.string()) + "|";
  } else {
    joined = std::string(member->string()) + "|";
  }
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = joined.find('|', begin)) != std::string::npos; begin = end + 1) {
    std::string name = joined.substr(begin, end - begin);
    std::erase(name, ' ');
    if (name == "c2p") {
      s->content_to_position = true;
    } else if (name == "p2c") {
      s->position_to_content = true;
    } else if (!name.empty()) {
      fail(ErrorCode::kUnsupported, member->where(),
           "expected c2p and p2c, got \"" + printable(name) + "\".");
    }
  }
}

void read_relative(const JsonValue& config, Settings* s) {
  s->relative = config.bool_or("relative_attention", false);
  read_position_types(config, s);
  s->shared_projections = config.bool_or("share_att_key", false);
  const std::string norm = config.string_or("norm_rel_ebd", "none");
  s->normed_embeddings = norm == "layer_norm";
  if (!s->normed_embeddings) require_text(config, "norm_rel_ebd", "none");
  s->buckets = config_int(config, "position_buckets", -1, kMaxWidth, -1);
  s->max_relative = config_int(config, "max_relative_positions", -1, kMaxWidth, -1);
  if (s->max_relative < 1) s->max_relative = s->sizes.max_positions;
  s->buckets = std::max<std::int64_t>(s->buckets, 0);
  if (s->buckets == 1 || s->max_relative <= s->buckets / 2 + 1) {
    fail(ErrorCode::kBadInput, config.where() + "position_buckets",
         "expected at least 2 buckets that end before max_relative_positions " +
             std::to_string(s->max_relative) + ", got " + std::to_string(s->buckets) + ".");
  }
}

Settings read_settings(const JsonValue& config) {
  require_flag(config, "is_decoder", false);
  if (config_int(config, "conv_kernel_size", 0, kMaxWidth, 0) > 0) {
    fail(ErrorCode::kUnsupported, config.where() + "conv_kernel_size",
         "expected no convolution beside the first layer, got a kernel of " +
             std::to_string(config.integer_or("conv_kernel_size", 0)) +
             ". The xlarge models of DeBERTa v2 are not built in; DeBERTa v3 has no convolution.");
  }
  Settings s{};
  s.sizes = encoder_sizes(config);
  s.sizes.type_vocab_size = config_int(config, "type_vocab_size", 0, kMaxRows, 0);
  config_int(config, "attention_head_size", s.sizes.head_size, s.sizes.head_size,
             s.sizes.head_size);
  s.embedding_size = config_int(config, "embedding_size", 1, kMaxWidth, s.sizes.hidden_size);
  s.biased_input = config.bool_or("position_biased_input", true);
  read_relative(config, &s);
  s.form.activation = config_activation(config, "hidden_act", "gelu");
  s.form.eps = config_float(config, "layer_norm_eps", 0, 1, 1e-7);
  AttentionStep& attention = s.form.attention;
  attention.heads = attention.kv_heads = s.sizes.num_heads;
  attention.head_size = s.sizes.head_size;
  // The types count whether or not relative_attention is on, as in the reference.
  const int kinds = 1 + (s.content_to_position ? 1 : 0) + (s.position_to_content ? 1 : 0);
  attention.scale =
      static_cast<float>(1.0 / std::sqrt(static_cast<double>(kinds * s.sizes.head_size)));
  return s;
}

// The relative embeddings through their layer norm, which sees nothing of a text.
WeightRef normed_rows(Program* program, const WeightRef& table, const NormWeights& norm,
                      double eps) {
  std::vector<float> x = to_float(table.tensor, table.name);
  const std::vector<float> weight = to_float(norm.weight.tensor, norm.weight.name);
  const std::vector<float> bias = to_float(norm.bias.tensor, norm.bias.name);
  const std::size_t width = weight.size();
  for (std::size_t begin = 0; begin < x.size(); begin += width) {
    float* row = x.data() + begin;
    double mean = 0;
    for (std::size_t i = 0; i < width; ++i) mean += static_cast<double>(row[i]);
    mean /= static_cast<double>(width);
    double squares = 0;
    for (std::size_t i = 0; i < width; ++i) {
      const double d = static_cast<double>(row[i]) - mean;
      squares += d * d;
    }
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(width) + eps);
    for (std::size_t i = 0; i < width; ++i) {
      row[i] = static_cast<float>((static_cast<double>(row[i]) - mean) * scale *
                                      static_cast<double>(weight[i]) +
                                  static_cast<double>(bias[i]));
    }
  }
  return program->own(table.name + " normed", table.tensor.shape, std::move(x));
}

struct ModelWeights {
  EmbedStep embed;
  WeightRef projection;  // of the embeddings, when they are narrower than the layers
  NormStep norm;
  WeightRef relative;
  NormWeights relative_norm;
  std::vector<PostNormLayer> layers;
  std::vector<Disentangled> disentangled;  // a layer's, without the embeddings
};

Disentangled take_disentangled(Binder* binder, const std::string& prefix, const Settings& s,
                               const PostNormLayer& layer) {
  Disentangled d;
  d.buckets = s.buckets;
  d.max_positions = s.max_relative;
  const std::int64_t h = s.sizes.hidden_size;
  const auto take = [&](const std::string& name, WeightRef* weight, WeightRef* bias) {
    *weight = binder->take(prefix + "attention.self." + name + ".weight", {h, h});
    *bias = binder->take(prefix + "attention.self." + name + ".bias", {h});
  };
  if (s.content_to_position && s.shared_projections) {
    d.key = layer.attention.key;
    d.key_bias = layer.attention.key_bias;
  } else if (s.content_to_position) {
    take("pos_key_proj", &d.key, &d.key_bias);
  }
  if (s.position_to_content && s.shared_projections) {
    d.query = layer.attention.query;
    d.query_bias = layer.attention.query_bias;
  } else if (s.position_to_content) {
    take("pos_query_proj", &d.query, &d.query_bias);
  }
  return d;
}

ModelWeights take_weights(Binder* binder, const Settings& s) {
  const std::int64_t h = s.sizes.hidden_size;
  const std::int64_t e = s.embedding_size;
  ModelWeights w;
  w.embed.tokens = binder->take("embeddings.word_embeddings.weight", {s.sizes.vocab_size, e});
  if (s.biased_input) {
    w.embed.positions =
        binder->take("embeddings.position_embeddings.weight", {s.sizes.max_positions, e});
  }
  if (s.sizes.type_vocab_size > 0) {
    w.embed.types =
        binder->take("embeddings.token_type_embeddings.weight", {s.sizes.type_vocab_size, e});
  }
  if (e != h) w.projection = binder->take("embeddings.embed_proj.weight", {h, e});
  w.norm.weight = binder->take("embeddings.LayerNorm.weight", {h});
  w.norm.bias = binder->take("embeddings.LayerNorm.bias", {h});
  w.norm.eps = s.form.eps;
  if (s.disentangled()) {
    w.relative = binder->take("encoder.rel_embeddings.weight", {2 * s.span(), h});
    if (s.normed_embeddings) w.relative_norm = take_norm(binder, "encoder.LayerNorm", h);
  }
  for (std::int64_t i = 0; i < s.sizes.num_layers; ++i) {
    const std::string prefix = "encoder.layer." + std::to_string(i) + ".";
    w.layers.push_back(take_post_norm_layer(binder, prefix, kNames, h, s.sizes.intermediate_size));
    if (s.disentangled())
      w.disentangled.push_back(take_disentangled(binder, prefix, s, w.layers.back()));
  }
  binder->finish();
  return w;
}

void append_head(const files::ModelFiles& model, const std::shared_ptr<const Weights>& weights,
                 const Settings& s, const WeightRef& embeddings, Head head, Body* body) {
  if (head == Head::kClassifier) {
    append_classifier(
        model, weights,
        {"pooler.dense", config_activation(model.config(), "pooler_hidden_act", "gelu"), "", 0,
         "classifier"},
        body);
  } else if (head == Head::kCausalLm) {
    no_head(model, head, "lm_head.weight");
  } else if (head == Head::kMaskedLm) {
    // The class of config.legacy reads cls.predictions, the other the head that v3 was trained
    // with.
    const bool own = !model.config().bool_or("legacy", true) ||
                     !checkpoint_has(*weights, "cls.predictions.transform.dense.weight");
    if (own && s.embedding_size != s.sizes.hidden_size)
      no_head(model, head, "cls.predictions.transform.dense.weight");
    if (own && checkpoint_has(*weights, "lm_predictions.lm_head.dense.weight")) {
      append_masked_lm(model, weights,
                       {"lm_predictions.lm_head.dense",
                        "lm_predictions.lm_head.LayerNorm",
                        "",
                        {"lm_predictions.lm_head.bias"},
                        s.form.activation,
                        s.form.eps},
                       embeddings, body);
      return;
    }
    append_masked_lm(model, weights,
                     {"cls.predictions.transform.dense",
                      "cls.predictions.transform.LayerNorm",
                      "cls.predictions.decoder",
                      {"cls.predictions.bias", "cls.predictions.decoder.bias"},
                      s.form.activation,
                      s.form.eps},
                     embeddings, body);
  }
}

bool match(const files::ModelFiles& model) { return model.model_type() == "deberta-v2"; }

Body build(const files::ModelFiles& model, std::shared_ptr<const Weights> weights,
           const BuildOptions& options) {
  const Settings s = read_settings(model.config());
  std::optional<SelectKind> read_row = options.read_row;
  if (options.head == Head::kClassifier) read_row = SelectKind::kFirst;
  Binder binder(weights, "embeddings.word_embeddings.weight", model.name());
  ModelWeights w = take_weights(&binder, s);

  Body body;
  Program& p = body.program;
  p.hold(binder.weights());
  p.limit_tokens(s.sizes.max_positions);
  if (s.disentangled() && s.normed_embeddings)
    w.relative = normed_rows(&p, w.relative, w.relative_norm, static_cast<double>(s.form.eps));
  ValueId x = p.embed("embeddings", w.embed);
  if (w.projection.present())
    x = p.linear("embeddings.projection", {x, {w.projection}, {}, Activation::kNone});
  w.norm.input = x;
  x = p.norm("embeddings.norm", w.norm);
  for (std::size_t i = 0; i < w.layers.size(); ++i) {
    PostNormForm form = s.form;
    if (s.disentangled()) {
      form.attention.disentangled = w.disentangled[i];
      form.attention.disentangled.embeddings = w.relative;
    }
    x = add_post_norm_layer(&p, "layer." + std::to_string(i), x, w.layers[i], form,
                            i + 1 == w.layers.size() ? read_row : std::nullopt);
  }
  body.hidden = x;
  append_head(model, weights, s, w.embed.tokens, options.head, &body);
  return body;
}

}  // namespace

extern const Architecture kDeberta;
const Architecture kDeberta{"deberta", "deberta-v2", match, build};

}  // namespace inlay::arch
