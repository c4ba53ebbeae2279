// See byte_trie.h.
#include "tokens/byte_trie.h"

#include <algorithm>
#include <array>
#include <stdexcept>

#include "base/utf8.h"

namespace inlay::tokens {

// Free cells form a circular doubly linked list, so that a place for a state's children is sought
// among free cells only. After kTries candidates the array grows instead: building stays linear
// whatever the keys.
struct ByteTrie::Builder {
  static constexpr int kTries = 128, kDropped = 64;
  LargeVector<Cell>& cells;
  std::vector<std::uint32_t> previous, next;  // of free cells; cell 0, the root, is the list's head
  std::vector<bool> used;                     // bases

  void grow(std::size_t size) {
    const std::size_t old = previous.size();
    cells.resize(size);
    previous.resize(size);
    next.resize(size);
    used.resize(size);
    for (std::size_t i = old; i < size; ++i) {
      previous[i] = i == old ? (old == 0 ? 0 : previous[0]) : static_cast<std::uint32_t>(i - 1);
      next[i] = i + 1 < size ? static_cast<std::uint32_t>(i + 1) : 0;
    }
    if (old == 0) {
      previous[0] = static_cast<std::uint32_t>(size - 1);
      return;
    }
    next[previous[0]] = static_cast<std::uint32_t>(old);
    previous[0] = static_cast<std::uint32_t>(size - 1);
  }
  void take(std::uint32_t cell) {
    next[previous[cell]] = next[cell];
    previous[next[cell]] = previous[cell];
    next[cell] = previous[cell] = cell;
  }
  // A base of its own at which all labels' cells are free. Bases start at kLabels, so no child is
  // the root or among the free cells behind it.
  std::uint32_t find_base(const unsigned char* labels, std::size_t count) {
    int tries = 0;
    for (std::uint32_t cell = next[0]; cell != 0 && tries < kTries; cell = next[cell], ++tries) {
      if (cell < kLabels + labels[0]) continue;
      const std::uint32_t base = cell - labels[0];
      if (base + kLabels >= cells.size()) break;
      if (!used[base] && std::all_of(labels, labels + count, [&](unsigned char label) {
            return cells[base + label].edge == kFree;
          })) {
        used[base] = true;
        return base;
      }
    }
    // The first in the list have been tried most; without them the next search gets further.
    for (; tries >= kTries - kDropped; --tries) take(next[0]);
    const auto base = static_cast<std::uint32_t>(cells.size());
    grow(cells.size() + 2 * kLabels);
    used[base] = true;
    return base;
  }
};

void ByteTrie::sort(std::vector<std::pair<std::string_view, std::int32_t>>* keys) {
  // Most keys differ in their first eight bytes, which compare as one number.
  struct Headed {
    std::uint64_t head;
    std::pair<std::string_view, std::int32_t> key;
    bool operator<(const Headed& other) const {
      return head != other.head ? head < other.head : key < other.key;
    }
  };
  std::vector<Headed> headed;
  headed.reserve(keys->size());
  for (const auto& key : *keys) {
    std::uint64_t head = 0;  // zeros behind a short key: never above what a longer one has there
    for (std::size_t i = 0; i < 8; ++i)
      head = head << 8U | (i < key.first.size() ? static_cast<unsigned char>(key.first[i]) : 0U);
    headed.push_back({head, key});
  }
  std::sort(headed.begin(), headed.end());
  for (std::size_t i = 0; i < headed.size(); ++i) (*keys)[i] = headed[i].key;
}

namespace {

using Keys = std::vector<std::pair<std::string_view, std::int32_t>>;

// How many bytes in front of their label the edges of a state may have: those of characters of
// three or two bytes that the last byte tells apart. `keys` are the state's, which has `depth`
// bytes; no key ends there.
std::size_t label_place(const Keys& keys, std::size_t first, std::size_t last, std::size_t depth) {
  if (last - first < 2) return 0;
  for (std::size_t skipped = 2; skipped > 0; --skipped) {
    std::array<bool, 256> taken{};
    bool good = true;
    std::string_view before;
    for (std::size_t i = first; i < last && good; ++i) {
      const std::string_view start = keys[i].first.substr(depth, skipped + 1);
      good = start.size() == skipped + 1 && utf8_bytes(start[0]) > skipped;
      if (!good || start == before) continue;
      before = start;
      bool& here = taken[static_cast<unsigned char>(start.back())];
      good = !here;
      here = true;
    }
    if (good) return skipped;
  }
  return 0;
}

}  // namespace

void ByteTrie::build(const std::vector<std::pair<std::string_view, std::int32_t>>& keys) {
  cells_.assign(kLabels, {});
  if (keys.empty()) return;
  Builder builder{cells_, {}, {}, {}};
  builder.grow(4 * kLabels);
  // Cells below kLabels can never be children; taking them keeps the free list short.
  for (std::uint32_t cell = 1; cell < kLabels; ++cell) builder.take(cell);
  struct Node {
    std::uint32_t state;
    std::size_t first, last, depth;  // keys [first, last) share `depth` bytes and go on
  };
  std::vector<Node> nodes{{kRoot, 0, keys.size(), 0}};
  struct Child {
    std::uint64_t edge;
    std::size_t first, last, depth;
  };
  std::array<unsigned char, kLabels> labels;
  std::array<Child, kLabels> children;
  // Breadth first: the busy top of the trie lies together.
  for (std::size_t at = 0; at < nodes.size(); ++at) {
    const Node node = nodes[at];
    std::size_t count = 0;
    // No edge beyond the first character's end, see step().
    const std::size_t whole =
        std::max(node.depth, utf8_bytes(keys[node.first].first[0])) - node.depth;
    const std::size_t skipped =
        whole > 0 ? 0 : label_place(keys, node.first, node.last, node.depth);
    for (std::size_t first = node.first, last; first < node.last; first = last) {
      const std::string_view key = keys[first].first;
      const std::string_view start = key.substr(node.depth, skipped + 1);
      for (last = first + 1;
           last < node.last && keys[last].first.compare(node.depth, skipped + 1, start) == 0;) {
        ++last;
      }
      // Sorted keys share what their first and last share.
      const std::string_view other = keys[last - 1].first;
      std::size_t most = std::min(node.depth + kMostEdge, key.size());
      if (whole > 0) most = std::min(most, node.depth + whole);
      std::size_t depth = node.depth + skipped + 1;
      while (depth < most && key[depth] == other[depth]) ++depth;
      std::uint64_t edge = 0;
      for (std::size_t i = depth; i > node.depth; --i)
        edge = (edge | static_cast<unsigned char>(key[i - 1])) << 8U;
      labels[count] = static_cast<unsigned char>(start.back());
      children[count++] = {edge | 8 * skipped | (depth - node.depth), first, last, depth};
    }
    const std::uint32_t base = builder.find_base(labels.data(), count);
    if (base >> (32 - kPlaceBits) != 0) throw std::length_error("a trie of 2^27 cells");
    cells_[node.state].children = base << kPlaceBits | static_cast<std::uint32_t>(8 * skipped);
    for (std::size_t i = 0; i < count; ++i) {
      Child& child = children[i];
      const std::uint32_t state = base + labels[i];
      builder.take(state);
      cells_[state].edge = child.edge;
      if (keys[child.first].first.size() == child.depth)
        cells_[state].value = keys[child.first++].second;
      if (child.first < child.last) nodes.push_back({state, child.first, child.last, child.depth});
    }
  }
  cells_.resize(cells_.size() + kLabels);  // base + 255 is always inside
  cells_.shrink_to_fit();
}

}  // namespace inlay::tokens
