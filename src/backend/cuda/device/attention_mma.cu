// Attention on the matrix units: 16-bit queries, keys and values of heads of 32, 64, 96 or 128
// columns. A block has kQueryBlock query rows of one text and one head, a warp 16 of them; tiles of
// 64 keys come in while the tile before is worked on. Scores and sums are fp32.
#include "backend/cuda/device/attention_tile.cuh"
#include "backend/cuda/device/math.cuh"
#include "backend/cuda/device/mma.cuh"
#include "backend/cuda/device/start.cuh"

namespace inlay::backend::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarp;
constexpr int kRows = kQueryBlock;  // 16 a warp
static_assert(kRows == 16 * kWarps);

template <int kSize>
constexpr int tile_elements() {
  return kKeys * (kSize + kPad);
}

// Of a multiprocessor: more hide more latency, until registers spill.
template <int kSize>
constexpr int blocks_at_a_time() {
  return kSize == 32 ? 5 : kSize == 64 ? 4 : 2;
}

// Rows [first, first + 64) of a matrix into shared memory; zeros where a row is not below `end`.
template <typename T, int kSize>
__device__ void load_tile(T* tile, const T* from, std::int64_t ld, int first, int end) {
  constexpr int kChunks = kSize / 8;
  static_assert(kKeys * kChunks % kThreads == 0);
#pragma unroll
  for (int part = 0; part < kKeys * kChunks / kThreads; ++part) {
    const int i = part * kThreads + static_cast<int>(threadIdx.x);
    const int row = i / kChunks;
    const int column = i % kChunks * 8;
    const bool inside = first + row < end;
    const T* source = from + (inside ? first + row : 0) * ld + column;
    copy16(shared_address(tile + row * (kSize + kPad) + column), source, inside);
  }
}

template <typename T, int kSize, bool kBiased>
__global__ void __launch_bounds__(kThreads, blocks_at_a_time<kSize>())
    mma_kernel(const AttentionArgs args) {
  wait_for_inputs();
  extern __shared__ __align__(16) unsigned char memory[];
  constexpr int kStride = kSize + kPad;
  constexpr int kTile = tile_elements<kSize>();
  T* queries = reinterpret_cast<T*>(memory);
  T* keys_tiles = queries + kTile;
  T* values_tiles = keys_tiles + 2 * kTile;

  const int head = static_cast<int>(blockIdx.x);
  // One load: the text's first row, its length, the first query row in it, its keys.
  const int4 item = reinterpret_cast<const int4*>(args.items)[blockIdx.y];
  const std::int64_t first_row = item.x;
  const int length = item.y;
  const int begin = item.z;
  const int last = min(length, begin + kRows) - 1;
  if (last < begin) return;
  const int kv_column = head / (args.heads / args.kv_heads) * kSize;
  const T* q = static_cast<const T*>(args.query) + first_row * args.ld_query + head * kSize;
  const T* k = static_cast<const T*>(args.key) + first_row * args.ld_key + kv_column;
  const T* v = static_cast<const T*>(args.value) + first_row * args.ld_value + kv_column;
  const KeyRange range = visible_keys(args, begin, last, item.w);
  const int first_tile = range.begin / kKeys * kKeys;

  load_tile<T, kSize>(queries, q, args.ld_query, begin, length);
  load_tile<T, kSize>(keys_tiles, k, args.ld_key, first_tile, range.end);
  load_tile<T, kSize>(values_tiles, v, args.ld_value, first_tile, range.end);
  copy_commit();

  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int my_row = begin + warp * 16 + lane / 4;  // and eight below it
  const int my_column = lane % 4 * 2;
  const bool my_rows = begin + warp * 16 <= last;
  const float slope = kBiased && args.alibi != nullptr ? args.alibi[head] : 0.0F;
  const float* bias = kBiased && args.relative_bias != nullptr
                          ? args.relative_bias + std::int64_t{head} * (2 * args.reach + 1)
                          : nullptr;

  std::uint32_t query[kSize / 16][4];
  float sums[kSize / 8][4];
  float largest[2] = {-INFINITY, -INFINITY};
  float total[2] = {0, 0};
#pragma unroll
  for (int n = 0; n < kSize / 8; ++n) {
#pragma unroll
    for (int c = 0; c < 4; ++c) sums[n][c] = 0;
  }

  int buffer = 0;
  for (int tile = first_tile; tile < range.end; tile += kKeys, buffer ^= 1) {
    if (tile + kKeys < range.end) {
      load_tile<T, kSize>(keys_tiles + (buffer ^ 1) * kTile, k, args.ld_key, tile + kKeys,
                          range.end);
      load_tile<T, kSize>(values_tiles + (buffer ^ 1) * kTile, v, args.ld_value, tile + kKeys,
                          range.end);
      copy_commit();
      copy_wait<1>();
    } else {
      copy_wait<0>();
    }
    __syncthreads();
    if (tile == first_tile) {
#pragma unroll
      for (int d = 0; d < kSize / 16; ++d) {
        load_matrices(query[d], shared_address(queries + (warp * 16 + lane % 16) * kStride +
                                               d * 16 + lane / 16 * 8));
      }
    }
    const bool full = tile + kKeys <= range.end && (!args.causal || tile + kKeys - 1 <= begin) &&
                      (args.window < 0 || (tile + kKeys - 1 - begin <= args.window &&
                                           begin + kRows - 1 - tile <= args.window));
    if (my_rows) {
      const Tile<T> at{keys_tiles + buffer * kTile,
                       values_tiles + buffer * kTile,
                       tile,
                       my_row,
                       range.end,
                       slope,
                       bias};
      if (full) {
        attend<T, kSize, kBiased, true>(args, at, query, sums, largest, total);
      } else {
        attend<T, kSize, kBiased, false>(args, at, query, sums, largest, total);
      }
    }
    __syncthreads();
  }
  copy_wait<0>();

  const std::int64_t corner = first_row * args.ld_out + head * kSize;
  const float scale = args.out_scale != nullptr ? *args.out_scale : 1.0F;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float share = share_of(total[half]);
    const int row = my_row + half * 8;
    if (row > last) continue;
#pragma unroll
    for (int n = 0; n < kSize / 8; ++n) {
      const std::int64_t at = corner + row * args.ld_out + n * 8 + my_column;
      const float a = sums[n][2 * half] * share;
      const float b = sums[n][2 * half + 1] * share;
      if (args.out_scale != nullptr) {
        *reinterpret_cast<std::uint16_t*>(static_cast<std::uint8_t*>(args.out) + at) =
            static_cast<std::uint16_t>(e4m3_pair(a * scale, b * scale));
      } else {
        *reinterpret_cast<std::uint32_t*>(static_cast<T*>(args.out) + at) = pair_of(a, b, T{});
      }
    }
  }
}

