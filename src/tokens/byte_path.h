// The quick way of byte-level BPE: a published split pattern cuts the normalized text, each word is
// spelled in the byte alphabet and merged.
#pragma once

#include <string_view>
#include <vector>

#include "tokens/bpe.h"
#include "tokens/pre_tokenizers.h"
#include "tokens/word_path.h"

namespace inlay::tokens {

class BytePath final : public WordPath {
 public:
  // `model` outlives this.
  BytePath(const ByteWords& words, const Bpe* model) : words_(words), model_(model) {}

  bool reads_normalized() const override { return true; }
  void encode(std::string_view text, std::size_t limit, IdList* out) const override;

 private:
  void compute(std::string_view word, std::vector<TokenSpan>* out) const override;
  bool compute_part(std::string_view part, std::vector<TokenSpan>* out) const override;

  ByteWords words_;
  const Bpe* model_;
};

}  // namespace inlay::tokens
