// miniCOIL's parts beside its encoder: a vocabulary of words with a small matrix for each, and the
// way from a text's tokens to words that it knows and words that it counts as BM25 does. fastembed
// 0.7.4 (0.9.1 computes the same): sparse/minicoil.py, sparse/utils/vocab_resolver.py,
// minicoil_encoder.py and sparse_vectors_converter.py.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "files/model_files.h"
#include "task/bm25.h"
#include "task/stemmer.h"
#include "task/word_pieces.h"
#include "task/word_vector.h"

namespace inlay::task {

// Immutable; thread-safe.
class MiniCoil {
 public:
  // Reads vocabulary, heads and stop words of the folder. Throws kNotFound, kBadInput.
  MiniCoil(const files::ModelFiles& model, const Bm25Options& bm25);

  std::int64_t hidden_size() const { return hidden_size_; }

  // `hidden`: [tokens, hidden_size], of the tokens `ids`. A query's words weigh the same however
  // often they occur.
  WordVector vector(std::span<const std::int32_t> ids, std::span<const float> hidden,
                    bool query) const;

 private:
  struct Entry {  // of a sentence: a word of the vocabulary, or one to count (id 0)
    std::string word;
    std::int64_t id = 0, count = 0;
    std::vector<double> place{};  // unit vector; of a word of the vocabulary
  };
  // In the order of insertion; a key that is there keeps its place.
  class Sentence;

  std::int64_t id_of(const std::string& token, const Stemmer& stemmer) const;
  std::vector<double> place_of(std::int64_t id, const std::vector<float>& mean) const;
  Sentence resolve(std::span<const std::int32_t> ids, std::span<const float> hidden,
                   const Stemmer& stemmer) const;
  Sentence clean(const Sentence& sentence, const Stemmer& stemmer) const;
  bool unwanted(const std::string& word) const;
  std::int32_t unknown_index(std::string_view word) const;

  const Bm25Options bm25_;
  const WordPieces pieces_;
  std::vector<std::string> words_;                       // id 1 is the first
  std::unordered_map<std::string, std::int64_t> ids_;    // of words_
  std::unordered_map<std::string, std::int64_t> stems_;  // stem_mapping, of ids
  std::unordered_set<std::string> stop_words_;
  std::vector<float> heads_;  // [words + 1, hidden_size, width]; row 0 is of no word
  std::int64_t hidden_size_ = 0, width_ = 0;
};

}  // namespace inlay::task
