// Products of 8-bit floats: the instantiations of gemm_sm90.cuh for them, a file of their own for
// the sake of compile time.
#include "backend/cuda/device/gemm_sm90.cuh"

namespace inlay::backend::cuda {

Sm90Kernel e4m3_kernel_of(Type out, bool gelu, int columns) {
  if (out == Type::kE4M3) return sm90_kernel_of<__nv_fp8_e4m3, __nv_fp8_e4m3, true>(columns);
  if (out == Type::kF16) {
    return gelu ? sm90_kernel_of<__nv_fp8_e4m3, __half, true>(columns)
                : sm90_kernel_of<__nv_fp8_e4m3, __half, false>(columns);
  }
  return gelu ? sm90_kernel_of<__nv_fp8_e4m3, __nv_bfloat16, true>(columns)
              : sm90_kernel_of<__nv_fp8_e4m3, __nv_bfloat16, false>(columns);
}

}  // namespace inlay::backend::cuda
