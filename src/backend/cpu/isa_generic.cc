// Any processor: four floats at a time in the compilers' own vector type (SSE2 on x86-64), multiply
// and add apart, since a baseline has no fused one.
#include "backend/cpu/kernels.h"

namespace inlay::backend::cpu {
namespace {

struct V {
  typedef float Reg __attribute__((vector_size(16)));
  typedef std::int32_t Bits __attribute__((vector_size(16)));
  static constexpr int kWidth = 4;
  static inline Reg load(const float* p) {
    Reg x;
    __builtin_memcpy(&x, p, sizeof x);
    return x;
  }
  static inline void store(float* p, Reg x) { __builtin_memcpy(p, &x, sizeof x); }
  static inline Reg set1(float x) { return Reg{x, x, x, x}; }
  static inline Reg zero() { return Reg{}; }
  static inline Reg add(Reg a, Reg b) { return a + b; }
  static inline Reg sub(Reg a, Reg b) { return a - b; }
  static inline Reg mul(Reg a, Reg b) { return a * b; }
  static inline Reg div(Reg a, Reg b) { return a / b; }
  static inline Reg fma(Reg a, Reg b, Reg c) { return a * b + c; }
  static inline Reg select(Bits mask, Reg a, Reg b) {
    return reinterpret_cast<Reg>((reinterpret_cast<Bits>(a) & mask) |
                                 (reinterpret_cast<Bits>(b) & ~mask));
  }
  static inline Reg min(Reg a, Reg b) { return select(a < b, a, b); }
  static inline Reg max(Reg a, Reg b) { return select(a > b, a, b); }
  static inline Reg abs(Reg a) {
    constexpr std::int32_t kMask = 0x7FFFFFFF;
    return reinterpret_cast<Reg>(reinterpret_cast<Bits>(a) & Bits{kMask, kMask, kMask, kMask});
  }
  static inline Reg scale_by(Reg p, Reg t) {
    typedef std::uint32_t Word __attribute__((vector_size(16)));
    return reinterpret_cast<Reg>(reinterpret_cast<Word>(p) + (reinterpret_cast<Word>(t) << 23));
  }
  // The sum (largest) of 16 floats: lanes i and i + 8, then i + 4, i + 2, i + 1.
  static inline float sum16(const Reg (&x)[4]) {
    const Reg four = (x[0] + x[2]) + (x[1] + x[3]);
    return (four[0] + four[2]) + (four[1] + four[3]);
  }
  static inline float max16(const Reg (&x)[4]) {
    const Reg four = max(max(x[0], x[2]), max(x[1], x[3]));
    const float even = four[0] > four[2] ? four[0] : four[2];
    const float odd = four[1] > four[3] ? four[1] : four[3];
    return even > odd ? even : odd;
  }
#if defined(__x86_64__)
  static inline void touch(Reg& x) { asm volatile("" : "+x"(x)); }
#elif defined(__aarch64__)
  static inline void touch(Reg& x) { asm volatile("" : "+w"(x)); }
#else
  static inline void touch(Reg& x) { asm volatile("" : "+m"(x)); }
#endif
  // out[j][i] = in[i][j] * factor for a square of kWidth.
  static inline void transpose_scaled(const float* in, Index ldi, float* out, Index ldo,
                                      float factor) {
    for (int i = 0; i < kWidth; ++i) {
      for (int j = 0; j < kWidth; ++j) out[j * ldo + i] = in[i * ldi + j] * factor;
    }
  }
};
// 8 accumulators, 4 columns, a row's value and a product: 14 of the 16 registers that SSE2 has.
constexpr int kTileRows = 2;
constexpr int kTileRegs = 4;

#include "backend/cpu/kernels.inl"

}  // namespace

Index attention_scratch(const Kernels& kernels, Index head_size, Index positions) {
  const Index block = attention_key_block(head_size);
  const Index padded = (head_size + kernels.panel - 1) / kernels.panel * kernels.panel;
  const Index keys = (block + kernels.panel - 1) / kernels.panel * kernels.panel;
  const Index line = (positions + kernels.panel - 1) / kernels.panel * kernels.panel;
  return keys * head_size + block * padded + kernels.tile_rows * (block + kLanes) +
         kQueryBlock * padded + 2 * ((kQueryBlock + kLanes - 1) / kLanes * kLanes) +
         (kernels.tile_rows + block) * (line + kLanes);
}

extern const Kernels kGenericKernels;
const Kernels kGenericKernels = INLAY_KERNELS("generic");

}  // namespace inlay::backend::cpu
