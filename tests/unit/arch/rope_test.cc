// Rotary frequencies against values that transformers 5.23 printed (LlamaRotaryEmbedding's inv_freq
// and attention_scaling, head size 16 unless the case says otherwise), in both spellings.
#include "arch/rope.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "inlay/inlay.hpp"

namespace inlay::arch {
namespace {

Rope rope_of(const std::string& config, std::int64_t head_size = 16,
             std::string_view layer_type = {}, const RopeKeys& keys = {}) {
  const JsonDocument document = JsonDocument::parse(config, "config.json");
  return config_rope(document.root(), head_size, layer_type, keys);
}

void expect_close(const std::vector<float>& got, const std::vector<float>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i] / want[i], 1, 2e-7) << i;
}

const std::vector<float> kDefault{1.0F,           0.316227764F,   0.100000001F,   0.0316227786F,
                                  0.00999999978F, 0.00316227786F, 0.00100000005F, 0.000316227786F};
const std::vector<float> kYarn{1.0F,           0.237170815F,    0.049999997F,    0.00790569466F,
                               0.00249999994F, 0.000790569466F, 0.000250000012F, 7.90569466e-05F};
const std::vector<float> kLlama3{1.0F,
                                 0.079403013F,
                                 0.00470075384F,
                                 0.000911583134F,
                                 0.000176776681F,
                                 3.42810235e-05F,
                                 6.64786967e-06F,
                                 1.28917316e-06F};

struct Case {
  const char* name;
  const char* config;
  std::vector<float> inv_freq;
  float factor = 1;
  std::int64_t head_size = 16;
};

class RopeValues : public testing::TestWithParam<Case> {};

TEST_P(RopeValues, AreTransformers) {
  const Case& c = GetParam();
  const Rope rope = rope_of(c.config, c.head_size);
  expect_close(rope.inv_freq, c.inv_freq);
  EXPECT_FLOAT_EQ(rope.factor, c.factor);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, RopeValues,
    testing::Values(
        Case{"absent", R"({})", kDefault}, Case{"old", R"({"rope_theta":10000.0})", kDefault},
        Case{"null_scaling", R"({"rope_theta":1e4,"rope_scaling":null})", kDefault},
        Case{"new", R"({"rope_parameters":{"rope_type":"default","rope_theta":1e4}})", kDefault},
        Case{"theta",
             R"({"rope_theta":160000})",
             {1.0F, 0.0910282061F, 0.00828613434F, 0.000754271809F, 6.86600251e-05F},
             1,
             10},
        Case{"theta_new",
             R"({"rope_theta":7,"rope_parameters":{"rope_theta":160000}})",
             {1.0F, 0.0910282061F, 0.00828613434F, 0.000754271809F, 6.86600251e-05F},
             1,
             10},
        Case{"partial",
             R"({"rope_theta":1e4,"partial_rotary_factor":0.5})",
             {1.0F, 0.100000001F, 0.00999999978F, 0.00100000005F}},
        Case{"partial_new",
             R"({"rope_parameters":{"rope_theta":1e4,"partial_rotary_factor":0.5}})",
             {1.0F, 0.100000001F, 0.00999999978F, 0.00100000005F}},
        Case{"rotary_dim", R"({"rotary_dim":4})", {1.0F, 0.00999999978F}},
        Case{"linear",
             R"({"rope_theta":1e4,"rope_scaling":{"type":"linear","factor":3.0}})",
             {0.333333343F, 0.105409257F, 0.0333333351F, 0.0105409259F, 0.00333333318F,
              0.00105409266F, 0.000333333359F, 0.000105409265F}},
        Case{"dynamic", R"({"rope_scaling":{"type":"dynamic","factor":3.0}})", kDefault},
        Case{"ntk",
             R"({"rope_theta":20000,"rope_scaling":{"type":"ntk","factor":8.0}})",
             {0.771105409F, 0.172424406F, 0.0385552682F, 0.00862122048F, 0.00192776346F,
              0.000431061024F, 9.63881757e-05F, 2.15530526e-05F}},
        Case{"ntk_mixed",
             R"({"rope_theta":10000,"rope_scaling":{"type":"ntk","factor":4.0,"mixed_b":0.625}})",
             {0.685270786F, 0.176548868F, 0.0471906625F, 0.0128710037F, 0.00355784968F,
              0.000993155525F, 0.000279348693F, 7.90569466e-05F}},
        Case{"yarn", R"({"max_position_embeddings":512,"rope_scaling":{"rope_type":"yarn",
             "factor":4.0,"original_max_position_embeddings":128}})",
             kYarn, 1.138629436111989F},
        Case{"yarn_implied", R"({"max_position_embeddings":512,"rope_parameters":{
             "rope_type":"yarn","rope_theta":1e4,"original_max_position_embeddings":128}})",
             kYarn, 1.138629436111989F},
        Case{"yarn_mscale",
             R"({"rope_parameters":{"rope_type":"yarn","rope_theta":5e5,"factor":4.0,
             "original_max_position_embeddings":128,"mscale":1.2,"mscale_all_dim":0.7,
             "truncate":false,"beta_fast":16.0,"beta_slow":2.0}})",
             {1.0F, 0.0960915238F, 0.00940150768F, 0.00182316627F, 0.000353553361F, 6.85620471e-05F,
              1.32957393e-05F, 2.57834631e-06F},
             1.0631833659779666F},
        Case{"llama3", R"({"rope_theta":5e5,"rope_scaling":{"rope_type":"llama3","factor":8.0,
             "low_freq_factor":1.0,"high_freq_factor":4.0,
             "original_max_position_embeddings":64}})",
             kLlama3},
        Case{"llama3_outer", R"({"original_max_position_embeddings":64,"rope_parameters":{
             "rope_type":"llama3","rope_theta":5e5,"factor":8.0,"low_freq_factor":1.0,
             "high_freq_factor":4.0}})",
             kLlama3}),
    [](const auto& info) { return info.param.name; });

