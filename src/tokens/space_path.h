// The quick way of XLM-RoBERTa's pipeline and its like: normalizers that look no further than a
// grapheme cluster, words at white space (WhitespaceSplit), each marked (Metaspace), any model.
#pragma once

#include <atomic>
#include <bitset>
#include <string_view>
#include <vector>

#include "tokens/byte_marks.h"
#include "tokens/neighbours.h"
#include "tokens/normalizers.h"
#include "tokens/pieces.h"
#include "tokens/pre_tokenizers.h"
#include "tokens/unigram.h"
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
  bool compute_part(std::string_view part, std::vector<TokenSpan>* out) const override;
  void absent(std::string_view text, std::size_t begin, std::size_t end, IdCache* cache,
              IdList* out) const override;
  const Pieces& cut(std::string_view word) const;
  bool is_plain(std::string_view word) const;
  bool cuts() const;
  void find_neighbours() const;
  std::size_t part_end(std::string_view text, std::size_t at) const;

  ByteSet spaces_;
  const Normalizer* normalizer_;
  const PreTokenizer* pre_tokenizer_;
  const Model* model_;
  // Of the model, where words can be cut into parts; null otherwise.
  const Unigram* unigram_ = nullptr;
  // Built by the thread that misses so many words that it is worth it.
  mutable Neighbours neighbours_;
  // Characters that normalizer and pre-tokenizer leave where they are.
  mutable std::bitset<Neighbours::kEnd> plain_;
  mutable std::atomic<bool> has_neighbours_{false};
  mutable std::atomic<std::uint32_t> misses_{0};
};

}  // namespace inlay::tokens
