// A family refuses by name what does not fit: a config's lie, a variant that is not built, a
// missing or misshapen tensor, a head that the checkpoint lacks. The golden models are the
// checkpoints, spoiled in one place each.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "arch/arch.h"
#include "base/error.h"
#include "files/model_files.h"

namespace inlay::arch {
namespace {

namespace fs = std::filesystem;

// The tensors of nomic-bert-mean under the config that the Hub's files have.
constexpr const char* kNomicHub = R"({
  "model_type": "nomic_bert",
  "vocab_size": 260,
  "n_embd": 32,
  "n_head": 2,
  "n_inner": 40,
  "n_layer": 2,
  "n_positions": 64,
  "type_vocab_size": 2,
  "activation_function": "swiglu",
  "rotary_emb_base": 1000,
  "rotary_emb_fraction": 1.0,
  "rotary_emb_interleaved": false,
  "rotary_emb_scale_base": null,
  "rotary_scaling_factor": null,
  "prenorm": false,
  "qkv_proj_bias": false,
  "mlp_fc1_bias": false,
  "mlp_fc2_bias": false
}
)";

struct Spoiled {
  std::string model;               // of tests/golden/models, or "nomic-hub"
  std::string member, value = "";  // of config.json, in place of what stands there
  std::string tensor = "";         // left out, or
  Shape shape = {};                // with this shape
  Head head = Head::kHidden;
};

// config.json has one member a line, but for arrays and objects.
void set_member(std::string* config, const std::string& member, const std::string& value) {
  const std::string key = "\n  \"" + member + "\": ";
  const std::size_t at = config->find(key);
  if (at == std::string::npos) {
    config->insert(1, key + value + ",");
    return;
  }
  const std::size_t begin = at + key.size();
  const char opening = (*config)[begin];
  const bool lines = opening == '[' || opening == '{';
  std::size_t end = lines ? config->find(opening == '[' ? "\n  ]" : "\n  }", begin) + 4
                          : config->find('\n', begin);
  if (!lines && (*config)[end - 1] == ',') --end;
  config->replace(begin, end - begin, value);
}

