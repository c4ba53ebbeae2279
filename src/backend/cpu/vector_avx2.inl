// 8 floats in a register. Included twice: with INLAY_AVX_VNNI for the table that has it.
struct V {
  using Reg = __m256;
  static constexpr int kWidth = 8;
  static inline Reg load(const float* p) { return _mm256_loadu_ps(p); }
  static inline void store(float* p, Reg x) { _mm256_storeu_ps(p, x); }
  static inline Reg set1(float x) { return _mm256_set1_ps(x); }
  static inline Reg zero() { return _mm256_setzero_ps(); }
  static inline Reg add(Reg a, Reg b) { return _mm256_add_ps(a, b); }
  static inline Reg sub(Reg a, Reg b) { return _mm256_sub_ps(a, b); }
  static inline Reg mul(Reg a, Reg b) { return _mm256_mul_ps(a, b); }
  static inline Reg div(Reg a, Reg b) { return _mm256_div_ps(a, b); }
  static inline Reg fma(Reg a, Reg b, Reg c) { return _mm256_fmadd_ps(a, b, c); }
  static inline Reg min(Reg a, Reg b) { return _mm256_min_ps(a, b); }
  static inline Reg max(Reg a, Reg b) { return _mm256_max_ps(a, b); }
  static inline Reg abs(Reg a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0F), a); }
  // The size of a, or b, which is one, where that is larger or a is a NaN.
  static inline Reg max_size(Reg a, Reg b) { return max(abs(a), b); }
  static inline Reg scale_by(Reg p, Reg t) {
    return _mm256_castsi256_ps(
        _mm256_add_epi32(_mm256_castps_si256(p), _mm256_slli_epi32(_mm256_castps_si256(t), 23)));
  }
  // The sum (largest) of 16 floats: lanes i and i + 8, then i + 4, i + 2, i + 1.
  static inline float sum16(const Reg (&x)[2]) {
    const __m256 eight = _mm256_add_ps(x[0], x[1]);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static inline float max16(const Reg (&x)[2]) {
    const __m256 eight = _mm256_max_ps(x[0], x[1]);
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }
  static inline void touch(Reg& x) { asm volatile("" : "+x"(x)); }
  // out[j][i] = in[i][j] * factor for a square of kWidth.
  // kScaled false: words, whatever they mean, without a factor.
  template <bool kScaled = true>
  static inline void transpose_scaled(const float* in, Index ldi, float* out, Index ldo,
                                      float factor) {
    Reg x[8];
    Reg y[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i)
      x[i] = kScaled ? mul(load(in + i * ldi), set1(factor)) : load(in + i * ldi);
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
      y[i] = _mm256_unpacklo_ps(x[i], x[i + 1]);
      y[i + 1] = _mm256_unpackhi_ps(x[i], x[i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
      x[i] = _mm256_shuffle_ps(y[i], y[i + 2], 0x44);
      x[i + 1] = _mm256_shuffle_ps(y[i], y[i + 2], 0xEE);
      x[i + 2] = _mm256_shuffle_ps(y[i + 1], y[i + 3], 0x44);
      x[i + 3] = _mm256_shuffle_ps(y[i + 1], y[i + 3], 0xEE);
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      store(out + j * ldo, _mm256_permute2f128_ps(x[j], x[4 + j], 0x20));
      store(out + (4 + j) * ldo, _mm256_permute2f128_ps(x[j], x[4 + j], 0x31));
    }
  }

  // Integers: 8 sums of 32 bits; a weight register has 4 bytes (consecutive in k) for each.
  using Int = __m256i;
  using Word = Int;
  static inline Int load_int(const std::int32_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static inline Reg to_float(Int x) { return _mm256_cvtepi32_ps(x); }
  static inline Word word(std::int32_t x) { return _mm256_set1_epi32(x); }
#if defined(INLAY_AVX_VNNI)
  static constexpr int kOffset = 128;  // activations are unsigned bytes: x + 128
  static constexpr bool kComplements = false;
  static constexpr bool kPairs = false;
  struct Bytes {
    Int all;
  };
  static inline Bytes load_bytes(const void* p) {
    return {_mm256_loadu_si256(static_cast<const __m256i*>(p))};
  }
  static inline void dot(Int& sum, const Word& a, const Bytes& w) {
    asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(a), "x"(w.all));
  }
#else
  // Products of |w| with a, or with -a - 1 where w is negative (an exclusive or, which any vector
  // unit does; a change of sign would wait for the two that multiply). The sums start with what
  // that takes off. A pair of products fits 16 bits: 2 x 127 x 128 = 32,512.
  static constexpr int kOffset = 0;
  static constexpr bool kComplements = true;
  static constexpr bool kPairs = true;
  struct Bytes {
    Int size, negative;
  };
  static inline Bytes load_bytes(const void* p) {
    const Int all = _mm256_loadu_si256(static_cast<const __m256i*>(p));
    return {_mm256_abs_epi8(all), _mm256_cmpgt_epi8(_mm256_setzero_si256(), all)};
  }
  static inline void dot(Int& sum, const Word& a, const Bytes& w) {
    const Int pairs = _mm256_maddubs_epi16(w.size, _mm256_xor_si256(a, w.negative));
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  // The same of two words of a row and their weights, whose four products fit 16 bits. Together, as
  // g++ 12 does not find the two temporaries that are left.
  static inline void dot_pair(Int& sum, const std::int32_t* a, const std::int32_t* b,
                              const Bytes& w, const Bytes& x) {
    Int first, second;
    asm("vpbroadcastd %3, %1\n\t"
        "vpbroadcastd %4, %2\n\t"
        "vpxor %6, %1, %1\n\t"
        "vpxor %8, %2, %2\n\t"
        "vpmaddubsw %1, %5, %1\n\t"
        "vpmaddubsw %2, %7, %2\n\t"
        "vpaddw %2, %1, %1\n\t"
        "vpmaddwd %9, %1, %1\n\t"
        "vpaddd %1, %0, %0"
        : "+x"(sum), "=&x"(first), "=&x"(second)
        : "m"(*a), "m"(*b), "x"(w.size), "x"(w.negative), "x"(x.size), "x"(x.negative),
          "xm"(_mm256_set1_epi16(1)));
  }
#endif
  // Attention's probabilities and values: words of two numbers of 16 bits.
  using Steps = Int;
  static inline Steps load_steps(const float* p) { return _mm256_castps_si256(load(p)); }
  static inline Steps steps_word(std::int32_t x) { return _mm256_set1_epi32(x); }
  static inline Int no_steps() { return _mm256_setzero_si256(); }
  static inline void dot_steps(Int& sum, Steps p, Steps v) {
#if defined(INLAY_AVX_VNNI)
    asm("%{vex%} vpdpwssd %2, %1, %0" : "+x"(sum) : "x"(p), "x"(v));
#else
    // Together, or g++ 12 multiplies ahead and keeps sums in memory.
    Int products;
    asm("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+x"(sum), "=&x"(products) : "x"(p), "x"(v));
#endif
  }
  // The low 16 bits of each lane; of two registers' lanes, as words.
  static inline void store_steps(std::uint16_t* p, Reg x) {
    const Int low = _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0xFFFF));
    _mm_storeu_si128(
        reinterpret_cast<__m128i*>(p),
        _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1)));
  }
  static inline Reg pair_steps(Reg first, Reg second) {
    return _mm256_castsi256_ps(_mm256_blend_epi16(
        _mm256_castps_si256(first), _mm256_slli_epi32(_mm256_castps_si256(second), 16), 0xAA));
  }
  // bf16: registers of words of two; a step multiplies the second (1) or the first (0) of each.
  static constexpr int kHalfSteps = 2;
  using Halves = Reg;
  static inline Halves half_of(Reg words, int half) {
    const Int bits = _mm256_castps_si256(words);
    return _mm256_castsi256_ps(half == 0 ? _mm256_slli_epi32(bits, 16) : high_half(bits));
  }
  static inline void dot_halves(Reg& sum, const Halves& a, const Halves& w) {
    sum = fma(a, w, sum);
  }
  static inline Int high_half(Int bits) {
    return _mm256_and_si256(bits, _mm256_set1_epi32(static_cast<int>(0xFFFF0000U)));
  }
  // Rounded to nearest even, in the upper halves of the words; a NaN stays one.
  static inline Int rounded(Reg x) {
    const Int bits = _mm256_castps_si256(x);
    const Int even = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const Int up = _mm256_add_epi32(bits, _mm256_add_epi32(even, _mm256_set1_epi32(0x7FFF)));
    const Reg nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
    return _mm256_blendv_epi8(up, _mm256_set1_epi32(0x7FC00000), _mm256_castps_si256(nan));
  }
  static inline Reg pair_halves(Reg first, Reg second) {
    return _mm256_castsi256_ps(
        _mm256_or_si256(_mm256_srli_epi32(rounded(first), 16), high_half(rounded(second))));
  }
  // Words of two rows' halves, the first row's in the low half.
  static inline Reg zip_halves(const std::uint16_t* first, const std::uint16_t* second) {
    const Int low = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(first)));
    const Int high =
        _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(second)));
    return _mm256_castsi256_ps(_mm256_or_si256(low, _mm256_slli_epi32(high, 16)));
  }
  static inline void store_halves(std::uint16_t* p, Reg x) {
    const Int low = _mm256_srli_epi32(rounded(x), 16);
    _mm_storeu_si128(
        reinterpret_cast<__m128i*>(p),
        _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1)));
  }
  // The low byte of each lane's bits, plus kPlus.
  template <int kPlus>
  static inline void store_bytes(std::uint8_t* p, Reg x) {
    const Int low = _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(255));
    const __m128i words =
        _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
    const __m128i bytes =
        _mm_xor_si128(_mm_packus_epi16(words, words), _mm_set1_epi8(static_cast<char>(kPlus)));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), bytes);
  }
};
