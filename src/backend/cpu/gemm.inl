// Matrix products: one register tile of kTileRows x (kTileRegs * V::kWidth), its tails, and the
// epilogue. A row's sum runs over k in order in one accumulator, whatever tile it falls into.

constexpr int kPanel = kTileRegs * V::kWidth;

static void activate(Activation activation, float* x, Index count);  // rows.inl

// Floats that a panel's first reader fetches ahead: 8 KiB, what comes from memory within its
// latency (some 120 ns at 40 GB/s), doubled. Hardware stops fetching at the end of each 4 KiB page.
constexpr Index kFetchAhead = 2048;

// c[r][:] = sum over i < k of a[r][i] * b[i][:], r < kRows, over one panel's columns. The loop body
// must keep every accumulator in a register; tests/unit/cpu/spills.sh looks for stack accesses.
template <int kRows, bool kFetch>
static void tile_kernel(const float* a, Index lda, const float* b, Index k, float* c, Index ldc) {
  // Rows are addressed as base + {0, 1, 2} * lda from every third row: 14 pointers of their own
  // would not fit the general registers.
  constexpr int kBases = (kRows + 2) / 3;
  const float* base[kBases];
#pragma GCC unroll 8
  for (int g = 0; g < kBases; ++g) {
    base[g] = a + 3 * g * lda;
    asm("" : "+r"(base[g]));
  }
  Reg acc[kRows][kTileRegs];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kTileRegs; ++v) acc[r][v] = V::zero();
  }
  for (Index i = 0; i < k; ++i) {
    Reg column[kTileRegs];
#pragma GCC unroll 4
    for (int v = 0; v < kTileRegs; ++v) column[v] = V::load(b + v * V::kWidth);
    if constexpr (kFetch) {
#pragma GCC unroll 4
      for (int v = 0; v < kPanel; v += 16) __builtin_prefetch(b + kFetchAhead + v);
    }
    b += kPanel;
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const Reg value = V::set1(base[r / 3][(r % 3) * lda]);
#pragma GCC unroll 4
      for (int v = 0; v < kTileRegs; ++v) acc[r][v] = V::fma(value, column[v], acc[r][v]);
    }
#pragma GCC unroll 8
    for (int g = 0; g < kBases; ++g) ++base[g];
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kTileRegs; ++v) V::store(c + r * ldc + v * V::kWidth, acc[r][v]);
  }
}

// Makes the compiler read rows from memory again, where it would keep words in registers that it
// does not have.
template <int kCount>
static inline void read_again(const float* (&base)[kCount]) {
#pragma GCC unroll 8
  for (int g = 0; g < kCount; ++g) asm("" : "+r"(base[g]));
}

// The same for int8 rows and panels (kernels.h). The sums are exact whatever their order; every
// instruction set turns them into floats by the same three roundings.
template <int kRows, bool kFetch>
static void int8_kernel(const float* a, Index lda, const float* b, Index words, float* c,
                        Index ldc) {
  constexpr int kBases = (kRows + 2) / 3;
  const float* base[kBases];
#pragma GCC unroll 8
  for (int g = 0; g < kBases; ++g) {
    base[g] = a + 3 * g * lda;
    asm("" : "+r"(base[g]));
  }
  const float* scales = b + words * kPanel;
  V::Int acc[kRows][kTileRegs];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kTileRegs; ++v) {
      acc[r][v] =
          V::load_int(reinterpret_cast<const std::int32_t*>(scales + kPanel) + v * V::kWidth);
    }
  }
  // Weights whose dot product needs them in two registers are at hand one column after the other,
  // and the rows' words are read again for each: all at once would not fit the registers.
  constexpr int kAtOnce = sizeof(V::Bytes) > sizeof(V::Int) ? 1 : kTileRegs;
  for (Index i = 0; i < words; ++i) {
    if constexpr (kFetch) {
#pragma GCC unroll 4
      for (int v = 0; v < kPanel; v += 16) __builtin_prefetch(b + kFetchAhead + v);
    }
#pragma GCC unroll 4
    for (int first = 0; first < kTileRegs; first += kAtOnce) {
      if constexpr (kAtOnce < kTileRegs) read_again(base);
      V::Bytes column[kAtOnce];
#pragma GCC unroll 4
      for (int v = 0; v < kAtOnce; ++v) column[v] = V::load_bytes(b + (first + v) * V::kWidth);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        std::int32_t bytes = 0;
        __builtin_memcpy(&bytes, base[r / 3] + (r % 3) * lda, sizeof bytes);
        const V::Word value = V::word(bytes);
#pragma GCC unroll 4
        for (int v = 0; v < kAtOnce; ++v) V::dot(acc[r][first + v], value, column[v]);
      }
    }
    b += kPanel;
