// What short_text.cu's kernel is told, and the sizes that both its sides know.
#pragma once

#include <cstdint>

#include "backend/cuda/device/norm.cuh"
#include "backend/cuda/device/short_text.h"

namespace inlay::backend::cuda {

inline constexpr int kWarps = 8;  // of a block that compute; one more copies weights
inline constexpr int kComputing = kWarps * kWarp;
inline constexpr int kThreads = kComputing + kWarp;
inline constexpr int kUnit = 16;      // columns of a product's result that a warp works on
inline constexpr int kMostUnits = 4;  // of a block, in one product
inline constexpr int kMostMultiplying = 6;
inline constexpr int kWindowDepth = 512;  // of k
inline constexpr int kWindow = kWindowDepth / 32;  // fragments of an octet of tokens
inline constexpr int kFragmentBytes = 16;          // of a lane
inline constexpr int kPairWindowBytes = 2 * kWindow * kWarp * kFragmentBytes;  // of two octets
inline constexpr int kMostWindows = 3;  // in shared memory; two where it is short
inline constexpr int kBatch = 8;        // fragments that a warp asks for at a time
inline constexpr int kGap = 8;  // elements behind a row, so that eight lie in different banks
inline constexpr int kRound = 8;  // steps of 32 along k between two looks at what has come
// Of k in a slot of weights, by the block's units: about as many bytes.
__host__ __device__ constexpr int slot_depth(int units) {
  return units == 1 ? 1024 : units == 2 ? 512 : 256;
}
inline constexpr int kSlotBytes = kMostUnits * kUnit * (slot_depth(kMostUnits) + kGap) * 2;
static_assert(kSlotBytes >= 2 * kUnit * (slot_depth(2) + kGap) * 2);
static_assert(kSlotBytes >= kUnit * (slot_depth(1) + kGap) * 2);
inline constexpr int kBehind = 1024;  // bytes behind the last slot that are read and dropped
inline constexpr int kLeastSlots = 2, kEnoughSlots = 4, kMostSlots = 6;
inline constexpr int kBarriers = 2 * kMostSlots + 2 * kMostWindows;
inline constexpr int kSharedBytes = 227 * 1024;
inline constexpr int kMostLayers = 32;
inline constexpr int kMostRows = 2;  // that a block norms, each by a warp
// Two 16-bit numbers that no result is: NaN comes out of conversions as 0x7FFF.
inline constexpr std::uint32_t kAbsent = 0xFFFFFFFFU;
inline constexpr int kMostTries = 1 << 22;  // over a second

// Bytes from the start of a layer's part of the flow, in the order in which they are written.
// `qkv`, `out` and `down` are a row a token; `rows`, `context`, `middle_rows` and `up` are what
// products read, in fragments: of each octet of tokens and each 32 columns what the lanes of a warp
// multiply, 16 bytes a lane. Behind the last layer come `rows` once more.
struct FlowPlaces {
  std::int64_t rows, qkv, context, out, middle_rows, up, down, layer;
};

// Who makes what of a product: a block `units` units of sixteen columns and `octets` octets of
// tokens, `split` blocks the same units. Of its warps units * octets / 2 multiply, the others bring
// what is multiplied.
struct ShortProduct {
  std::int32_t columns, depth, ld;  // ld: of the weights
  std::int32_t units, split, octets;
};

// Half a layer: a product of rows (with attention behind it, or GELU), another, a norm of the sum.
struct ShortHalf {
  const void* weight[2];
  const void* bias[2];
  NormTail norm;
};

enum class ShortPool : std::int32_t { kFirst, kLast, kMean };

struct ShortArgs {
  const ShortHalf* halves;   // on the device, two a layer
  char *flow, *clear;        // this launch's; the one before's, for the next
  std::int64_t clear_bytes;
  const void *token_table, *position_table, *type_table;
  std::int64_t ld_tokens, ld_positions, ld_types, ld_result;
  NormTail embed_norm;
  float* result;
  FlowPlaces at;
  float embed_scale, scale;
  ShortProduct products[4];  // of a layer: qkv, out, up, down
  std::int32_t layer_count, hidden, heads, kv_heads, query_column, key_column, value_column;
  std::int32_t tokens, octets, texts;
  std::int32_t slots, windows, halves_at, rows_at, tiles_at, pooled_at, window_at, ring_at;
  std::int32_t result_width;
  ShortPool pool;
  bool normalize;
  std::int32_t ids[ShortText::kTokens], positions[ShortText::kTokens], types[ShortText::kTokens];
  std::int32_t begins[ShortText::kTokens + 1], pool_begin[ShortText::kTokens],
      key_counts[ShortText::kTokens];

  bool same_layers(const ShortArgs& other) const {
    for (int i = 0; i < 4; ++i) {
      const ShortProduct& a = products[i];
      const ShortProduct& b = other.products[i];
      if (a.columns != b.columns || a.depth != b.depth || a.ld != b.ld) return false;
    }
    return heads == other.heads && kv_heads == other.kv_heads &&
           query_column == other.query_column && key_column == other.key_column &&
           value_column == other.value_column && scale == other.scale;
  }
};

using ShortKernel = void (*)(ShortArgs);
// For heads of 32 or 64 and rows of at most 1024 columns (short_text_kernel.cu).
ShortKernel short_kernel_for(Type type, std::int64_t hidden, std::int64_t head_size);

}  // namespace inlay::backend::cuda
