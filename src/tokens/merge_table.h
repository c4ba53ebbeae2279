// BPE's merges: from a pair of ids to its rank and to what it becomes. Looked up several times a
// byte of text, so the table that a look-up of a pair without a merge touches is kept small: eight
// bytes a slot, a rank and half a hash; the pair itself is compared in the list of merges.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "base/large_memory.h"

namespace inlay::tokens {

// Read-only once filled; any thread.
class MergeTable {
 public:
  static constexpr std::uint32_t kNoRank = std::numeric_limits<std::uint32_t>::max();

  // Room for merges of rank 0 .. count - 1.
  void reset(std::size_t count) {
    slots_.assign(std::bit_ceil(count * 2 + 2), Slot{});
    mask_ = slots_.size() - 1;
    merges_.assign(count, Merge{});
  }
  // A pair added twice keeps the later rank.
  void add(std::int32_t left, std::int32_t right, std::uint32_t rank, std::int32_t merged) {
    merges_[rank] = {left, right, merged};
    const std::uint64_t hash = hash_pair(left, right);
    std::size_t at = hash & mask_;
    while (slots_[at].rank != kNoRank && !is(slots_[at].rank, left, right)) at = (at + 1) & mask_;
    slots_[at] = {rank, static_cast<std::uint32_t>(hash >> 32U)};
  }
  // kNoRank: the pair does not merge.
  std::uint32_t rank(std::int32_t left, std::int32_t right) const {
    const std::uint64_t hash = hash_pair(left, right);
    for (std::size_t at = hash & mask_;; at = (at + 1) & mask_) {
      const Slot slot = slots_[at];
      if (slot.rank == kNoRank) return kNoRank;
      if (slot.tag == static_cast<std::uint32_t>(hash >> 32U) && is(slot.rank, left, right)) {
        return slot.rank;
      }
    }
  }
  std::int32_t merged(std::uint32_t rank) const { return merges_[rank].merged; }

  struct Merge {
    std::int32_t left = -1, right = -1, merged = -1;  // -1: no merge of this rank
  };
  std::uint32_t size() const { return static_cast<std::uint32_t>(merges_.size()); }
  const Merge& merge(std::uint32_t rank) const { return merges_[rank]; }

 private:
  struct Slot {
    std::uint32_t rank = kNoRank, tag = 0;
  };
  bool is(std::uint32_t rank, std::int32_t left, std::int32_t right) const {
    return merges_[rank].left == left && merges_[rank].right == right;
  }
  static std::uint64_t hash_pair(std::int32_t left, std::int32_t right) {
    std::uint64_t pair = (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32U) |
                         static_cast<std::uint32_t>(right);
    pair *= 0x9E3779B97F4A7C15ULL;
    pair = (pair ^ (pair >> 32U)) * 0xD6E8FEB86659FD93ULL;
    return pair ^ (pair >> 29U);
  }
  LargeVector<Slot> slots_{2};
  std::size_t mask_ = 1;
  LargeVector<Merge> merges_;
};

}  // namespace inlay::tokens
