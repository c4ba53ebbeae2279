// The heads that families share in form and differ in by names: a masked language model's transform
// before its decoder, a sequence classifier.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "arch/arch.h"

namespace inlay::arch {

// hidden -> dense -> activation -> layer norm -> decoder. Names are found behind any prefix.
struct MaskedLmHead {
  std::string_view dense;  // "cls.predictions.transform.dense"
  std::string_view norm;   // "cls.predictions.transform.LayerNorm"
  // The decoder's matrix when the config does not tie it to the embeddings (empty: always tied),
  // and names of its bias in order of preference; a head may have none of them.
  std::string_view decoder;
  std::vector<std::string_view> biases;
  Activation activation = Activation::kGelu;
  float eps = 0;
};
// Appends the transform to body->hidden and sets the decoder. `embeddings` is the word table
// [vocabulary, embedding width]. Throws by no_head() when the checkpoint has no such head.
void append_masked_lm(const files::ModelFiles& model, const std::shared_ptr<const Weights>& weights,
                      const MaskedLmHead& head, const WeightRef& embeddings, Body* body);

// pooled [texts, width] -> dense -> activation -> norm -> output. Empty names are left out.
struct ClassifierHead {
  std::string_view dense;  // "pooler.dense"
  Activation activation = Activation::kTanh;
  std::string_view norm;
  float eps = 0;
  std::string_view out;  // "classifier"
};
// Appends the head to body->hidden, which becomes the logits. Throws by no_head().
void append_classifier(const files::ModelFiles& model,
                       const std::shared_ptr<const Weights>& weights, const ClassifierHead& head,
                       Body* body);

}  // namespace inlay::arch
