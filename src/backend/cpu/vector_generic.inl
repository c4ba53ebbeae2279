// Four floats in the compilers' own vector type. Included twice: with INLAY_GENERIC_FUSED for the
// table whose multiply-add rounds once.
struct V {
  typedef float Reg __attribute__((vector_size(16)));
  typedef std::int32_t Bits __attribute__((vector_size(16)));
  typedef std::uint32_t Unsigned __attribute__((vector_size(16)));
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
#if defined(INLAY_GENERIC_FUSED)
  static inline Reg fma(Reg a, Reg b, Reg c) {
    return Reg{__builtin_fmaf(a[0], b[0], c[0]), __builtin_fmaf(a[1], b[1], c[1]),
               __builtin_fmaf(a[2], b[2], c[2]), __builtin_fmaf(a[3], b[3], c[3])};
  }
#else
  static inline Reg fma(Reg a, Reg b, Reg c) { return a * b + c; }
#endif
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
  // The size of a, or b, which is one, where that is larger or a is a NaN.
  static inline Reg max_size(Reg a, Reg b) { return max(abs(a), b); }
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
  // kScaled false: words, whatever they mean, without a factor.
  template <bool kScaled = true>
  static inline void transpose_scaled(const float* in, Index ldi, float* out, Index ldo,
                                      float factor) {
    for (int i = 0; i < kWidth; ++i) {
      for (int j = 0; j < kWidth && !kScaled; ++j)
        __builtin_memcpy(out + j * ldo + i, in + i * ldi + j, sizeof(float));
      if (!kScaled) continue;
      for (int j = 0; j < kWidth; ++j) out[j * ldo + i] = in[i * ldi + j] * factor;
    }
  }

  // Integers: 4 sums of 32 bits; a weight register has 4 bytes (consecutive in k) for each.
  using Int = Bits;
  using Bytes = Bits;
  using Word = Bits;
  static constexpr int kOffset = 0;
  static constexpr bool kComplements = false;
  static constexpr bool kPairs = false;
  static inline Int load_int(const std::int32_t* p) {
    Int x;
    __builtin_memcpy(&x, p, sizeof x);
    return x;
  }
  static inline Reg to_float(Int x) { return __builtin_convertvector(x, Reg); }
  static inline Bytes load_bytes(const void* p) {
    Bytes x;
    __builtin_memcpy(&x, p, sizeof x);
    return x;
  }
  static inline Word word(std::int32_t x) { return Word{x, x, x, x}; }
  static inline Int byte_of(Int x, int left) {
    return reinterpret_cast<Int>(reinterpret_cast<Unsigned>(x) << left) >> 24;
  }
  static inline void dot(Int& sum, const Word& a, const Bytes& w) {
    for (int left = 0; left <= 24; left += 8) sum += byte_of(a, left) * byte_of(w, left);
  }
  // Attention's probabilities and values: words of two numbers of 16 bits.
  using Steps = Int;
  static inline Steps load_steps(const float* p) { return reinterpret_cast<Int>(load(p)); }
  static inline Steps steps_word(std::int32_t x) { return Int{x, x, x, x}; }
  static inline Int no_steps() { return Int{}; }
  static inline Int low_half(Int x) {
    return reinterpret_cast<Int>(reinterpret_cast<Unsigned>(x) << 16) >> 16;
  }
  static inline void dot_steps(Int& sum, Steps p, Steps v) {
    sum += low_half(p) * low_half(v) + (p >> 16) * (v >> 16);
  }
  // The low 16 bits of each lane; of two registers' lanes, as words.
  static inline void store_steps(std::uint16_t* p, Reg x) {
    std::uint32_t bits[kWidth];
    __builtin_memcpy(bits, &x, sizeof bits);
    for (int i = 0; i < kWidth; ++i) p[i] = static_cast<std::uint16_t>(bits[i]);
  }
  static inline Reg pair_steps(Reg first, Reg second) {
    const Unsigned low = {0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF};
    return reinterpret_cast<Reg>((reinterpret_cast<Unsigned>(first) & low) |
                                 reinterpret_cast<Unsigned>(second) << 16);
  }
  // bf16: registers of words of two; a step multiplies the second (1) or the first (0) of each.
  static constexpr int kHalfSteps = 2;
  using Halves = Reg;
  static inline Halves half_of(Reg words, int half) {
    const auto bits = reinterpret_cast<Unsigned>(words);
    constexpr std::uint32_t kHigh = 0xFFFF0000U;
    return reinterpret_cast<Reg>(half == 0 ? bits << 16
                                           : bits & Unsigned{kHigh, kHigh, kHigh, kHigh});
  }
  static inline void dot_halves(Reg& sum, const Halves& a, const Halves& w) {
    sum = fma(a, w, sum);
  }
  // Rounded to nearest even, in the upper halves of the words; a NaN stays one.
  static inline Unsigned rounded(Reg x) {
    const auto bits = reinterpret_cast<Unsigned>(x);
    const Unsigned even = (bits >> 16) & Unsigned{1, 1, 1, 1};
    constexpr std::uint32_t kNan = 0x7FC00000U;
    const auto number = reinterpret_cast<Unsigned>(x == x);
    return ((bits + even + Unsigned{0x7FFF, 0x7FFF, 0x7FFF, 0x7FFF}) & number) |
           (Unsigned{kNan, kNan, kNan, kNan} & ~number);
  }
  static inline Reg pair_halves(Reg first, Reg second) {
    constexpr std::uint32_t kHigh = 0xFFFF0000U;
    return reinterpret_cast<Reg>((rounded(first) >> 16) |
                                 (rounded(second) & Unsigned{kHigh, kHigh, kHigh, kHigh}));
  }
  // Words of two rows' halves, the first row's in the low half.
  static inline Reg zip_halves(const std::uint16_t* first, const std::uint16_t* second) {
    Unsigned words;
    for (int i = 0; i < kWidth; ++i)
      words[i] = first[i] | static_cast<std::uint32_t>(second[i]) << 16U;
    return reinterpret_cast<Reg>(words);
  }
  static inline void store_halves(std::uint16_t* p, Reg x) {
    const Unsigned bits = rounded(x);
    for (int i = 0; i < kWidth; ++i) p[i] = static_cast<std::uint16_t>(bits[i] >> 16);
  }
  // The low byte of each lane's bits, plus kPlus.
  template <int kPlus>
  static inline void store_bytes(std::uint8_t* p, Reg x) {
    std::uint32_t bits[kWidth];
    __builtin_memcpy(bits, &x, sizeof bits);
    for (int i = 0; i < kWidth; ++i) p[i] = static_cast<std::uint8_t>(bits[i] + kPlus);
  }
};
