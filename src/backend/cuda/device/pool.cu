// From rows of tokens to rows of texts and spans, and what is done with those: selecting, pooling,
// normalising, the maximum over a text's logits. Sums go along a text in one order.
#include <limits>

#include "backend/cuda/device/math.cuh"
#include "backend/cuda/device/pool_mode.h"
#include "backend/cuda/device/session.h"
#include "backend/cuda/device/start.cuh"

namespace inlay::backend::cuda {
namespace {

struct AnyRows {
  const void* data;
  std::int64_t ld;
  Type type;
  __device__ float at(std::int64_t row, std::int64_t column) const {
    return load_any(data, type, row * ld + column);
  }
};
struct AnyOut {
  void* data;
  std::int64_t ld;
  Type type;
  __device__ void set(std::int64_t row, std::int64_t column, float x) const {
    store_any(data, type, row * ld + column, x);
  }
};

AnyRows rows_of(const Launch& run, const Place& place) {
  return {run.pointer<const void>(place), place.ld, place.type};
}
AnyOut out_of(const Launch& run, const Place& place) {
  return {run.pointer<void>(place), place.ld, place.type};
}

__global__ void select_kernel(const AnyRows in, const AnyOut out, const std::int32_t* offsets,
                              std::int64_t width, bool last) {
  wait_for_inputs();
  const std::int64_t text = blockIdx.x;
  const std::int32_t begin = offsets[text];
  const std::int32_t end = offsets[text + 1];
  if (begin == end) return;
  const std::int64_t row = last ? end - 1 : begin;
  for (std::int64_t c = threadIdx.x; c < width; c += blockDim.x) out.set(text, c, in.at(row, c));
}

constexpr int kColumns = 32;
constexpr int kGroups = 8;  // threads that share a column: each takes every eighth row

__global__ void pool_kernel(const AnyRows in, const AnyOut out, const std::int32_t* offsets,
                            const std::int32_t* pool_begin, const std::int32_t* spans,
                            std::int64_t width, int mode) {
  wait_for_inputs();
  __shared__ float sums[kGroups][kColumns];
  const std::int64_t index = blockIdx.x;  // a text or a span
  const std::int64_t column = std::int64_t{blockIdx.y} * kColumns + threadIdx.x;
  std::int64_t first;
  std::int64_t begin;
  std::int64_t end;
  if (spans != nullptr) {
    first = begin = spans[2 * index];
    end = spans[2 * index + 1];
  } else {
    first = offsets[index];
    begin = first + pool_begin[index];
    end = offsets[index + 1];
  }
  const bool inside = column < width;
  const std::int64_t kept = end - begin;
  if (kept < 1 || mode == kCls || mode == kLastToken) {
    if (inside && threadIdx.y == 0) {
      const std::int64_t row = mode == kCls ? begin : end - 1;
      out.set(index, column, kept < 1 ? 0.0F : in.at(row, column));
    }
    return;
  }
  float sum = mode == kMax ? -INFINITY : 0.0F;
  if (inside) {
#pragma unroll 4
    for (std::int64_t row = begin + threadIdx.y; row < end; row += kGroups) {
      const float x = in.at(row, column);
      if (mode == kMax) {
        sum = fmaxf(sum, x);
      } else if (mode == kWeightedMean) {
        sum = fmaf(static_cast<float>(row - first + 1), x, sum);
      } else {
        sum += x;
      }
    }
  }
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || !inside) return;
#pragma unroll
  for (int g = 1; g < kGroups; ++g) {
    const float other = sums[g][threadIdx.x];
    sum = mode == kMax ? fmaxf(sum, other) : sum + other;
  }
  const auto count = static_cast<float>(kept);
  if (mode == kMean) sum /= count;
  if (mode == kMeanSqrtLen) sum /= sqrtf(count);
  if (mode == kWeightedMean) {
    const auto low = static_cast<double>(begin - first + 1);
    const auto high = static_cast<double>(end - first);
    sum /= static_cast<float>((low + high) * static_cast<double>(kept) / 2);
  }
  out.set(index, column, sum);
}

constexpr int kWarps = 4;

__global__ void row_kernel(const AnyRows in, const AnyOut out, std::int64_t rows,
                           std::int64_t width, bool normalize) {
  wait_for_inputs();
  const std::int64_t row = std::int64_t{blockIdx.x} * kWarps + threadIdx.y;
  const int lane = static_cast<int>(threadIdx.x);
  if (row >= rows) return;
  float length = 1;
  if (normalize) {
    float squares = 0;
    for (std::int64_t c = lane; c < width; c += kWarp) {
      const float x = in.at(row, c);
      squares = fmaf(x, x, squares);
    }
    length = fmaxf(sqrtf(warp_sum(squares)), 1e-12F);
  }
  for (std::int64_t c = lane; c < width; c += kWarp) out.set(row, c, in.at(row, c) / length);
}

// f is never below 0 and grows with its argument.
__device__ float sparse(float logit, bool twice) {
  const float once = log1pf(fmaxf(logit, 0.0F));
  return twice ? log1pf(once) : once;
}

__global__ void vocabulary_kernel(const float* logits, std::int64_t ld, const float* bias,
                                  const std::int32_t* offsets, float* out, std::int64_t ld_out,
                                  std::int64_t first, std::int64_t count, bool sum, bool twice) {
  wait_for_inputs();
  const std::int64_t text = blockIdx.x;
  const std::int64_t column = std::int64_t{blockIdx.y} * blockDim.x + threadIdx.x;
  if (column >= count) return;
  const float shift = bias != nullptr ? bias[first + column] : 0.0F;
  const std::int64_t end = offsets[text + 1];
  float kept = 0;
#pragma unroll 4
  for (std::int64_t row = offsets[text]; row < end; ++row) {
    const float logit = logits[row * ld + column] + shift;
    if (sum) {
      kept += sparse(logit, twice);
    } else {
      kept = fmaxf(kept, logit);
    }
  }
  out[text * ld_out + first + column] = sum ? kept : sparse(kept, twice);
}

}  // namespace

