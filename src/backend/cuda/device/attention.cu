// Attention of any kind and head size, in fp32 multiply-adds: what the matrix units' kernel
// (attention_mma.cu) does not take. Scores are exponents of two; the softmax goes along the keys in
// tiles of one warp, with its maximum and sum carried along.
#include "backend/cuda/device/attention.cuh"
#include "backend/cuda/device/math.cuh"
#include "backend/cuda/device/start.cuh"

namespace inlay::backend::cuda {
namespace {

constexpr int kRowsOfWarp = 4;
constexpr int kWarps = 4;
constexpr int kRows = kRowsOfWarp * kWarps;  // query rows of a block
constexpr int kKeys = kWarp;                 // of a tile: one a lane

// The item of a whole text (device.h).
__device__ inline int4 item_of_text(const AttentionArgs& args, int text) {
  const int first = args.offsets[text];
  return make_int4(first, args.offsets[text + 1] - first, 0, args.key_counts[text]);
}

// kParts: columns of a head a lane. Shared: queries [kRows][size], keys [kKeys][size + 1], values
// [kKeys][size].
template <typename T, int kParts>
__global__ void __launch_bounds__(kWarp* kWarps) attention_kernel(const AttentionArgs args) {
  wait_for_inputs();
  extern __shared__ float shared[];
  const int size = args.head_size;
  float* queries = shared;
  float* keys_tile = queries + kRows * size;
  float* values_tile = keys_tile + kKeys * (size + 1);
  const int head = static_cast<int>(blockIdx.y);
  const int kv_column = head / (args.heads / args.kv_heads) * size;
  const int4 item = args.single ? item_of_text(args, static_cast<int>(blockIdx.x))
                                : reinterpret_cast<const int4*>(args.items)[blockIdx.x];
  const std::int64_t first_row = item.x;
  const int length = item.y;
  if (length < 1) return;
  // Positions of this block's query rows in their text: [begin, begin + count).
  int begin = 0;
  int count = 1;
  std::int64_t query_row = blockIdx.x;
  if (args.single) {
    begin = args.last_row ? length - 1 : 0;
  } else {
    const int block = item.z;
    begin = block + static_cast<int>(blockIdx.z) * kRows;
    count = min(length, block + kQueryBlock) - begin;
    count = min(count, kRows);
    if (count < 1) return;
    query_row = first_row + begin;
  }
  const int warp = static_cast<int>(threadIdx.y);
  const int lane = static_cast<int>(threadIdx.x);
  const int thread = warp * kWarp + lane;
  const T* q = static_cast<const T*>(args.query) + query_row * args.ld_query + head * size;
  for (int i = thread; i < count * size; i += kWarp * kWarps)
    queries[i] = to_float(q[i / size * args.ld_query + i % size]);
  float largest[kRowsOfWarp];
  float total[kRowsOfWarp];
  float sums[kRowsOfWarp][kParts];
#pragma unroll
  for (int r = 0; r < kRowsOfWarp; ++r) {
    largest[r] = -INFINITY;
    total[r] = 0;
#pragma unroll
    for (int p = 0; p < kParts; ++p) sums[r][p] = 0;
  }
  const KeyRange range = visible_keys(args, begin, begin + count - 1, item.w);
  const T* k = static_cast<const T*>(args.key) + first_row * args.ld_key + kv_column;
  const T* v = static_cast<const T*>(args.value) + first_row * args.ld_value + kv_column;
  for (int tile = range.begin / kKeys * kKeys; tile < range.end; tile += kKeys) {
    __syncthreads();
    for (int i = thread; i < kKeys * size; i += kWarp * kWarps) {
      const int row = i / size;
      const int column = i % size;
      const bool inside = tile + row < range.end;
      keys_tile[row * (size + 1) + column] =
          inside ? to_float(k[(tile + row) * args.ld_key + column]) : 0.0F;
      values_tile[i] = inside ? to_float(v[(tile + row) * args.ld_value + column]) : 0.0F;
    }
    __syncthreads();
    const int key = tile + lane;
    const float* my_key = keys_tile + lane * (size + 1);
#pragma unroll
    for (int r = 0; r < kRowsOfWarp; ++r) {
      const int row = warp * kRowsOfWarp + r;
      if (row >= count) continue;
      const int position = begin + row;
      float score = -INFINITY;
      if (key < range.end && sees(args, position, key)) {
        const float* my_query = queries + row * size;
        float dot = 0;
        for (int c = 0; c < size; ++c) dot = fmaf(my_query[c], my_key[c], dot);
        score = dot * args.scale;
        if (args.distances != nullptr) {
          const std::int64_t at =
              args.distances[args.reach_distance + position - key] * args.ld_positions +
              head * size;
          float more = 0;
          if (args.position_keys != nullptr) {
            for (int c = 0; c < size; ++c)
              more = fmaf(my_query[c], args.position_keys[at + c], more);
          }
          if (args.position_queries != nullptr) {
            for (int c = 0; c < size; ++c)
              more = fmaf(my_key[c], args.position_queries[at + c], more);
          }
          score += more;
        }
        if (args.alibi != nullptr)
          score -= args.alibi[head] * static_cast<float>(abs(position - key));
        if (args.relative_bias != nullptr) {
          const int reach = args.reach;
          score += args.relative_bias[std::int64_t{head} * (2 * reach + 1) +
                                      min(max(key - position, -reach), reach) + reach];
        }
      }
      const float new_largest = fmaxf(largest[r], warp_max(score));
      if (new_largest == -INFINITY) continue;  // of the whole warp: nothing seen yet
      const float weight = exp2f(score - new_largest);
      const float shrink = exp2f(largest[r] - new_largest);
      largest[r] = new_largest;
      total[r] = total[r] * shrink + warp_sum(weight);
#pragma unroll
      for (int p = 0; p < kParts; ++p) sums[r][p] *= shrink;
      for (int j = 0; j < kKeys; ++j) {
        const float share = __shfl_sync(0xffffffffU, weight, j);
#pragma unroll
        for (int p = 0; p < kParts; ++p) {
          const int column = p * kWarp + lane;
          if (column < size) sums[r][p] = fmaf(share, values_tile[j * size + column], sums[r][p]);
        }
      }
    }
  }
  T* out = static_cast<T*>(args.out) + query_row * args.ld_out + head * size;
#pragma unroll
  for (int r = 0; r < kRowsOfWarp; ++r) {
    const int row = warp * kRowsOfWarp + r;
    if (row >= count) continue;
    const float share = total[r] > 0 ? 1.0F / total[r] : 0.0F;
#pragma unroll
    for (int p = 0; p < kParts; ++p) {
      const int column = p * kWarp + lane;
      if (column < size) out[row * args.ld_out + column] = from_float<T>(sums[r][p] * share);
    }
  }
}

// How much a text's one query row heeds each of its tokens, the mean over heads. A block a text;
// a thread a key at a time. Scores are computed three times rather than kept: texts have any
// length.
constexpr int kHeedThreads = 256;

__device__ float block_reduce(float x, bool maximum, float* shared) {
  x = maximum ? warp_max(x) : warp_sum(x);
  __syncthreads();
  if (threadIdx.x % kWarp == 0) shared[threadIdx.x / kWarp] = x;
  __syncthreads();
  float all = shared[0];
  for (int w = 1; w < kHeedThreads / kWarp; ++w)
    all = maximum ? fmaxf(all, shared[w]) : all + shared[w];
  return all;
}

template <typename T>
__global__ void __launch_bounds__(kHeedThreads) heed_kernel(const AttentionArgs args) {
  wait_for_inputs();
  __shared__ float shared[kHeedThreads / kWarp];
  const std::int64_t text = blockIdx.x;
  const std::int64_t first_row = args.offsets[text];
  const int length = args.offsets[text + 1] - args.offsets[text];
  const int keys = args.key_counts[text];
  auto* out = static_cast<float*>(args.out) + first_row * args.ld_out;
  for (int j = static_cast<int>(threadIdx.x); j < length; j += kHeedThreads)
    out[j * args.ld_out] = 0;
  for (int head = 0; head < args.heads; ++head) {
    const int kv_column = head / (args.heads / args.kv_heads) * args.head_size;
    const T* q = static_cast<const T*>(args.query) + text * args.ld_query + head * args.head_size;
    const T* k = static_cast<const T*>(args.key) + first_row * args.ld_key + kv_column;
    const auto score = [&](int j) {
      float dot = 0;
      for (int c = 0; c < args.head_size; ++c)
        dot = fmaf(to_float(q[c]), to_float(k[j * args.ld_key + c]), dot);
      return dot * args.scale;
    };
    float largest = -INFINITY;
    for (int j = static_cast<int>(threadIdx.x); j < keys; j += kHeedThreads)
      largest = fmaxf(largest, score(j));
    largest = block_reduce(largest, true, shared);
    float total = 0;
    for (int j = static_cast<int>(threadIdx.x); j < keys; j += kHeedThreads)
      total += exp2f(score(j) - largest);
    total = block_reduce(total, false, shared);
    const float share = 1.0F / (total * static_cast<float>(args.heads));
    for (int j = static_cast<int>(threadIdx.x); j < keys; j += kHeedThreads)
      out[j * args.ld_out] += exp2f(score(j) - largest) * share;
  }
}

template <typename T, int kParts>
void launch_parts(const Launch& run, const AttentionArgs& args) {
  const std::size_t bytes = sizeof(float) * static_cast<std::size_t>(kRows * args.head_size +
                                                                     kKeys * (args.head_size + 1) +
                                                                     kKeys * args.head_size);
  check(cudaFuncSetAttribute(attention_kernel<T, kParts>,
                             cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
        "attention's shared memory");
  const dim3 grid(static_cast<unsigned>(args.items_count), static_cast<unsigned>(args.heads),
                  args.single ? 1 : kQueryBlock / kRows);
  start(run, attention_kernel<T, kParts>, grid, dim3(kWarp, kWarps), bytes, args);
}

template <typename T>
void launch_typed(const Launch& run, const AttentionOp& op) {
  const AttentionArgs args = attention_args(run, op);
  if (args.items_count < 1) return;
  if (op.probabilities) {
    start(run, heed_kernel<T>, static_cast<unsigned>(args.items_count), kHeedThreads, 0, args);
  } else if (op.head_size <= kWarp) {
    launch_parts<T, 1>(run, args);
  } else if (op.head_size <= 2 * kWarp) {
    launch_parts<T, 2>(run, args);
  } else if (op.head_size <= 4 * kWarp) {
    launch_parts<T, 4>(run, args);
  } else {
    launch_parts<T, 8>(run, args);
  }
  check(cudaGetLastError(), "attention");
}

}  // namespace

void launch(const Launch& run, const AttentionOp& op) {
  if (launch_mma(run, op)) return;
  switch (op.query.type) {
    case Type::kF32:
      launch_typed<float>(run, op);
      break;
    case Type::kF16:
      launch_typed<__half>(run, op);
      break;
    case Type::kBF16:
      launch_typed<__nv_bfloat16>(run, op);
      break;
    case Type::kE4M3:
      throw Failure{Status::kFailed, "queries of 8-bit floats are for no attention"};
  }
}

}  // namespace inlay::backend::cuda
