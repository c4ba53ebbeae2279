// Sparse vectors by look-up: the weight of each token that a text has, however often it has it.
// What sentence-transformers calls SparseStaticEmbedding; opensearch's models take queries this
// way.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "files/model_files.h"
#include "inlay/inlay.hpp"
#include "tokens/tokenizer.h"

namespace inlay::task {

// Immutable; thread-safe.
class TokenTable {
 public:
  // Throws kBadInput for a table that does not fit its tokenizer or holds NaN or infinity.
  TokenTable(const files::ModelFiles& model, const files::Module& module);

  // A text's tokens without special ones, as the table's own tokenizer gives them.
  void encode(std::string_view text, tokens::EncodeOptions options, tokens::Encoding* out) const;
  // Each token's weight where it is not zero, ids ascending.
  SparseVector look_up(const tokens::Encoding& encoding) const;

  std::int64_t dim() const { return static_cast<std::int64_t>(weights_.size()); }
  std::int64_t limit() const { return limit_; }  // tokens of a text at most; 0: none

 private:
  tokens::Tokenizer tokenizer_;
  std::vector<float> weights_;  // [vocabulary]
  std::int64_t limit_ = 0;
};

}  // namespace inlay::task