TEST(Rope, PicksTheLayerType) {
  const std::string config =
      R"({"rope_parameters":{"full_attention":{"rope_type":"default","rope_theta":160000},
          "sliding_attention":{"rope_theta":10000},"none":null}})";
  EXPECT_NEAR(rope_of(config, 10, "full_attention").inv_freq[1], 0.0910282061F, 1e-8);
  expect_close(rope_of(config, 16, "sliding_attention").inv_freq, kDefault);
  EXPECT_TRUE(rope_of(config, 16, "none").inv_freq.empty());
  // A flat one is every layer's.
  expect_close(rope_of(R"({"rope_parameters":{"rope_theta":1e4}})", 16, "any").inv_freq, kDefault);
}

TEST(Rope, OldSpellingsOfOtherFamilies) {
  RopeKeys keys;
  keys.theta = "rope_local_base_freq";
  keys.scaled = false;
  const std::string config =
      R"({"rope_theta":160000,"rope_local_base_freq":10000,
          "rope_scaling":{"type":"linear","factor":2.0}})";
  expect_close(rope_of(config, 16, "sliding_attention", keys).inv_freq, kDefault);
  keys = {};
  keys.fraction = "rotary_emb_fraction";
  keys.default_theta = 1e4;
  EXPECT_EQ(rope_of(R"({"rotary_emb_fraction":0.25})", 16, {}, keys).inv_freq.size(), 2U);
}

class RopeLies : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(RopeLies, AreRefusedByName) {
  const auto& [config, named] = GetParam();
  try {
    rope_of(config);
    FAIL() << config;
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 65);
    EXPECT_NE(std::string(error.what()).find(named), std::string::npos) << error.what();
  }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, RopeLies,
    testing::Values(std::pair{R"({"rope_theta":0})", "rope_theta"},
                    std::pair{R"({"rope_theta":"x"})", "a number"},
                    std::pair{R"({"rope_theta":1e300})", "rope_theta"},
                    std::pair{R"({"partial_rotary_factor":1.5})", "partial_rotary_factor"},
                    std::pair{R"({"rotary_dim":18})", "rotary_dim"},
                    std::pair{R"({"rope_scaling":{"type":"linear"}})", "factor"},
                    std::pair{R"({"rope_scaling":{"type":"linear","factor":0}})", "factor"},
                    std::pair{R"({"rope_scaling":{"type":"longrope"}})", "got \"longrope\""},
                    std::pair{R"({"rope_scaling":{"type":"yarn","factor":2}})",
                              "max_position_embeddings"},
                    std::pair{R"({"rope_scaling":{"type":"llama3","factor":2,"low_freq_factor":4,
                  "high_freq_factor":4,"original_max_position_embeddings":8}})",
                              "high_freq_factor"},
                    std::pair{R"({"rope_parameters":{"full_attention":{"rope_theta":1e4}}})",
                              "one set of rope parameters"}));

}  // namespace
}  // namespace inlay::arch