void launch(const Launch& run, const SelectOp& op) {
  if (run.shape.texts < 1) return;
  start(run, select_kernel, static_cast<unsigned>(run.shape.texts), 128, 0, rows_of(run, op.in),
        out_of(run, op.out), run.inputs + run.at.offsets, op.width, op.last);
  check(cudaGetLastError(), "selecting rows");
}

void launch(const Launch& run, const PoolOp& op) {
  const std::int64_t rows = run.rows(op.out.rows);
  if (rows < 1) return;
  const dim3 grid(static_cast<unsigned>(rows),
                  static_cast<unsigned>((op.width + kColumns - 1) / kColumns));
  start(run, pool_kernel, grid, dim3(kColumns, kGroups), 0, rows_of(run, op.in),
        out_of(run, op.out), run.inputs + run.at.offsets, run.inputs + run.at.pool_begin,
        op.spans ? run.inputs + run.at.spans : nullptr, op.width, op.mode);
  check(cudaGetLastError(), "pooling");
}

void launch(const Launch& run, const RowOp& op) {
  const std::int64_t rows = run.rows(op.out.rows);
  if (rows < 1) return;
  start(run, row_kernel, static_cast<unsigned>((rows + kWarps - 1) / kWarps), dim3(kWarp, kWarps),
        0, rows_of(run, op.in), out_of(run, op.out), rows, op.width, op.normalize);
  check(cudaGetLastError(), "normalising rows");
}

void launch_vocabulary(const Launch& run, const VocabularyOp& op, std::int64_t first,
                       std::int64_t count) {
  if (run.shape.texts < 1) return;
  constexpr int kThreads = 128;
  const dim3 grid(static_cast<unsigned>(run.shape.texts),
                  static_cast<unsigned>((count + kThreads - 1) / kThreads));
  start(run, vocabulary_kernel, grid, kThreads, 0, run.pointer<const float>(op.logits),
        op.logits.ld, run.pointer<const float>(op.bias), run.inputs + run.at.offsets,
        run.pointer<float>(op.out), op.out.ld, first, count, op.sum, op.twice);
  check(cudaGetLastError(), "the maximum over a vocabulary");
}

}  // namespace inlay::backend::cuda
