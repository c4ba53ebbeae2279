// Heads by name. Biases of dense layers are optional everywhere: families differ there by config.
#include "arch/heads.h"

#include <string>

#include "base/error.h"
#include "program/binder.h"

namespace inlay::arch {
namespace {

// One module of a head, wherever its prefix puts it.
struct Module {
  WeightRef weight, bias;
};
Module take_module(const files::ModelFiles& model, const std::shared_ptr<const Weights>& weights,
                   Head head, std::string_view name, const Shape& shape) {
  const std::string anchor = std::string(name) + ".weight";
  const bool old = checkpoint_has(*weights, std::string(name) + ".gamma");
  if (!old && !checkpoint_has(*weights, anchor)) no_head(model, head, anchor);
  Binder binder(weights, old ? std::string(name) + ".gamma" : anchor, model.name());
  Module module;
  module.weight = binder.take(anchor, shape);
  module.bias = binder.take_optional(std::string(name) + ".bias", {shape[0]});
  binder.finish();
  return module;
}

}  // namespace

void append_masked_lm(const files::ModelFiles& model, const std::shared_ptr<const Weights>& weights,
                      const MaskedLmHead& head, const WeightRef& embeddings, Body* body) {
  Program& p = body->program;
  const std::int64_t hidden = p.value(body->hidden).width;
  const std::int64_t width = embeddings.tensor.shape[1];
  const std::int64_t vocabulary = embeddings.tensor.shape[0];
  const Module dense = take_module(model, weights, Head::kMaskedLm, head.dense, {width, hidden});
  const Module norm = take_module(model, weights, Head::kMaskedLm, head.norm, {width});
  body->hidden =
      p.linear("head.dense", {body->hidden, {dense.weight}, {dense.bias}, head.activation});
  body->hidden = p.norm(
      "head.norm", {NormKind::kLayer, body->hidden, kNoValue, norm.weight, norm.bias, head.eps});
  body->decoder = embeddings;
  if (!head.decoder.empty() && !model.config().bool_or("tie_word_embeddings", true)) {
    body->decoder =
        take_module(model, weights, Head::kMaskedLm, head.decoder, {vocabulary, width}).weight;
  }
  for (const std::string_view name : head.biases) {
    if (!checkpoint_has(*weights, name)) continue;
    Binder binder(weights, name, model.name());
    body->decoder_bias = binder.take(name, {vocabulary});
    binder.finish();
    break;
  }
}

void append_classifier(const files::ModelFiles& model,
                       const std::shared_ptr<const Weights>& weights, const ClassifierHead& head,
                       Body* body) {
  Program& p = body->program;
  const std::int64_t width = p.value(body->hidden).width;
  if (!head.dense.empty()) {
    const Module dense = take_module(model, weights, Head::kClassifier, head.dense, {-1, width});
    body->hidden =
        p.linear("head.dense", {body->hidden, {dense.weight}, {dense.bias}, head.activation});
  }
  const std::int64_t inner = p.value(body->hidden).width;
  if (!head.norm.empty()) {
    const Module norm = take_module(model, weights, Head::kClassifier, head.norm, {inner});
    body->hidden = p.norm(
        "head.norm", {NormKind::kLayer, body->hidden, kNoValue, norm.weight, norm.bias, head.eps});
  }
  const Module out = take_module(model, weights, Head::kClassifier, head.out, {-1, inner});
  body->hidden = p.linear("head.out", {body->hidden, {out.weight}, {out.bias}, Activation::kNone});
}

}  // namespace inlay::arch
