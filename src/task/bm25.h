// BM25 document and query vectors as fastembed's model Qdrant/bm25 defines them: no network, only
// words, Snowball stems and their counts. fastembed 0.7.4 (0.9.1 computes the same):
// sparse/bm25.py (filters, formula, hash), sparse/utils/tokenizer.py (SimpleTokenizer),
// common/utils.py (remove_non_alphanumeric).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "inlay/inlay.hpp"

namespace inlay::task {

struct Bm25Options {
  double k = 1.2;                     // saturation of a term's count; finite, at least 0
  double b = 0.75;                    // weight of the document's length; 0 to 1
  double avg_len = 256;               // words of an average document; finite, above 0
  std::string language = "english";   // one of files::stop_word_languages()
  std::size_t token_max_length = 40;  // characters; longer words are dropped
  bool disable_stemmer = false;  // words as they are; stop words are then kept, as in fastembed
};

// Throws kUsage for an option out of its range.
void check_bm25(const Bm25Options& options);
// n (k + 1) / (n + k (1 - b + b length / avg_len)) of a term that occurs n times in a document of
// `length` terms.
double bm25_weight(const Bm25Options& options, double n, double length) noexcept;

// Immutable once made: any number of threads may call it.
class Bm25 {
 public:
  // Throws as check_bm25 does.
  Bm25(Bm25Options options, std::vector<std::string> stop_words);

  // The terms of a text in its order: lower-cased words, less stop words and longer ones, stemmed.
  // text: valid UTF-8.
  std::vector<std::string> terms(std::string_view text) const;

  // Each term has the value of bm25_weight(), the inverse document frequency being the index's
  // affair (Qdrant: modifier "idf"). Of two terms with one hash the one that occurs first later
  // counts, as in fastembed. Words are filled too when asked for.
  SparseVector document(const std::vector<std::string>& terms, bool words) const;
  // Each term once, with the value 1.
  SparseVector query(const std::vector<std::string>& terms, bool words) const;

 private:
  Bm25Options options_;
  std::unordered_set<std::string> stop_words_;
};

}  // namespace inlay::task
