// Starting kernels so that one begins while the one before it ends (programmatic dependent launch,
// sm_90 and newer). Every kernel that start() launches calls wait_for_inputs() before it touches
// what others write.
#pragma once

#include <cuda_runtime.h>

#include "backend/cuda/device/session.h"

namespace inlay::backend::cuda {

// All kernels before this one have ended, and what they wrote can be seen; the next may begin.
__device__ inline void wait_for_inputs() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;\n" ::: "memory");
  asm volatile("griddepcontrol.wait;\n" ::: "memory");
#endif
}

template <typename... Parameters, typename... Arguments>
void start(const Launch& run, void (*kernel)(Parameters...), dim3 grid, dim3 block,
           std::size_t shared_bytes, const Arguments&... arguments) {
  cudaLaunchAttribute overlap{};
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = run.stream;
  config.attrs = &overlap;
  config.numAttrs = run.overlaps ? 1 : 0;
  check(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...),
        "starting a kernel");
}

}  // namespace inlay::backend::cuda
