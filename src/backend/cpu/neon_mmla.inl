// Products by Armv8.6's matrix instructions: two rows of A, 8 bytes of k each, by two columns of B
// likewise, to 2 x 2 sums of 32 bits; twice the products of SDOT or BFDOT. A line of a panel has
// one word of each column, so two lines zipped are two words of two columns.

template <Element kElement>
static inline void multiply_add(V::Int& sum, V::Int a, V::Int b) {
  if constexpr (kElement == Element::kInt8) {
    asm("smmla %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(a), "w"(b));
  } else {
    asm("bfmmla %0.4s, %1.8h, %2.8h" : "+w"(sum) : "w"(a), "w"(b));
  }
}

// As int8_kernel and bf16_kernel. `words` is even: rows are whole lines of 64 bytes. A last row
// without a partner is its own: the sums of a row depend on no other.
//
// Registers: 3 pairs of rows by 8 of columns are 24 accumulators, 3 more hold A, 2 a pair of lines
// and 2 the zipped ones: 31 of 32.
template <Element kElement, int kRows, bool kFetch>
static void mmla_kernel(const float* a, Index lda, const float* b, Index words, float* c,
                        Index ldc) {
  constexpr int kPairs = (kRows + 1) / 2;
  const auto row_at = [&](int r) { return a + (r < kRows ? r : kRows - 1) * lda; };
  const float* row[2 * kPairs];
  V::Int acc[kPairs][2 * kTileRegs];
#pragma GCC unroll 4
  for (int p = 0; p < kPairs; ++p) {
    row[2 * p] = row_at(2 * p);
    row[2 * p + 1] = row_at(2 * p + 1);
#pragma GCC unroll 8
    for (int v = 0; v < 2 * kTileRegs; ++v) acc[p][v] = V::Int{};
  }
  const float* scales = b + words * kPanel;
  for (Index i = 0; i < words; i += 2) {
    if constexpr (kFetch) {
#pragma GCC unroll 4
      for (int v = 0; v < 2 * kPanel; v += 16) __builtin_prefetch(b + kFetchAhead + v);
    }
    V::Int two_rows[kPairs];
#pragma GCC unroll 4
    for (int p = 0; p < kPairs; ++p) two_rows[p] = V::two_words(row[2 * p] + i, row[2 * p + 1] + i);
#pragma GCC unroll 4
    for (int v = 0; v < kTileRegs; ++v) {
      V::Int columns[2];
      V::zip_words(b + v * V::kWidth, b + kPanel + v * V::kWidth, columns);
#pragma GCC unroll 4
      for (int p = 0; p < kPairs; ++p) {
        multiply_add<kElement>(acc[p][2 * v], two_rows[p], columns[0]);
        multiply_add<kElement>(acc[p][2 * v + 1], two_rows[p], columns[1]);
      }
    }
    b += 2 * kPanel;
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kTileRegs; ++v) {
      const V::Int sums = V::row_of_squares(acc[r / 2][2 * v], acc[r / 2][2 * v + 1], r % 2);
      float* out = c + r * ldc + v * V::kWidth;
      if constexpr (kElement == Element::kInt8) {  // sums start at zero: V::kOffset is 0
        const Reg x = V::mul(V::to_float(sums), V::load(scales + v * V::kWidth));
        V::store(out, V::mul(x, V::set1(a[r * lda + words])));
      } else {
        V::store(out, V::as_floats(sums));
      }
    }
  }
}
