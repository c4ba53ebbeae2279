// A product by Inlay's own kernel for Hopper (gemm_sm90.cuh).
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
  // Columns of a tile, one of kWidths: the bits are the same, the time is not.
  static constexpr int kWidths[] = {192, 128};
  int columns() const { return columns_; }
  void set_columns(int columns) { columns_ = columns; }

 private:
  LinearOp op_{};
  CUtensorMap in_{}, out_{};
  CUtensorMap weights_[2]{};  // by kWidths
  int processors_ = 0;
  int columns_ = kWidths[0];
};

}  // namespace inlay::backend::cuda
