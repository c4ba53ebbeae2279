// 16 floats in a register. Included twice: with INLAY_AVX512_VNNI for the table that has it.
#define INLAY_AVX512 1
struct V {
  using Reg = __m512;
  static constexpr int kWidth = 16;
  static inline Reg load(const float* p) { return _mm512_loadu_ps(p); }
  static inline void store(float* p, Reg x) { _mm512_storeu_ps(p, x); }
  static inline Reg set1(float x) { return _mm512_set1_ps(x); }
  static inline Reg zero() { return _mm512_setzero_ps(); }
  static inline Reg add(Reg a, Reg b) { return _mm512_add_ps(a, b); }
  static inline Reg sub(Reg a, Reg b) { return _mm512_sub_ps(a, b); }
  static inline Reg mul(Reg a, Reg b) { return _mm512_mul_ps(a, b); }
  static inline Reg div(Reg a, Reg b) { return _mm512_div_ps(a, b); }
  static inline Reg fma(Reg a, Reg b, Reg c) { return _mm512_fmadd_ps(a, b, c); }
  static inline Reg min(Reg a, Reg b) { return _mm512_min_ps(a, b); }
  static inline Reg max(Reg a, Reg b) { return _mm512_max_ps(a, b); }
  static inline Reg abs(Reg a) { return _mm512_abs_ps(a); }
  // The size of a, or b, which is one, where that is larger or a is a NaN.
  static inline Reg max_size(Reg a, Reg b) { return _mm512_range_ps(a, b, 0xB); }
  static inline Reg scale_by(Reg p, Reg t) {
    return _mm512_castsi512_ps(
        _mm512_add_epi32(_mm512_castps_si512(p), _mm512_slli_epi32(_mm512_castps_si512(t), 23)));
  }
  // The sum (largest) of 16 floats: lanes i and i + 8, then i + 4, i + 2, i + 1.
  static inline float sum16(const Reg (&x)[1]) {
    const __m256 eight =
        _mm256_add_ps(_mm512_castps512_ps256(x[0]), _mm512_extractf32x8_ps(x[0], 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static inline float max16(const Reg (&x)[1]) {
    const __m256 eight =
        _mm256_max_ps(_mm512_castps512_ps256(x[0]), _mm512_extractf32x8_ps(x[0], 1));
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }
  static inline void touch(Reg& x) { asm volatile("" : "+v"(x)); }
  // out[j][i] = in[i][j] * factor for a square of kWidth: pairs of rows, then of pairs, then of
  // quarters.
  // kScaled false: words, whatever they mean, without a factor.
  template <bool kScaled = true>
  static inline void transpose_scaled(const float* in, Index ldi, float* out, Index ldo,
                                      float factor) {
    Reg x[16];
    Reg y[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i)
      x[i] = kScaled ? mul(load(in + i * ldi), set1(factor)) : load(in + i * ldi);
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
      y[i] = _mm512_unpacklo_ps(x[i], x[i + 1]);
      y[i + 1] = _mm512_unpackhi_ps(x[i], x[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
      x[i] = pairs<0x44>(y[i], y[i + 2]);
      x[i + 1] = pairs<0xEE>(y[i], y[i + 2]);
      x[i + 2] = pairs<0x44>(y[i + 1], y[i + 3]);
      x[i + 3] = pairs<0xEE>(y[i + 1], y[i + 3]);
    }
    // x[4 g + j] holds in its quarter q the rows 4 g .. 4 g + 3 of column 4 q + j.
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const Reg low = _mm512_shuffle_f32x4(x[j], x[4 + j], 0x88);  // quarters 0, 2
      const Reg high = _mm512_shuffle_f32x4(x[8 + j], x[12 + j], 0x88);
      const Reg low_odd = _mm512_shuffle_f32x4(x[j], x[4 + j], 0xDD);  // quarters 1, 3
      const Reg high_odd = _mm512_shuffle_f32x4(x[8 + j], x[12 + j], 0xDD);
      store(out + j * ldo, _mm512_shuffle_f32x4(low, high, 0x88));
      store(out + (4 + j) * ldo, _mm512_shuffle_f32x4(low_odd, high_odd, 0x88));
      store(out + (8 + j) * ldo, _mm512_shuffle_f32x4(low, high, 0xDD));
      store(out + (12 + j) * ldo, _mm512_shuffle_f32x4(low_odd, high_odd, 0xDD));
    }
  }

  // Integers: 16 sums of 32 bits; a weight register has 4 bytes (consecutive in k) for each.
  using Int = __m512i;
  static inline Int load_int(const std::int32_t* p) { return _mm512_loadu_si512(p); }
  static inline Reg to_float(Int x) { return _mm512_cvtepi32_ps(x); }
#if defined(INLAY_AVX512_VNNI)
  static constexpr int kOffset = 128;  // activations are unsigned bytes: x + 128
  static constexpr bool kComplements = false;
  static constexpr bool kPairs = false;
  struct Bytes {
    Int all;
  };
  using Word = Int;
  static inline Bytes load_bytes(const void* p) { return {_mm512_loadu_si512(p)}; }
  static inline Word word(std::int32_t x) { return _mm512_set1_epi32(x); }
  // An instruction of its own: g++ 12 keeps an intrinsic's sums in memory.
  static inline void dot(Int& sum, const Word& a, const Bytes& w) {
    asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(w.all));
  }
#else
  // Without VNNI: even and odd bytes as 16-bit pairs, whose products and sums are exact.
  static constexpr int kOffset = 0;
  static constexpr bool kComplements = false;
  static constexpr bool kPairs = false;
  struct Bytes {
    Int even, odd;
  };
  using Word = Bytes;
  static inline Bytes split(Int x) {
    return {_mm512_srai_epi16(_mm512_slli_epi16(x, 8), 8), _mm512_srai_epi16(x, 8)};
  }
  static inline Bytes load_bytes(const void* p) { return split(_mm512_loadu_si512(p)); }
  static inline Word word(std::int32_t x) { return split(_mm512_set1_epi32(x)); }
  static inline void dot(Int& sum, const Word& a, const Bytes& w) {
    sum = _mm512_add_epi32(
        sum, _mm512_add_epi32(_mm512_madd_epi16(a.even, w.even), _mm512_madd_epi16(a.odd, w.odd)));
  }
#endif
#if !defined(INLAY_BYTE_PLANES)
  // Attention's probabilities and values: words of two numbers of 16 bits.
  using Steps = Int;
  static inline Steps load_steps(const float* p) { return _mm512_loadu_si512(p); }
  static inline Steps steps_word(std::int32_t x) { return _mm512_set1_epi32(x); }
  static inline Int no_steps() { return _mm512_setzero_si512(); }
  static inline void dot_steps(Int& sum, Steps p, Steps v) {
#if defined(INLAY_AVX512_VNNI)
    asm("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(p), "v"(v));
#else
    // Together, or g++ 12 multiplies ahead and keeps sums in memory.
    Int products;
    asm("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+v"(sum), "=&v"(products) : "v"(p), "v"(v));
#endif
  }
  // The low 16 bits of each lane; of two registers' lanes, as words.
  static inline void store_steps(std::uint16_t* p, Reg x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_cvtepi32_epi16(_mm512_castps_si512(x)));
  }
  static inline Reg pair_steps(Reg first, Reg second) {
    return _mm512_castsi512_ps(
        _mm512_mask_blend_epi16(0xAAAAAAAA, _mm512_castps_si512(first),
                                _mm512_slli_epi32(_mm512_castps_si512(second), 16)));
  }
#endif
  // bf16: registers of words of two.
#if defined(INLAY_AVX512_BF16)
  static constexpr int kHalfSteps = 1;
  static inline Reg half_of(Reg words, int /*half*/) { return words; }
  using Halves = Reg;
  // An instruction of its own, as above.
  static inline void dot_halves(Reg& sum, const Halves& a, const Halves& w) {
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(w));
  }
  static inline __m256i rounded(Reg x) {
    __m256i halves;
    asm("vcvtneps2bf16 %1, %0" : "=v"(halves) : "v"(x));
    return halves;
  }
#else
  // A step multiplies the second (1) or the first (0) of each.
  static constexpr int kHalfSteps = 2;
  using Halves = Reg;
  static inline Halves half_of(Reg words, int half) {
    const Int bits = _mm512_castps_si512(words);
    return _mm512_castsi512_ps(
        half == 0 ? _mm512_slli_epi32(bits, 16)
                  : _mm512_and_si512(bits, _mm512_set1_epi32(static_cast<int>(0xFFFF0000U))));
  }
  static inline void dot_halves(Reg& sum, const Halves& a, const Halves& w) {
    sum = fma(a, w, sum);
  }
  // Rounded to nearest even; a NaN stays one.
  static inline __m256i rounded(Reg x) {
    const Int bits = _mm512_castps_si512(x);
    const Int even = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const Int up = _mm512_add_epi32(bits, _mm512_add_epi32(even, _mm512_set1_epi32(0x7FFF)));
    const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    return _mm512_cvtepi32_epi16(
        _mm512_srli_epi32(_mm512_mask_set1_epi32(up, nan, 0x7FC00000), 16));
  }
#endif
#if defined(INLAY_AVX512_BF16)
  // The first in the low half.
  static inline Int rounded_two(Reg first, Reg second) {
    Int halves;
    asm("vcvtne2ps2bf16 %1, %2, %0" : "=v"(halves) : "v"(first), "v"(second));
    return halves;
  }
  static inline void store_two_halves(std::uint16_t* p, Reg first, Reg second) {
    _mm512_storeu_si512(p, rounded_two(first, second));
  }
  static inline Reg pair_halves(Reg first, Reg second) {  // rounded together, then lanes in turns
    alignas(64) static constexpr std::uint16_t kTurns[32] = {
        0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
        8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return _mm512_castsi512_ps(
        _mm512_permutexvar_epi16(_mm512_load_si512(kTurns), rounded_two(first, second)));
  }
#else
  static inline Reg pair_halves(Reg first, Reg second) {
    const Int low = _mm512_cvtepu16_epi32(rounded(first));
    const Int high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(rounded(second)), 16);
    return _mm512_castsi512_ps(_mm512_or_si512(low, high));
  }
#endif
  // Words of two rows' halves, the first row's in the low half.
  static inline Reg zip_halves(const std::uint16_t* first, const std::uint16_t* second) {
    const Int low =
        _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(first)));
    const Int high =
        _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(second)));
    return _mm512_castsi512_ps(_mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
  }
  static inline void store_halves(std::uint16_t* p, Reg x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), rounded(x));
  }
  // The low byte of each lane's bits, plus kPlus.
  template <int kPlus>
  static inline void store_bytes(std::uint8_t* p, Reg x) {
    const __m128i bytes = _mm512_cvtepi32_epi8(_mm512_castps_si512(x));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                     _mm_xor_si128(bytes, _mm_set1_epi8(static_cast<char>(kPlus))));
  }
  // Four registers rounded to nearest even, in [-127, 127], as bytes plus kPlus.
  template <int kPlus>
  static inline void store_64_bytes(std::uint8_t* p, Reg a, Reg b, Reg c, Reg d) {
    const Int low = _mm512_packs_epi32(_mm512_cvtps_epi32(a), _mm512_cvtps_epi32(b));
    const Int high = _mm512_packs_epi32(_mm512_cvtps_epi32(c), _mm512_cvtps_epi32(d));
    const Int bytes = pack_in_order(low, high);
    _mm512_storeu_si512(p, _mm512_xor_si512(bytes, _mm512_set1_epi8(static_cast<char>(kPlus))));
  }
