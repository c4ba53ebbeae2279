// The texts compiled as CUDA: see cuda_language.cuh.
#include "metal/cuda_engine.h"
#include "metal/cuda_language.cuh"

namespace inlay::metal_text {
#define inline __device__ inline
#include "backend/mlx/kernels/prelude.metal"
#undef inline
#include "metal/twins.inl"
}  // namespace inlay::metal_text

namespace inlay::metal {

std::string cuda_device() {
  cudaDeviceProp properties{};
  if (cudaGetDeviceProperties(&properties, 0) != cudaSuccess) return {};
  return properties.name;
}

void CudaEngine::run(AttentionCall& call) { metal_text::run_call(metal_text::Setup{}, call); }
void CudaEngine::run(NormCall& call) { metal_text::run_call(metal_text::Setup{}, call); }
void CudaEngine::run(GeluCall& call) { metal_text::run_call(metal_text::Setup{}, call); }
void CudaEngine::run(PoolCall& call) { metal_text::run_call(metal_text::Setup{}, call); }
void CudaEngine::run(VocabularyCall& call) { metal_text::run_call(metal_text::Setup{}, call); }

}  // namespace inlay::metal
