// How int8 rows and weights are mixed before they are rounded. A few channels of a transformer's
// rows outweigh all others, and one scale a row would leave these a handful of steps. So a row is
// cut into equal runs, and the elements that stand at one place of each are multiplied by a
// Hadamard matrix with signs, H (mix4, in two rounds for 16 runs): a large one becomes 16 of a
// quarter. Weights get the same, and a product's scale the 1/n of H^T H = n; the result is that of
// the plain product but for rounding (QuaRot, arXiv:2404.00456, has the idea).
//
// One mix4 is H4 diag(1, 1, 1, -1): with the signs, a constant (what activations have in the mean)
// is not gathered into one element. Additions alone, in one order: the same bits everywhere.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace inlay {

constexpr std::int64_t mix_runs(std::int64_t width) {
  return width % 16 == 0 ? 16 : width % 4 == 0 ? 4 : 1;
}

// Mixes a row in place.
inline void mix_row(float* row, std::int64_t width) {
  const std::int64_t runs = mix_runs(width);
  const std::int64_t run = width / runs;
  const auto mix4 = [](float* x, std::int64_t gap) {
    const float s = x[0] + x[gap];
    const float t = x[0] - x[gap];
    const float u = x[2 * gap] - x[3 * gap];
    const float v = x[2 * gap] + x[3 * gap];
    x[0] = s + u;
    x[gap] = t + v;
    x[2 * gap] = s - u;
    x[3 * gap] = t - v;
  };
  for (std::int64_t i = 0; i < run && runs > 1; ++i) {
    for (std::int64_t q = 0; q < runs; q += 4) mix4(row + q * run + i, run);
    for (std::int64_t q = 0; q < 4 && runs == 16; ++q) mix4(row + q * run + i, 4 * run);
  }
}

// Its inverse: the transposed matrices, last round first, over mix_runs().
inline void unmix_row(float* row, std::int64_t width) {
  const std::int64_t runs = mix_runs(width);
  const std::int64_t run = width / runs;
  const auto unmix4 = [](float* x, std::int64_t gap) {
    const float s = x[0] + x[2 * gap];
    const float t = x[0] - x[2 * gap];
    const float u = x[gap] + x[3 * gap];
    const float v = x[gap] - x[3 * gap];
    x[0] = (s + u) * 0.25F;
    x[gap] = (s - u) * 0.25F;
    x[2 * gap] = (t + v) * 0.25F;
    x[3 * gap] = (v - t) * 0.25F;
  };
  for (std::int64_t i = 0; i < run && runs > 1; ++i) {
    for (std::int64_t q = 0; q < 4 && runs == 16; ++q) unmix4(row + q * run + i, 4 * run);
    for (std::int64_t q = 0; q < runs; q += 4) unmix4(row + q * run + i, run);
  }
}

// The least float of 12 significant bits that is not below x, for x >= 0.
inline float round_up_to_12_bits(float x) {
  constexpr std::uint32_t kDropped = (1U << 12U) - 1;
  return std::bit_cast<float>((std::bit_cast<std::uint32_t>(x) + kDropped) & ~kDropped);
}

// A row of weights as int8: mixes it in place, writes bytes of [-127, 127] and returns their scale,
// its largest size / 127. What is not finite must show in the result: the scale is NaN then.
//
// The scale keeps 12 bits, rounded up: then bytes times it, unmixed (sums of 16 bytes: 12 bits),
// are exact, and mixed once more give the same bytes and scale (the largest byte is 127 still). So
// a folder that holds bytes computes what the floats they came from do.
inline float mix_to_bytes(float* row, std::int64_t width, std::int8_t* bytes) {
  mix_row(row, width);
  float top = 0;
  bool finite = true;
  for (std::int64_t i = 0; i < width; ++i) {
    top = std::max(top, std::fabs(row[i]));
    finite = finite && std::isfinite(row[i]);
  }
  const float scale = finite ? round_up_to_12_bits(top / 127.0F) : NAN;
  for (std::int64_t i = 0; i < width; ++i) {
    const float q = scale > 0 ? std::nearbyint(row[i] / scale) : 0.0F;
    bytes[i] = static_cast<std::int8_t>(std::clamp(q, -127.0F, 127.0F));
  }
  return scale;
}

}  // namespace inlay
