// What short_text.cu's kernel is told, and the sizes that both its sides know.
#pragma once

#include <cstdint>

#include "backend/cuda/device/norm.cuh"
#include "backend/cuda/device/short_text.h"

namespace inlay::backend::cuda {

inline constexpr int kWarps = 8;  // of a block that compute; one more copies weights
inline constexpr int kComputing = kWarps * kWarp;
inline constexpr int kThreads = kComputing + kWarp;
inline constexpr int kMostCluster = 4;  // blocks that share the work of norms; or two
inline constexpr int kUnit = 16;        // columns of a product's result
inline constexpr int kMostUnits = 2;    // of a block, in one product
inline constexpr int kDeep = 512;       // of k in a slot of one unit; half in one of two
inline constexpr int kGap = 8;  // elements behind a row, so that eight lie in different banks
inline constexpr int kSlotBytes = kMostUnits * kUnit * (kDeep / 2 + kGap) * 2;
static_assert(kSlotBytes >= kUnit * (kDeep + kGap) * 2);
inline constexpr int kMostLayers = 32;
inline constexpr int kLeastSlots = 3, kEnoughSlots = 6;
inline constexpr int kMostSlots = 12;
inline constexpr int kSharedBytes = 227 * 1024;
inline constexpr int kFragmentBytes = 16;   // of a lane
inline constexpr int kWindow = kDeep / 32;  // fragments of a window
// Two 16-bit numbers that no result is: NaN comes out of conversions as 0x7FFF.
inline constexpr std::uint32_t kAbsent = 0xFFFFFFFFU;
inline constexpr int kMostFlowSlots =
    3;  // of a window of fragments each; two where memory is short
inline constexpr int kEndSlots = 2;
inline constexpr int kBarriers = 2 * kMostSlots + 2 * kMostFlowSlots + 2 + 2 * kEndSlots;
inline constexpr int kPairWindowBytes = 2 * kWindow * 32 * kFragmentBytes;  // of two octets
inline constexpr int kBatch = 8;            // fragments that a warp asks for at a time
inline constexpr int kMostTries = 1 << 22;  // over a second

// Bytes from the start of a layer's part of the flow. Rows of `qkv`, `out` and `down` are tokens;
// `context` and `up` are fragments: of each octet of tokens and each 32 columns, what the lanes of
// a warp multiply, 16 bytes a lane.
struct FlowPlaces {
  std::int64_t qkv, context, out, up, down, layer;
};

// Half a layer: a product of rows (with attention behind it, or GELU), one of the flow, a norm of
// their sum with the rows.
struct ShortHalf {
  const void *rows_weight, *rows_bias, *flow_weight, *flow_bias;
  NormTail norm;
};

// What a block needs of half a layer beside weights, copied ahead: factors and biases of the norm,
// fp32, and the biases of its units. Bytes from the start; `hidden` is a multiple of 32.
struct EndPlaces {
  static constexpr int kUnitBytes = kUnit * 2;
  int hidden;
  constexpr int norm_bias() const { return hidden * 4; }
  constexpr int rows_bias() const { return 2 * hidden * 4; }
  constexpr int flow_bias() const { return rows_bias() + kMostUnits * kUnitBytes; }
  constexpr int bytes() const { return flow_bias() + kUnitBytes; }
};

enum class ShortPool : std::int32_t { kFirst, kLast, kMean };

struct ShortArgs {
  const ShortHalf* halves;  // on the device, two a layer
  char *flow, *clear;       // this launch's; the one before's, for the next
  std::int64_t clear_bytes;
  const void *token_table, *position_table, *type_table;
  std::int64_t ld_tokens, ld_positions, ld_types, ld_result;
  NormTail embed_norm;
  float* result;
  FlowPlaces at;
  float embed_scale, scale;
  std::int32_t layer_count, hidden, qkv_columns, context, middle, heads, kv_heads;
  std::int32_t query_column, key_column, value_column;
  std::int32_t ld_hidden, ld_context, ld_middle;  // of weights with that many columns
  std::int32_t tokens, octets, texts;
  std::int32_t cluster;              // blocks
  std::int32_t split, split_octets;  // blocks that share a unit of a product of the flow
  std::int32_t multiplying;  // warps that multiply those; the others bring what is multiplied
  std::int32_t slots, flow_slots, x_stride, halves_at, x_at, tiles_at, pooled_at, ends_at, flow_at,
      ring_at;  // of shared memory, in bytes
  std::int32_t result_width;
  ShortPool pool;
  bool normalize;
  std::int32_t ids[ShortText::kTokens], positions[ShortText::kTokens], types[ShortText::kTokens];
  std::int32_t begins[ShortText::kTokens + 1], pool_begin[ShortText::kTokens],
      key_counts[ShortText::kTokens];

  bool same_layers(const ShortArgs& other) const {
    return qkv_columns == other.qkv_columns && context == other.context && middle == other.middle &&
           heads == other.heads && kv_heads == other.kv_heads &&
           query_column == other.query_column && key_column == other.key_column &&
           value_column == other.value_column && scale == other.scale &&
           ld_hidden == other.ld_hidden && ld_context == other.ld_context &&
           ld_middle == other.ld_middle;
  }
};

using ShortKernel = void (*)(ShortArgs);
// For heads of 32 or 64 and rows of at most 1024 columns (short_text_kernel.cu).
ShortKernel short_kernel_for(Type type, std::int64_t hidden, std::int64_t head_size);

}  // namespace inlay::backend::cuda
