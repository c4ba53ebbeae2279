// Packed batches.
#include "batch/pack.h"

#include <algorithm>

namespace inlay::batch {

void BatchBuffer::clear() {
  ids_.clear();
  type_ids_.clear();
  offsets_.assign(1, 0);
  pool_begin_.clear();
  key_counts_.clear();
  spans_.clear();
  span_offsets_.assign(1, 0);
  any_type_ = any_pool_begin_ = any_key_count_ = false;
}

void BatchBuffer::add(std::span<const std::int32_t> ids, std::span<const std::int32_t> type_ids,
                      std::int32_t pool_begin, std::int32_t key_count,
                      std::span<const std::pair<std::int32_t, std::int32_t>> spans) {
  const auto first = static_cast<std::int32_t>(ids_.size());
  for (const auto& [begin, end] : spans) spans_.emplace_back(first + begin, first + end);
  span_offsets_.push_back(static_cast<std::int32_t>(spans_.size()));
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  type_ids_.insert(type_ids_.end(), type_ids.begin(), type_ids.end());
  type_ids_.resize(ids_.size(), 0);
  offsets_.push_back(static_cast<std::int32_t>(ids_.size()));
  pool_begin_.push_back(pool_begin);
  any_type_ = any_type_ ||
              std::any_of(type_ids.begin(), type_ids.end(), [](std::int32_t t) { return t != 0; });
  any_pool_begin_ = any_pool_begin_ || pool_begin != 0;
  const auto tokens = static_cast<std::int32_t>(ids.size());
  key_counts_.push_back(key_count == 0 ? tokens : key_count);
  any_key_count_ = any_key_count_ || key_counts_.back() != tokens;
}

PackedBatch BatchBuffer::view() const {
  PackedBatch batch{ids_, {}, offsets_, {}};
  if (any_type_) batch.type_ids = type_ids_;
  if (any_pool_begin_) batch.pool_begin = pool_begin_;
  if (any_key_count_) batch.key_counts = key_counts_;
  if (!spans_.empty()) {
    batch.spans = spans_;
    batch.span_offsets = span_offsets_;
  }
  return batch;
}

}  // namespace inlay::batch
