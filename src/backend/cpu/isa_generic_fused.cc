// Any processor, with multiply-adds that round once (the C library's where the processor has none):
// what int8 needs to give the bits of every other instruction set. Only int8 uses this table, whose
// many products are of integers.
#include "backend/cpu/kernels.h"

namespace inlay::backend::cpu {
namespace {

#define INLAY_GENERIC_FUSED 1
#include "backend/cpu/vector_generic.inl"
// 8 accumulators, 4 columns, a row's value and a product: 14 of the 16 registers that SSE2 has.
constexpr int kTileRows = 2;
constexpr int kTileRegs = 4;

#include "backend/cpu/kernels.inl"

}  // namespace

extern const Kernels kGenericFusedKernels;
const Kernels kGenericFusedKernels = INLAY_KERNELS("generic");

}  // namespace inlay::backend::cpu
