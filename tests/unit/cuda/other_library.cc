// What an older libinlay_cuda.so looks like from outside: the entry is there, the interface is not
// this build's.
#include "backend/cuda/device.h"

extern "C" __attribute__((visibility("default"))) const inlay::backend::cuda::Api*
inlay_cuda_api() {
  static inlay::backend::cuda::Api api{};
  api.interface = inlay::backend::cuda::kInterface + 1;
  api.version = "0.0.1";
  return &api;
}
