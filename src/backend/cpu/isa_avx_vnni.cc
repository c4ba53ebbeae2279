// AVX2 with AVX-VNNI: int8 by its dot products; all else is AVX2, compiled once more.
#if defined(__x86_64__)
#include <immintrin.h>

#include "backend/cpu/kernels.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,avxvnni"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,avxvnni")
#endif

namespace inlay::backend::cpu {
namespace {

#define INLAY_AVX_VNNI 1
#include "backend/cpu/vector_avx2.inl"
constexpr int kTileRows = 6;
constexpr int kTileRegs = 2;

#include "backend/cpu/kernels.inl"

}  // namespace

extern const Kernels kAvxVnniKernels;
const Kernels kAvxVnniKernels = INLAY_KERNELS("avx_vnni");

}  // namespace inlay::backend::cpu

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
