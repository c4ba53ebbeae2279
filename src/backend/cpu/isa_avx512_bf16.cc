// AVX-512 with BF16: bf16 by its dot products; all else is AVX-512, compiled once more.
#if defined(__x86_64__)
#if !defined(__clang__)
// g++ 12 takes the deliberately undefined operand of its own intrinsics for a mistake (PR 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include "backend/cpu/kernels.h"

#if defined(__clang__)
#pragma clang attribute push(                                                          \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")
#endif

namespace inlay::backend::cpu {
namespace {

#define INLAY_AVX512_BF16 1
#include "backend/cpu/vector_avx512.inl"
constexpr int kTileRows = 14;
constexpr int kTileRegs = 2;

#include "backend/cpu/kernels.inl"

}  // namespace

extern const Kernels kAvx512Bf16Kernels;
const Kernels kAvx512Bf16Kernels = INLAY_KERNELS("avx512_bf16");

}  // namespace inlay::backend::cpu

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
