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
  // Words in order, as ranges of a text, looked up a batch at a time so that the cache's memory is
  // waited for once and not word by word.
  class Batch {
   public:
    Batch(const WordPath& path, std::string_view text, std::size_t limit, IdList* out)
        : path_(path), text_(text), limit_(limit), out_(out) {}
    // False when there are enough ids.
    bool add(std::size_t begin, std::size_t end) {
      words_[count_++] = {
          begin, end, false,
          cache_.prepare(path_.owner_, text_.substr(begin, end - begin), text_.size() - begin)};
      return count_ < kWords || flush();
    }
    // The same for a word that is never in the cache.
    bool add_absent(std::size_t begin, std::size_t end) {
      words_[count_++] = {begin, end, true, {}};
      return count_ < kWords || flush();
    }
    bool flush() {
      for (std::size_t i = 0; i < count_; ++i) {
        Word& word = words_[i];
        cache_.prepare_further(path_.owner_, text_.substr(word.begin, word.end - word.begin),
                               text_.size() - word.begin, &word.place);
      }
      for (std::size_t i = 0; i < count_; ++i) {
        const Word& word = words_[i];
        if (word.absent ||
            !cache_.find(path_.owner_, word.place, text_.substr(word.begin, word.end - word.begin),
                         text_.size() - word.begin, out_)) {
          path_.absent(text_, word.begin, word.end, &cache_, out_);
        }
        if (out_->size() >= limit_) return false;
      }
      count_ = 0;
      return true;
    }

   private:
    static constexpr std::size_t kWords = 16;  // more lines than a core fetches at once
    struct Word {
      std::size_t begin, end;
      bool absent;
      IdCache::Place place;
    };
    const WordPath& path_;
    std::string_view text_;
    std::size_t limit_;
    IdList* out_;
    IdCache& cache_ = IdCache::of_thread();
    std::size_t count_ = 0;
    Word words_[kWords];
  };

  // A word that is not in the cache: miss(), where the path does not know better.
  virtual void absent(std::string_view text, std::size_t begin, std::size_t end, IdCache* cache,
                      IdList* out) const {
    miss(text.substr(begin, end - begin), cache, out);
  }
  // Computes a word that is not in the cache, and keeps it there.
  void miss(std::string_view word, IdCache* cache, IdList* out) const;
  // Appends the tokens of a word, or of whatever the words in it are.
  virtual void compute(std::string_view word, std::vector<TokenSpan>* out) const = 0;

 private:
  std::uint32_t owner_;
};

}  // namespace inlay::tokens
