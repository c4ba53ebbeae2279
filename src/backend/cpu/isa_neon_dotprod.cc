// NEON with dot products of bytes (Armv8.2 DotProd): int8 by them; all else is NEON, compiled once
// more.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "backend/cpu/kernels.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+dotprod")
#endif

namespace inlay::backend::cpu {
namespace {

#define INLAY_NEON_DOTPROD 1
#define INLAY_BYTE_PLANES 1
#include "backend/cpu/vector_neon.inl"
constexpr int kTileRows = 6;
constexpr int kTileRegs = 4;

#include "backend/cpu/kernels.inl"

}  // namespace

extern const Kernels kNeonDotprodKernels;
const Kernels kNeonDotprodKernels = INLAY_KERNELS("neon_dotprod");

}  // namespace inlay::backend::cpu

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
