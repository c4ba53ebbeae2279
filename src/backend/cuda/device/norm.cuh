// Norms of rows that a warp holds in registers, and where the rows come from: shared by rows.cu and
// short_text.cu. Roundings are spelled out, so that a row has the same bits by either.
#pragma once

#include "backend/cuda/device/math.cuh"

namespace inlay::backend::cuda {

inline constexpr int kVector = 8;  // elements that a lane takes at a time

struct NormTail {  // what happens to a row once it is there
  const float *weight, *bias;
  float eps;
  bool norm, rms;
};
struct NormQuantized {  // where a normed row goes as e4m3, before weight and bias; null: nowhere
  std::uint8_t* out;
  std::int64_t ld;
  float scale;
};

// Where the elements of a row come from.
template <typename T>
struct TableRows {
  const T *tokens, *positions, *types;
  std::int64_t ld_tokens, ld_positions, ld_types;
  const std::int32_t *ids, *position_ids, *type_ids;
  float scale;

  __device__ void load(std::int64_t row, std::int64_t column, float (&v)[kVector]) const {
    load8(tokens + ids[row] * ld_tokens + column, v);
#pragma unroll
    for (float& x : v) x = __fmul_rn(x, scale);
    float more[kVector];
    if (types != nullptr) {
      load8(types + type_ids[row] * ld_types + column, more);
#pragma unroll
      for (int i = 0; i < kVector; ++i) v[i] = __fadd_rn(v[i], more[i]);
    }
    if (positions != nullptr) {
      load8(positions + position_ids[row] * ld_positions + column, more);
#pragma unroll
      for (int i = 0; i < kVector; ++i) v[i] = __fadd_rn(v[i], more[i]);
    }
  }
  __device__ float load1(std::int64_t row, std::int64_t column) const {
    float x = scale * to_float(tokens[ids[row] * ld_tokens + column]);
    if (types != nullptr) x += to_float(types[type_ids[row] * ld_types + column]);
    if (positions != nullptr) x += to_float(positions[position_ids[row] * ld_positions + column]);
    return x;
  }
};

template <typename T>
struct SumRows {
  const T *in, *residual;
  std::int64_t ld_in, ld_residual;

  __device__ void load(std::int64_t row, std::int64_t column, float (&v)[kVector]) const {
    load8(in + row * ld_in + column, v);
    if (residual == nullptr) return;
    float more[kVector];
    load8(residual + row * ld_residual + column, more);
#pragma unroll
    for (int i = 0; i < kVector; ++i) v[i] = __fadd_rn(v[i], more[i]);
  }
  __device__ float load1(std::int64_t row, std::int64_t column) const {
    const float x = to_float(in[row * ld_in + column]);
    return residual == nullptr ? x : x + to_float(residual[row * ld_residual + column]);
  }
};

// What a row's elements are moved by and multiplied with.
struct NormScale {
  float mean, inverse;
};
__device__ inline float normalized(float x, const NormScale& scale, float factor, float shift) {
  return __fmaf_rn(__fmul_rn(__fsub_rn(x, scale.mean), scale.inverse), factor, shift);
}

// Of a row whose columns (p * 32 + lane) * 8 + i below `width` are a lane's v[p][i].
template <int kParts>
__device__ inline NormScale scale_of_row(const float (&v)[kParts][kVector], const NormTail& tail,
                                         std::int64_t width, int lane) {
  const auto size = static_cast<float>(width);
  float mean = 0;
  if (!tail.rms) {
#pragma unroll
    for (int p = 0; p < kParts; ++p) {
      if ((p * kWarp + lane) * kVector >= width) continue;
#pragma unroll
      for (int i = 0; i < kVector; ++i) mean = __fadd_rn(mean, v[p][i]);
    }
    mean = warp_sum(mean) / size;
  }
  float squares = 0;
#pragma unroll
  for (int p = 0; p < kParts; ++p) {
    if ((p * kWarp + lane) * kVector >= width) continue;
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      const float x = __fsub_rn(v[p][i], mean);
      squares = __fmaf_rn(x, x, squares);
    }
  }
  return {mean, 1.0F / sqrtf(__fadd_rn(warp_sum(squares) / size, tail.eps))};
}

}  // namespace inlay::backend::cuda