#pragma GCC unroll 8
    for (int g = 0; g < kBases; ++g) ++base[g];
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    const Reg scale = V::set1(a[r * lda + words]);
#pragma GCC unroll 4
    for (int v = 0; v < kTileRegs; ++v) {
      const Reg x = V::mul(V::to_float(acc[r][v]), V::load(scales + v * V::kWidth));
      V::store(c + r * ldc + v * V::kWidth, V::mul(x, scale));
    }
  }
}

#if !defined(INLAY_BYTE_PLANES)
// The same of words of two numbers of 16 bits, without scales: c is the sums alone, from zero.
template <int kRows>
static void steps_kernel(const float* a, Index lda, const float* b, Index words, float* c,
                         Index ldc) {
  constexpr int kBases = (kRows + 2) / 3;
  const float* base[kBases];
#pragma GCC unroll 8
  for (int g = 0; g < kBases; ++g) {
    base[g] = a + 3 * g * lda;
    asm("" : "+r"(base[g]));
  }
  V::Int acc[kRows][kTileRegs];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kTileRegs; ++v) acc[r][v] = V::no_steps();
  }
  for (Index i = 0; i < words; ++i) {
    V::Steps column[kTileRegs];
#pragma GCC unroll 4
    for (int v = 0; v < kTileRegs; ++v) column[v] = V::load_steps(b + v * V::kWidth);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      std::int32_t pair = 0;
      __builtin_memcpy(&pair, base[r / 3] + (r % 3) * lda, sizeof pair);
      const V::Steps value = V::steps_word(pair);
#pragma GCC unroll 4
      for (int v = 0; v < kTileRegs; ++v) V::dot_steps(acc[r][v], value, column[v]);
    }
    b += kPanel;
#pragma GCC unroll 8
    for (int g = 0; g < kBases; ++g) ++base[g];
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kTileRegs; ++v)
      V::store(c + r * ldc + v * V::kWidth, V::to_float(acc[r][v]));
  }
}
#elif !defined(INLAY_AMX)
// The same of bytes in [0, 127] without scales: c is the sums alone, from zero.
template <int kRows>
static void count_kernel(const float* a, Index lda, const float* b, Index words, float* c,
                         Index ldc) {
  const float* base[kRows];
  V::Int acc[kRows][kTileRegs];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    base[r] = a + r * lda;
#pragma GCC unroll 4
    for (int v = 0; v < kTileRegs; ++v) acc[r][v] = V::Int{};
  }
  for (Index i = 0; i < words; ++i) {
    V::Bytes column[kTileRegs];
#pragma GCC unroll 4
    for (int v = 0; v < kTileRegs; ++v) column[v] = V::load_bytes(b + v * V::kWidth);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      std::int32_t bytes = 0;
      __builtin_memcpy(&bytes, base[r] + i, sizeof bytes);
      const V::Word value = V::word(bytes);
#pragma GCC unroll 4
      for (int v = 0; v < kTileRegs; ++v) V::dot(acc[r][v], value, column[v]);
    }
    b += kPanel;
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kTileRegs; ++v)
      V::store(c + r * ldc + v * V::kWidth, V::to_float(acc[r][v]));
  }
}
#endif

