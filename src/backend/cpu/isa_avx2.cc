// AVX2 and FMA: 8 floats a register, a tile of 6 x 16 in 12 accumulators.
#if defined(__x86_64__)
#include <immintrin.h>

#include "backend/cpu/kernels.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

namespace inlay::backend::cpu {
namespace {

#define INLAY_BYTE_PAIRS 1
#include "backend/cpu/vector_avx2.inl"
constexpr int kTileRows = 6;
constexpr int kTileRegs = 2;

#include "backend/cpu/kernels.inl"

}  // namespace

extern const Kernels kAvx2Kernels;
const Kernels kAvx2Kernels = INLAY_KERNELS("avx2");

}  // namespace inlay::backend::cpu

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
