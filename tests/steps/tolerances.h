// What is allowed between a room and ref.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string_view>

namespace inlay {

// Largest allowed difference to ref (float values, double sums), relative to the largest element of
// the result, and least cosine of a row. fp32 rooms differ by the order of at most a few thousand
// additions; 16-bit ones round weights and every value, to 11 and to 8 bits, fp8 the factors of
// products to 4.
struct Tolerance {
  const char* dtype;
  double relative, cosine;
};
inline constexpr Tolerance kTolerances[] = {
    {"fp32", 1e-5, 0.9999999}, {"fp16", 5e-3, 0.9999}, {"bf16", 4e-2, 0.995}, {"fp8", 0.25, 0.98}};

inline const Tolerance& tolerance_of(std::string_view dtype) {
  for (const Tolerance& tolerance : kTolerances) {
    if (dtype == tolerance.dtype) return tolerance;
  }
  return kTolerances[0];
}

// Rows [count / width, width] of `got` against `all`.
inline void expect_close(const float* got, const float* all, std::size_t count, std::size_t width,
                         std::size_t output, const Tolerance& tolerance) {
  double largest = 1e-3;
  for (std::size_t i = 0; i < count; ++i)
    largest = std::max(largest, std::fabs(static_cast<double>(all[i])));
  for (std::size_t row = 0; row * width < count; ++row) {
    double dot = 0;
    double a = 0;
    double b = 0;
    for (std::size_t d = 0; d < width; ++d) {
      const double x = got[row * width + d];
      const double y = all[row * width + d];
      ASSERT_LE(std::fabs(x - y), tolerance.relative * largest)
          << "output " << output << ", row " << row << ", column " << d;
      dot += x * y;
      a += x * x;
      b += y * y;
    }
    if (width > 1 && b > 1e-6) {
      ASSERT_GE(dot / std::sqrt(a * b), tolerance.cosine) << "output " << output << ", row " << row;
    }
  }
}

}  // namespace inlay
