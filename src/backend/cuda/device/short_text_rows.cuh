// Rows of a short batch: embedding, norms of sums, pooling at the end (short_text_kernel.cu).
#pragma once

#include "backend/cuda/device/flow.cuh"
#include "backend/cuda/device/norm.cuh"
#include "backend/cuda/device/short_text.cuh"

namespace inlay::backend::cuda {

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900

// Rows of the block, which all blocks of a cluster have alike: each works out some and sends them
// to all. Two barriers in turn count the bytes of all rows.
template <typename T>
struct Rows {
  T* x;
  std::uint32_t barrier;
  int turn;

  __device__ std::uint32_t my_barrier() const { return barrier + turn % 2 * 8; }
  __device__ void expect(const ShortArgs& args) const {
    if (threadIdx.x == 0)
      barrier_expect(my_barrier(), args.tokens * args.hidden * static_cast<int>(sizeof(T)));
  }
  __device__ void wait() {
    barrier_wait(my_barrier(), turn / 2 & 1);
    ++turn;
  }
};

// What a lane's columns are multiplied by and moved by.
template <int kParts>
struct NormColumns {
  float factor[kParts][kVector], shift[kParts][kVector];

  __device__ NormColumns(const NormTail& tail, int width, int lane) {
#pragma unroll
    for (int p = 0; p < kParts; ++p) {
      const int column = (p * kWarp + lane) * kVector;
#pragma unroll
      for (int i = 0; i < kVector; ++i) {
        factor[p][i] = 1;
        shift[p][i] = 0;
      }
      if (column >= width) continue;
      if (tail.weight != nullptr) load8(tail.weight + column, factor[p]);
      if (tail.bias != nullptr) load8(tail.bias + column, shift[p]);
    }
  }
};

template <typename T, int kParts>
__device__ inline void send_normed(const ShortArgs& args, const Rows<T>& rows, int row,
                                   float (&v)[kParts][kVector], const NormTail& tail,
                                   const NormColumns<kParts>& columns, int lane) {
  const NormScale scale = scale_of_row(v, tail, args.hidden, lane);
#pragma unroll
  for (int p = 0; p < kParts; ++p) {
    const int column = (p * kWarp + lane) * kVector;
    if (column >= args.hidden) continue;
#pragma unroll
    for (int i = 0; i < kVector; ++i)
      v[p][i] = normalized(v[p][i], scale, columns.factor[p][i], columns.shift[p][i]);
    send_to_all(args.cluster, shared_address(rows.x + row * args.x_stride + column), pack<T>(v[p]),
                rows.my_barrier());
  }
}

// Rows of a warp: first, first + cluster * kWarps, ...
__device__ inline int first_row(const ShortArgs& args, int warp) {
  return warp * args.cluster + cluster_rank();
}

// The rows of the tables.
template <typename T, int kParts>
__device__ inline void embed(const ShortArgs& args, Rows<T>* rows, int warp, int lane) {
  forget(lane);
  const TableRows<T> source{static_cast<const T*>(args.token_table),
                            static_cast<const T*>(args.position_table),
                            static_cast<const T*>(args.type_table),
                            args.ld_tokens,
                            args.ld_positions,
                            args.ld_types,
                            args.ids,
                            args.positions,
                            args.types,
                            args.embed_scale};
  const NormColumns<kParts> columns(args.embed_norm, args.hidden, lane);
  rows->expect(args);
#pragma unroll 1
  for (int row = first_row(args, warp); row < args.tokens; row += args.cluster * kWarps) {
    float v[kParts][kVector];
#pragma unroll
    for (int p = 0; p < kParts; ++p) {
      const int column = (p * kWarp + lane) * kVector;
      if (column < args.hidden) source.load(row, column, v[p]);
    }
    send_normed(args, *rows, row, v, args.embed_norm, columns, lane);
  }
  rows->wait();
}

// x = norm(what comes + x). Rows of x are written when all that was made of them has come, so
// nobody reads them any more.
template <typename T, int kParts>
__device__ inline void add_and_norm(const ShortArgs& args, const char* from, const NormTail& tail,
                                    Rows<T>* rows, int warp, int lane) {
  forget(lane);
  const NormColumns<kParts> columns(tail, args.hidden, lane);
  rows->expect(args);
#pragma unroll 1
  for (int row = first_row(args, warp); row < args.tokens; row += args.cluster * kWarps) {
    const T* mine = rows->x + row * args.x_stride + lane * kVector;
    const char* there = from + (row * args.hidden + lane * kVector) * 2;
    std::uint32_t wanted = 0;
    uint4 before[kParts];
#pragma unroll
    for (int p = 0; p < kParts; ++p) {
      if ((p * kWarp + lane) * kVector >= args.hidden) continue;
      wanted |= 1U << p;
      before[p] = *reinterpret_cast<const uint4*>(mine + p * kWarp * kVector);
    }
    uint4 come[kParts];
    receive(come, wanted, [&](int p) { return there + p * kWarp * kVector * 2; });
    float v[kParts][kVector];
#pragma unroll
    for (int p = 0; p < kParts; ++p) {
      float more[kVector];
      unpack<T>(come[p], v[p]);
      unpack<T>(before[p], more);
#pragma unroll
      for (int i = 0; i < kVector; ++i) v[p][i] = __fadd_rn(v[p][i], more[i]);
    }
    send_normed(args, *rows, row, v, tail, columns, lane);
  }
  rows->wait();
}

// As pool.cu does it: eight sums of every eighth row, added in order.
template <typename T>
__device__ inline float pooled_column(const ShortArgs& args, const T* x, int text, int column) {
  const int first = args.begins[text];
  const int begin = first + args.pool_begin[text];
  const int end = args.begins[text + 1];
  const int kept = end - begin;
  const T* from = x + begin * args.x_stride + column;
  if (kept < 1) return 0;
  if (args.pool == ShortPool::kFirst) return to_float(from[0]);
  if (args.pool == ShortPool::kLast) return to_float(from[(kept - 1) * args.x_stride]);
  float part[8] = {};
#pragma unroll 1
  for (int row = 0; row < kept; row += 8) {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      if (row + i < kept) part[i] = __fadd_rn(part[i], to_float(from[(row + i) * args.x_stride]));
    }
  }
  float sum = part[0];
#pragma unroll
  for (int i = 1; i < 8; ++i) sum = __fadd_rn(sum, part[i]);
  return sum / static_cast<float>(kept);
}

template <typename T>
__device__ inline void pool(const ShortArgs& args, const T* x, float* pooled, int warp, int lane) {
  const int thread = warp * kWarp + lane;
  for (int text = static_cast<int>(blockIdx.x); text < args.texts;
       text += static_cast<int>(gridDim.x)) {
    for (int c = thread; c < args.hidden; c += kComputing)
      pooled[c] = pooled_column(args, x, text, c);
    sync_computing();
    float length = 1;
    if (args.normalize) {  // every warp finds it, in one order
      float squares = 0;
      for (int c = lane; c < args.result_width; c += kWarp)
        squares = __fmaf_rn(pooled[c], pooled[c], squares);
      length = fmaxf(sqrtf(warp_sum(squares)), 1e-12F);
    }
    float* out = args.result + static_cast<std::int64_t>(text) * args.ld_result;
    for (int c = thread; c < args.result_width; c += kComputing) out[c] = pooled[c] / length;
    sync_computing();
  }
}

#endif

}  // namespace inlay::backend::cuda
