// Tokens and their ids, both ways. Knows nothing of models (model.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace inlay::tokens {

// No token of a published vocabulary comes near this (the longest are runs of some hundred spaces).
// It bounds the work per character of every longest-match search.
inline constexpr std::size_t kMaxTokenBytes = 4096;

// A 64-bit hash of a short string; not for hostile-proof tables, whose load is bounded by the
// file's size anyway.
inline std::uint64_t hash_bytes(const char* data, std::size_t size) noexcept {
  constexpr std::uint64_t kMultiplier = 0x9E3779B97F4A7C15ULL;
  std::uint64_t hash = size * kMultiplier;
  while (size >= 8) {
    std::uint64_t block;
    std::memcpy(&block, data, 8);
    hash = (hash ^ block) * kMultiplier;
    hash ^= hash >> 32U;
    data += 8;
    size -= 8;
  }
  std::uint64_t tail = 0;
  if (size >= 4) {  // two overlapping reads cover 4..7 bytes
    std::uint32_t low, high;
    std::memcpy(&low, data, 4);
    std::memcpy(&high, data + size - 4, 4);
    tail = (static_cast<std::uint64_t>(high) << 32U) | low;
  } else if (size > 0) {
    tail = static_cast<unsigned char>(data[0]) |
           (static_cast<std::uint64_t>(static_cast<unsigned char>(data[size / 2])) << 8U) |
           (static_cast<std::uint64_t>(static_cast<unsigned char>(data[size - 1])) << 16U);
  }
  hash = (hash ^ tail) * kMultiplier;
  return hash ^ (hash >> 29U);
}

// Build with add() and seal(); read-only after that, from any thread.
class Vocab {
 public:
  // A token that is there already now maps to the new id; its old id keeps its text (as a Unigram
  // list behaves).
  void add(std::string_view token, std::int32_t id);
  // Builds the tables. Returns an id that two tokens share, or -1.
  std::int32_t seal();

  std::int32_t find(std::string_view token) const noexcept {
    return find(token, hash_bytes(token.data(), token.size()));
  }
  std::int32_t find(std::string_view token, std::uint64_t hash) const noexcept {  // -1: absent
    const auto tag = static_cast<std::uint32_t>(hash >> 32U);
    for (std::size_t at = hash & mask_;; at = (at + 1) & mask_) {
      const Slot& slot = slots_[at];
      if (slot.length == kEmpty) return -1;
      if (slot.tag == tag && slot.length == token.size() &&
          std::memcmp(arena_.data() + slot.offset, token.data(), token.size()) == 0) {
        return slot.id;
      }
    }
  }
  std::optional<std::string_view> token(std::int32_t id) const;
  std::size_t size() const {
    return entries_.size();
  }  // entries, ids that share a token counted each
  std::size_t max_token_bytes() const { return max_token_bytes_; }
  std::string_view entry_token(std::size_t index) const {
    return std::string_view(arena_).substr(entries_[index].offset, entries_[index].length);
  }
  std::int32_t entry_id(std::size_t index) const { return entries_[index].id; }

 private:
  static constexpr std::uint32_t kEmpty = 0xFFFFFFFFU;
  struct Entry {
    std::uint32_t offset, length;
    std::int32_t id;
  };
  struct Slot {
    std::uint32_t tag = 0;
    std::int32_t id = -1;
    std::uint32_t offset = 0, length = kEmpty;
  };
  std::string arena_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> by_id_;  // entry indices ordered by id
  bool dense_ = false;                // by_id_[id] is the entry of id
  std::vector<Slot> slots_{1};
  std::size_t mask_ = 0;
  std::size_t max_token_bytes_ = 0;
};

// An object of token: id. Throws kBadInput for an empty object, an id outside 0 .. 2^31-1, an id
// used twice or a token longer than kMaxTokenBytes.
Vocab read_vocab(const JsonValue& object);

}  // namespace inlay::tokens
