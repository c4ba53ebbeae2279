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
  WordPath() : owner_(IdCache::new_owner()), parts_owner_(IdCache::new_owner()) {}

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
  // Appends the ids of a part of a word that is not its first: `text` from `begin` to `end`. False,
  // and nothing appended, when compute_part() says so.
  bool part(std::string_view text, std::size_t begin, std::size_t end, IdCache* cache,
            IdList* out) const {
    const std::string_view part = text.substr(begin, end - begin);
    return cache->find(parts_owner_, part, text.size() - begin, out) || miss_part(part, cache, out);
  }
  // Words in order, as ranges of a text, looked up a batch at a time so that the cache's memory is
  // waited for once and not word by word.
  class Batch {
   public:
    Batch(const WordPath& path, std::string_view text, std::size_t limit, IdList* out)
        : path_(path), text_(text), limit_(limit), out_(out) {}
    // False when there are enough ids.
    bool add(std::size_t begin, std::size_t end) { return add(begin, end, path_.owner_); }
    // The same for a part of a word, whose tokens hang on nothing else.
    bool add_part(std::size_t begin, std::size_t end) {
      return add(begin, end, path_.parts_owner_);
    }
    // The same for a word of one id that is known already.
    bool add_id(std::int32_t id) {
      words_[count_++] = {static_cast<std::size_t>(id), 0, kKnown, {}};
      return count_ < kWords || flush();
    }
    bool flush() {
      for (std::size_t i = 0; i < count_; ++i) {
        Word& word = words_[i];
        if (word.owner == kKnown) continue;
        cache_.prepare_further(word.owner, text_.substr(word.begin, word.end - word.begin),
                               text_.size() - word.begin, &word.place);
      }
      for (std::size_t i = 0; i < count_; ++i) {
        const Word& word = words_[i];
        if (word.owner == kKnown) {
          out_->push_back(static_cast<std::int32_t>(word.begin));
          if (out_->size() >= limit_) return false;
          continue;
        }
        const std::string_view bytes = text_.substr(word.begin, word.end - word.begin);
        if (!cache_.find(word.owner, word.place, bytes, text_.size() - word.begin, out_)) {
          if (word.owner == path_.parts_owner_) {
            path_.miss_part(bytes, &cache_, out_);
          } else {
            path_.absent(text_, word.begin, word.end, &cache_, out_);
          }
        }
        if (out_->size() >= limit_) return false;
      }
      count_ = 0;
      return true;
    }

   private:
    static constexpr std::size_t kWords = 16;   // more lines than a core fetches at once
    static constexpr std::uint32_t kKnown = 0;  // no owner
    struct Word {
      std::size_t begin, end;
      std::uint32_t owner;
      IdCache::Place place;
    };
    bool add(std::size_t begin, std::size_t end, std::uint32_t owner) {
      words_[count_++] = {
          begin, end, owner,
          cache_.prepare(owner, text_.substr(begin, end - begin), text_.size() - begin)};
      return count_ < kWords || flush();
    }
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
  // Keeps the ids of a word that was computed otherwise: those of `ids` from `first` on.
  void keep(std::string_view word, std::size_t first, IdCache* cache, const IdList& ids) const {
    cache->insert(owner_, word, ids.data() + first, ids.size() - first);
  }
  bool miss_part(std::string_view part, IdCache* cache, IdList* out) const;
  // Appends the tokens of a word, or of whatever the words in it are.
  virtual void compute(std::string_view word, std::vector<TokenSpan>* out) const = 0;
  // The same of a part of a word that is not its first, where the path knows how to cut words;
  // false when its tokens may depend on what is before it.
  virtual bool compute_part(std::string_view part, std::vector<TokenSpan>* out) const {
    compute(part, out);
    return true;
  }

 private:
  std::uint32_t owner_, parts_owner_;
};

}  // namespace inlay::tokens
