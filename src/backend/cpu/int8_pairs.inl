// int8 products where four bytes' products fit 16 bits together (kernels.h, Kernels::int8_pairs):
// the products of two words are added there, and one multiplication by ones widens both. 7
// instructions for two words instead of 8, of which 3 multiply instead of 4.

// Rows of a tile; one register of columns at a time. A pair's weights take four registers.
constexpr int kInt8Rows = 9;

// A word of row r, from the address of row 0's and multiples of the rows' distance: what one
// address of an instruction can say.
struct RowStrides {
  Index one, three, five, seven;  // in bytes
  static inline Index held(Index bytes) {
    asm("" : "+r"(bytes));  // in a register of its own, not computed again from another
    return bytes;
  }
  explicit inline RowStrides(Index bytes)
      : one(held(bytes)), three(held(3 * bytes)), five(held(5 * bytes)), seven(held(7 * bytes)) {}
  inline const std::int32_t* row(const char* first, int r) const {
    switch (r) {
      case 0:
        break;
      case 1:
      case 2:
      case 4:
      case 8:
        first += r * one;
        break;
      case 3:
      case 6:
        first += r / 3 * three;
        break;
      case 5:
        first += five;
        break;
      default:
        first += seven;
        break;
    }
    return reinterpret_cast<const std::int32_t*>(first);
  }
};

// What is fetched meanwhile: nothing; the panel kFetchAhead floats ahead; or the rows of the next
// tile, of whose lines a pair may take any.
enum class PairFetch { kNothing, kPanel, kRows };

// Sums of kRows rows with the kWidth columns of a panel that begin at `column`.
template <int kRows, PairFetch kFetch>
static void int8_pairs_kernel(const float* a, Index lda, const float* panel, Index words,
                              Index column, float* c, Index ldc) {
  const float* scales = panel + words * kPanel;
  // How many pairs there are, then the words' numbers in the order of the panel's lines.
  const auto* order = reinterpret_cast<const std::uint16_t*>(scales + 2 * kPanel);
  const auto* rows = reinterpret_cast<const char*>(a);
  const RowStrides strides(lda * Index{sizeof(float)});
  V::Int acc[kRows];
  const V::Int start = V::load_int(reinterpret_cast<const std::int32_t*>(scales + kPanel) + column);
#pragma GCC unroll 9
  for (int r = 0; r < kRows; ++r) acc[r] = start;
  const float* b = panel + column;
  const std::uint16_t* paired = order + 1 + 2 * Index{*order};
  const std::uint16_t* end = order + 1 + words;
  const char* ahead = rows + kRows * strides.one;
  const Index step = kRows * strides.one / (words / 2);
  for (++order; order != paired; order += 2, b += 2 * kPanel) {
    if constexpr (kFetch == PairFetch::kPanel) {
#pragma GCC unroll 4
      for (int v = 0; v < 2 * kPanel; v += 16) __builtin_prefetch(b + kFetchAhead + v);
    }
    if constexpr (kFetch == PairFetch::kRows) {
      __builtin_prefetch(ahead);
      ahead += step;
    }
    const V::Bytes first = V::load_bytes(b);
    const V::Bytes second = V::load_bytes(b + kPanel);
    const char* x = rows + sizeof(float) * order[0];
    const char* y = rows + sizeof(float) * order[1];
#pragma GCC unroll 9
    for (int r = 0; r < kRows; ++r)
      V::dot_pair(acc[r], strides.row(x, r), strides.row(y, r), first, second);
  }
  for (; order != end; ++order, b += kPanel) {
    const V::Bytes all = V::load_bytes(b);
    const char* x = rows + sizeof(float) * *order;
#pragma GCC unroll 9
    for (int r = 0; r < kRows; ++r) V::dot(acc[r], V::word(*strides.row(x, r)), all);
  }
  const Reg scale = V::load(scales + column);
#pragma GCC unroll 9
  for (int r = 0; r < kRows; ++r) {
    const Reg x = V::mul(V::to_float(acc[r]), scale);
    V::store(c + r * ldc + column, V::mul(x, V::set1(a[r * lda + words])));
  }
}

using PairsKernel = void (*)(const float*, Index, const float*, Index, Index, float*, Index);
template <PairFetch kFetch, int... kRows>
struct PairsTable {
  static constexpr PairsKernel kKernels[] = {nullptr, int8_pairs_kernel<kRows, kFetch>...};
};
template <PairFetch kFetch, int kCount, int... kRows>
struct MakePairsTable : MakePairsTable<kFetch, kCount - 1, kCount, kRows...> {};
template <PairFetch kFetch, int... kRows>
struct MakePairsTable<kFetch, 0, kRows...> : PairsTable<kFetch, kRows...> {};

// c[rows] = a b over one panel, rows <= kInt8Rows.
template <bool kFetch>
static inline void pairs_product(Index rows, const float* a, Index lda, const float* panel,
                                 Index words, float* c, Index ldc) {
  static_assert(kPanel == 2 * V::kWidth);
  constexpr PairFetch kFirst = kFetch ? PairFetch::kPanel : PairFetch::kNothing;
  MakePairsTable<kFirst, kInt8Rows>::kKernels[rows](a, lda, panel, words, 0, c, ldc);
  MakePairsTable<PairFetch::kRows, kInt8Rows>::kKernels[rows](a, lda, panel, words, V::kWidth, c,
                                                              ldc);
}