template <typename T, int kSize, bool kBiased>
void launch_kind(const Launch& run, const AttentionArgs& args) {
  constexpr int kBytes = 5 * tile_elements<kSize>() * static_cast<int>(sizeof(T));
  check(cudaFuncSetAttribute(mma_kernel<T, kSize, kBiased>,
                             cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes),
        "attention's shared memory");
  const dim3 grid(static_cast<unsigned>(args.heads), static_cast<unsigned>(args.items_count));
  start(run, mma_kernel<T, kSize, kBiased>, grid, kThreads, kBytes, args);
  check(cudaGetLastError(), "attention");
}

template <typename T>
void launch_typed(const Launch& run, const AttentionArgs& args) {
  const bool biased = args.alibi != nullptr || args.relative_bias != nullptr;
  const auto with_size = [&](auto size) {
    if (biased) {
      launch_kind<T, decltype(size)::value, true>(run, args);
    } else {
      launch_kind<T, decltype(size)::value, false>(run, args);
    }
  };
  switch (args.head_size) {
    case 32:
      return with_size(std::integral_constant<int, 32>{});
    case 64:
      return with_size(std::integral_constant<int, 64>{});
    case 96:
      return with_size(std::integral_constant<int, 96>{});
    default:
      return with_size(std::integral_constant<int, 128>{});
  }
}

}  // namespace

bool launch_mma(const Launch& run, const AttentionOp& op) {
  if (!is_matrix_attention(op) || op.out.ld * type_bytes(op.out.type) % 16 != 0) return false;
  const AttentionArgs args = attention_args(run, op);
  if (args.items_count < 1) return true;
  if (op.query.type == Type::kF16) {
    launch_typed<__half>(run, args);
  } else {
    launch_typed<__nv_bfloat16>(run, args);
  }
  return true;
}

}  // namespace inlay::backend::cuda
