// A packed batch: all texts of a run one after the other, no padding. Owned by the caller, read by
// backends.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace inlay {

// Views over one batch. offsets has texts + 1 entries, offsets[0] = 0, ascending; text t is the
// rows [offsets[t], offsets[t + 1]), at least one. Ids lie in [0, vocab) and types in [0, types):
// checked where the batch is made.
struct PackedBatch {
  std::span<const std::int32_t> ids;       // [tokens]
  std::span<const std::int32_t> type_ids;  // [tokens], or empty: all zero
  std::span<const std::int32_t> offsets;   // [texts + 1]
  std::span<const std::int32_t>
      pool_begin;  // [texts]: rows left out of pooling at the start; or empty: none
  // [texts]: tokens from the start that attention sees as keys, at least one; those behind them
  // attend but are not seen (ColBERT's query expansion). Empty: all.
  std::span<const std::int32_t> key_counts{};
  // Rows [begin, end) of the batch that are pooled together, ascending by text: the spans of text t
  // are [span_offsets[t], span_offsets[t + 1]) and lie inside it, each of at least one row; no more
  // of them than the text has tokens. Empty, both: none.
  std::span<const std::pair<std::int32_t, std::int32_t>> spans{};
  std::span<const std::int32_t> span_offsets{};  // [texts + 1]

  std::int64_t texts() const { return static_cast<std::int64_t>(offsets.size()) - 1; }
  std::int64_t tokens() const { return offsets.empty() ? 0 : offsets.back(); }
  std::int64_t span_count() const { return static_cast<std::int64_t>(spans.size()); }
};

}  // namespace inlay
