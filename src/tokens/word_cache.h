// A small per-thread cache of short words' tokens, so that frequent words are looked up and not
// computed. Direct mapped: a new word replaces the old one in its slot, nothing is allocated after
// the first use on a thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "tokens/model.h"

namespace inlay::tokens {

class WordCache {
 public:
  static constexpr std::size_t kKeyBytes = 26, kTokens = 6;

  // A number that no other model in this process has had; entries of dead models can never be found
  // again.
  static std::uint32_t new_owner() {
    static std::atomic<std::uint32_t> last{0};
    return ++last;
  }
  static WordCache& of_thread() {
    thread_local WordCache cache;
    return cache;
  }

  // Appends the cached tokens; false when the word is not here.
  bool find(std::uint32_t owner, std::string_view word, std::uint64_t hash,
            std::vector<TokenSpan>* out) const {
    const Entry& entry = entries_[slot(owner, hash)];
    if (entry.owner != owner || entry.key_bytes != word.size() ||
        std::memcmp(entry.key, word.data(), word.size()) != 0) {
      return false;
    }
    std::uint32_t begin = 0;
    for (std::uint32_t i = 0; i < entry.count; ++i) {
      out->push_back({entry.ids[i], begin, entry.ends[i]});
      begin = entry.ends[i];
    }
    return true;
  }
  // Keeps tokens that cover a short word one after the other; others are not kept.
  void insert(std::uint32_t owner, std::string_view word, std::uint64_t hash,
              const TokenSpan* tokens, std::size_t count) {
    if (word.size() > kKeyBytes || count > kTokens) return;
    std::uint32_t begin = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (tokens[i].begin != begin || tokens[i].end > 255) return;
      begin = tokens[i].end;
    }
    Entry& entry = entries_[slot(owner, hash)];
    entry.owner = owner;
    entry.key_bytes = static_cast<std::uint8_t>(word.size());
    entry.count = static_cast<std::uint8_t>(count);
    std::memcpy(entry.key, word.data(), word.size());
    for (std::size_t i = 0; i < count; ++i) {
      entry.ids[i] = tokens[i].id;
      entry.ends[i] = static_cast<std::uint8_t>(tokens[i].end);
    }
  }

 private:
  static constexpr std::size_t kSlots = 8192;  // 512 KiB a thread: fits beside the vocabulary in L2
  struct Entry {
    std::uint32_t owner = 0;
    std::uint8_t key_bytes = 0, count = 0;
    std::uint8_t ends[kTokens] = {};
    std::int32_t ids[kTokens] = {};
    char key[kKeyBytes] = {};
  };
  static std::size_t slot(std::uint32_t owner, std::uint64_t hash) {
    return (hash + owner) & (kSlots - 1);
  }
  WordCache() : entries_(std::make_unique<Entry[]>(kSlots)) {}
  std::unique_ptr<Entry[]> entries_;
};

}  // namespace inlay::tokens
