// Elementary functions and whole-row sums over the vector type V of the including file. V has
// kWidth floats and: load, store, set1, zero, add, sub, mul, div, fma(a, b, c) = a b + c, abs,
// min and max (both return their second operand when either is a NaN), and
// scale_by(p, t) = p * 2^n for t = n + kRoundMagic.

using Reg = V::Reg;

// 1.5 * 2^23: adding it rounds a float to an integer in the low bits, for negative ones too.
constexpr float kRoundMagic = 12582912.0F;
constexpr float kLog2E = 1.44269504F;

// What attention in int8 rounds probabilities to: so many steps make one.
constexpr float kProbabilitySteps = 16383.0F;

// 2^x for x in [-126, 126]; relative error below 2.5e-7, or, with fewer terms, 8e-5: what follows
// then is a rounding to bf16 (half a step is 2e-3) or to kProbabilitySteps.
struct ExactPower {
  static constexpr int kDegree = 5;
  static constexpr float kTerms[6] = {1.00000007F,   0.693146967F,   0.240221197F,
                                      0.0555071327F, 0.00967554133F, 0.00132764715F};
};
struct ShortPower {
  static constexpr int kDegree = 3;
  static constexpr float kTerms[4] = {0.999928072F, 0.693260987F, 0.24261114F, 0.0551716707F};
};
struct StepsPower {  // ShortPower times kProbabilitySteps
  static constexpr int kDegree = 3;
  static constexpr float kTerms[4] = {16381.8216F, 11357.6948F, 3974.69831F, 903.877481F};
};
template <typename Power = ExactPower>
static inline Reg exp2_of(Reg x) {
  const Reg shifted = V::add(x, V::set1(kRoundMagic));
  const Reg f = V::sub(x, V::sub(shifted, V::set1(kRoundMagic)));
  Reg p = V::set1(Power::kTerms[Power::kDegree]);
#pragma GCC unroll 5
  for (int i = Power::kDegree - 1; i >= 0; --i) p = V::fma(p, f, V::set1(Power::kTerms[i]));
  return V::scale_by(p, shifted);
}

// x/2 (1 + erf(x / sqrt 2)) as max(x, 0) - t q(t), t = |x|, where q approximates erfc(t / sqrt 2)/2
// on [0, 5.5] by a minimax polynomial of degree 15. Absolute error below 5e-7 for |x| <= 5.5, and
// below 2e-7 beyond, where t stays 5.5. Tables by interval need fewer multiply-adds, but only
// AVX-512 looks 32 entries up in one instruction.
static inline Reg gelu_of(Reg x) {
  constexpr float kEnd = 5.5F;
  static constexpr float kQ[] = {0.00297977417F, -0.0250080628F, 0.0945579348F,  -0.206808052F,
                                 0.271889747F,   -0.177165397F,  -0.051397223F,  0.218434815F,
                                 -0.163058843F,  -0.0349251473F, 0.133205421F,   -0.0490752053F,
                                 -0.0435079265F, 0.030131133F,   0.00532759079F, -0.00558056277F};
  const Reg t = V::min(V::set1(kEnd), V::abs(x));
  const Reg u = V::fma(t, V::set1(2.0F / kEnd), V::set1(-1.0F));
  Reg q = V::set1(kQ[15]);
#pragma GCC unroll 15
  for (int i = 14; i >= 0; --i) q = V::fma(q, u, V::set1(kQ[i]));
  return V::sub(V::max(V::zero(), x), V::mul(t, q));
}

// The same where the result is rounded to bf16 or bytes next, by a polynomial of degree 9 on
// [0, 4.5]: absolute error below 6e-5, relative below 1.2e-4 for positive x (bf16's half step is
// 2e-3). 13 instructions instead of 21.
static inline Reg gelu_short_of(Reg x) {
  static constexpr float kMinusQ[] = {
      -0.499941111F, 0.398957014F,   -0.00416097185F, -0.0492546111F,   -0.030247448F,
      0.0384296849F, -0.0151429018F, 0.00301414123F,  -0.000309309835F, 1.30724675e-05F};
  const Reg t = V::min(V::set1(4.5F), V::abs(x));
  Reg q = V::set1(kMinusQ[9]);
#pragma GCC unroll 9
  for (int i = 8; i >= 0; --i) q = V::fma(q, t, V::set1(kMinusQ[i]));
  return V::fma(t, q, V::max(V::zero(), x));
}