// A folder with nothing but a config.json, gone with the object.
class ConfigFolder {
 public:
  explicit ConfigFolder(const std::string& config) {
    std::string name = (fs::temp_directory_path() / "inlay-arch-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
    std::ofstream(path_ / "config.json") << config;
  }
  ~ConfigFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ConfigFolder(const ConfigFolder&) = delete;
  ConfigFolder& operator=(const ConfigFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

Body build(const Spoiled& spoiled, std::optional<SelectKind> read_row = std::nullopt) {
  const bool hub = spoiled.model == "nomic-hub";
  const fs::path golden = fs::path(INLAY_SOURCE_DIR) / "tests/golden/models" /
                          (hub ? "nomic-bert-mean" : spoiled.model);
  std::ifstream file(golden / "config.json");
  std::string config(std::istreambuf_iterator<char>(file), {});
  if (hub) config = kNomicHub;
  if (!spoiled.member.empty()) set_member(&config, spoiled.member, spoiled.value);

  const auto loaded = files::ModelFiles::open(golden).load_weights();
  auto weights = std::make_shared<Weights>();
  weights->keep_alive(loaded);
  for (const auto& [name, entry] : loaded->entries()) {
    TensorView tensor = entry.tensor;
    if (name == spoiled.tensor) {
      if (spoiled.shape.empty()) continue;
      tensor.shape = spoiled.shape;
    }
    weights->add(name, tensor, entry.file);
  }
  const ConfigFolder folder(config);
  const auto model = files::ModelFiles::open(folder.path());
  return find(model).build(model, weights, {read_row, spoiled.head});
}

struct Refusal {
  Spoiled spoiled;
  ErrorCode code;
  std::vector<std::string> parts;
};

class Refusals : public testing::TestWithParam<Refusal> {};

TEST_P(Refusals, NameWhatDoesNotFit) {
  const Refusal& c = GetParam();
  try {
    build(c.spoiled);
    FAIL() << "no error for " << c.spoiled.member << c.spoiled.tensor;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), c.code) << error.what();
    for (const std::string& part : c.parts)
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

constexpr ErrorCode kBad = ErrorCode::kBadInput;
constexpr ErrorCode kNot = ErrorCode::kUnsupported;

Refusal lie(const char* model, const char* member, const char* value, ErrorCode code,
            std::vector<std::string> parts) {
  return {{model, member, value}, code, std::move(parts)};
}
Refusal tensor(const char* model, const char* name, Shape shape, std::vector<std::string> parts) {
  return {{model, "", "", name, std::move(shape)}, kBad, std::move(parts)};
}
Refusal head(const char* model, Head head, std::vector<std::string> parts) {
  return {{model, "", "", "", {}, head}, kBad, std::move(parts)};
}

INSTANTIATE_TEST_SUITE_P(
    Modernbert, Refusals,
    testing::Values(
        lie("modernbert-cls", "local_attention", "0", kBad, {"local_attention", "got 0"}),
        lie("modernbert-cls", "num_hidden_layers", "4", kBad,
            {"layer_types", "expected 4 layers", "got 3"}),
        lie("modernbert-cls", "hidden_activation", "\"warp\"", kNot, {"hidden_activation", "warp"}),
        lie("modernbert-cls", "norm_eps", "-1", kBad, {"norm_eps"}),
        lie("modernbert-cls", "attention_bias", "true", kBad,
            {"layers.0.attn.Wqkv.bias", "[96]", "no such tensor"}),
        tensor("modernbert-cls", "layers.1.attn_norm.weight", {},
               {"layers.1.attn_norm.weight", "no such tensor"}),
        tensor("modernbert-cls", "layers.2.mlp.Wi.weight", {40, 32},
               {"layers.2.mlp.Wi.weight", "[80, 32]", "[40, 32]"}),
        tensor("modernbert-cls", "embeddings.tok_embeddings.weight", {},
               {"tok_embeddings.weight", "another architecture"}),
        head("modernbert-cls", Head::kMaskedLm, {"head.dense.weight", "ModernBertModel"}),
        head("modernbert-cls", Head::kClassifier, {"head.dense.weight"}),
        head("modernbert-cls", Head::kCausalLm, {"lm_head.weight"})));

INSTANTIATE_TEST_SUITE_P(
    Gte, Refusals,
    testing::Values(
        lie("gte-cls", "logn_attention_scale", "true", kNot, {"logn_attention_scale", "true"}),
        lie("gte-cls", "logn_attention_clip1", "true", kNot, {"logn_attention_clip1"}),
        lie("gte-cls", "layer_norm_type", "\"rms_norm\"", kNot, {"layer_norm_type", "rms_norm"}),
        lie("gte-cls", "position_embedding_type", "\"absolute\"", kNot,
            {"position_embedding_type", "absolute"}),
        lie("gte-cls", "num_attention_heads", "5", kBad, {"divisor of hidden_size 32"}),
        lie("gte-cls", "type_vocab_size", "3", kBad, {"token_type_embeddings.weight", "[3, 32]"}),
        tensor("gte-cls", "encoder.layer.1.attention.qkv_proj.weight", {},
               {"encoder.layer.1.attention.q_proj.weight", "no such tensor"}),
        tensor("gte-cls", "encoder.layer.0.mlp.up_gate_proj.weight", {40, 32},
               {"up_gate_proj.weight", "[80, 32]", "[40, 32]"}),
        tensor("gte-cls", "encoder.layer.0.mlp_ln.bias", {}, {"mlp_ln.bias"}),
        head("gte-cls", Head::kMaskedLm, {"lm_head.dense.weight", "GteModel"}),
        head("gte-cls", Head::kClassifier, {"pooler.dense.weight"})));

INSTANTIATE_TEST_SUITE_P(
    NomicBert, Refusals,
    testing::Values(
        lie("nomic-hub", "prenorm", "true", kNot, {"prenorm", "true"}),
        lie("nomic-hub", "causal", "true", kNot, {"causal"}),
        lie("nomic-hub", "use_rms_norm", "true", kNot, {"use_rms_norm"}),
        lie("nomic-hub", "rotary_emb_scale_base", "512", kNot, {"rotary_emb_scale_base"}),
        lie("nomic-hub", "rotary_emb_fraction", "0", kNot, {"rotary_emb_fraction"}),
        lie("nomic-hub", "n_head", "3", kBad, {"n_head", "divisor of n_embd 32", "got 3"}),
        lie("nomic-hub", "n_layer", "100000", kBad, {"n_layer"}),
        lie("nomic-hub", "moe_every_n_layers", "2", kBad, {"num_experts", "no such member"}),
        lie("nomic-hub", "mlp_fc1_bias", "true", kBad, {"mlp.fc11.bias", "no such tensor"}),
        lie("nomic-hub", "num_shared_experts", "1", kNot, {"num_shared_experts", "got 1"}),
        tensor("nomic-hub", "encoder.layers.0.attn.Wqkv.weight", {96, 31},
               {"Wqkv.weight", "[96, 32]", "[96, 31]"}),
        tensor("nomic-bert-mean", "encoder.layers.1.mlp.fc12.weight", {},
               {"mlp.fc12.weight", "no such tensor"}),
        head("nomic-bert-mean", Head::kMaskedLm, {"cls.predictions.transform.dense.weight"}),
        head("nomic-bert-mean", Head::kCausalLm, {"lm_head.weight"})));

INSTANTIATE_TEST_SUITE_P(
    Decoders, Refusals,
    testing::Values(
        lie("qwen3-last", "head_dim", "8", kBad, {"q_proj.weight", "[32, 32]", "[64, 32]"}),
        lie("qwen3-last", "head_dim", "0", kBad, {"head_dim", "got 0"}),
        lie("qwen3-last", "num_key_value_heads", "3", kBad, {"k_proj.weight", "[48, 32]"}),
        lie("qwen3-last", "num_key_value_heads", "5", kBad, {"num_key_value_heads", "got 5"}),
        lie("qwen3-last", "attention_bias", "true", kBad, {"q_proj.bias", "no such tensor"}),
        lie("qwen3-last", "layer_types", "[\"full_attention\"]", kBad,
            {"layer_types", "num_hidden_layers", "got 1"}),
        lie("qwen3-last", "layer_types", "[\"linear_attention\", \"full_attention\"]", kNot,
            {"layer_types", "linear_attention"}),
        lie("qwen3-last", "rope_scaling", "{\"type\": \"longrope\"}", kNot, {"longrope"}),
        lie("qwen3-last", "rms_norm_eps", "7", kBad, {"rms_norm_eps"}),
        lie("qwen2-last", "num_attention_heads", "3", kBad, {"num_attention_heads", "32", "got 3"}),
        lie("qwen2-last", "sliding_window", "0", kBad, {"sliding_window", "got 0"}),
        lie("gemma3-dense", "attn_logit_softcapping", "50.0", kNot, {"attn_logit_softcapping"}),
        lie("gemma3-dense", "query_pre_attn_scalar", "0", kBad, {"query_pre_attn_scalar"}),
        tensor("qwen2-last", "layers.1.self_attn.v_proj.bias", {}, {"v_proj.bias"}),
        tensor("qwen3-last", "layers.0.self_attn.q_norm.weight", {64},
               {"q_norm.weight", "[16]", "[64]"}),
        tensor("gemma3-dense", "layers.0.pre_feedforward_layernorm.weight", {},
               {"pre_feedforward_layernorm.weight", "no such tensor"}),
        tensor("mistral-mean", "embed_tokens.weight", {},
               {"embed_tokens.weight", "another architecture"}),
        head("qwen3-last", Head::kClassifier, {"score.weight", "Qwen3Model"}),
        head("qwen3-last", Head::kCausalLm, {"lm_head.weight"}),
        head("qwen3-last", Head::kMaskedLm, {"masked language model"})));

INSTANTIATE_TEST_SUITE_P(
    Deberta, Refusals,
    testing::Values(
        lie("deberta-mean", "conv_kernel_size", "3", kNot, {"conv_kernel_size", "kernel of 3"}),
        lie("deberta-mean", "norm_rel_ebd", "\"rms\"", kNot, {"norm_rel_ebd", "rms"}),
        lie("deberta-mean", "pos_att_type", "\"p2p|c2p\"", kNot, {"pos_att_type", "p2p"}),
        lie("deberta-mean", "pos_att_type", "3", kBad, {"pos_att_type", "a string"}),
        lie("deberta-mean", "position_buckets", "1", kBad, {"position_buckets", "got 1"}),
        lie("deberta-mean", "max_relative_positions", "9", kBad,
            {"max_relative_positions 9", "got 16"}),
        lie("deberta-mean", "position_buckets", "8", kBad,
            {"rel_embeddings.weight", "[16, 32]", "[32, 32]"}),
        lie("deberta-mean", "share_att_key", "false", kBad,
            {"pos_key_proj.weight", "pos_query_proj.weight", "no such tensor"}),
        lie("deberta-mean", "position_biased_input", "true", kBad,
            {"position_embeddings.weight", "no such tensor"}),
        lie("deberta-mean", "attention_head_size", "16", kBad, {"attention_head_size", "got 16"}),
        lie("deberta-cls", "embedding_size", "16", kBad, {"embed_proj.weight", "[32, 16]"}),
        tensor("deberta-mean", "encoder.LayerNorm.weight", {}, {"encoder.LayerNorm.weight"}),
        tensor("deberta-mean", "encoder.layer.1.attention.self.key_proj.weight", {31, 32},
               {"key_proj.weight", "[32, 32]", "[31, 32]"}),
        head("deberta-mean", Head::kMaskedLm, {"predictions.transform.dense", "DebertaV2Model"}),
        head("deberta-mean", Head::kClassifier, {"pooler.dense.weight"}),
        head("deberta-mean", Head::kCausalLm, {"lm_head.weight"})));

INSTANTIATE_TEST_SUITE_P(
    NearBert, Refusals,
    testing::Values(
        lie("mpnet-mean", "relative_attention_num_buckets", "64", kNot,
            {"relative_attention_num_buckets", "expected 32", "got 64"}),
        tensor("mpnet-mean", "encoder.relative_attention_bias.weight", {32, 3},
               {"relative_attention_bias.weight", "[32, 4]", "[32, 3]"}),
        tensor("mpnet-mean", "encoder.layer.1.attention.attn.o.bias", {}, {"attn.o.bias"}),
        head("mpnet-mean", Head::kMaskedLm, {"lm_head.dense.weight", "MPNetModel"}),
        head("mpnet-mean", Head::kClassifier, {"classifier.dense.weight"}),
        lie("distilbert-mean", "n_heads", "5", kBad, {"n_heads", "divisor of dim 32", "got 5"}),
        lie("distilbert-mean", "dim", "-4", kBad, {"dim", "got -4"}),
        lie("distilbert-mean", "activation", "\"warp\"", kNot, {"activation", "warp"}),
        tensor("distilbert-mean", "transformer.layer.0.ffn.lin2.weight", {32, 41},
               {"ffn.lin2.weight", "[32, 40]", "[32, 41]"}),
        head("distilbert-mean", Head::kMaskedLm, {"vocab_transform.weight", "DistilBertModel"}),
        head("distilbert-mean", Head::kClassifier, {"pre_classifier.weight"}),
        lie("electra-cls", "position_embedding_type", "\"relative_key\"", kNot,
            {"position_embedding_type", "relative_key"}),
        lie("electra-cls", "is_decoder", "true", kNot, {"is_decoder", "got true"}),
        lie("electra-cls", "embedding_size", "32", kBad, {"word_embeddings.weight", "32]", "24]"}),
        tensor("electra-cls", "embeddings_project.bias", {}, {"embeddings_project.bias"}),
        head("electra-cls", Head::kMaskedLm, {"generator_predictions.dense.weight"}),
        head("electra-cls", Head::kClassifier, {"classifier.dense.weight"}),
        lie("albert-mean", "num_hidden_groups", "4", kBad, {"num_hidden_groups", "got 4"}),
        lie("albert-mean", "num_hidden_groups", "3", kBad,
            {"albert_layer_groups.2.albert_layers.0.ffn.weight", "no such tensor"}),
        lie("albert-mean", "inner_group_num", "2000", kBad, {"inner_group_num", "got 2000"}),
        tensor("albert-mean", "encoder.embedding_hidden_mapping_in.weight", {24, 32},
               {"embedding_hidden_mapping_in.weight", "[32, 24]", "[24, 32]"}),
        head("albert-mean", Head::kMaskedLm, {"predictions.dense.weight", "AlbertModel"}),
        head("albert-mean", Head::kClassifier, {"classifier.weight"})));

// bert-mean has what JinaBERT shares with BERT.
constexpr const char* kAlibi = "\"alibi\",\n  \"feed_forward_type\": \"geglu\"";
INSTANTIATE_TEST_SUITE_P(
    Jina, Refusals,
    testing::Values(
        lie("bert-mean", "position_embedding_type", kAlibi, kBad,
            {"encoder.layer.0.mlp.gated_layers.weight", "[128, 32]", "no such tensor"}),
        lie("bert-mean", "position_embedding_type", "\"alibi\"", kNot,
            {"feed_forward_type", "geglu or reglu", "original"}),
        lie("bert-mean", "auto_map", "{\"AutoModel\": \"x--modeling_bert.JinaBertModel\"}", kNot,
            {"position_embedding_type", "alibi", "absolute"}),
        lie("xlm-roberta-cls", "use_flash_attn", "true", kBad,
            {"encoder.layers.0.mixer.Wqkv.weight", "norm2.bias", "no such tensor"}),
        lie("xlm-roberta-cls", "use_flash_attn", "true,\n  \"position_embedding_type\": \"alibi\"",
            kNot, {"position_embedding_type", "alibi"}),
        lie("jina-v3-mean", "rope_parameters", "{\"rope_type\": \"longrope\"}", kNot, {"longrope"}),
        tensor("jina-v3-mean", "encoder.layers.1.mixer.Wqkv.weight", {96, 31},
               {"Wqkv.weight", "[96, 32]", "[96, 31]"}),
        tensor("jina-v3-mean", "emb_ln.weight", {}, {"embeddings.LayerNorm.weight"}),
        head("jina-v3-mean", Head::kMaskedLm, {"lm_head.dense.weight", "JinaEmbeddingsV3Model"}),
        head("jina-v3-mean", Head::kClassifier, {"classifier.dense.weight"})));

TEST(Families, ReadOneRowOfTheLastLayer) {
  for (const char* model : {"modernbert-cls", "gte-cls", "nomic-bert-mean", "nomic-hub",
                            "qwen3-last", "gemma3-dense", "deberta-mean", "mpnet-mean",
                            "distilbert-mean", "electra-cls", "albert-mean", "jina-v3-mean"}) {
    const Body body = build({model, ""}, SelectKind::kLast);
    EXPECT_EQ(body.program.value(body.hidden).rows, Rows::kTexts) << model;
    int rows = 0;
    for (const Step& step : body.program.steps()) {
      const auto* attention = std::get_if<AttentionStep>(&step.args);
      if (attention == nullptr) continue;
      const bool one = body.program.value(attention->query.value).rows == Rows::kTexts;
      if (!one) continue;
      ++rows;
      EXPECT_EQ(attention->query_row, SelectKind::kLast) << model;
    }
    EXPECT_EQ(rows, 1) << model;
  }
}

TEST(Families, AlbertUsesItsLayersAgain) {
  // Three layers in two groups: the first group twice, as 1 / (3 / 2) is below 1.
  std::vector<std::string> used;
  const Body body = build({"albert-mean", ""});
  for (const Step& step : body.program.steps()) {
    const auto* linear = std::get_if<LinearStep>(&step.args);
    if (linear != nullptr && linear->weights[0].name.ends_with("ffn.weight"))
      used.push_back(linear->weights[0].name);
  }
  const std::string prefix = "encoder.albert_layer_groups.";
  EXPECT_EQ(used, (std::vector<std::string>{prefix + "0.albert_layers.0.ffn.weight",
                                            prefix + "0.albert_layers.0.ffn.weight",
                                            prefix + "1.albert_layers.0.ffn.weight"}));
}

TEST(Families, DebertaScalesByTheNumberOfItsScores) {
  const auto expect = [](const char* types, float scale, bool relative) {
    const Body body = build({"deberta-mean", "pos_att_type", types});
    int layers = 0;
    for (const Step& step : body.program.steps()) {
      const auto* attention = std::get_if<AttentionStep>(&step.args);
      if (attention == nullptr) continue;
      ++layers;
      EXPECT_FLOAT_EQ(attention->scale, scale) << types;
      EXPECT_EQ(attention->disentangled.embeddings.present(), relative) << types;
    }
    EXPECT_EQ(layers, 2);
  };
  expect("\"c2p | p2c\"", 1 / std::sqrt(24.0F), true);
  expect("[\"p2c\"]", 1 / std::sqrt(16.0F), true);
  expect("null", 1 / std::sqrt(8.0F), false);
}

TEST(Families, NomicBeyondTheTrainedLengthIsCutWhereScalingWouldBegin) {
  EXPECT_EQ(build({"nomic-hub", ""}).program.max_tokens(), 64);
  EXPECT_EQ(build({"nomic-hub", "max_trained_positions", "16"}).program.max_tokens(), 64);
  Spoiled scaled{"nomic-hub", "rotary_scaling_factor", "2,\n  \"max_trained_positions\": 16"};
  EXPECT_EQ(build(scaled).program.max_tokens(), 16);
}

TEST(Families, ModernbertWindowsReachHalfOfLocalAttentionToEachSide) {
  std::vector<std::int64_t> windows;
  const Body body = build({"modernbert-cls", "local_attention", "13"});
  for (const Step& step : body.program.steps()) {
    if (const auto* attention = std::get_if<AttentionStep>(&step.args))
      windows.push_back(attention->window);
  }
  EXPECT_EQ(windows, (std::vector<std::int64_t>{-1, 6, 6}));
}

struct Masks {
  std::vector<std::int64_t> windows;
  std::vector<bool> causal;
};
Masks masks_of(const Spoiled& spoiled) {
  Masks masks;
  const Body body = build(spoiled);
  for (const Step& step : body.program.steps()) {
    const auto* attention = std::get_if<AttentionStep>(&step.args);
    if (attention == nullptr) continue;
    masks.windows.push_back(attention->window);
    masks.causal.push_back(attention->causal);
  }
  return masks;
}

TEST(Families, DecodersSeeWhatTheirConfigSays) {
  using Windows = std::vector<std::int64_t>;
  const std::vector<bool> both{true, true};
  const std::vector<bool> neither{false, false};
  EXPECT_EQ(masks_of({"qwen2-last", ""}).windows, (Windows{-1, 7}));
  EXPECT_EQ(masks_of({"qwen2-last", ""}).causal, both);
  EXPECT_EQ(masks_of({"qwen2-last", "is_causal", "false"}).windows, (Windows{-1, 8}));
  EXPECT_EQ(masks_of({"qwen2-last", "is_causal", "false"}).causal, neither);
  EXPECT_EQ(masks_of({"mistral-mean", ""}).windows, (Windows{15, 15}));
  EXPECT_EQ(masks_of({"gemma3-dense", ""}).windows, (Windows{6, -1}));
  EXPECT_EQ(masks_of({"gemma3-dense", ""}).causal, neither);
  EXPECT_EQ(masks_of({"gemma3-dense", "use_bidirectional_attention", "false"}).windows,
            (Windows{11, -1}));
  EXPECT_EQ(build({"qwen3-last", "max_position_embeddings", "77"}).program.max_tokens(), 77);
}

}  // namespace
}  // namespace inlay::arch
