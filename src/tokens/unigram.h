// Unigram: the segmentation of highest total score (Viterbi), pieces found by a trie; unknown
// stretches are fused.
#pragma once

#include <string>

#include "tokens/byte_trie.h"
#include "tokens/model.h"

namespace inlay::tokens {

class Unigram final : public Model {
 public:
  // Throws kBadInput for an empty vocabulary, an unk_id outside it or an entry that is not [piece,
  // score].
  static std::unique_ptr<Unigram> from_json(const JsonValue& json);

  void tokenize(std::string_view word, std::vector<TokenSpan>* out) const override;
  // O(characters x longest piece).
  void compute(std::string_view word, std::vector<TokenSpan>* out) const override;
  const Vocab& vocab() const override { return vocab_; }
  std::int32_t unk_id() const override { return unk_id_; }

 private:
  struct Scratch;
  [[noreturn]] void refuse_unknown() const;
  void prepare_first_states();
  void best_path(std::string_view word, Scratch* scratch) const;
  void append_unknown(std::string_view word, std::uint32_t begin, std::uint32_t end,
                      std::vector<TokenSpan>* out) const;

  Vocab vocab_;
  ByteTrie trie_;
  // The trie's state after one character, by code point below kFirstStates (256 KiB, of which text
  // uses little); ByteTrie::kRoot: no piece begins with it.
  std::vector<std::uint32_t> first_states_;
  std::vector<double> scores_;
  std::vector<std::int32_t> byte_ids_;  // as Bpe's
  double unk_score_ = 0;
  std::int32_t unk_id_ = -1;
  std::uint32_t owner_ = 0;
  std::string where_;
};

}  // namespace inlay::tokens
