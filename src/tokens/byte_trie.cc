// See byte_trie.h.
#include "tokens/byte_trie.h"

#include <algorithm>
#include <array>

namespace inlay::tokens {

// Free cells form a circular doubly linked list, so that a place for a state's children is sought
// among free cells only. After kTries candidates the array grows instead: building stays linear
// whatever the keys.
struct ByteTrie::Builder {
  static constexpr int kTries = 64;
  std::vector<Cell>& cells;
  std::vector<std::uint32_t> previous,
      next;  // index cells.size() side: cell 0 (the root, never free) is the head

  void grow(std::size_t size) {
    const std::size_t old = cells.size();
    cells.resize(size);
    previous.resize(size);
    next.resize(size);
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
  void take(std::uint32_t cell, std::uint32_t parent) {
    cells[cell].parent = parent;
    next[previous[cell]] = next[cell];
    previous[next[cell]] = previous[cell];
  }
  // A base at which all labels' cells are free; `labels` ascend. Bases start at 256, so no child
  // can be the root.
  std::uint32_t find_base(const unsigned char* labels, std::size_t count) {
    int tries = 0;
    for (std::uint32_t cell = next[0]; cell != 0 && tries < kTries; cell = next[cell], ++tries) {
      if (cell < 256U + labels[0]) continue;
      const std::uint32_t base = cell - labels[0];
      if (base + 256U >= cells.size()) break;
      if (std::all_of(labels, labels + count,
                      [&](unsigned char label) { return cells[base + label].parent == kFree; })) {
        return base;
      }
    }
    const auto base = static_cast<std::uint32_t>(cells.size());
    grow(cells.size() + 512);
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

void ByteTrie::build(const std::vector<std::pair<std::string_view, std::int32_t>>& keys) {
  cells_.clear();
  if (keys.empty()) return;
  Builder builder{cells_, {}, {}};
  // More than a vocabulary of words takes (BERT's: 1.6 cells a byte). Memory that is never touched
  // costs nothing; growing by doubling, and shrinking at the end, would copy all there is.
  std::size_t bytes = 1024;
  for (const auto& [key, value] : keys) bytes += key.size();
  cells_.reserve(2 * bytes);
  builder.previous.reserve(2 * bytes);
  builder.next.reserve(2 * bytes);
  builder.grow(1024);
  cells_[kRoot].parent = kRoot;
  // Cells below 256 can never be children; taking them keeps the free list short. The root's base
  // is never 0, so a zero byte cannot lead from the root to itself.
  for (std::uint32_t cell = 1; cell < 256; ++cell) {
    builder.take(cell, kFree);
  }
  struct Node {
    std::uint32_t state;
    std::size_t first, last, depth;  // keys [first, last) share `depth` bytes
  };
  std::vector<Node> nodes;
  nodes.reserve(bytes);
  nodes.push_back({kRoot, 0, keys.size(), 0});
  std::array<unsigned char, 256> labels;
  for (std::size_t at = 0; at < nodes.size();
       ++at) {  // breadth first: the busy top of the trie lies together
    Node node = nodes[at];
    if (node.first < node.last && keys[node.first].first.size() == node.depth) {
      cells_[node.state].value = keys[node.first].second;
      ++node.first;
    }
    std::size_t count = 0;
    const std::size_t children = nodes.size();
    for (std::size_t i = node.first; i < node.last; ++i) {
      const auto label = static_cast<unsigned char>(keys[i].first[node.depth]);
      if (count == 0 || labels[count - 1] != label) {
        labels[count++] = label;
        nodes.push_back({0, i, i, node.depth + 1});
      }
      nodes.back().last = i + 1;
    }
    if (count == 0) {
      cells_[node.state].base = 256;
      continue;
    }
    const std::uint32_t base = builder.find_base(labels.data(), count);
    cells_[node.state].base = base;
    for (std::size_t i = 0; i < count; ++i) {
      builder.take(base + labels[i], node.state);
      nodes[children + i].state = base + labels[i];
    }
  }
  cells_.resize(cells_.size() + 256);  // base + 255 is always inside
}

}  // namespace inlay::tokens
