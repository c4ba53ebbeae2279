// Snowball stems by libstemmer 2.2, in the few places where its algorithms are newer than
// py_rust_stemmers' turned back to those, so that they are fastembed's stems.
#pragma once

#include <memory>
#include <string>

struct sb_stemmer;

namespace inlay::task {

// Not thread-safe; making one is an allocation or two.
class Stemmer {
 public:
  // `language`: one of files::stop_word_languages(). Throws kInternal for another.
  explicit Stemmer(const std::string& language);
  // In place: a word in lower case becomes its stem, which may be empty.
  void stem(std::string* word) const;

 private:
  enum class Kind { kAsItIs, kDanish, kFinnish, kFrench, kRussian };
  struct End {
    void operator()(sb_stemmer* stemmer) const noexcept;
  };
  void snowball(std::string* word) const;

  std::unique_ptr<sb_stemmer, End> stemmer_;
  Kind kind_ = Kind::kAsItIs;
};

}  // namespace inlay::task
