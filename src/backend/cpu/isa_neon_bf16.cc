// NEON with dot products of bf16 (Armv8.6 BF16): bf16 by them; all else is NEON, compiled once
// more.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "backend/cpu/kernels.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("bf16"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+bf16")
#endif

namespace inlay::backend::cpu {
namespace {

#define INLAY_NEON_BF16 1
#define INLAY_BYTE_PLANES 1
#include "backend/cpu/vector_neon.inl"
constexpr int kTileRows = 6;
constexpr int kTileRegs = 4;

#include "backend/cpu/kernels.inl"

}  // namespace

extern const Kernels kNeonBf16Kernels;
const Kernels kNeonBf16Kernels = INLAY_KERNELS("neon_bf16");

}  // namespace inlay::backend::cpu

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
