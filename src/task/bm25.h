// BM25 document and query vectors as fastembed's model Qdrant/bm25 defines them: no network, only
// words, Snowball stems and their counts. fastembed 0.7.4: sparse/bm25.py (filters, formula, hash),
// sparse/utils/tokenizer.py (SimpleTokenizer), common/utils.py (remove_non_alphanumeric).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace inlay::task {

// A sparse vector: indices strictly ascending, values[i] belongs to indices[i].
struct Bm25Vector {
  std::vector<std::uint32_t> indices;
  std::vector<float> values;
};

struct Bm25Options {
  double k = 1.2;                     // saturation of a term's count; finite, at least 0
  double b = 0.75;                    // weight of the document's length; 0 to 1
  double avg_len = 256;               // words of an average document; finite, above 0
  std::string language = "english";   // one of bm25_languages()
  std::size_t token_max_length = 40;  // characters; longer words are dropped
  bool disable_stemmer = false;  // words as they are; stop words are then kept, as in fastembed
};

// The names that Bm25Options::language takes: those of fastembed, in its order.
const std::vector<std::string_view>& bm25_languages() noexcept;

// The stop words in FOLDER/LANGUAGE.txt, one a line. Without the file there are none, as in
// fastembed; *found (may be null) says which. Throws Error where the file cannot be read or is not
// UTF-8, and for a language that is not in bm25_languages().
std::vector<std::string> read_stop_words(const std::string& folder, std::string_view language,
                                         bool* found);

// Immutable once made: any number of threads may call it.
class Bm25 {
 public:
  // Throws Error kUsage when an option is out of its range.
  Bm25(Bm25Options options, std::vector<std::string> stop_words);

  // text: valid UTF-8. A term that occurs n times among the document's L terms has the value
  //   n (k + 1) / (n + k (1 - b + b L / avg_len)),
  // the inverse document frequency being the index's affair (Qdrant: modifier "idf"). Of two terms
  // with one hash the one that occurs first later counts, as in fastembed.
  void document(std::string_view text, Bm25Vector* out) const;
  // Each term of the text once, with the value 1.
  void query(std::string_view text, Bm25Vector* out) const;

  // How many stop words are in force: 0 without a list, and with disable_stemmer.
  std::size_t stop_words() const noexcept { return stop_words_.size(); }

 private:
  std::vector<std::string> terms(std::string_view text) const;

  Bm25Options options_;
  std::unordered_set<std::string> stop_words_;
};

// MurmurHash3_x86_32 (Austin Appleby, public domain) with seed 0, as mmh3.hash gives it.
std::int32_t murmur3(std::string_view bytes) noexcept;

}  // namespace inlay::task
