// What the texts of Metal kernels use of Metal's language, as CUDA: a warp is a SIMD group, shared
// memory a threadgroup's. Real threads then run what the emulator runs in turns. Included once,
// before the texts, inside no namespace.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "backend/mlx/kernels/kernels.h"

namespace inlay::metal_text {

using half = __half;
using bfloat = __nv_bfloat16;
using ushort = std::uint16_t;

enum mem_flags : unsigned { mem_none = 0, mem_threadgroup = 1, mem_device = 2 };
__device__ inline void threadgroup_barrier(mem_flags) { __syncthreads(); }
__device__ inline void simdgroup_barrier(mem_flags) { __syncwarp(); }

__device__ inline float max(float a, float b) { return fmaxf(a, b); }
__device__ inline float min(float a, float b) { return fminf(a, b); }
__device__ inline int max(int a, int b) { return a > b ? a : b; }
__device__ inline int min(int a, int b) { return a < b ? a : b; }
__device__ inline float fma(float a, float b, float c) { return fmaf(a, b, c); }

inline constexpr unsigned kAll = 0xFFFFFFFFU;
__device__ inline int lane_index() {
  return static_cast<int>((threadIdx.y * blockDim.x + threadIdx.x) % 32);
}
__device__ inline float simd_shuffle(float x, ushort lane) { return __shfl_sync(kAll, x, lane); }
__device__ inline float simd_shuffle_xor(float x, ushort mask) {
  return __shfl_xor_sync(kAll, x, mask);
}
__device__ inline float simd_sum(float x) {
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(kAll, x, step);
  return x;
}

// A lane has two neighbours of row lane / 4.
template <typename T, int kColumns, int kRows = kColumns>
struct simdgroup_matrix {
  T mine[2];
};
using Matrix = simdgroup_matrix<float, 8, 8>;
template <typename T, int kSide>
__device__ inline simdgroup_matrix<T, kSide, kSide> make_filled_simdgroup_matrix(float x) {
  return {{x, x}};
}
__device__ inline void simdgroup_load(Matrix& to, const float* from, long stride = 8, int = 0,
                                      bool turned = false) {
  const int row = lane_index() / 4;
  for (int slot = 0; slot < 2; ++slot) {
    const int column = lane_index() % 4 * 2 + slot;
    to.mine[slot] = turned ? from[column * stride + row] : from[row * stride + column];
  }
}
__device__ inline void simdgroup_store(const Matrix& from, float* to, long stride = 8) {
  for (int slot = 0; slot < 2; ++slot)
    to[lane_index() / 4 * stride + lane_index() % 4 * 2 + slot] = from.mine[slot];
}
__device__ inline void simdgroup_multiply_accumulate(Matrix& out, const Matrix& a, const Matrix& b,
                                                     const Matrix& c) {
  float sums[2] = {c.mine[0], c.mine[1]};
  for (int k = 0; k < 8; ++k) {
    const float x = __shfl_sync(kAll, a.mine[k % 2], lane_index() / 4 * 4 + k / 2);
    for (int slot = 0; slot < 2; ++slot)
      sums[slot] = fmaf(x, __shfl_sync(kAll, b.mine[slot], k * 4 + lane_index() % 4), sums[slot]);
  }
  out.mine[0] = sums[0];
  out.mine[1] = sums[1];
}
__device__ inline void simdgroup_multiply(Matrix& out, const Matrix& a, const Matrix& b) {
  simdgroup_multiply_accumulate(out, a, b, Matrix{{0, 0}});
}

namespace inlay {
template <typename T>
struct alignas(4 * sizeof(T)) Four {
  T v[4];
};
template <typename T>
__device__ inline void load4(const T* from, float (&v)[4]) {
  const Four<T> four = *reinterpret_cast<const Four<T>*>(from);
  for (int i = 0; i < 4; ++i) v[i] = float(four.v[i]);
}
template <typename T>
__device__ inline void store4(T* to, const float (&v)[4]) {
  Four<T> four;
  for (int i = 0; i < 4; ++i) four.v[i] = T(v[i]);
  *reinterpret_cast<Four<T>*>(to) = four;
}
__device__ inline float exact_exp(float x) { return expf(x); }
__device__ inline float exact_exp2(float x) { return exp2f(x); }
__device__ inline float exact_log(float x) { return logf(x); }
__device__ inline float exact_sqrt(float x) { return sqrtf(x); }
}  // namespace inlay

inline void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess)
    throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
}

// Buffers of one launch, each of exactly its bytes, and the launch.
struct Setup {};
class Machine {
 public:
  explicit Machine(const Setup&) {}
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine() {
    for (void* block : blocks_) cudaFree(block);
  }
  template <typename T, typename From>
  const T* input(const char*, const std::vector<From>& values) {
    std::vector<T> typed;
    for (const From& value : values) typed.push_back(T(value));
    void* block = buffer(typed.size() * sizeof(T));
    check(cudaMemcpy(block, typed.data(), typed.size() * sizeof(T), cudaMemcpyHostToDevice),
          "an input");
    return static_cast<const T*>(block);
  }
  template <typename T>
  T* output(std::size_t count) {
    output_ = buffer(count * sizeof(T));
    check(cudaMemset(output_, 0xFF, count * sizeof(T)), "an output");
    return static_cast<T*>(output_);
  }
  template <typename T>
  void read(std::vector<float>* values) const {
    check(cudaDeviceSynchronize(), "the kernel");
    std::vector<T> typed(values->size());
    check(cudaMemcpy(typed.data(), output_, typed.size() * sizeof(T), cudaMemcpyDeviceToHost),
          "the result");
    for (std::size_t i = 0; i < values->size(); ++i) (*values)[i] = static_cast<float>(typed[i]);
  }

 private:
  void* buffer(std::size_t bytes) {
    void* block = nullptr;
    check(cudaMalloc(&block, bytes), "memory");
    blocks_.push_back(block);
    return block;
  }
  std::vector<void*> blocks_;
  void* output_ = nullptr;
};
inline dim3 blocks_of(const backend::mlx::MetalGrid& grid) {
  return dim3(grid.grid.x / grid.threadgroup.x, grid.grid.y / grid.threadgroup.y,
              grid.grid.z / grid.threadgroup.z);
}
inline dim3 threads_of(const backend::mlx::MetalGrid& grid) {
  return dim3(grid.threadgroup.x, grid.threadgroup.y, grid.threadgroup.z);
}

template <typename T>
using In = const T*;
template <typename T>
using Out = T*;
struct Numbers {  // `NAME_shape` or `NAME_strides`
  long values[2];
  __device__ long operator[](int i) const { return values[i]; }
};
__device__ inline uint3 position_in_grid() {
  return make_uint3(blockIdx.x * blockDim.x + threadIdx.x, blockIdx.y * blockDim.y + threadIdx.y,
                    0);
}

}  // namespace inlay::metal_text

#define INLAY_METAL_TWIN
#define INLAY_KERNEL __global__
#define INLAY_SHARED(type, name, count) __shared__ type name[count]
#define INLAY_UNPACK(...) __VA_ARGS__
#define INLAY_LAUNCH(machine, grid, kernel, ...)              \
  kernel<<<blocks_of(grid), threads_of(grid)>>>(__VA_ARGS__); \
  check(cudaGetLastError(), "a launch")
#define threadgroup_position_in_grid blockIdx
#define thread_position_in_grid position_in_grid()
#define threadgroups_per_grid gridDim
#define simdgroup_index_in_threadgroup ((threadIdx.y * blockDim.x + threadIdx.x) / 32)
#define thread_index_in_simdgroup lane_index()
