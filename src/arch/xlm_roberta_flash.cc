// XLM-RoBERTa in Jina's spelling (jinaai/xlm-roberta-flash-implementation; Sturua et al. 2024,
// arXiv:2409.10173): fused projections, rotary positions or a table, low-rank adapters for tasks,
// which are merged here. jina-embeddings-v3, jina-colbert-v2, jina-reranker-v2. Also transformers'
// modeling_jina_embeddings_v3.py, which has the same model under other names.
#include <algorithm>
#include <cmath>
#include <optional>

#include "arch/arch.h"
#include "arch/config.h"
#include "arch/heads.h"
#include "arch/layers.h"
#include "arch/rope.h"
#include "base/error.h"

namespace inlay::arch {
namespace {

constexpr std::string_view kTable = "embeddings.word_embeddings";
constexpr std::string_view kOriginal = ".parametrizations.weight.original";

// Which of the checkpoint's adapters is merged, and how its product is scaled.
struct Adapter {
  std::string name;  // empty: none
  std::int64_t index = 0, count = 0, rank = 0;
  float scale = 0;
};

Adapter find_adapter(const JsonValue& config, bool present, const std::string& name) {
  Adapter adapter;
  if (name.empty()) return adapter;
  const auto list = config.find("lora_adaptations");
  std::string known;
  if (list && present) {
    for (const JsonValue& item : list->items()) {
      if (item.string() == name) {
        adapter.name = name;
        adapter.index = adapter.count;
      }
      known += (known.empty() ? "" : ", ") + printable(item.string());
      ++adapter.count;
    }
  }
  if (adapter.name.empty()) {
    fail(ErrorCode::kUsage, config.where() + "lora_adaptations",
         "expected an adapter of this model (" + (known.empty() ? "it has none" : known) +
             "), got \"" + printable(name) + "\".");
  }
  adapter.rank = config_int(config, "lora_rank", 1, kMaxWidth, 4);
  adapter.scale =
      config_float(config, "lora_alpha", -1e6, 1e6, 1) / static_cast<float>(adapter.rank);
  return adapter;
}

// Takes tensors that may lie parametrized: the original, with the adapter's product added.
class Reader {
 public:
  Reader(Binder* binder, Program* program, const Adapter& adapter)
      : binder_(binder), program_(program), adapter_(adapter) {}

  WeightRef matrix(const std::string& name, std::int64_t rows, std::int64_t columns,
                   bool embedding = false) const {
    if (binder_->has(name + ".weight")) return binder_->take(name + ".weight", {rows, columns});
    if (!binder_->has(name + std::string(kOriginal)))
      return binder_->take(name + ".weight", {rows, columns});  // noted as missing
    const WeightRef original = binder_->take(name + std::string(kOriginal), {rows, columns});
    if (adapter_.name.empty()) return original;
    const std::string lora = name + ".parametrizations.weight.0.lora_";
    const std::int64_t n = adapter_.count;
    const std::int64_t r = adapter_.rank;
    // An embedding's A is what a linear's B is: rows of the table by rank.
    const WeightRef left = binder_->take(lora + (embedding ? "A" : "B"), {n, rows, r});
    const WeightRef right = binder_->take(lora + (embedding ? "B" : "A"), {n, r, columns});
    if (!original.present() || !left.present() || !right.present()) return original;
    return merge(original, left, right);
  }
  WeightRef bias(const std::string& name, std::int64_t size) const {
    return binder_->take(name + ".bias", {size});
  }

 private:
  WeightRef merge(const WeightRef& original, const WeightRef& left, const WeightRef& right) const {
    std::vector<float> sum = to_float(original.tensor, original.name);
    const std::vector<float> l = part(left);
    const std::vector<float> r = part(right);
    const auto rank = static_cast<std::size_t>(adapter_.rank);
    const std::size_t columns = r.size() / rank;
    std::vector<float> row(columns);
    for (std::size_t i = 0; i * columns < sum.size(); ++i) {
      std::fill(row.begin(), row.end(), 0.0F);
      for (std::size_t k = 0; k < rank; ++k) {
        for (std::size_t j = 0; j < columns; ++j) row[j] += l[i * rank + k] * r[k * columns + j];
      }
      for (std::size_t j = 0; j < columns; ++j) sum[i * columns + j] += row[j] * adapter_.scale;
    }
    return program_->own(original.name + " with " + adapter_.name, original.tensor.shape,
                         std::move(sum));
  }
  // The chosen adapter's matrix out of [adapters, rows, columns].
  std::vector<float> part(const WeightRef& all) const {
    const WeightRef one = weight_rows(all, adapter_.index, 1);
    return to_float(one.tensor, one.name);
  }

