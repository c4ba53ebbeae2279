// Elements of every type as float, 16 bytes at a time where rows allow it; sums over a warp in one
// fixed order; activations.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "backend/cuda/device.h"

namespace inlay::backend::cuda {

inline constexpr int kWarp = 32;

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(__half x) { return __half2float(x); }
__device__ inline float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }

template <typename T>
__device__ inline T from_float(float x);
template <>
__device__ inline float from_float<float>(float x) {
  return x;
}
template <>
__device__ inline __half from_float<__half>(float x) {
  return __float2half_rn(x);
}
template <>
__device__ inline __nv_bfloat16 from_float<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}

// Eight elements from or to an address that is a multiple of their size.
__device__ inline void load8(const float* from, float (&v)[8]) {
  const float4 a = reinterpret_cast<const float4*>(from)[0];
  const float4 b = reinterpret_cast<const float4*>(from)[1];
  v[0] = a.x, v[1] = a.y, v[2] = a.z, v[3] = a.w;
  v[4] = b.x, v[5] = b.y, v[6] = b.z, v[7] = b.w;
}
template <typename T>
__device__ inline void load8(const T* from, float (&v)[8]) {
  const uint4 bits = *reinterpret_cast<const uint4*>(from);
  T part[8];
  memcpy(part, &bits, sizeof bits);
#pragma unroll
  for (int i = 0; i < 8; ++i) v[i] = to_float(part[i]);
}
__device__ inline void store8(float* to, const float (&v)[8]) {
  reinterpret_cast<float4*>(to)[0] = make_float4(v[0], v[1], v[2], v[3]);
  reinterpret_cast<float4*>(to)[1] = make_float4(v[4], v[5], v[6], v[7]);
}
template <typename T>
__device__ inline void store8(T* to, const float (&v)[8]) {
  T part[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) part[i] = from_float<T>(v[i]);
  uint4 bits;
  memcpy(&bits, part, sizeof bits);
  *reinterpret_cast<uint4*>(to) = bits;
}

// Two floats as e4m3, the first in the low byte; what is too large becomes the largest.
// (sm_89 and newer; older GPUs are never asked.)
__device__ inline std::uint32_t e4m3_pair(float a, float b) {
  std::uint16_t bits = 0;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;\n" : "=h"(bits) : "f"(b), "f"(a));
#endif
  return bits;
}
// Eight of them, to an address that is a multiple of eight.
__device__ inline void store8_e4m3(std::uint8_t* to, const float (&v)[8]) {
  *reinterpret_cast<uint2*>(to) = make_uint2(e4m3_pair(v[0], v[1]) | e4m3_pair(v[2], v[3]) << 16,
                                             e4m3_pair(v[4], v[5]) | e4m3_pair(v[6], v[7]) << 16);
}

// One element of a matrix whose type is known only when the kernel runs.
__device__ inline float load_any(const void* from, Type type, std::int64_t at) {
  if (type == Type::kF16) return to_float(static_cast<const __half*>(from)[at]);
  if (type == Type::kBF16) return to_float(static_cast<const __nv_bfloat16*>(from)[at]);
  return static_cast<const float*>(from)[at];
}
__device__ inline void store_any(void* to, Type type, std::int64_t at, float x) {
  if (type == Type::kF16) {
    static_cast<__half*>(to)[at] = from_float<__half>(x);
  } else if (type == Type::kBF16) {
    static_cast<__nv_bfloat16*>(to)[at] = from_float<__nv_bfloat16>(x);
  } else {
    static_cast<float*>(to)[at] = x;
  }
}

__device__ inline float warp_sum(float x) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffU, x, step);
  return x;
}
__device__ inline float warp_max(float x) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2)
    x = fmaxf(x, __shfl_xor_sync(0xffffffffU, x, step));
  return x;
}

__device__ inline float sigmoid(float x) { return 1.0F / (1.0F + expf(-x)); }
__device__ inline float softplus(float x) { return x > 20.0F ? x : log1pf(expf(x)); }
__device__ inline float gelu(float x) { return 0.5F * x * (1.0F + erff(x * 0.70710678F)); }

__device__ inline float power_of_two(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;\n" : "=f"(y) : "f"(x));
  return y;
}

