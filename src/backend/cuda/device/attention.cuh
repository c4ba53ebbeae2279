// What both attention kernels know of a problem, with addresses resolved.
#pragma once

#include <cstdint>

#include "backend/cuda/device.h"
#include "backend/cuda/device/session.h"

namespace inlay::backend::cuda {

struct AttentionArgs {
  const void *query, *key, *value;
  void* out;
  const float *relative_bias, *alibi, *position_keys, *position_queries;
  const float* out_scale;  // of results that are e4m3; null: they are of the queries' type
  const std::int32_t *distances, *offsets, *key_counts, *items;
  std::int64_t ld_query, ld_key, ld_value, ld_out, ld_positions, items_count;
  std::int32_t heads, kv_heads, head_size, window, reach, reach_distance;
  float scale;
  bool causal, single, last_row;  // single: one query row a text
};

inline AttentionArgs attention_args(const Launch& run, const AttentionOp& op) {
  AttentionArgs args{};
  args.query = run.pointer<const void>(op.query);
  args.key = run.pointer<const void>(op.key);
  args.value = run.pointer<const void>(op.value);
  args.out = run.pointer<void>(op.out);
  args.relative_bias = run.pointer<const float>(op.relative_bias);
  args.alibi = run.pointer<const float>(op.alibi);
  args.position_keys = run.pointer<const float>(op.position_keys);
  args.position_queries = run.pointer<const float>(op.position_queries);
  args.out_scale = run.pointer<const float>(op.out_scale);
  args.distances = run.pointer<const std::int32_t>(op.distances);
  args.offsets = run.inputs + run.at.offsets;
  args.key_counts = run.inputs + run.at.key_counts;
  args.items = run.inputs + run.at.items;
  args.ld_query = op.query.ld;
  args.ld_key = op.key.ld;
  args.ld_value = op.value.ld;
  args.ld_out = op.out.ld;
  args.ld_positions = present(op.position_keys) ? op.position_keys.ld : op.position_queries.ld;
  args.single = op.query.rows == RowKind::kTexts;
  args.items_count = args.single ? run.shape.texts : run.shape.items;
  args.heads = static_cast<std::int32_t>(op.heads);
  args.kv_heads = static_cast<std::int32_t>(op.kv_heads);
  args.head_size = static_cast<std::int32_t>(op.head_size);
  args.window = static_cast<std::int32_t>(op.window);
  args.reach = static_cast<std::int32_t>(op.reach);
  args.reach_distance = static_cast<std::int32_t>(op.reach_distance);
  args.scale = op.scale;
  args.causal = op.causal;
  args.last_row = op.last_row;
  return args;
}

// Keys [begin, end) that any of the query rows [first, last] of a text may see.
struct KeyRange {
  int begin, end;
};
__device__ inline KeyRange visible_keys(const AttentionArgs& args, int first, int last, int keys) {
  KeyRange range{0, keys};
  if (args.causal) range.end = min(range.end, last + 1);
  if (args.window >= 0) {
    range.begin = max(0, first - args.window);
    range.end = min(range.end, last + args.window + 1);
  }
  return range;
}
__device__ inline bool sees(const AttentionArgs& args, int query, int key) {
  if (args.causal && key > query) return false;
  return args.window < 0 || abs(query - key) <= args.window;
}

}  // namespace inlay::backend::cuda
