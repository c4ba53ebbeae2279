// One tile of 64 keys on the matrix units: what attention of long texts (attention_mma.cu) and of
// whole short ones (short_text.cu) have in common, so that a text has the same bits by either.
#pragma once

#include "backend/cuda/device/attention.cuh"
#include "backend/cuda/device/math.cuh"
#include "backend/cuda/device/mma.cuh"

namespace inlay::backend::cuda {

inline constexpr int kKeys = 64;  // of a tile
inline constexpr int kPad = 8;    // elements behind a row: eight rows lie in different banks

template <typename T>
struct Tile {
  const T *keys, *values;
  int tile, row, end;  // first key; the lane's first row, eight above its second; keys of the text
  float slope;
  const float* bias;
};

// One tile of keys: scores, their softmax carried along, the sums of values. kFull: every row of
// the block sees all of its keys.
template <typename T, int kSize, bool kBiased, bool kFull>
__device__ inline void attend(const AttentionArgs& args, const Tile<T>& at,
                              const std::uint32_t (&query)[kSize / 16][4],
                              float (&sums)[kSize / 8][4], float (&largest)[2], float (&total)[2]) {
  constexpr int kStride = kSize + kPad;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int my_column = lane % 4 * 2;
  const int matrix = lane / 8;
  // Sixteen keys at a time, as many as there are.
  const int groups = kFull ? kKeys / 16 : min(kKeys / 16, (at.end - at.tile + 15) / 16);
  float scores[kKeys / 8][4];
#pragma unroll
  for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
    for (int c = 0; c < 4; ++c) scores[n][c] = 0;
  }
#pragma unroll
  for (int d = 0; d < kSize / 16; ++d) {
#pragma unroll
    for (int n = 0; n < kKeys / 16; ++n) {
      if (!kFull && n >= groups) continue;
      std::uint32_t b[4];
      load_matrices(b, shared_address(at.keys + (n * 16 + matrix / 2 * 8 + lane % 8) * kStride +
                                      d * 16 + matrix % 2 * 8));
      multiply(scores[2 * n], query[d], b[0], b[1], T{});
      multiply(scores[2 * n + 1], query[d], b[2], b[3], T{});
    }
  }

  if (kBiased) {
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n) {
      if (!kFull && n >= 2 * groups) continue;
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        const int distance = at.tile + n * 8 + my_column + c % 2 - (at.row + c / 2 * 8);
        scores[n][c] = scores[n][c] * args.scale - at.slope * static_cast<float>(abs(distance));
        if (at.bias != nullptr)
          scores[n][c] += at.bias[min(max(distance, -args.reach), args.reach) + args.reach];
      }
    }
  }
  if (!kFull) {
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n) {
      if (!kFull && n >= 2 * groups) continue;
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        const int key = at.tile + n * 8 + my_column + c % 2;
        if (key >= at.end || !sees(args, at.row + c / 2 * 8, key)) scores[n][c] = -INFINITY;
      }
    }
  }

  // weight = 2^(scale * (score - largest)); biased scores are scaled already.
  const float scale = kBiased ? 1.0F : args.scale;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float most = largest[half];
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n) {
      if (!kFull && n >= 2 * groups) continue;
      most = fmaxf(most, fmaxf(scores[n][2 * half], scores[n][2 * half + 1]));
    }
    most = fmaxf(most, __shfl_xor_sync(0xffffffffU, most, 1));
    most = fmaxf(most, __shfl_xor_sync(0xffffffffU, most, 2));
    const float base = most == -INFINITY ? 0.0F : most * scale;  // nothing seen: weights are 0
    const float shrink = power_of_two(fmaf(largest[half], scale, -base));
    largest[half] = most;
    float sum = 0;
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n) {
      if (!kFull && n >= 2 * groups) continue;
#pragma unroll
      for (int c = 2 * half; c < 2 * half + 2; ++c) {
        scores[n][c] = power_of_two(fmaf(scores[n][c], scale, -base));
        sum += scores[n][c];
      }
    }
    total[half] = __fmaf_rn(total[half], shrink, sum);
#pragma unroll
    for (int n = 0; n < kSize / 8; ++n) {
      sums[n][2 * half] *= shrink;
      sums[n][2 * half + 1] *= shrink;
    }
  }

#pragma unroll
  for (int j = 0; j < kKeys / 16; ++j) {
    if (!kFull && j >= groups) continue;
    const std::uint32_t weights[4] = {pair_of(scores[2 * j][0], scores[2 * j][1], T{}),
                                      pair_of(scores[2 * j][2], scores[2 * j][3], T{}),
                                      pair_of(scores[2 * j + 1][0], scores[2 * j + 1][1], T{}),
                                      pair_of(scores[2 * j + 1][2], scores[2 * j + 1][3], T{})};
#pragma unroll
    for (int n = 0; n < kSize / 16; ++n) {
      std::uint32_t b[4];
      load_matrices_turned(
          b, shared_address(at.values + (j * 16 + matrix % 2 * 8 + lane % 8) * kStride + n * 16 +
                            matrix / 2 * 8));
      multiply(sums[2 * n], weights, b[0], b[1], T{});
      multiply(sums[2 * n + 1], weights, b[2], b[3], T{});
    }
  }
}

// What a row's sums are multiplied by at the end: one over the sum of its weights, which four lanes
// hold in parts.
__device__ inline float share_of(float total) {
  total += __shfl_xor_sync(0xffffffffU, total, 1);
  total += __shfl_xor_sync(0xffffffffU, total, 2);
  return total > 0 ? 1.0F / total : 0.0F;
}

}  // namespace inlay::backend::cuda
