// The quick way of XLM-RoBERTa's pipeline and its like: normalizers that look no further than a
// grapheme cluster, words at white space (WhitespaceSplit), each marked (Metaspace), any model.
#pragma once

#include <string_view>
#include <vector>

#include "tokens/byte_marks.h"
#include "tokens/normalizers.h"
#include "tokens/pre_tokenizers.h"
#include "tokens/word_path.h"

namespace inlay::tokens {

class SpacePath final : public WordPath {
 public:
  // For a normalizer (may be null) with local_at_spaces() and a pre-tokenizer with
  // words_at_spaces(); all outlive this.
  SpacePath(const Normalizer* normalizer, const PreTokenizer* pre_tokenizer, const Model* model);

  void encode(std::string_view text, std::size_t limit, IdList* out) const override;

 private:
  void compute(std::string_view word, std::vector<TokenSpan>* out) const override;

  ByteSet spaces_;
  const Normalizer* normalizer_;
  const PreTokenizer* pre_tokenizer_;
  const Model* model_;
};

}  // namespace inlay::tokens
