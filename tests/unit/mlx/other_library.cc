// MLX changed under Inlay's feet; or with INLAY_TEST_OLD set, a library of an older Inlay.
#include <cstdlib>

#include "backend/mlx/device.h"

extern "C" __attribute__((visibility("default"))) const inlay::backend::mlx::Api* inlay_mlx_api() {
  static inlay::backend::mlx::Api api{};
  const bool old = std::getenv("INLAY_TEST_OLD") != nullptr;
  api.interface = inlay::backend::mlx::kInterface - (old ? 1 : 0);
  api.version = old ? "0.0.1" : INLAY_VERSION;
  api.mlx_version = "0.32.4";
  api.running = [] { return "0.40.0"; };
  return &api;
}
