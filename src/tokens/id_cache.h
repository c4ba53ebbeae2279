// A thread's memory of what ids the words of texts became, so that a frequent word is looked up and
// not computed. Words are raw bytes of the text, before any normalization. Bounded: sets of two
// entries. A new word replaces the second of its set, and one that is found there becomes the
// first: most words of a text are rare, and must not drive out the others. Allocated once a thread,
// and once more by a thread that meets so many words that the first tables are full of them.
//
// Two tables: most words of most languages have up to 15 bytes and 3 ids and fit half a cache line;
// up to 47 bytes and 19 ids fit two whole ones, which matters for languages that a vocabulary
// spells letter by letter. Longer ones are not kept.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "tokens/id_list.h"

namespace inlay::tokens {

// A word as 8-byte words, zeros behind it and its length in the last byte.
template <std::size_t kWords>
struct WordKey {
  static constexpr std::size_t kMost = kWords * 8 - 1;
  std::array<std::uint64_t, kWords> words;

  // `text` is the word, of at most kMost bytes; `readable` bytes may be read from its start.
  static WordKey of(std::string_view text, std::size_t readable) {
    static_assert(std::endian::native == std::endian::little);
    WordKey key;
    if (readable >= sizeof(key)) {
      std::memcpy(&key, text.data(), sizeof(key));
      const unsigned char* mask = kMask.data() + kMask.size() / 2 - text.size();
      for (std::size_t i = 0; i < kWords; ++i) {
        std::uint64_t keep;
        std::memcpy(&keep, mask + 8 * i, sizeof(keep));
        key.words[i] &= keep;
      }
    } else {
      key.words.fill(0);
      if (!text.empty()) std::memcpy(&key, text.data(), text.size());
    }
    key.words[kWords - 1] |= static_cast<std::uint64_t>(text.size()) << 56U;
    return key;
  }
  // Each product's upper bits depend on all bits of its word.
  std::uint64_t hash(std::uint32_t owner) const {
    constexpr std::uint64_t kMultipliers[] = {0x9E3779B97F4A7C15ULL, 0xC2B2AE3D27D4EB4FULL,
                                              0x165667B19E3779F9ULL, 0xD6E8FEB86659FD93ULL,
                                              0x27D4EB2F165667C5ULL, 0x85EBCA77C2B2AE63ULL};
    std::uint64_t sum = owner * 0xFF51AFD7ED558CCDULL;
    for (std::size_t i = 0; i < kWords; ++i) sum += words[i] * kMultipliers[i];
    return sum;
  }
  bool operator==(const WordKey& other) const {
    std::uint64_t differ = 0;
    for (std::size_t i = 0; i < kWords; ++i) differ |= words[i] ^ other.words[i];
    return differ == 0;
  }

 private:
  static constexpr auto kMask = [] {
    std::array<unsigned char, 96> mask{};
    for (std::size_t i = 0; i < 48; ++i) mask[i] = 0xFF;
    return mask;
  }();
};

class IdCache {
 public:
  static constexpr std::size_t kMostBytes = 47, kMostIds = 19;

  // A number that no other path of this process has had: entries of dead ones are never found
  // again. 2^27 paths fit.
  static std::uint32_t new_owner() {
    static std::atomic<std::uint32_t> last{0};
    return ++last;
  }
  // Not to be called while a Place is in use.
  static IdCache& of_thread() {
    thread_local IdCache cache;
    if (cache.kept_ > kManyWords) cache.enlarge();
    return cache;
  }

  // A look-up begun: where the word's ids would be is on its way from memory. The first step asks
  // for the table of its length, the second, some time later, for the other one where a short word
  // turned out to have many ids.
  struct Place;
  Place prepare(std::uint32_t owner, std::string_view word, std::size_t readable) const;
  void prepare_further(std::uint32_t owner, std::string_view word, std::size_t readable,
                       Place* place) const;
  // find() of the word that `place` was prepared for.
  bool find(std::uint32_t owner, const Place& place, std::string_view word, std::size_t readable,
            IdList* out) const;
  // Appends the ids of `word`; false when it is not here. `readable` bytes may be read from its
  // start.
  bool find(std::uint32_t owner, std::string_view word, std::size_t readable, IdList* out) const {
    if (word.size() <= Short::Key::kMost &&
        short_.find(owner, Short::Key::of(word, readable), out)) {
      return true;
    }
    return word.size() <= Long::Key::kMost && long_.find(owner, Long::Key::of(word, readable), out);
  }
  // Does nothing for more than kMostBytes or kMostIds.
  void insert(std::uint32_t owner, std::string_view word, const std::int32_t* ids,
              std::size_t count) {
    ++kept_;
    if (word.size() <= Short::Key::kMost && count <= Short::kIds) {
      short_.insert(owner, Short::Key::of(word, word.size()), ids, count);
    } else if (word.size() <= Long::Key::kMost && count <= Long::kIds) {
      long_.insert(owner, Long::Key::of(word, word.size()), ids, count);
    }
  }