// The same for bf16: the product of each word's second elements is added first, then that of its
// first ones, each with one rounding, as AVX512-BF16's instruction does.
template <int kRows, bool kFetch>
static void bf16_kernel(const float* a, Index lda, const float* b, Index words, float* c,
                        Index ldc) {
  constexpr int kBases = (kRows + 2) / 3;
  const float* base[kBases];
#pragma GCC unroll 8
  for (int g = 0; g < kBases; ++g) {
    base[g] = a + 3 * g * lda;
    asm("" : "+r"(base[g]));
  }
  Reg acc[kRows][kTileRegs];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kTileRegs; ++v) acc[r][v] = V::zero();
  }
  for (Index i = 0; i < words; ++i) {
    if constexpr (kFetch) {
#pragma GCC unroll 4
      for (int v = 0; v < kPanel; v += 16) __builtin_prefetch(b + kFetchAhead + v);
    }
    // Where pairs are multiplied in two halves, one half after the other: fewer registers.
#pragma GCC unroll 2
    for (int half = V::kHalfSteps - 1; half >= 0; --half) {
      if constexpr (V::kHalfSteps > 1) {
        read_again(base);
        asm("" : "+r"(b));
      }
      V::Halves column[kTileRegs];
#pragma GCC unroll 4
      for (int v = 0; v < kTileRegs; ++v) column[v] = V::half_of(V::load(b + v * V::kWidth), half);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const V::Halves value = V::half_of(V::set1(base[r / 3][(r % 3) * lda]), half);
#pragma GCC unroll 4
        for (int v = 0; v < kTileRegs; ++v) V::dot_halves(acc[r][v], value, column[v]);
      }
    }
    b += kPanel;
#pragma GCC unroll 8
    for (int g = 0; g < kBases; ++g) ++base[g];
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kTileRegs; ++v) V::store(c + r * ldc + v * V::kWidth, acc[r][v]);
  }
}

#if defined(INLAY_NEON_MMLA)
#include "backend/cpu/neon_mmla.inl"
#endif

using TileKernel = void (*)(const float*, Index, const float*, Index, float*, Index);
template <bool kFetch, int... kRows>
struct TileTable {
  static constexpr TileKernel kKernels[] = {nullptr, tile_kernel<kRows, kFetch>...};
#if defined(INLAY_NEON_MMLA)
  static constexpr TileKernel kBf16[] = {nullptr, mmla_kernel<Element::kBf16, kRows, kFetch>...};
  static constexpr TileKernel kInt8[] = {nullptr, mmla_kernel<Element::kInt8, kRows, kFetch>...};
#else
  static constexpr TileKernel kBf16[] = {nullptr, bf16_kernel<kRows, kFetch>...};
  static constexpr TileKernel kInt8[] = {nullptr, int8_kernel<kRows, kFetch>...};
#endif
#if !defined(INLAY_BYTE_PLANES)
  static constexpr TileKernel kSteps[] = {nullptr, steps_kernel<kRows>...};
#elif !defined(INLAY_AMX)
  static constexpr TileKernel kSteps[] = {nullptr, count_kernel<kRows>...};
#endif
};
template <bool kFetch, int kCount, int... kRows>
struct MakeTileTable : MakeTileTable<kFetch, kCount - 1, kCount, kRows...> {};
template <bool kFetch, int... kRows>
struct MakeTileTable<kFetch, 0, kRows...> : TileTable<kFetch, kRows...> {};

#if defined(INLAY_AMX)
// Rows of a tile of sums in registers, a third of kTileRows: 22 of the 32.
constexpr int kVectorRows = 11;
#include "backend/cpu/amx.inl"
using KernelSession = TileSession;
constexpr bool kKeepsWeights = true;
#else
constexpr int kVectorRows = kTileRows;
constexpr bool kKeepsWeights = false;
struct KernelSession {
  KernelSession() {}  // holds nothing, for as long as a kernel runs
};
#endif

// c[rows] = a b over one panel, rows <= kTileRows.
template <bool kFetch = false>
static inline void tile_product(Index rows, const float* a, Index lda, const float* b, Index k,
                                float* c, Index ldc) {
  using Table = MakeTileTable<kFetch, kVectorRows>;
  if constexpr (kVectorRows < kTileRows) {
    for (; rows > kVectorRows; rows -= kVectorRows, a += kVectorRows * lda, c += kVectorRows * ldc)
      Table::kKernels[kVectorRows](a, lda, b, k, c, ldc);
  }
  Table::kKernels[rows](a, lda, b, k, c, ldc);
}

