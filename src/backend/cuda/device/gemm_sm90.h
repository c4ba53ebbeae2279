// A product by Inlay's own kernel for Hopper (gemm_sm90.cu).
#pragma once

#include <cuda.h>

#include <cstdint>

#include "backend/cuda/device.h"

namespace inlay::backend::cuda {

struct Launch;

class Sm90Product {
 public:
  // False where this is not its kind: another GPU, fp32, another type of output. `at` has the
  // addresses of the blocks.
  bool plan(const Launch& at, const LinearOp& op, std::int64_t most_rows);
  // out = activation(in W^T + bias), whole.
  void run(const Launch& launch, std::int64_t rows) const;

 private:
  LinearOp op_{};
  CUtensorMap in_{}, weight_{}, out_{};
  int processors_ = 0;
};

}  // namespace inlay::backend::cuda
