// The door of libinlay_mlx: MLX's C++ interface behind plain structs and a table of functions. The
// library is opened at run time and belongs to one build of Inlay and one version of MLX, which
// promises no binary interface from release to release.
#pragma once

#include <cstdint>

#include "backend/padded/tensor_api.h"

namespace inlay::backend::mlx {

// Grows with every change of the structs here and in tensor_api.h.
inline constexpr std::uint32_t kInterface = 1;

struct Api {
  std::uint32_t interface;
  const char* version;       // of Inlay
  const char* mlx_version;   // that it was built with
  const char* (*running)();  // that it runs with
  // Whether the unit "cpu" or "gpu" is there; writes its name, or why it is not.
  bool (*probe)(const char* unit, padded::Message*);
  const padded::TensorApi* tensors;
};
inline constexpr const char* kEntry = "inlay_mlx_api";  // const Api* inlay_mlx_api()

}  // namespace inlay::backend::mlx
