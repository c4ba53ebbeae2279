// BERT's pipeline in one pass: normalize, cut and look up word by word, without offsets. Same ids
// as the general way (BertNormalizer, BertPreTokenizer, WordPiece), which tokenizer.cc keeps for
// everything else.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tokens/normalizers.h"
#include "tokens/wordpiece.h"

namespace inlay::tokens {

// Immutable; any thread may call.
class BertPath {
 public:
  // `normalizer` is the BertNormalizer with these options; both outlive this.
  BertPath(const BertNormalizerOptions& options, const Normalizer* normalizer,
           const WordPiece* model);

  // Appends the tokens of `text`, word by word, until there are `limit` or more.
  void encode(std::string_view text, std::size_t limit, std::vector<TokenSpan>* out) const;

 private:
  enum class Kind : std::uint8_t { kWord, kSpace, kPunctuation, kRemoved, kWide };
  struct Run;

  std::array<Kind, 256> kinds_;
  std::array<char, 256> lower_;
  const Normalizer* normalizer_;
  const WordPiece* model_;
};

}  // namespace inlay::tokens