// The same of rows and panels of any element; `words` of each.
template <bool kFetch = false>
static inline void element_product(Element element, Index rows, const float* a, Index lda,
                                   const float* b, Index words, float* c, Index ldc) {
  if (element == Element::kFp32) return tile_product<kFetch>(rows, a, lda, b, words, c, ldc);
#if defined(INLAY_AMX)
  if (element == Element::kInt8)
    return amx_product<Element::kInt8, kFetch>(rows, a, lda, b, words, c, ldc);
  amx_product<Element::kBf16, kFetch>(rows, a, lda, b, words, c, ldc);
#else
  using Table = MakeTileTable<kFetch, kVectorRows>;
  (element == Element::kInt8 ? Table::kInt8 : Table::kBf16)[rows](a, lda, b, words, c, ldc);
#endif
}

// The same where, in narrow elements, `a` and `c` have kTileRows rows: those past `rows` may hold
// and get anything, which spares AMX another shape of its tiles.
static inline void whole_product(Element element, Index rows, const float* a, Index lda,
                                 const float* b, Index words, float* c, Index ldc) {
#if defined(INLAY_AMX)
  if (element == Element::kInt8)
    return amx_product<Element::kInt8, false, Sums::kScaled, true>(rows, a, lda, b, words, c, ldc);
  if (element == Element::kBf16)
    return amx_product<Element::kBf16, false, Sums::kStay, true>(rows, a, lda, b, words, c, ldc);
#endif
  element_product(element, rows, a, lda, b, words, c, ldc);
}

#if defined(INLAY_AMX)
// Likewise in bytes: c is 32-bit sums.
static inline void whole_sums(Index rows, const float* a, Index lda, const float* b, Index words,
                              float* c, Index ldc) {
  amx_product<Element::kInt8, false, Sums::kStay, true>(rows, a, lda, b, words, c, ldc);
}
#else
// The sums of attention's probabilities times values (attention_pack.inl), over one panel.
static inline void steps_product(Index rows, const float* a, Index lda, const float* b, Index words,
                                 float* c, Index ldc) {
  MakeTileTable<false, kVectorRows>::kSteps[rows](a, lda, b, words, c, ldc);
}
#endif

#if defined(INLAY_BYTE_PAIRS)
#include "backend/cpu/int8_pairs.inl"
#else
constexpr int kInt8Rows = kTileRows;
#endif
constexpr int kMostRows = kTileRows > kInt8Rows ? kTileRows : kInt8Rows;
// Rows of a tile of weights' products.
static inline Index rows_at_once(Element element) {
  return element == Element::kInt8 ? kInt8Rows : kTileRows;
}

// One panel's product as `args` (GemmArgs or VocabularyArgs) says.
template <bool kFetch, typename Args>
static inline void panel_product(const Args& args, Index rows, Index row, const float* b,
                                 float* c) {
  const float* a = args.a + row * args.lda;
  const Index words = element_words(args.element, args.k);
#if defined(INLAY_BYTE_PAIRS)
  if (args.element == Element::kInt8)
    return pairs_product<kFetch>(rows, a, args.lda, b, words, c, kPanel);
#endif
  element_product<kFetch>(args.element, rows, a, args.lda, b, words, c, kPanel);
}
template <typename Args>
static inline Index panel_floats(const Args& args) {
  return weight_lines(args.element, args.k, kPanel, V::kPairs) * kPanel;
}

// A row's address in a matrix of fp32 or bf16 rows, from one of its columns on.
static inline float* fp32_at(float* matrix, Index ld, Index row, Index column) {
  return matrix + row * ld + column;
}
static inline std::uint16_t* bf16_at(float* matrix, Index ld, Index row, Index column) {
  return reinterpret_cast<std::uint16_t*>(matrix + row * ld) + column;
}

// The first `columns` of a line of kPanel floats to where row and column say. In bf16, zeros follow
// the last column up to a whole 64-byte line.
static inline void store_line(const GemmArgs& args, const float* line, Index row, Index column,
                              Index columns) {
  if (!args.narrow_out) {
    float* out = fp32_at(args.c, args.ldc, row, column);
    for (Index j = 0; j < columns; ++j) out[j] = line[j];
    return;
  }
  std::uint16_t* out = bf16_at(args.c, args.ldc, row, column);
  alignas(64) std::uint16_t halves[kPanel];
#pragma GCC unroll 4
  for (int v = 0; v < kPanel; v += V::kWidth) V::store_halves(halves + v, V::load(line + v));
  for (Index j = 0; j < columns; ++j) out[j] = halves[j];
  if (column + columns < args.n) return;
  const Index end = 2 * element_words(Element::kBf16, args.n) - column;
  for (Index j = columns; j < end; ++j) out[j] = 0;
}

