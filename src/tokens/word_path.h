// The quick way of a pipeline whose words do not depend on each other: cut the raw text into words,
// take each word's ids out of the thread's cache, compute what is not there. Same ids as the
// general way, which text_tokens.cc keeps for offsets and for every other pipeline.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tokens/id_cache.h"
#include "tokens/id_list.h"
#include "tokens/model.h"

namespace inlay::tokens {

// Immutable; any thread may call.
class WordPath {
 public:
  virtual ~WordPath() = default;
  // Whether encode() takes text that the normalizers are through with, rather than raw text.
  virtual bool reads_normalized() const { return false; }
  // Appends the ids of `text`, word by word, until there are `limit` or more.
  virtual void encode(std::string_view text, std::size_t limit, IdList* out) const = 0;

 protected:
  WordPath() : owner_(IdCache::new_owner()) {}

  // Appends the ids of a word in the cache; false when it is not there. `readable` as in IdCache.
  bool find(std::string_view word, std::size_t readable, const IdCache& cache, IdList* out) const {
    return cache.find(owner_, word, readable, out);
  }
  // Appends the ids of a word: `text` from `begin` to `end`.
  void word(std::string_view text, std::size_t begin, std::size_t end, IdCache* cache,
            IdList* out) const {
    const std::string_view word = text.substr(begin, end - begin);
    if (!find(word, text.size() - begin, *cache, out)) miss(word, cache, out);
  }
  // Computes a word that is not in the cache, and keeps it there.
  void miss(std::string_view word, IdCache* cache, IdList* out) const;
  // Appends the tokens of a word, or of whatever the words in it are.
  virtual void compute(std::string_view word, std::vector<TokenSpan>* out) const = 0;

 private:
  std::uint32_t owner_;
};

}  // namespace inlay::tokens
