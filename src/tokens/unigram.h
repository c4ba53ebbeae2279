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

  // Words in parts. Where no piece has two characters side by side that both are pieces by
  // themselves, the best path has an edge between them, and its pieces on the two sides hang on
  // nothing else: but for paths that tie, or nearly, between which the roundings of all that is
  // before decide.
  //
  // compute() of a part that is not its word's first; false, and nothing appended, where paths come
  // too close. Words have at most kMostBytesInParts.
  bool compute_part(std::string_view part, std::vector<TokenSpan>* out) const;
  static constexpr std::size_t kMostBytesInParts = 2048;
  bool has_parts() const { return most_score_ <= kMostScore; }
  // Whether a character below U+10000 is a piece.
  bool covers(char32_t c) const {
    return first_states_[c] != ByteTrie::kRoot && trie_.value(first_states_[c]) >= 0;
  }
  const Vocab& vocab() const override { return vocab_; }
  std::int32_t unk_id() const override { return unk_id_; }

 private:
  struct Scratch;
  static Scratch& scratch_of_thread();
  [[noreturn]] void refuse_unknown() const;
  void prepare_first_states();
  void best_path(std::string_view word, Scratch* scratch) const;
  void append(const Scratch& scratch, std::string_view word, std::vector<TokenSpan>* out) const;
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
  // Two sums of scores of this size are off by less than kClose from each other when a word has
  // kMostBytesInParts, and even when its normalized text is ten times as long.
  static constexpr double kMostScore = 100, kClose = 1e-4;
  double most_score_ = 0;
  std::int32_t unk_id_ = -1;
  std::uint32_t owner_ = 0;
  std::string where_;
};

}  // namespace inlay::tokens
