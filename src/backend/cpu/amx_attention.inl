// Steps of int8 attention that go by many rows at once where a row is few registers: the same
// numbers as the plain steps beside which they stand.

// round_to_bytes of up to 16 rows, widths being multiples of 16; ends of rows up to whole lines are
// zeros. Sizes are compared as bits, of which infinity's and a NaN's are the largest; the rows'
// maxima are turned and divided together.
static inline void round_rows(const float* x, Index ld, Index rows, Index width, float* out,
                              Index ldo, float* scales) {
  alignas(64) float sizes[16 * 16];
  alignas(64) float turned[16 * 16];
  const V::Int bits = _mm512_set1_epi32(0x7FFFFFFF);
  for (Index r = 0; r < 16; ++r) {
    V::Int size = _mm512_setzero_si512();
    for (Index j = 0; r < rows && j < width; j += 16)
      size = _mm512_max_epi32(size, _mm512_and_si512(_mm512_loadu_si512(x + r * ld + j), bits));
    _mm512_store_si512(sizes + r * 16, size);
  }
  V::transpose_scaled<false>(sizes, 16, turned, 16, 1);
  V::Int top = _mm512_load_si512(turned);
#pragma GCC unroll 15
  for (int i = 1; i < 16; ++i) top = _mm512_max_epi32(top, _mm512_load_si512(turned + i * 16));
  const Reg size = _mm512_castsi512_ps(top);
  const __mmask16 some = _mm512_cmp_ps_mask(size, V::set1(1e-35F), _CMP_GT_OQ);
  const __mmask16 wrong = _mm512_cmpge_epi32_mask(top, _mm512_set1_epi32(0x7F800000));
  alignas(64) float inverse[16];
  V::store(inverse, _mm512_maskz_div_ps(some, V::set1(127.0F), size));
  V::store(scales, _mm512_mask_mov_ps(_mm512_maskz_div_ps(some, size, V::set1(127.0F)), wrong,
                                      V::set1(__builtin_nanf(""))));
  for (Index r = 0; r < rows; ++r) {
    const Reg factor = V::set1(inverse[r]);
    for (Index base = 0; base < width; base += 64) {
      Reg v[4];
#pragma GCC unroll 4
      for (Index q = 0; q < 4; ++q) {
        const Index at = base + q * 16;
        v[q] = at < width ? V::mul(V::load(x + r * ld + at), factor) : V::zero();
      }
      V::store_64_bytes<0>(reinterpret_cast<std::uint8_t*>(out + r * ldo) + base, v[0], v[1], v[2],
                           v[3]);
    }
  }
}

// Products of probabilities' planes, 32-bit sums in pairs of rows, to a tile of results: 128 times
// the upper bits' sum and the lower bits', exact and rounded once, times the values' scales.
static inline void join_planes(const float* planes, Index rows, const float* scales, float* tile) {
  const auto* sums = reinterpret_cast<const std::int32_t*>(planes);
  const Reg scale[2] = {V::load(scales), V::load(scales + 16)};
  for (Index r = 0; r < rows; ++r, sums += 2 * kPanel, tile += kPanel) {
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      const V::Int high = _mm512_slli_epi32(V::load_int(sums + v * 16), 7);
      const V::Int sum = _mm512_add_epi32(high, V::load_int(sums + kPanel + v * 16));
      V::store(tile + v * 16, V::mul(V::to_float(sum), scale[v]));
    }
  }
}