// The tile's sums, in cache, to c: bias, activation, residual. `columns` of the panel exist.
template <VectorActivation kActivation>
static void finish_tile(const GemmArgs& args, const float* tile, Index row, Index rows,
                        Index column, Index columns) {
  Reg bias[kTileRegs];
#pragma GCC unroll 4
  for (int v = 0; v < kTileRegs; ++v) bias[v] = V::load(args.bias + column + v * V::kWidth);
  const bool whole = columns == kPanel;
  // A panel that reaches its bf16 row's end may have zeros to write behind it.
  const bool halves = args.narrow_out && whole && (column + kPanel < args.n || args.n % 32 == 0);
  for (Index r = 0; r < rows; ++r) {
    const float* residual =
        args.residual == nullptr ? nullptr : args.residual + (row + r) * args.ldr + column;
    alignas(64) float line[kPanel];  // a panel that is not whole goes through copies
    alignas(64) float added[kPanel];
    float* target = whole && !args.narrow_out ? fp32_at(args.c, args.ldc, row + r, column) : line;
    if (residual != nullptr && columns < kPanel) {
      for (Index j = 0; j < kPanel; ++j) added[j] = j < columns ? residual[j] : 0.0F;
      residual = added;
    }
#pragma GCC unroll 4
    for (int v = 0; v < kTileRegs; ++v) {
      Reg x = V::add(V::load(tile + r * kPanel + v * V::kWidth), bias[v]);
      x = activate_reg<kActivation>(x);
      if (residual != nullptr) x = V::add(x, V::load(residual + v * V::kWidth));
      if (halves) {
        V::store_halves(bf16_at(args.c, args.ldc, row + r, column) + v * V::kWidth, x);
      } else {
        V::store(target + v * V::kWidth, x);
      }
    }
    if (target == line && !halves) store_line(args, line, row + r, column, columns);
  }
}

// The same for an activation without a vector form.
static void finish_tile_scalar(const GemmArgs& args, float* tile, Index row, Index rows,
                               Index column, Index columns) {
  for (Index r = 0; r < rows; ++r) {
    float* sums = tile + r * kPanel;
    for (Index j = 0; j < columns; ++j) sums[j] += args.bias[column + j];
    activate_scalar(args.activation, sums, columns);
    if (args.residual != nullptr) {
      const float* residual = args.residual + (row + r) * args.ldr + column;
      for (Index j = 0; j < columns; ++j) sums[j] += residual[j];
    }
    store_line(args, sums, row + r, column, columns);
  }
}

// activation(gate) in place, then times the partner, to c.
static void finish_gated(const GemmArgs& args, float* gate, float* partner, Index row, Index rows,
                         Index column, Index columns) {
  const float* bias = args.bias + 2 * column;
  for (Index r = 0; r < rows; ++r) {
    float* g = gate + r * kPanel;
    float* u = partner + r * kPanel;
#pragma GCC unroll 4
    for (int v = 0; v < kPanel; v += V::kWidth) {
      V::store(g + v, V::add(V::load(g + v), V::load(bias + v)));
      V::store(u + v, V::add(V::load(u + v), V::load(bias + kPanel + v)));
    }
    activate(args.activation, g, kPanel);
    const bool direct = columns == kPanel && !args.narrow_out;
    float* target = direct ? fp32_at(args.c, args.ldc, row + r, column) : g;
#pragma GCC unroll 4
    for (int v = 0; v < kPanel; v += V::kWidth)
      V::store(target + v, V::mul(V::load(g + v), V::load(u + v)));
    if (!direct) store_line(args, g, row + r, column, columns);
  }
}

