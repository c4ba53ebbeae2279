// 4 floats in a register. Included with INLAY_NEON_DOTPROD for the tables that have it.
struct V {
  using Reg = float32x4_t;
  static constexpr int kWidth = 4;
  static inline Reg load(const float* p) { return vld1q_f32(p); }
  static inline void store(float* p, Reg x) { vst1q_f32(p, x); }
  static inline Reg set1(float x) { return vdupq_n_f32(x); }
  static inline Reg zero() { return vdupq_n_f32(0); }
  static inline Reg add(Reg a, Reg b) { return vaddq_f32(a, b); }
  static inline Reg sub(Reg a, Reg b) { return vsubq_f32(a, b); }
  static inline Reg mul(Reg a, Reg b) { return vmulq_f32(a, b); }
  static inline Reg div(Reg a, Reg b) { return vdivq_f32(a, b); }
  static inline Reg fma(Reg a, Reg b, Reg c) { return vfmaq_f32(c, a, b); }
  // NEON's own minimum and maximum give a NaN when either operand is one; a compare and a select
  // give the second, as the other instruction sets do.
  static inline Reg min(Reg a, Reg b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
  static inline Reg max(Reg a, Reg b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
  static inline Reg abs(Reg a) { return vabsq_f32(a); }
  // The size of a, or b, which is one, where that is larger or a is a NaN.
  static inline Reg max_size(Reg a, Reg b) { return max(abs(a), b); }
  static inline Reg scale_by(Reg p, Reg t) {
    return vreinterpretq_f32_u32(
        vaddq_u32(vreinterpretq_u32_f32(p), vshlq_n_u32(vreinterpretq_u32_f32(t), 23)));
  }
  // The sum (largest) of 16 floats: lanes i and i + 8, then i + 4, i + 2, i + 1.
  static inline float sum16(const Reg (&x)[4]) {
    const Reg four = add(add(x[0], x[2]), add(x[1], x[3]));
    const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
  }
  static inline float max16(const Reg (&x)[4]) {
    const Reg four = max(max(x[0], x[2]), max(x[1], x[3]));
    const float32x2_t two = vmax_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) > vget_lane_f32(two, 1) ? vget_lane_f32(two, 0)
                                                         : vget_lane_f32(two, 1);
  }
  static inline void touch(Reg& x) { asm volatile("" : "+w"(x)); }
  // out[j][i] = in[i][j] * factor for a square of kWidth.
  // kScaled false: words, whatever they mean, without a factor.
  template <bool kScaled = true>
  static inline void transpose_scaled(const float* in, Index ldi, float* out, Index ldo,
                                      float factor) {
    Reg x[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i)
      x[i] = kScaled ? mul(load(in + i * ldi), set1(factor)) : load(in + i * ldi);
    const float32x4x2_t a = vtrnq_f32(x[0], x[1]);
    const float32x4x2_t b = vtrnq_f32(x[2], x[3]);
    store(out, vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0])));
    store(out + ldo, vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1])));
    store(out + 2 * ldo, vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0])));
    store(out + 3 * ldo, vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1])));
  }

  // Integers: 4 sums of 32 bits; a weight register has 4 bytes (consecutive in k) for each.
  using Int = int32x4_t;
  using Bytes = int8x16_t;
  using Word = int8x16_t;
  static constexpr int kOffset = 0;
  static constexpr bool kComplements = false;
  static constexpr bool kPairs = false;
  static inline Int load_int(const std::int32_t* p) { return vld1q_s32(p); }
  static inline Reg to_float(Int x) { return vcvtq_f32_s32(x); }
  static inline Bytes load_bytes(const void* p) {
    return vld1q_s8(static_cast<const std::int8_t*>(p));
  }
  static inline Word word(std::int32_t x) { return vreinterpretq_s8_s32(vdupq_n_s32(x)); }
#if defined(INLAY_NEON_DOTPROD)
  static inline void dot(Int& sum, const Word& a, const Bytes& w) {
    asm("sdot %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(a), "w"(w));
  }
#else
  static inline void dot(Int& sum, const Word& a, const Bytes& w) {
    const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(w)));
    const int32x4_t high = vpaddlq_s16(vmull_s8(vget_high_s8(a), vget_high_s8(w)));
    sum = vaddq_s32(sum, vpaddq_s32(low, high));
  }
