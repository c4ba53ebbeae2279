// wgmma (sm_90a): c[64, columns] = a[64, k] b[columns, k]^T (+ c), k 32 bytes wide, both from
// shared memory. Of 128 or 192 columns; 16-bit elements, or 8-bit floats whose products are summed
// in fewer bits than fp32 has.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include <cstdint>

namespace inlay::backend::cuda {

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

#define INLAY_SUMS_8(i)                                                                       \
  "+f"(c[i]), "+f"(c[i + 1]), "+f"(c[i + 2]), "+f"(c[i + 3]), "+f"(c[i + 4]), "+f"(c[i + 5]), \
      "+f"(c[i + 6]), "+f"(c[i + 7])
#define INLAY_WGMMA_128(SHAPE, MORE)                                                            \
  asm volatile(                                                                                 \
      "{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\n"                                              \
      "wgmma.mma_async.sync.aligned." SHAPE                                                     \
      " {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, "           \
      "%17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, "        \
      "%33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, "        \
      "%49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63},  "           \
      "%64, %65, p, 1, 1" MORE ";\n}\n"                                                         \
      : INLAY_SUMS_8(0), INLAY_SUMS_8(8), INLAY_SUMS_8(16), INLAY_SUMS_8(24), INLAY_SUMS_8(32), \
        INLAY_SUMS_8(40), INLAY_SUMS_8(48), INLAY_SUMS_8(56)                                    \
      : "l"(a), "l"(b), "r"(add))
#define INLAY_WGMMA_192(SHAPE, MORE)                                                              \
  asm volatile(                                                                                   \
      "{\n.reg .pred p;\nsetp.ne.b32 p, %98, 0;\n"                                                \
      "wgmma.mma_async.sync.aligned." SHAPE                                                       \
      " {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, "             \
      "%17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, "          \
      "%33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, "          \
      "%49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, %64, "          \
      "%65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, %80, "          \
      "%81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95},  "             \
      "%96, %97, p, 1, 1" MORE ";\n}\n"                                                           \
      : INLAY_SUMS_8(0), INLAY_SUMS_8(8), INLAY_SUMS_8(16), INLAY_SUMS_8(24), INLAY_SUMS_8(32),   \
        INLAY_SUMS_8(40), INLAY_SUMS_8(48), INLAY_SUMS_8(56), INLAY_SUMS_8(64), INLAY_SUMS_8(72), \
        INLAY_SUMS_8(80), INLAY_SUMS_8(88)                                                        \
      : "l"(a), "l"(b), "r"(add))

__device__ inline void wide_multiply(float (&c)[64], std::uint64_t a, std::uint64_t b, int add,
                                     __half) {
  INLAY_WGMMA_128("m64n128k16.f32.f16.f16", ", 0, 0");
}
__device__ inline void wide_multiply(float (&c)[64], std::uint64_t a, std::uint64_t b, int add,
                                     __nv_bfloat16) {
  INLAY_WGMMA_128("m64n128k16.f32.bf16.bf16", ", 0, 0");
}
__device__ inline void wide_multiply(float (&c)[64], std::uint64_t a, std::uint64_t b, int add,
                                     __nv_fp8_e4m3) {
  INLAY_WGMMA_128("m64n128k32.f32.e4m3.e4m3", "");
}
__device__ inline void wide_multiply(float (&c)[96], std::uint64_t a, std::uint64_t b, int add,
                                     __half) {
  INLAY_WGMMA_192("m64n192k16.f32.f16.f16", ", 0, 0");
}
__device__ inline void wide_multiply(float (&c)[96], std::uint64_t a, std::uint64_t b, int add,
                                     __nv_bfloat16) {
  INLAY_WGMMA_192("m64n192k16.f32.bf16.bf16", ", 0, 0");
}
__device__ inline void wide_multiply(float (&c)[96], std::uint64_t a, std::uint64_t b, int add,
                                     __nv_fp8_e4m3) {
  INLAY_WGMMA_192("m64n192k32.f32.e4m3.e4m3", "");
}

#undef INLAY_WGMMA_128
#undef INLAY_WGMMA_192
#undef INLAY_SUMS_8

__device__ inline void wgmma_begin() { asm volatile("wgmma.fence.sync.aligned;\n" ::: "memory"); }
__device__ inline void wgmma_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;\n" ::: "memory");
}
template <int kPending>
__device__ inline void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;\n" ::"n"(kPending) : "memory");
}

// A tile whose rows are 128 bytes, swizzled: eight rows are 1024 bytes.
__device__ inline std::uint64_t descriptor(std::uint32_t address) {
  return (static_cast<std::uint64_t>((address & 0x3FFFFU) >> 4)) | (std::uint64_t{1} << 16) |
         (std::uint64_t{1024 >> 4} << 32) | (std::uint64_t{1} << 62);
}

#endif

}  // namespace inlay::backend::cuda