static void gemm_gated(const GemmArgs& args, Index begin, Index end) {
  const Index panels = args.panels(kPanel);
  const Index stride = panel_floats(args);
  const Index most = rows_at_once(args.element);
  alignas(64) float gate[kMostRows * kPanel];
  alignas(64) float partner[kMostRows * kPanel];
  for (Index unit = begin; unit < end; ++unit) {
    const Index panel = unit % panels;
    const Index first = unit / panels * args.row_block;
    const Index last = first + args.row_block < args.m ? first + args.row_block : args.m;
    const float* weights = args.weights + 2 * panel * stride;
    const Index column = panel * kPanel;
    const Index columns = args.n - column < kPanel ? args.n - column : kPanel;
    for (Index row = first; row < last; row += most) {
      const Index rows = last - row < most ? last - row : most;
      if (row == first) {
        panel_product<true>(args, rows, row, weights, gate);
        panel_product<true>(args, rows, row, weights + stride, partner);
      } else {
        panel_product<false>(args, rows, row, weights, gate);
        panel_product<false>(args, rows, row, weights + stride, partner);
      }
      finish_gated(args, gate, partner, row, rows, column, columns);
    }
  }
}

#if defined(INLAY_AMX)
#include "backend/cpu/amx_gemm.inl"
#endif

static void gemm(const GemmArgs& args, Index begin, Index end) {
  [[maybe_unused]] const KernelSession session;
#if defined(INLAY_AMX)
  if (amx_gemm(args, begin, end)) return;
#endif
  if (args.gated) return gemm_gated(args, begin, end);
  using A = VectorActivation;
  const Index panels = args.panels(kPanel);
  const Index most = rows_at_once(args.element);
  alignas(64) float tile[kMostRows * kPanel];
  for (Index unit = begin; unit < end; ++unit) {
    const Index panel = unit % panels;
    const Index first = unit / panels * args.row_block;
    const Index last = first + args.row_block < args.m ? first + args.row_block : args.m;
    const float* weights = args.weights + panel * panel_floats(args);
    const Index column = panel * kPanel;
    const Index columns = args.n - column < kPanel ? args.n - column : kPanel;
    for (Index row = first; row < last; row += most) {
      const Index rows = last - row < most ? last - row : most;
      if (row == first) {
        panel_product<true>(args, rows, row, weights, tile);
      } else {
        panel_product<false>(args, rows, row, weights, tile);
      }
      switch (args.activation) {
        case Activation::kNone:
          finish_tile<A::kNone>(args, tile, row, rows, column, columns);
          break;
        case Activation::kGelu:
          if (args.element == Element::kFp32) {
            finish_tile<A::kGelu>(args, tile, row, rows, column, columns);
          } else {
            finish_tile<A::kGeluShort>(args, tile, row, rows, column, columns);
          }
          break;
        case Activation::kGeluTanh:
          finish_tile<A::kGeluTanh>(args, tile, row, rows, column, columns);
          break;
        case Activation::kGeluQuick:
          finish_tile<A::kGeluQuick>(args, tile, row, rows, column, columns);
          break;
        case Activation::kSilu:
          finish_tile<A::kSilu>(args, tile, row, rows, column, columns);
          break;
        case Activation::kRelu:
          finish_tile<A::kRelu>(args, tile, row, rows, column, columns);
          break;
        default:
          finish_tile_scalar(args, tile, row, rows, column, columns);
          break;
      }
    }
  }
}

static double peak(Index rounds, float* values) {
  constexpr int kRegs = kVectorRows * kTileRegs;
  Reg acc[kRegs];
#pragma GCC unroll 32
  for (int i = 0; i < kRegs; ++i) acc[i] = V::load(values + i);  // different: no two are one
  const Reg x[2] = {V::load(values + 48), V::load(values + 40)};
  const Reg y = V::load(values + 32);
  const Reg minus_y = V::sub(V::zero(), y);  // takes off what y added: sums stay small
  const Index pairs = (rounds + 1) / 2;
  for (Index pair = 0; pair < pairs; ++pair) {
#pragma GCC unroll 32
    for (int i = 0; i < kRegs; ++i) acc[i] = V::fma(x[i % 2], y, acc[i]);
    V::touch(acc[0]);
#pragma GCC unroll 32
    for (int i = 0; i < kRegs; ++i) acc[i] = V::fma(x[i % 2], minus_y, acc[i]);
    V::touch(acc[0]);
  }
  Reg sum = acc[0];
#pragma GCC unroll 32
  for (int i = 1; i < kRegs; ++i) sum = V::add(sum, acc[i]);
  V::store(values, sum);
  return 4.0 * static_cast<double>(pairs) * kRegs * V::kWidth;
}