#if defined(INLAY_BYTE_PLANES)
  // Attention's probabilities: bits 7 to 13 and 0 to 6 of each lane, as bytes.
  static inline void store_planes(std::uint8_t* high, std::uint8_t* low, Reg x) {
    const Int bits = _mm512_castps_si512(x);
    const Int seven = _mm512_set1_epi32(127);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(low),
                     _mm512_cvtepi32_epi8(_mm512_and_si512(bits, seven)));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(high),
                     _mm512_cvtepi32_epi8(_mm512_and_si512(_mm512_srli_epi32(bits, 7), seven)));
  }
  // The same of four registers, rounded to nearest even, in [0, 16383].
  static inline void store_64_planes(std::uint8_t* high, std::uint8_t* low, Reg a, Reg b, Reg c,
                                     Reg d) {
    const Int x = _mm512_packs_epi32(_mm512_cvtps_epi32(a), _mm512_cvtps_epi32(b));
    const Int y = _mm512_packs_epi32(_mm512_cvtps_epi32(c), _mm512_cvtps_epi32(d));
    const Int seven = _mm512_set1_epi16(127);
    _mm512_storeu_si512(high, pack_in_order(_mm512_srli_epi16(x, 7), _mm512_srli_epi16(y, 7)));
    _mm512_storeu_si512(low, pack_in_order(_mm512_and_si512(x, seven), _mm512_and_si512(y, seven)));
  }
  // The low bytes of four registers' lanes as words.
  static inline Reg quad_bytes(Reg a, Reg b, Reg c, Reg d) {
    const Int low = _mm512_set1_epi32(255);
    const Int two =
        _mm512_or_si512(_mm512_and_si512(_mm512_castps_si512(a), low),
                        _mm512_slli_epi32(_mm512_and_si512(_mm512_castps_si512(b), low), 8));
    const Int four =
        _mm512_or_si512(_mm512_slli_epi32(_mm512_and_si512(_mm512_castps_si512(c), low), 16),
                        _mm512_slli_epi32(_mm512_castps_si512(d), 24));
    return _mm512_castsi512_ps(_mm512_or_si512(two, four));
  }
#endif

 private:
  // To bytes, two registers of 16 bits that were packed from two each. Packing goes by quarters of
  // registers: a quarter has four bytes of each of the four.
  static inline Int pack_in_order(Int low, Int high) {
    const Int order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_permutexvar_epi32(order, _mm512_packs_epi16(low, high));
  }
  template <int kMask>
  static inline Reg pairs(Reg a, Reg b) {
    return _mm512_shuffle_ps(a, b, kMask);
  }
};
