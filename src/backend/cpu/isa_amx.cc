// AMX: bf16 and int8 by its tiles of 32 x 32; all else is AVX-512 with BF16, compiled once more.
#if defined(__x86_64__)
#if !defined(__clang__)
// g++ 12 takes the deliberately undefined operand of its own intrinsics for a mistake (PR 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include "backend/cpu/kernels.h"

#if defined(__clang__)
#pragma clang attribute push(                                                                   \
    __attribute__((target(                                                                      \
        "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-int8,amx-bf16,avx2,fma"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target( \
    "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-int8,amx-bf16,avx2,fma")
#endif

namespace inlay::backend::cpu {
namespace {

#define INLAY_AVX512_BF16 1
#define INLAY_AMX 1
#define INLAY_BYTE_PLANES 1
#include "backend/cpu/vector_avx512.inl"
constexpr int kTileRows = 32;
constexpr int kTileRegs = 2;

#include "backend/cpu/kernels.inl"

}  // namespace

extern const Kernels kAmxKernels;
const Kernels kAmxKernels = INLAY_KERNELS("amx");

}  // namespace inlay::backend::cpu

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