#endif
  // For neon_mmla.inl: two words of two rows; of each two columns (a word of each in a line).
  static inline Int two_words(const float* first, const float* second) {
    return vreinterpretq_s32_f32(vcombine_f32(vld1_f32(first), vld1_f32(second)));
  }
  static inline void zip_words(const float* line, const float* next, Int (&columns)[2]) {
    const Int words = vreinterpretq_s32_f32(load(line));
    const Int behind = vreinterpretq_s32_f32(load(next));
    columns[0] = vzip1q_s32(words, behind);
    columns[1] = vzip2q_s32(words, behind);
  }
  // The first or second row of two 2 x 2 squares side by side.
  static inline Int row_of_squares(Int left, Int right, int row) {
    return row == 0 ? vcombine_s32(vget_low_s32(left), vget_low_s32(right))
                    : vcombine_s32(vget_high_s32(left), vget_high_s32(right));
  }
  static inline Reg as_floats(Int bits) { return vreinterpretq_f32_s32(bits); }
  // bf16: registers of words of two; a step multiplies the second (1) or the first (0) of each.
  using Halves = Reg;
  static constexpr int kHalfSteps = 2;
  static inline Halves half_of(Reg words, int half) {
    const uint32x4_t bits = vreinterpretq_u32_f32(words);
    return vreinterpretq_f32_u32(half == 0 ? vshlq_n_u32(bits, 16) : high_half(bits));
  }
  static inline void dot_halves(Reg& sum, const Halves& a, const Halves& w) {
    sum = fma(a, w, sum);
  }
  static inline uint32x4_t high_half(uint32x4_t bits) {
    return vandq_u32(bits, vdupq_n_u32(0xFFFF0000U));
  }
  // Rounded to nearest even, in the upper halves of the words; a NaN stays one.
  static inline uint32x4_t rounded(Reg x) {
    const uint32x4_t bits = vreinterpretq_u32_f32(x);
    const uint32x4_t even = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    const uint32x4_t up = vaddq_u32(bits, vaddq_u32(even, vdupq_n_u32(0x7FFF)));
    return vbslq_u32(vceqq_f32(x, x), up, vdupq_n_u32(0x7FC00000U));
  }
  static inline Reg pair_halves(Reg first, Reg second) {
    return vreinterpretq_f32_u32(
        vorrq_u32(vshrq_n_u32(rounded(first), 16), high_half(rounded(second))));
  }
  // Words of two rows' halves, the first row's in the low half.
  static inline Reg zip_halves(const std::uint16_t* first, const std::uint16_t* second) {
    const uint16x4x2_t turns = vzip_u16(vld1_u16(first), vld1_u16(second));
    return vreinterpretq_f32_u16(vcombine_u16(turns.val[0], turns.val[1]));
  }
  static inline void store_halves(std::uint16_t* p, Reg x) {
    vst1_u16(p, vshrn_n_u32(rounded(x), 16));
  }
  // The low byte of each lane's bits, plus kPlus, which is 0 here.
  template <int kPlus>
  static inline void store_bytes(std::uint8_t* p, Reg x) {
    static_assert(kPlus == 0);
    store_low_bytes(p, vreinterpretq_u32_f32(x));
  }
  static inline void store_low_bytes(std::uint8_t* p, uint32x4_t bits) {
    const uint16x4_t words = vmovn_u32(bits);
    const uint8x8_t bytes = vmovn_u16(vcombine_u16(words, words));
    vst1_lane_u32(reinterpret_cast<std::uint32_t*>(p), vreinterpret_u32_u8(bytes), 0);
  }
  // Attention's probabilities: bits 7 to 13 and 0 to 6 of each lane, as bytes.
  static inline void store_planes(std::uint8_t* high, std::uint8_t* low, Reg x) {
    const uint32x4_t bits = vreinterpretq_u32_f32(x);
    const uint32x4_t seven = vdupq_n_u32(127);
    store_low_bytes(low, vandq_u32(bits, seven));
    store_low_bytes(high, vandq_u32(vshrq_n_u32(bits, 7), seven));
  }
  // The low bytes of four registers' lanes as words.
  static inline Reg quad_bytes(Reg a, Reg b, Reg c, Reg d) {
    uint32x4_t words = vreinterpretq_u32_f32(a);
    words = vsliq_n_u32(words, vreinterpretq_u32_f32(b), 8);
    words = vsliq_n_u32(words, vreinterpretq_u32_f32(c), 16);
    return vreinterpretq_f32_u32(vsliq_n_u32(words, vreinterpretq_u32_f32(d), 24));
  }
};
