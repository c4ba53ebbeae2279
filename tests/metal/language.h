// What the texts of Metal kernels use of Metal's language, on the emulator: the part of
// prelude.metal that has twins, SIMD operations, matrices of a SIMD group, 16-bit types. Included
// once, before the texts, inside no namespace.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "backend/mlx/kernels/kernels.h"
#include "base/half.h"
#include "metal/emulator.h"

namespace inlay::metal_text {

namespace emulator = inlay::metal_emulator;
using emulator::Pointer;
using emulator::Site;

class half {
 public:
  half() = default;
  explicit half(float x) : bits_(float_to_half(x)) {}
  operator float() const { return half_to_float(bits_); }

 private:
  std::uint16_t bits_ = 0;
};
class bfloat {
 public:
  bfloat() = default;
  explicit bfloat(float x) : bits_(float_to_bf16(x)) {}
  operator float() const { return bf16_to_float(bits_); }

 private:
  std::uint16_t bits_ = 0;
};

using std::fma;
using std::max;
using std::min;
using ushort = std::uint16_t;

enum mem_flags : unsigned {
  mem_none = 0,
  mem_threadgroup = emulator::kThreadgroup,
  mem_device = emulator::kDevice
};

inline void threadgroup_barrier(mem_flags flags, Site site = {__builtin_FILE(), __builtin_LINE()}) {
  emulator::threadgroup_barrier(flags, site);
}
inline void simdgroup_barrier(mem_flags flags, Site site = {__builtin_FILE(), __builtin_LINE()}) {
  emulator::simdgroup_barrier(flags, site);
}
// In the order of a tree over the lanes, as devices do it.
inline float simd_sum(float x, Site site = {__builtin_FILE(), __builtin_LINE()}) {
  const emulator::Slots slots = emulator::meet(site, x);
  float sums[32];
  for (int i = 0; i < 32; ++i) sums[i] = slots[i][0];
  for (int step = 16; step > 0; step /= 2) {
    for (int i = 0; i < step; ++i) sums[i] += sums[i + step];
  }
  return sums[0];
}
inline float simd_shuffle(float x, ushort lane, Site site = {__builtin_FILE(), __builtin_LINE()}) {
  return emulator::meet(site, x)[lane][0];
}
inline float simd_shuffle_xor(float x, ushort mask,
                              Site site = {__builtin_FILE(), __builtin_LINE()}) {
  return emulator::meet(site, x)[emulator::here().lane ^ mask][0];
}

// Where a lane's two elements are is the emulator's secret, another one in each launch.
template <typename T, int kColumns, int kRows = kColumns>
struct simdgroup_matrix {
  static_assert(std::is_same_v<T, float> && kColumns == 8 && kRows == 8);
  float mine[2] = {};
};
using Matrix = simdgroup_matrix<float, 8, 8>;

inline int matrix_place(int slot) {
  return emulator::matrix_places()[emulator::here().lane * 2 + slot];
}

template <typename T, int kSide>
inline simdgroup_matrix<T, kSide, kSide> make_filled_simdgroup_matrix(float x) {
  simdgroup_matrix<T, kSide, kSide> matrix;
  matrix.mine[0] = matrix.mine[1] = x;
  return matrix;
}
inline void simdgroup_load(Matrix& to, Pointer<float> from, std::ptrdiff_t stride = 8,
                           int origin = 0, bool turned = false,
                           Site site = {__builtin_FILE(), __builtin_LINE()}) {
  if (origin != 0) throw emulator::Fault("the emulator's matrices begin at 0");
  emulator::pass(site);
  for (int slot = 0; slot < 2; ++slot) {
    const int place = matrix_place(slot);
    const int row = turned ? place % 8 : place / 8;
    const int column = turned ? place / 8 : place % 8;
    to.mine[slot] = from[row * stride + column];
  }
}
inline void simdgroup_store(const Matrix& from, Pointer<float> to, std::ptrdiff_t stride = 8,
                            Site site = {__builtin_FILE(), __builtin_LINE()}) {
  emulator::pass(site);
  for (int slot = 0; slot < 2; ++slot) {
    const int place = matrix_place(slot);
    to[place / 8 * stride + place % 8] = from.mine[slot];
  }
}
inline void simdgroup_multiply_accumulate(Matrix& out, const Matrix& a, const Matrix& b,
                                          const Matrix& c,
                                          Site site = {__builtin_FILE(), __builtin_LINE()}) {
  const emulator::Slots slots = emulator::meet(site, a.mine[0], a.mine[1], b.mine[0], b.mine[1]);
  const int* holders = emulator::matrix_holders();
  for (int slot = 0; slot < 2; ++slot) {
    const int place = matrix_place(slot);
    float sum = c.mine[slot];
    for (int k = 0; k < 8; ++k) {
      const int at_a = holders[place / 8 * 8 + k];
      const int at_b = holders[k * 8 + place % 8];
      sum += slots[at_a / 2][at_a % 2] * slots[at_b / 2][2 + at_b % 2];
    }
    out.mine[slot] = sum;
  }
}
inline void simdgroup_multiply(Matrix& out, const Matrix& a, const Matrix& b,
                               Site site = {__builtin_FILE(), __builtin_LINE()}) {
  simdgroup_multiply_accumulate(out, a, b, Matrix{}, site);
}

namespace inlay {
template <typename T>
inline void load4(Pointer<const T> from, float (&v)[4]) {
  if (!from.aligned(4 * sizeof(T)))
    throw emulator::Fault("load4 of an address that is no multiple of four elements");
  for (int i = 0; i < 4; ++i) v[i] = float(from[i]);
}
template <typename T>
inline void store4(Pointer<T> to, const float (&v)[4]) {
  if (!to.aligned(4 * sizeof(T)))
    throw emulator::Fault("store4 to an address that is no multiple of four elements");
  for (int i = 0; i < 4; ++i) to[i] = T(v[i]);
}
inline float exact_exp(float x) { return std::exp(x); }
inline float exact_exp2(float x) { return std::exp2(x); }
inline float exact_log(float x) { return std::log(x); }
inline float exact_sqrt(float x) { return std::sqrt(x); }
}  // namespace inlay

// Buffers of one launch, and the launch.
using Setup = emulator::Options;
class Machine {
 public:
  explicit Machine(const emulator::Options& options) : options_(options) {}
  template <typename T, typename From>
  Pointer<const T> input(const char* name, const std::vector<From>& values) {
    T* data = buffer<T>(name, values.size(), emulator::Memory::Kind::kInput);
    for (std::size_t i = 0; i < values.size(); ++i) data[i] = T(values[i]);
    return {data, memories_.back().get()};
  }
  template <typename T>
  Pointer<T> output(std::size_t count) {
    outputs_ = buffer<T>("out", count, emulator::Memory::Kind::kOutput);
    return {static_cast<T*>(outputs_), memories_.back().get()};
  }
  template <typename T>
  void read(std::vector<float>* values) const {
    const T* data = static_cast<const T*>(outputs_);
    for (std::size_t i = 0; i < values->size(); ++i) (*values)[i] = float(data[i]);
  }
  template <typename Body>
  void launch(const backend::mlx::MetalGrid& grid, const Body& body) {
    const auto size = [](const backend::mlx::Size3& s) {
      return emulator::Size3{static_cast<unsigned>(s.x), static_cast<unsigned>(s.y),
                             static_cast<unsigned>(s.z)};
    };
    emulator::launch(options_, size(grid.grid), size(grid.threadgroup), body);
  }

