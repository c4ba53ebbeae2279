// binary16 and bfloat16, exhaustively where there are 2^16 cases, against exact arithmetic
// elsewhere.
#include "base/half.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <random>

namespace inlay {
namespace {

double exact_half(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 0x1F;
  const int mantissa = bits & 0x3FF;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST(Half, EveryHalfThereAndBack) {
  for (std::uint32_t i = 0; i < 0x10000; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const float value = half_to_float(bits);
    if ((bits & 0x7C00) == 0x7C00) {
      if ((bits & 0x3FF) == 0) {
        ASSERT_TRUE(std::isinf(value));
        ASSERT_EQ(std::signbit(value), (bits & 0x8000) != 0);
        ASSERT_EQ(float_to_half(value), bits);
      } else {
        ASSERT_TRUE(std::isnan(value));
        ASSERT_EQ(float_to_half(value) & 0x7C00, 0x7C00);
        ASSERT_NE(float_to_half(value) & 0x3FF, 0);
      }
      continue;
    }
    ASSERT_EQ(static_cast<double>(value), exact_half(bits)) << i;
    ASSERT_EQ(std::signbit(value), (bits & 0x8000) != 0);
    ASSERT_EQ(float_to_half(value), bits) << i;
  }
}

// Nearest, ties to even: decided between the two neighbouring halves in exact double arithmetic.
std::uint16_t nearest_half(float value) {
  const std::uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double magnitude = std::fabs(static_cast<double>(value));
  std::uint16_t low = 0;
  std::uint16_t high = 0x7C00;  // stands for 65536 here
  const auto at = [](std::uint16_t bits) { return bits == 0x7C00 ? 65536.0 : exact_half(bits); };
  if (magnitude >= 65536.0) return sign | 0x7C00;
  while (high - low > 1) {
    const auto middle = static_cast<std::uint16_t>((low + high) / 2);
    (at(middle) <= magnitude ? low : high) = middle;
  }
  const double below = magnitude - at(low);
  const double above = at(high) - magnitude;
  const bool up = above < below || (above == below && (low & 1) != 0);
  return static_cast<std::uint16_t>(sign | (up ? high : low));
}

TEST(Half, RoundsToNearestEven) {
  for (const float value :
       {0.0F, -0.0F, 65504.0F, 65519.996F, 65520.0F, 65536.0F, 1e30F, 0x1p-24F, 0x1p-25F,
        0x1.8p-25F, 0x1.000002p-25F, 0x1p-26F, 0x1p-14F, 0x1.ffcp-15F, 0x1.ffep-15F, 0x1.fffp-15F,
        1.0F + 0x1p-11F, 1.0F + 0x1.8p-10F, 1e-45F}) {
    for (const float signed_value : {value, -value}) {
      ASSERT_EQ(float_to_half(signed_value), nearest_half(signed_value)) << signed_value;
    }
  }
  std::mt19937 random(5);
  for (int i = 0; i < 300'000; ++i) {
    // Exponents around the range of binary16.
    const std::uint32_t exponent = 100 + random() % 46;
    const auto value = std::bit_cast<float>(
        static_cast<std::uint32_t>((random() & 0x807FFFFFU) | exponent << 23U));
    ASSERT_EQ(float_to_half(value), nearest_half(value)) << value;
  }
  // Exactly between two halves, and one step to either side.
  for (std::uint32_t i = 0; i < 0x7BFF; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const auto next = static_cast<std::uint16_t>(i + 1);
    const auto middle = static_cast<float>((exact_half(bits) + exact_half(next)) / 2);
    ASSERT_EQ(float_to_half(middle), (bits & 1) == 0 ? bits : next);
    ASSERT_EQ(float_to_half(std::nextafter(middle, 0.0F)), bits);
    ASSERT_EQ(float_to_half(std::nextafter(middle, 1e9F)), next);
  }
}

TEST(Half, WhatOverflowsIsFiniteAndItsHalfIsNot) {
  const auto check = [](float value) {
    const bool finite = std::isfinite(value);
    ASSERT_EQ(overflows_half(value), finite && !std::isfinite(half_to_float(float_to_half(value))))
        << value;
    ASSERT_EQ(overflows_bf16(value), finite && !std::isfinite(bf16_to_float(float_to_bf16(value))))
        << value;
  };
  for (const float edge : {65504.0F, 65520.0F, 0x1.fep127F, 0x1.ffp127F, 0x1.fffffep127F}) {
    for (const float value : {edge, std::nextafter(edge, 0.0F), std::nextafter(edge, INFINITY)}) {
      check(value);
      check(-value);
    }
  }
  check(0);
  check(INFINITY);
  check(NAN);
}

TEST(BFloat16, IsTheUpperHalfOfAFloat) {
  for (std::uint32_t i = 0; i < 0x10000; ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(bf16_to_float(static_cast<std::uint16_t>(i))), i << 16U);
  }
}

}  // namespace
}  // namespace inlay
