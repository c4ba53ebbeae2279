// Any processor: four floats at a time in the compilers' own vector type (SSE2 on x86-64), multiply
// and add apart, since a baseline has no fused one.
#include "backend/cpu/kernels.h"

namespace inlay::backend::cpu {
namespace {

#include "backend/cpu/vector_generic.inl"
// 8 accumulators, 4 columns, a row's value and a product: 14 of the 16 registers that SSE2 has.
constexpr int kTileRows = 2;
constexpr int kTileRegs = 4;

#include "backend/cpu/kernels.inl"

}  // namespace

Index attention_scratch(const Kernels& kernels, Index head_size, Index positions) {
  const Index block = attention_key_block(head_size);
  const Index padded = (head_size + kernels.panel - 1) / kernels.panel * kernels.panel;
  const Index keys = (block + kernels.panel - 1) / kernels.panel * kernels.panel;
  const Index line = (positions + kernels.panel - 1) / kernels.panel * kernels.panel;
  return keys * attention_key_lines(head_size) + block * padded +
         2 * kernels.tile_rows * (block + kLanes) + kQueryBlock * padded +
         2 * ((kQueryBlock + kLanes - 1) / kLanes * kLanes) + keys +
         (kernels.tile_rows + block) * (line + kLanes);
}

extern const Kernels kGenericKernels;
const Kernels kGenericKernels = INLAY_KERNELS("generic");

}  // namespace inlay::backend::cpu
