// NEON with matrix products (Armv8.6 BF16 and I8MM): bf16 and int8 by them; all else is NEON with
// DotProd, compiled once more.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "backend/cpu/kernels.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("bf16,i8mm,dotprod"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+bf16+i8mm+dotprod")
#endif

namespace inlay::backend::cpu {
namespace {

#define INLAY_NEON_DOTPROD 1
#define INLAY_NEON_MMLA 1
#define INLAY_BYTE_PLANES 1
#include "backend/cpu/vector_neon.inl"
constexpr int kTileRows = 6;
constexpr int kTileRegs = 4;

#include "backend/cpu/kernels.inl"

}  // namespace

extern const Kernels kNeonMmlaKernels;
const Kernels kNeonMmlaKernels = INLAY_KERNELS("neon_mmla");

}  // namespace inlay::backend::cpu

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
