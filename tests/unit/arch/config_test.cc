// Config lies (a family's numbers out of range or against each other) are refused by name before
// anything is built.
#include "arch/config.h"

#include <gtest/gtest.h>

#include <string>

#include "inlay/inlay.hpp"

namespace inlay::arch {
namespace {

std::string config(const std::string& overrides) {
  std::string members =
      R"("vocab_size":100,"hidden_size":32,"num_hidden_layers":2,"num_attention_heads":4,"intermediate_size":64,"max_position_embeddings":64)";
  // The override's key replaces the standard member.
  const std::string key = overrides.substr(0, overrides.find(':'));
  const std::size_t at = members.find(key);
  if (at != std::string::npos) {
    const std::size_t end = std::min(members.find(',', at), members.size());
    members = members.substr(0, at) + overrides + members.substr(end);
  } else {
    members += "," + overrides;
  }
  return "{" + members + "}";
}

class ConfigLies : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(ConfigLies, AreRefusedByName) {
  const auto& [lie, named] = GetParam();
  const JsonDocument document = JsonDocument::parse(config(lie), "config.json");
  try {
    encoder_sizes(document.root());
    config_activation(document.root(), "hidden_act", "gelu");
    config_float(document.root(), "layer_norm_eps", 0, 1, 1e-12);
    FAIL() << lie;
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 65);
    EXPECT_NE(std::string(error.what()).find(named), std::string::npos) << error.what();
  }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ConfigLies,
    testing::Values(std::pair{R"("num_attention_heads":0)", "num_attention_heads"},
                    std::pair{R"("num_attention_heads":5)", "divisor of hidden_size 32"},
                    std::pair{R"("hidden_size":-1)", "hidden_size"},
                    std::pair{R"("hidden_size":"32")", "an integer, got a string"},
                    std::pair{R"("hidden_size":31.5)", "hidden_size"},
                    std::pair{R"("num_hidden_layers":1000000000)", "num_hidden_layers"},
                    std::pair{R"("vocab_size":99999999999999)", "vocab_size"},
                    std::pair{R"("max_position_embeddings":0)", "max_position_embeddings"},
                    std::pair{R"("type_vocab_size":-2)", "type_vocab_size"},
                    std::pair{R"("hidden_act":"warp")", "warp"},
                    std::pair{R"("layer_norm_eps":-1)", "layer_norm_eps"},
                    std::pair{R"("layer_norm_eps":"x")", "layer_norm_eps"}));

TEST(Config, ReadsWhatIsRight) {
  const JsonDocument document =
      JsonDocument::parse(config(R"("layer_norm_eps":1e-5)"), "config.json");
  const EncoderSizes sizes = encoder_sizes(document.root());
  EXPECT_EQ(sizes.head_size, 8);
  EXPECT_EQ(sizes.type_vocab_size, 2);
  EXPECT_FLOAT_EQ(config_float(document.root(), "layer_norm_eps", 0, 1, 1e-12), 1e-5F);
}

}  // namespace
}  // namespace inlay::arch
