// Byte-level BPE in linear time: the longest token first, taken back where BPE would have merged
// across its edge.
//
// Why it is exact. BPE merges the pair of lowest rank, leftmost first, until none is left. Let a
// word be cut into tokens of which each, alone, is what BPE makes of its bytes, and each pair of
// neighbours, alone, stays as it is. Until a merge crosses an edge, the merges inside of two
// neighbours come in the order in which the two, alone, have them; so the first merge to cross
// their edge would cross it there too. None does: the cut is BPE's. As BPE gives one answer, there
// is one such cut, and every beginning of it is the cut of that beginning: a search that drops an
// end from which it could not go on visits every end once.
//
// Whether a pair stays is read off the two tokens' last merges, undone from the latest to the
// first: those show all pairs that ever met at the edge. That needs the merges inside of a token to
// rise in rank. A token for which they do not, or that BPE never makes of its own bytes, is left
// out; words that need one are not solved here.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/large_memory.h"
#include "tokens/byte_trie.h"
#include "tokens/merge_table.h"
#include "tokens/model.h"
#include "tokens/neighbours.h"
#include "tokens/vocab.h"

namespace inlay::tokens {

// Read-only once built; any thread.
class MatchedBpe {
 public:
  // `merges`, in the order of their ranks, outlive this; `bytes` are the ids of the 256 bytes.
  void build(const Vocab& vocab, const MergeTable& merges, const std::vector<std::int32_t>& bytes);

  // Appends BPE's tokens of a non-empty word; false, and nothing appended, when the search needs a
  // token that was left out. O(bytes x longest token). `whole_first`: a word that is in the
  // vocabulary is that one token, whatever its merges.
  bool encode(std::string_view word, bool whole_first, std::vector<TokenSpan>* out) const;

  // Between words' bytes that are apart, BPE never merges. Not sealed: nothing was built.
  const Neighbours& neighbours() const { return neighbours_; }

 private:
  static constexpr std::uint32_t kNever = MergeTable::kNoRank;
  // How a token comes about: its last merge. Times are ranks + 1; 0: a byte. Half a cache line.
  struct Token {
    std::int32_t left = -1, right = -1;
    std::uint32_t time = kNever;
    std::uint32_t bytes = 0;
    // A bit for every token that it merges with, on its left and on its right, by bit(): most pairs
    // that do not merge need no look-up to be known.
    std::uint64_t leaders = 0, followers = 0;
  };
  static unsigned bit(std::int32_t id) {
    return static_cast<std::uint32_t>(id) * 0x9E3779B1U >> 26U;
  }
  static bool may_merge(std::int32_t left, const Token& a, std::int32_t right, const Token& b) {
    return ((a.followers >> bit(right)) & (b.leaders >> bit(left)) & 1U) != 0;
  }
  // Its look-ups wait for memory and for little else.
  void fetch(std::int32_t id) const {
    if (id >= 0) __builtin_prefetch(tokens_.data() + id);
  }
  bool stays(std::int32_t left, std::int32_t right, std::uint32_t limit) const;
  void find_last_merges(const MergeTable& merges);
  void fill_trie(const Vocab& vocab);

  LargeVector<Token> tokens_;          // by id
  std::vector<std::int32_t> shorter_;  // by id: the longest other token that it begins with, or -1
  ByteTrie trie_;  // all tokens; values are twice their ids, plus 1 for one that is left out
  Neighbours neighbours_;
  const MergeTable* merges_ = nullptr;
};

}  // namespace inlay::tokens
