// See matched_bpe.h.
#include "tokens/matched_bpe.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/utf8.h"
#include "tokens/byte_alphabet.h"

namespace inlay::tokens {
namespace {

// The bytes that a token spells in the byte alphabet; false when it has another character.
bool spelled_bytes(std::string_view token, std::string* bytes) {
  bytes->clear();
  for (std::size_t at = 0; at < token.size();) {
    const CodePoint c = utf8_decode(token, at);
    const int byte = character_byte(c.value);
    if (byte < 0) return false;
    bytes->push_back(static_cast<char>(byte));
    at += c.bytes;
  }
  return !bytes->empty();
}

}  // namespace

void MatchedBpe::build(const Vocab& vocab, const MergeTable& merges,
                       const std::vector<std::int32_t>& bytes) {
  merges_ = &merges;
  std::int32_t most = -1;
  for (std::size_t i = 0; i < vocab.size(); ++i) most = std::max(most, vocab.entry_id(i));
  // Ids with wide gaps are not worth the memory, and twice an id must be a value of the trie.
  constexpr std::int64_t kMost = (1 << 30) - 1;
  if (most > std::min(kMost, 4 * static_cast<std::int64_t>(vocab.size()))) return;
  tokens_.assign(static_cast<std::size_t>(most) + 1, {});
  shorter_.assign(tokens_.size(), -1);
  for (const std::int32_t id : bytes) {
    tokens_[static_cast<std::size_t>(id)].time = 0;
    tokens_[static_cast<std::size_t>(id)].bytes = 1;
  }
  find_last_merges(merges);
  fill_trie(vocab);
}

void MatchedBpe::find_last_merges(const MergeTable& merges) {
  for (std::uint32_t rank = 0; rank < merges.size(); ++rank) {
    const MergeTable::Merge& merge = merges.merge(rank);
    if (merge.left < 0) continue;
    tokens_[static_cast<std::size_t>(merge.left)].followers |= std::uint64_t{1} << bit(merge.right);
    tokens_[static_cast<std::size_t>(merge.right)].leaders |= std::uint64_t{1} << bit(merge.left);
  }
  for (std::uint32_t rank = 0; rank < merges.size(); ++rank) {
    const MergeTable::Merge& merge = merges.merge(rank);
    if (merge.left < 0 || merges.rank(merge.left, merge.right) != rank) continue;
    const Token& left = tokens_[static_cast<std::size_t>(merge.left)];
    const Token& right = tokens_[static_cast<std::size_t>(merge.right)];
    Token& merged = tokens_[static_cast<std::size_t>(merge.merged)];
    if (left.time > rank || right.time > rank || merged.time != kNever) continue;
    if (!stays(merge.left, merge.right, rank)) continue;
    merged.left = merge.left;
    merged.right = merge.right;
    merged.time = rank + 1;
    merged.bytes = left.bytes + right.bytes;
  }
}

// Whether BPE leaves the edge between two tokens, as far as merges of ranks below `limit` go.
bool MatchedBpe::stays(std::int32_t left, std::int32_t right, std::uint32_t limit) const {
  for (;;) {
    const Token& a = tokens_[static_cast<std::size_t>(left)];
    const Token& b = tokens_[static_cast<std::size_t>(right)];
    if (may_merge(left, a, right, b) && merges_->rank(left, right) < limit) return false;
    // Of two merges of one rank the left one came first. A merge across the edge is right of those
    // in the left token and left of those in the right one.
    if (a.time > b.time) {
      limit = a.time - 1;
      left = a.right;
    } else {
      if (b.time == 0) return true;
      limit = b.time;
      right = b.left;
    }
  }
}

void MatchedBpe::fill_trie(const Vocab& vocab) {
  std::string bytes, all;
  struct Range {
    std::size_t begin, size;
    std::int32_t id;
  };
  std::vector<Range> ranges;
  for (std::size_t i = 0; i < vocab.size(); ++i) {
    if (!spelled_bytes(vocab.entry_token(i), &bytes)) continue;
    ranges.push_back({all.size(), bytes.size(), vocab.entry_id(i)});
    all += bytes;
  }
  std::vector<std::pair<std::string_view, std::int32_t>> keys;
  keys.reserve(ranges.size());
  for (const Range& range : ranges)
    keys.emplace_back(
        std::string_view(all).substr(range.begin, range.size),
        2 * range.id + (tokens_[static_cast<std::size_t>(range.id)].time == kNever ? 1 : 0));
  for (const auto& [key, value] : keys) neighbours_.add(key);
  neighbours_.seal();
  ByteTrie::sort(&keys);
  trie_.build(keys);
  // What a key begins with is sorted before it.
  std::vector<std::pair<std::string_view, std::int32_t>> open;
  for (const auto& [key, value] : keys) {
    if (value % 2 != 0) continue;
    while (!open.empty() && !key.starts_with(open.back().first)) open.pop_back();
    shorter_[static_cast<std::size_t>(value / 2)] = open.empty() ? -1 : open.back().second;
    open.emplace_back(key, value / 2);
  }
}

bool MatchedBpe::encode(std::string_view word, bool whole_first,
                        std::vector<TokenSpan>* out) const {
  if (tokens_.empty()) return false;
  thread_local std::vector<bool> dead;  // ends from which there is no way on
  const auto size = static_cast<std::uint32_t>(word.size());
  const TrieText text(word);
  std::int32_t whole = -1;
  bool any_dead = false;
  std::uint32_t at = 0, end = 0;  // the candidate: `token`, from `at` to `end`
  const auto longest = [&]() {
    std::uint32_t state = ByteTrie::kRoot;
    std::int32_t value = -1;
    for (std::size_t next = at; next < size && trie_.step(text, &state, &next);) {
      const std::int32_t here = trie_.value(state);
      if (here < 0) continue;
      if (here % 2 == 0) {
        value = here;
        fetch(here / 2);
        end = static_cast<std::uint32_t>(next);
      }
      if (next == size) whole = here / 2;
    }
    return value / 2;  // there is one: a byte
  };
  std::int32_t token = longest();
  if (whole_first && whole >= 0) {
    out->push_back({whole, 0, size});
    return true;
  }
  for (;;) {
    if ((!any_dead || !dead[end]) && (at == 0 || stays(out->back().id, token, kNever))) {
      out->push_back({token, at, end});
      fetch(tokens_[static_cast<std::size_t>(token)].right);  // what stays() asks for next
      at = end;
      if (at == size) return true;
      token = longest();
      continue;
    }
    token = shorter_[static_cast<std::size_t>(token)];
    while (token < 0) {
      if (at == 0) return false;
      if (!any_dead) dead.assign(size + 1, false);
      any_dead = true;
      dead[at] = true;
      const TokenSpan last = out->back();
      out->pop_back();
      at = last.begin;
      token = shorter_[static_cast<std::size_t>(last.id)];
    }
    end = at + tokens_[static_cast<std::size_t>(token)].bytes;
  }
}

}  // namespace inlay::tokens
