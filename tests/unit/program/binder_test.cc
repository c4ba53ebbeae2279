// Finding weights under prefixes and old names, and reporting every problem at once.
#include "program/binder.h"

#include <gtest/gtest.h>

#include "inlay/inlay.hpp"

namespace inlay {
namespace {

std::shared_ptr<Weights> weights(std::initializer_list<std::pair<const char*, Shape>> entries) {
  static const float kData[64] = {};
  auto result = std::make_shared<Weights>();
  for (const auto& [name, shape] : entries)
    result->add(name, {DType::kF32, shape, kData}, "model.safetensors");
  return result;
}

TEST(Binder, FindsThePrefix) {
  Binder binder(
      weights({{"0.auto_model.embeddings.word.weight", {4, 2}}, {"0.auto_model.x.bias", {2}}}),
      "embeddings.word.weight", "model");
  EXPECT_EQ(binder.take("x.bias", {2}).name, "0.auto_model.x.bias");
  EXPECT_NO_THROW(binder.finish());
}

TEST(Binder, PrefersTheShortestPrefixAndRespectsNameBorders) {
  Binder binder(weights({{"other.bert.word.weight", {4, 2}},
                         {"bert.word.weight", {4, 2}},
                         {"badword.weight", {1}}}),
                "word.weight", "model");
  EXPECT_EQ(binder.take("word.weight", {4, 2}).name, "bert.word.weight");
}

TEST(Binder, UnderstandsGammaAndBeta) {
  Binder binder(
      weights({{"word.weight", {4, 2}}, {"LayerNorm.gamma", {2}}, {"LayerNorm.beta", {2}}}),
      "word.weight", "model");
  EXPECT_EQ(binder.take("LayerNorm.weight", {2}).name, "LayerNorm.gamma");
  EXPECT_EQ(binder.take("LayerNorm.bias", {2}).name, "LayerNorm.beta");
}

TEST(Binder, NamesEveryProblemAtOnce) {
  Binder binder(weights({{"word.weight", {4, 2}}, {"a", {2, 3}}}), "word.weight", "model");
  EXPECT_FALSE(binder.take("a", {2, 2}).present());
  EXPECT_FALSE(binder.take("gone", {5}).present());
  try {
    binder.finish();
    FAIL();
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("a: expected shape [2, 2], got [2, 3]"), std::string::npos) << text;
    EXPECT_NE(text.find("gone"), std::string::npos) << text;
  }
}

TEST(Binder, RefusesIntegerWeights) {
  auto store = std::make_shared<Weights>();
  static const float kData[8] = {};
  store->add("word.weight", {DType::kF32, {4, 2}, kData}, "m");
  store->add("q", {DType::kI8, {2}, kData}, "m");
  Binder binder(store, "word.weight", "model");
  binder.take("q", {2});
  EXPECT_THROW(binder.finish(), Error);
}

TEST(Binder, ForeignCheckpointIsRefusedByName) {
  try {
    Binder binder(weights({{"conv1.weight", {4, 2}}}), "word_embeddings.weight", "model");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("conv1.weight"), std::string::npos);
  }
}

}  // namespace
}  // namespace inlay
