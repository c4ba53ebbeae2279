// One call of padded/tensor_api.h in MLX. Calls only note what is to be done; MLX computes when a
// result is read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "backend/padded/tensor_api.h"
#include "mlx/mlx.h"

namespace inlay::backend::mlx {

namespace mx = ::mlx::core;

// A tensor, or a quantised matrix.
struct Held {
  mx::array values;
  std::optional<mx::array> scales{}, offsets{};
  int group = 0, bits = 0;  // of a quantised matrix: elements a scale, bits an element
};

// What has been computed by Inlay's own kernels, as a line each.
struct KernelUse {
  bool wanted = true;  // and there is Metal
  std::int64_t attention = 0, norm = 0, gelu = 0, pool = 0, vocabulary = 0;
};

struct Session {
  mx::Device device = mx::Device::cpu;
  mx::Dtype dtype = mx::float32;
  int bits = 0;
  KernelUse kernels{};
  std::string notes{};
};

inline const Held* held(const padded::TensorHandle* handle) {
  return reinterpret_cast<const Held*>(handle);
}

// Throws std::exception with MLX's words.
mx::array run_operation(Session& session, const padded::Call& call);

}  // namespace inlay::backend::mlx
