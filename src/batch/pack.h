// Building packed batches, reusing memory from one batch to the next.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "batch/packed_batch.h"

namespace inlay::batch {

// One batch in the making. Not thread-safe.
class BatchBuffer {
 public:
  void clear();
  // Appends a text of at least one token. `type_ids` has as many entries as `ids`, or none (all
  // zero). `key_count`: as in PackedBatch; 0: all. `spans` count from the text's first token.
  void add(std::span<const std::int32_t> ids, std::span<const std::int32_t> type_ids,
           std::int32_t pool_begin, std::int32_t key_count = 0,
           std::span<const std::pair<std::int32_t, std::int32_t>> spans = {});
  // Valid until the next add or clear.
  PackedBatch view() const;

 private:
  std::vector<std::int32_t> ids_, type_ids_, offsets_{0}, pool_begin_, key_counts_;
  std::vector<std::int32_t> span_offsets_{0};
  std::vector<std::pair<std::int32_t, std::int32_t>> spans_;
  bool any_type_ = false, any_pool_begin_ = false, any_key_count_ = false;
};

}  // namespace inlay::batch
