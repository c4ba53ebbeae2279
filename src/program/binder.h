// Binding weights: finds checkpoint tensors by name and shape for an architecture, whatever prefix
// and age the checkpoint has, and names every one that is missing at once.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "program/program.h"

namespace inlay {

// Looks names up in one checkpoint. Not thread-safe.
class Binder {
 public:
  // `anchor` is a name every checkpoint of the family has ("embeddings.word_embeddings.weight");
  // the prefix in front of it ("bert.", "0.auto_model.", "model.") is found by looking for it.
  // `where` names the model.
  Binder(std::shared_ptr<const Weights> weights, std::string_view anchor, std::string_view where);

  // The tensor `prefix + name` with exactly this shape (-1 matches any extent). Old spellings are
  // tried too: LayerNorm gamma/beta for weight/bias. A missing one is noted and comes back absent:
  // finish() throws.
  WeightRef take(std::string_view name, const Shape& shape);
  WeightRef take_optional(std::string_view name, const Shape& shape);
  bool has(std::string_view name) const;
  // Throws kBadInput naming each missing tensor and each wrong shape (both shapes).
  void finish() const;
  const std::shared_ptr<const Weights>& weights() const { return weights_; }

 private:
  const Weights::Entry* find(std::string_view name, std::string* full) const;
  std::shared_ptr<const Weights> weights_;
  std::string prefix_;
  std::string where_;
  std::vector<std::string> problems_;
};

// Whether a tensor of the checkpoint is called `name`, behind any prefix.
bool checkpoint_has(const Weights& weights, std::string_view name);

}  // namespace inlay