// x / (1 + e^-z). e^-z is the square of e^(-z/2), so that it reaches infinity and the result zero.
static inline Reg sigmoid_times(Reg x, Reg z) {
  Reg half = V::mul(z, V::set1(-0.5F * kLog2E));
  half = V::max(V::set1(-126.0F), V::min(V::set1(126.0F), half));
  const Reg root = exp2_of(half);
  return V::div(x, V::fma(root, root, V::set1(1.0F)));
}

static inline Reg gelu_tanh_of(Reg x) {  // 1 + tanh(u) = 2 sigmoid(2 u)
  const Reg cube = V::mul(V::mul(x, x), x);
  const Reg u = V::fma(cube, V::set1(0.044715F), x);
  return sigmoid_times(x, V::mul(u, V::set1(1.59576912F)));
}

enum class VectorActivation { kNone, kGelu, kGeluShort, kGeluTanh, kGeluQuick, kSilu, kRelu };

template <VectorActivation kActivation>
static inline Reg activate_reg(Reg x) {
  if constexpr (kActivation == VectorActivation::kGelu) return gelu_of(x);
  if constexpr (kActivation == VectorActivation::kGeluShort) return gelu_short_of(x);
  if constexpr (kActivation == VectorActivation::kGeluTanh) return gelu_tanh_of(x);
  if constexpr (kActivation == VectorActivation::kGeluQuick)
    return sigmoid_times(x, V::mul(x, V::set1(1.702F)));
  if constexpr (kActivation == VectorActivation::kSilu) return sigmoid_times(x, x);
  if constexpr (kActivation == VectorActivation::kRelu) return V::max(V::zero(), x);
  return x;
}

// 16 floats: one register or several.
struct Row16 {
  static constexpr int kRegs = static_cast<int>(kLanes) / V::kWidth;
  Reg reg[kRegs];

  static inline Row16 load(const float* p) {
    Row16 x;
#pragma GCC unroll 4
    for (int i = 0; i < kRegs; ++i) x.reg[i] = V::load(p + i * V::kWidth);
    return x;
  }
  static inline Row16 set1(float value) {
    Row16 x;
#pragma GCC unroll 4
    for (int i = 0; i < kRegs; ++i) x.reg[i] = V::set1(value);
    return x;
  }
  // The first `count` floats and zeros.
  static inline Row16 load_some(const float* p, Index count) {
    alignas(64) float all[kLanes] = {};
    for (Index i = 0; i < count; ++i) all[i] = p[i];
    return load(all);
  }
  inline void store(float* p) const {
#pragma GCC unroll 4
    for (int i = 0; i < kRegs; ++i) V::store(p + i * V::kWidth, reg[i]);
  }
  inline void store_some(float* p, Index count) const {
    alignas(64) float all[kLanes];
    store(all);
    for (Index i = 0; i < count; ++i) p[i] = all[i];
  }
};

#define INLAY_ROW16_BINARY(name)                                              \
  static inline Row16 name(const Row16& a, const Row16& b) {                  \
    Row16 x;                                                                  \
    _Pragma("GCC unroll 4") for (int i = 0; i < Row16::kRegs; ++i) x.reg[i] = \
        V::name(a.reg[i], b.reg[i]);                                          \
    return x;                                                                 \
  }
INLAY_ROW16_BINARY(add)
INLAY_ROW16_BINARY(sub)
INLAY_ROW16_BINARY(mul)
INLAY_ROW16_BINARY(max)
#undef INLAY_ROW16_BINARY

static inline Row16 fma(const Row16& a, const Row16& b, const Row16& c) {
  Row16 x;
#pragma GCC unroll 4
  for (int i = 0; i < Row16::kRegs; ++i) x.reg[i] = V::fma(a.reg[i], b.reg[i], c.reg[i]);
  return x;
}

// Lanes i and i + 8, then i + 4, i + 2, i + 1.
static inline float sum_of(const Row16& x) { return V::sum16(x.reg); }
static inline float max_of(const Row16& x) { return V::max16(x.reg); }
