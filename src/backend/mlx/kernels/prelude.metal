// The header that goes before every kernel: what the bodies share. A body is the text between the braces of a
// kernel; MLX's fast::metal_kernel writes the signature. Rules of these texts, which tests/metal holds them to:
//   - Inputs of fewer than 8 elements come in the address space `constant`, others in `device`: a pointer to an
//     input is `auto` or a template's parameter.
//   - Elements are read into variables of a named type, never into `auto`.
//   - Memory of a threadgroup is declared by INLAY_SHARED and written before it is read.
//   - SIMD groups have 32 threads; all of a group, or none, come to an operation of the group.
//   - No infinities: the texts mean the same under every math mode of Metal's compiler.
// tests/metal compiles these texts as C++ and as CUDA; there INLAY_METAL_TWIN is defined and the first part has
// twins (tests/metal/language.h, tests/metal/cuda_language.cuh).
#ifndef INLAY_METAL_TWIN
#include <metal_simdgroup>
#include <metal_simdgroup_matrix>
#include <metal_stdlib>
using namespace metal;

#ifndef INLAY_SHARED
#define INLAY_SHARED(type, name, count) threadgroup type name[count]
#endif

namespace inlay {

// Four elements at an address that is a multiple of their size.
template <typename T>
inline void load4(const device T* from, thread float (&v)[4]) {
  const vec<T, 4> four = *reinterpret_cast<const device vec<T, 4>*>(from);
  for (int i = 0; i < 4; ++i) v[i] = float(four[i]);
}
template <typename T>
inline void store4(device T* to, const thread float (&v)[4]) {
  vec<T, 4> four;
  for (int i = 0; i < 4; ++i) four[i] = T(v[i]);
  *reinterpret_cast<device vec<T, 4>*>(to) = four;
}

inline float exact_exp(float x) { return precise::exp(x); }
inline float exact_exp2(float x) { return precise::exp2(x); }
inline float exact_log(float x) { return precise::log(x); }
inline float exact_sqrt(float x) { return precise::sqrt(x); }

}  // namespace inlay
#endif

namespace inlay {

// max(x, 0) - |x| / 2 * erfc(|x| / sqrt 2), which is x / 2 * (1 + erf(x / sqrt 2)) without its cancellation: Metal
// has no erf. erfc(z) exp(z^2) as a polynomial of 1 / (1 + 0.3125 |x|), a minimax fit of relative error 2.2e-7 for |x|
// up to 18, where erfc is below the least float; in floats within 2.5e-7 of GELU for |x| up to 12.
inline float gelu(float x) {
  const float size = x < 0.0f ? -x : x;
  const float t = 1.0f / (1.0f + 0.3125f * size);
  float p = 0.0710621998f;
  p = fma(p, t, -0.273361117f);
  p = fma(p, t, 0.283863306f);
  p = fma(p, t, -0.0120671f);
  p = fma(p, t, 0.212472111f);
  p = fma(p, t, 0.218817428f);
  p = fma(p, t, 0.249894634f);
  p = fma(p, t, 0.249318749f);
  const float tail = p * t * exact_exp(-0.5f * x * x);
  return (x < 0.0f ? 0.0f : x) - 0.5f * size * tail;
}

// log(1 + x) for x >= 0: the rounding of 1 + x is divided out again (Goldberg 1991, theorem 4). Metal has no log1p.
inline float log_of_one_plus(float x) {
  const float sum = 1.0f + x;
  return sum == 1.0f ? x : exact_log(sum) * (x / (sum - 1.0f));
}

// The sum over a threadgroup of SIMDS SIMD groups, the same bits in each thread. `parts` has SIMDS elements, which
// nobody reads or writes meanwhile.
template <int SIMDS, typename Parts>
inline float sum_over_threadgroup(float x, Parts parts, int simd_id, int lane) {
  x = simd_sum(x);
  if (SIMDS == 1) return x;
  if (lane == 0) parts[simd_id] = x;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  float sum = 0.0f;
  for (int i = 0; i < SIMDS; ++i) {
    const float part = parts[i];
    sum += part;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  return sum;
}

// The first `rows` of ROWS rows of SIZE elements to `tile`, rows of STRIDE floats; zeros for the rest. By THREADS
// threads; who reads the tile waits first.
template <int ROWS, int SIZE, int STRIDE, int THREADS, typename From, typename Tile>
inline void copy_tile(From from, long from_stride, int rows, Tile tile, int thread_index) {
  for (int i = thread_index; i < ROWS * SIZE / 4; i += THREADS) {
    const int row = i / (SIZE / 4);
    const int column = i % (SIZE / 4) * 4;
    float v[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    if (row < rows) load4(from + (row * from_stride + column), v);
    for (int j = 0; j < 4; ++j) tile[row * STRIDE + column + j] = v[j];
  }
}

// An 8 x 8 matrix with `values` of the SIMD group's rows on its diagonal: thread 4 r holds that of row r. `scratch`
// has 64 elements; the group waits after the call and reads the matrix from there.
template <typename Scratch>
inline void write_diagonal(float value, Scratch scratch, int lane) {
  const float mine = simd_shuffle(value, ushort(lane / 4 * 4));
  for (int i = 0; i < 2; ++i) {
    const int column = lane % 4 * 2 + i;
    scratch[lane / 4 * 8 + column] = column == lane / 4 ? mine : 0.0f;
  }
}

}  // namespace inlay