 private:
  // At an address that is a multiple of 16, as a device's buffers are of more. What no kernel
  // writes stays NaN.
  template <typename T>
  T* buffer(const char* name, std::size_t count, emulator::Memory::Kind kind) {
    blocks_.emplace_back(count * sizeof(T) / 16 + 1);
    std::memset(static_cast<void*>(blocks_.back().data()), 0xFF, blocks_.back().size() * 16);
    const std::size_t less = options_.shortened == name ? 1 : 0;
    memories_.push_back(std::make_unique<emulator::Memory>(name, count - less, kind));
    return reinterpret_cast<T*>(blocks_.back().data());
  }
  struct alignas(16) Block {
    unsigned char bytes[16];
  };
  emulator::Options options_;
  std::vector<std::vector<Block>> blocks_;
  std::vector<std::unique_ptr<emulator::Memory>> memories_;
  void* outputs_ = nullptr;
};

template <typename T>
using In = Pointer<const T>;
template <typename T>
using Out = Pointer<T>;
struct Numbers {  // `NAME_shape` or `NAME_strides`
  long values[2];
  long operator[](int i) const { return values[i]; }
};

}  // namespace inlay::metal_text

#define INLAY_METAL_TWIN
#define INLAY_KERNEL inline
#define INLAY_SHARED(type, name, count) const auto name = emulator::shared<type>(#name, count)
#define INLAY_LAUNCH(machine, grid, kernel, ...) \
  (machine).launch(grid, [&] { kernel(__VA_ARGS__); })
#define INLAY_UNPACK(...) __VA_ARGS__
#define threadgroup_position_in_grid emulator::here().threadgroup_position
#define thread_position_in_grid emulator::here().thread_position
#define threadgroups_per_grid emulator::here().groups
#define simdgroup_index_in_threadgroup emulator::here().simd
#define thread_index_in_simdgroup emulator::here().lane
