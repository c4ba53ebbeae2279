// Weights as the kernels read them: one block of floats that owns nothing of the checkpoint.
#pragma once

#include "backend/cpu/plan.h"
#include "base/tensor.h"

namespace inlay::backend::cpu {

// Stores every weight of the plan at its offset. Throws kUnsupported for element types that are not
// floating point.
Buffer pack_weights(const Plan& plan, const Kernels& kernels);

}  // namespace inlay::backend::cpu