  Binder* binder_;
  Program* program_;
  const Adapter& adapter_;
};

PostNormLayer take_layer(Binder* binder, const Reader& read, const EncoderSizes& s,
                         std::int64_t index) {
  const std::string number = std::to_string(index) + ".";
  const bool transformers = binder->has("layers." + number + "self_attn.o_proj.bias");
  const std::string prefix = (transformers ? "layers." : "encoder.layers.") + number;
  const std::int64_t h = s.hidden_size;
  const std::int64_t f = s.intermediate_size;
  const auto linear = [&](const std::string& name, std::int64_t out, std::int64_t in,
                          WeightRef* weight, WeightRef* bias) {
    *weight = read.matrix(prefix + name, out, in);
    *bias = read.bias(prefix + name, out);
  };
  PostNormLayer w;
  AttentionWeights& a = w.attention;
  if (transformers) {
    linear("self_attn.q_proj", h, h, &a.query, &a.query_bias);
    linear("self_attn.k_proj", h, h, &a.key, &a.key_bias);
    linear("self_attn.v_proj", h, h, &a.value, &a.value_bias);
  } else {
    WeightRef fused;
    WeightRef fused_bias;
    linear("mixer.Wqkv", 3 * h, h, &fused, &fused_bias);
    split_query_key_value(fused, fused_bias, &a);
  }
  linear(transformers ? "self_attn.o_proj" : "mixer.out_proj", h, h, &a.out, &a.out_bias);
  linear("mlp.fc1", f, h, &w.up, &w.up_bias);
  linear("mlp.fc2", h, f, &w.down, &w.down_bias);
  w.attention_norm =
      take_norm(binder, prefix + (transformers ? "post_attention_layernorm" : "norm1"), h);
  w.norm = take_norm(binder, prefix + (transformers ? "post_mlp_layernorm" : "norm2"), h);
  return w;
}

// xlm-roberta whose code is Jina's says so by that code's class, or by members that it alone has.
bool match(const files::ModelFiles& model) {
  const std::string type = model.model_type();
  if (type == "jina_embeddings_v3") return true;
  if (type != "xlm-roberta") return false;
  const JsonValue config = model.config();
  if (config.string_or("position_embedding_type", "absolute") == "rotary") return true;
  if (config.contains("use_flash_attn")) return true;
  const auto code = config.find("auto_map");
  if (!code || !code->is_object()) return false;
  for (const auto& [name, value] : code->members()) {
    if (value.is_string() && value.string().find("XLMRobertaFlash") != std::string_view::npos)
      return true;
  }
  return false;
}

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

// Rotary, or rows of a table counted as RoBERTa counts them. The Hub's code has had either as its
// default, so a config that does not say is read by what the checkpoint holds.
void read_positions(const files::ModelFiles& model, const EncoderSizes& s, Binder* binder,
                    AttentionStep* attention, EmbedStep* embed) {
  const JsonValue config = model.config();
  const bool transformers = model.model_type() == "jina_embeddings_v3";
  const bool table = binder->has("embeddings.position_embeddings.weight");
  const std::string type =
      transformers ? "rotary"
                   : config.string_or("position_embedding_type", table ? "absolute" : "rotary");
  if (type == "rotary") {
    attention->rope = transformers
                          ? config_rope(config, s.head_size, {}, {"rope_theta", 20000})
                          : config_rope(config, s.head_size, {}, {"rotary_emb_base", 10000});
    return;
  }
  require_text(config, "position_embedding_type", "absolute");
  const std::int64_t pad = config_int(config, "pad_token_id", 0, s.vocab_size - 1, 1);
  embed->positions =
      binder->take("embeddings.position_embeddings.weight", {s.max_positions, s.hidden_size});
  embed->position_offset = pad + 1;
  embed->position_pad_id = static_cast<std::int32_t>(pad);
}

Body build(const files::ModelFiles& model, std::shared_ptr<const Weights> weights,
           const BuildOptions& options) {
  const JsonValue config = model.config();
  EncoderSizes s = encoder_sizes(config);
  s.type_vocab_size = config_int(config, "type_vocab_size", 0, kMaxRows, 1);
  PostNormForm form;
  form.activation = config_activation(config, "hidden_act", "gelu");
  form.eps = config_float(config, "layer_norm_eps", 0, 1, 1e-5);
  form.attention.heads = form.attention.kv_heads = s.num_heads;
  form.attention.head_size = s.head_size;
  form.attention.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(s.head_size)));
  std::optional<SelectKind> read_row = options.read_row;
  if (options.head == Head::kClassifier) read_row = SelectKind::kFirst;

  const std::string parametrized = std::string(kTable) + std::string(kOriginal);
  const bool adapters = checkpoint_has(*weights, parametrized);
  const Adapter adapter = find_adapter(config, adapters, options.adapter);
  Binder binder(weights, adapters ? parametrized : std::string(kTable) + ".weight", model.name());
  Body body;
  Program& p = body.program;
  const Reader read(&binder, &p, adapter);
  EmbedStep embed;
  embed.tokens = read.matrix(std::string(kTable), s.vocab_size, s.hidden_size, true);
  if (s.type_vocab_size > 0) {
    embed.types =
        read.matrix("embeddings.token_type_embeddings", s.type_vocab_size, s.hidden_size, true);
  }
  read_positions(model, s, &binder, &form.attention, &embed);
  const NormWeights norm = take_norm(
      &binder, binder.has("emb_ln.weight") ? "emb_ln" : "embeddings.LayerNorm", s.hidden_size);
  std::vector<PostNormLayer> layers;
  for (std::int64_t i = 0; i < s.num_layers; ++i) layers.push_back(take_layer(&binder, read, s, i));
  binder.finish();

  p.hold(binder.weights());
  p.limit_tokens(s.max_positions);
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

extern const Architecture kXlmRobertaFlash;
const Architecture kXlmRobertaFlash{
    "xlm_roberta_flash",
    "jina_embeddings_v3, xlm-roberta of jinaai/xlm-roberta-flash-implementation", match, build,
    true};

}  // namespace inlay::arch