// GELU for results of 16 and of 8 bits, of h, half of what it is asked for: the products that it
// follows halve what they add, so that no operation is spent on it. As many operations as the
// result's rounding needs, in stages of all elements: the chain of one would wait for itself. Every
// rounding is spelled out: two kernels that use it give the same bits.
//
// fp16: 2 h / (1 + e^-z), z a polynomial of the fifth degree for the logarithm of Phi / (1 - Phi):
// within 2.6e-5 of gelu(), a tenth of what rounding moves a result near 1.
template <int kCount>
__device__ inline void gelu_of_half(float (&h)[kCount], __half) {
  float square[kCount];
  float z[kCount];
#pragma unroll
  for (int i = 0; i < kCount; ++i) square[i] = __fmul_rn(h[i], h[i]);
#pragma unroll
  for (int i = 0; i < kCount; ++i)
    z[i] = __fmaf_rn(fminf(square[i], 16.0F), 0.032456419F, -0.85420576F);
#pragma unroll
  for (int i = 0; i < kCount; ++i) z[i] = __fmaf_rn(z[i], square[i], -4.6022424F);
#pragma unroll
  for (int i = 0; i < kCount; ++i) z[i] = power_of_two(__fmaf_rn(z[i], h[i], -1.0F));
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    asm("rcp.approx.ftz.f32 %0, %1;\n" : "=f"(z[i]) : "f"(__fadd_rn(z[i], 0.5F)));
    h[i] = __fmul_rn(h[i], z[i]);
  }
}

// Scaled by s: h is half of s x, `linear` and `cubic` kGeluLinear / s and kGeluCubic / s^3. The
// tanh form, its factors fitted again: within 2.8e-4 of gelu(), and what tanh.approx adds is within
// 2.5e-4 |x|.
inline constexpr float kGeluLinear = 1.60031412F, kGeluCubic = 0.27760724F;
template <int kCount>
__device__ inline void gelu_of_half(float (&h)[kCount], float linear, float cubic) {
  float t[kCount];
#pragma unroll
  for (int i = 0; i < kCount; ++i)
    t[i] = __fmul_rn(h[i], __fmaf_rn(__fmul_rn(h[i], h[i]), cubic, linear));
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm("tanh.approx.f32 %0, %0;\n" : "+f"(t[i]));
#pragma unroll
  for (int i = 0; i < kCount; ++i) h[i] = __fmaf_rn(h[i], t[i], h[i]);
}

// bf16: less than a third of what rounding moves a result near 1, an eighth of what rounding its
// argument would.
template <int kCount>
__device__ inline void gelu_of_half(float (&h)[kCount], __nv_bfloat16) {
  gelu_of_half(h, kGeluLinear, kGeluCubic);
}

template <typename T, int kCount>
__device__ inline void gelu_16(float (&x)[kCount]) {
#pragma unroll
  for (float& v : x) v = __fmul_rn(v, 0.5F);
  gelu_of_half(x, T{});
}

// The formulas of program/activation.h.
__device__ inline float activate(Activation activation, float x) {
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kGelu:
      return gelu(x);
    case Activation::kGeluTanh:
      return 0.5F * x * (1.0F + tanhf(0.79788456F * (x + 0.044715F * x * x * x)));
    case Activation::kGeluQuick:
      return x * sigmoid(1.702F * x);
    case Activation::kGelu10:
      return fminf(fmaxf(gelu(x), -10.0F), 10.0F);
    case Activation::kRelu:
      return fmaxf(x, 0.0F);
    case Activation::kRelu2:
      return fmaxf(x, 0.0F) * fmaxf(x, 0.0F);
    case Activation::kRelu6:
      return fminf(fmaxf(x, 0.0F), 6.0F);
    case Activation::kLeakyRelu:
      return x < 0 ? 0.01F * x : x;
    case Activation::kSilu:
      return x * sigmoid(x);
    case Activation::kMish:
      return x * tanhf(softplus(x));
    case Activation::kTanh:
      return tanhf(x);
    case Activation::kSigmoid:
      return sigmoid(x);
    case Activation::kHardswish:
      return x * fminf(fmaxf(x + 3.0F, 0.0F), 6.0F) / 6.0F;
    case Activation::kSqrtSoftplus:
      return sqrtf(softplus(x));
    case Activation::kLaplace:
      return 0.5F * (1.0F + erff((x - 0.707107F) / (0.282095F * 1.41421356F)));
  }
  return x;
}

}  // namespace inlay::backend::cuda
