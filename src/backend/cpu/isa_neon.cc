// NEON (arm64): 4 floats a register, a tile of 6 x 16 in 24 accumulators.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "backend/cpu/kernels.h"

namespace inlay::backend::cpu {
namespace {

#define INLAY_BYTE_PLANES 1
#include "backend/cpu/vector_neon.inl"
constexpr int kTileRows = 6;
constexpr int kTileRegs = 4;

#include "backend/cpu/kernels.inl"

}  // namespace

extern const Kernels kNeonKernels;
const Kernels kNeonKernels = INLAY_KERNELS("neon");

}  // namespace inlay::backend::cpu
#endif
