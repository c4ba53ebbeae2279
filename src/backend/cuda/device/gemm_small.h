// Products of few rows (gemm_small.cu).
#pragma once

#include <cstdint>

#include "backend/cuda/device.h"

namespace inlay::backend::cuda {

struct Launch;

// Rows up to which it is the faster one.
inline constexpr std::int64_t kSmallRows = 256;

// out = activation(in W^T + bias). 16-bit, in and out of one type, k a multiple of eight.
void launch_small(const Launch& run, const LinearOp& op, std::int64_t rows);

}  // namespace inlay::backend::cuda