 private:
  static constexpr unsigned kCountBits = 5;
  template <std::size_t kWords, std::size_t kMostIdsHere>
  struct Entry {
    using Key = WordKey<kWords>;
    static constexpr std::size_t kIds = kMostIdsHere;
    Key key{};
    std::uint32_t tag = 0;  // the owner, and the number of ids in the lowest 5 bits; 0: free
    std::int32_t ids[kIds] = {};
  };
  using Short = Entry<2, 3>;
  using Long = Entry<6, 19>;
  static_assert(sizeof(Short) == 32 && sizeof(Long) == 128);
  static_assert(Long::kIds <= IdList::kSlack && Long::Key::kMost == kMostBytes);

  struct Free {
    void operator()(void* memory) const noexcept { std::free(memory); }
  };
  static constexpr std::size_t kLine = 64;  // a set is one or four cache lines
  template <typename Entry>
  class Table {
   public:
    explicit Table(unsigned bits) { reset(bits); }
    // Empties the table, which then has 2^bits sets.
    void reset(unsigned bits) {
      const std::size_t bytes = (std::size_t{2} << bits) * sizeof(Entry);
      memory_.reset(zeros(bytes + kLine));
      entries_ = aligned<Entry>(memory_.get(), bytes);
      shift_ = 64U - bits;
    }
    bool find(std::uint32_t owner, const typename Entry::Key& key, IdList* out) const {
      return find(owner, key, set(owner, key), out);
    }
    bool find(std::uint32_t owner, const typename Entry::Key& key, Entry* entry,
              IdList* out) const {
      if (take(owner, key, entry, out)) return true;
      if (!take(owner, key, entry + 1, out)) return false;
      std::swap(entry[0], entry[1]);
      return true;
    }
    static bool is(std::uint32_t owner, const typename Entry::Key& key, const Entry* entry) {
      return entry->key == key && entry->tag >> kCountBits == owner;
    }
    static bool take(std::uint32_t owner, const typename Entry::Key& key, const Entry* entry,
                     IdList* out) {
      if (!is(owner, key, entry)) return false;
      std::memcpy(out->room(), entry->ids, sizeof(entry->ids));
      out->keep(entry->tag & ((1U << kCountBits) - 1));
      return true;
    }
    void prefetch(const Entry* set) const {
      for (std::size_t line = 0; line < 2 * sizeof(Entry); line += 64)
        __builtin_prefetch(reinterpret_cast<const char*>(set) + line);
    }
    void insert(std::uint32_t owner, const typename Entry::Key& key, const std::int32_t* ids,
                std::size_t count) {
      Entry* entry = set(owner, key);
      entry += entry->tag == 0 ? 0 : 1;
      entry->key = key;
      entry->tag = (owner << kCountBits) | static_cast<std::uint32_t>(count);
      if (count > 0) std::memcpy(entry->ids, ids, count * sizeof(*ids));
    }

    Entry* set(std::uint32_t owner, const typename Entry::Key& key) const {
      return entries_ + 2 * (key.hash(owner) >> shift_);
    }

   private:
    std::unique_ptr<void, Free> memory_;
    Entry* entries_ = nullptr;
    unsigned shift_ = 0;
  };

  static void* zeros(std::size_t bytes);  // at least so many; to be freed
  template <typename Entry>
  static Entry* aligned(void* memory, std::size_t bytes) {
    std::size_t room = bytes + kLine;
    return static_cast<Entry*>(std::align(kLine, bytes, memory, room));
  }

  void enlarge();

  // 2 MiB and 2 MiB a thread, of which only what is used becomes resident; 8 MiB and 8 MiB for a
  // thread that has kept more words than those hold. On 10 MB of manual pages in twelve languages
  // that is worth a fifth of the rate of WordPiece and half of that of Unigram and BPE
  // (docs/decisions/0019-the-tokenizer.md).
  static constexpr std::int64_t kManyWords = 1 << 17;
  Table<Short> short_{15};
  Table<Long> long_{13};
  std::int64_t kept_ = 0;
};

struct IdCache::Place {
  Short::Key key;
  Short* entry;          // nullptr: too long for the short table, or not there
  const Long* long_set;  // nullptr: too long for both, or not yet asked for
};

inline IdCache::Place IdCache::prepare(std::uint32_t owner, std::string_view word,
                                       std::size_t readable) const {
  Place place{{}, nullptr, nullptr};
  if (word.size() <= Short::Key::kMost) {
    place.key = Short::Key::of(word, readable);
    place.entry = short_.set(owner, place.key);
    short_.prefetch(place.entry);
  } else if (word.size() <= Long::Key::kMost) {
    place.long_set = long_.set(owner, Long::Key::of(word, readable));
    long_.prefetch(place.long_set);
  }
  return place;
}

inline void IdCache::prepare_further(std::uint32_t owner, std::string_view word,
                                     std::size_t readable, Place* place) const {
  if (place->entry == nullptr || short_.is(owner, place->key, place->entry)) return;
  if (short_.is(owner, place->key, place->entry + 1)) return;
  place->entry = nullptr;
  place->long_set = long_.set(owner, Long::Key::of(word, readable));
  long_.prefetch(place->long_set);
}

inline bool IdCache::find(std::uint32_t owner, const Place& place, std::string_view word,
                          std::size_t readable, IdList* out) const {
  if (place.entry != nullptr && short_.find(owner, place.key, place.entry, out)) return true;
  // Not there, or it has moved since.
  return find(owner, word, readable, out);
}

}  // namespace inlay::tokens
