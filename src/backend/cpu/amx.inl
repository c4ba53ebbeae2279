// Products of narrow rows on AMX: 32 rows by a panel of 32 columns as 2 x 2 tiles of sums, beside
// two tiles of rows and two of weights. A step takes a 64-byte line of each row (16 words) and as
// many lines of the panel: four tiles loaded, four multiplied. Four multiplications take 64 cycles
// and need one cache line a cycle; with one tile of rows they would need one and a half.

static_assert(kTileRows == 32 && kTileRegs * V::kWidth == 32);

// What LDTILECFG reads: 16 words a row everywhere, and the rows of each tile (Intel's manual,
// volume 1, chapter 18). Tiles 0, 1: sums of rows 0-15; 2, 3: of rows 16-31; 4, 5: rows; 6, 7:
// weights.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};
constexpr TileConfig tile_config(int rows) {
  TileConfig config;
  const int upper = rows < 16 ? rows : 16;
  const int lower = rows > 16 ? rows - 16 : 1;  // a tile without rows is an error even when unused
  const int of_tile[8] = {upper, upper, lower, lower, upper, lower, 16, 16};
  for (int i = 0; i < 8; ++i) {
    config.row_bytes[i] = 64;
    config.rows[i] = static_cast<std::uint8_t>(of_tile[i]);
  }
  return config;
}
struct TileConfigs {
  TileConfig of[kTileRows + 1];
};
constexpr TileConfigs tile_configs() {
  TileConfigs configs;
  for (int rows = 1; rows <= kTileRows; ++rows) configs.of[rows] = tile_config(rows);
  return configs;
}
alignas(64) constexpr TileConfigs kTileConfigs = tile_configs();

// Tiles are the thread's own state, which other libraries may set too: each kernel call sets them
// and leaves them empty, so that a switch of threads saves nothing.
struct TileSession {
  TileSession() { _tile_loadconfig(&kTileConfigs.of[kTileRows]); }
  ~TileSession() { _tile_release(); }
  TileSession(const TileSession&) = delete;
  TileSession& operator=(const TileSession&) = delete;
};

// What a product does beside its multiplications, which leave the vector units idle: nothing, or
// fetching the panel kFetchAhead floats ahead.
template <bool kFetch>
struct PanelFetch {
  const float* b;
  inline void step() {
    if constexpr (!kFetch) return;
    for (Index line = 0; line < 16 * 32; line += 16) __builtin_prefetch(b + kFetchAhead + line);
    b += 16 * 32;
  }
};

// c[rows][32] = a b in fp32 sums of bf16, or in 32-bit sums of bytes; work->step() after each step.
// kPassing: b comes from the L2 cache and need not stay in the L1 cache, where the rows are: its
// lines would push them out before the next panel (32 rows of 384 words fill it), and a tile from
// the L2 cache takes as long as a product. Products of width 768 take 0.85 to 0.91 of the time in
// bf16.
template <Element kElement, bool kBoth, bool kPassing = false, typename Work>
static inline void multiply_tiles(const float* a, Index lda, const float* b, Index words, float* c,
                                  Index ldc, Work* work) {
  const Index row_bytes = lda * Index{sizeof(float)};
  constexpr Index kLineBytes = 32 * Index{sizeof(float)};
  asm volatile("" ::: "memory");  // tile loads do not tell the compiler that they read
  _tile_zero(0);
  _tile_zero(1);
  if constexpr (kBoth) {
    _tile_zero(2);
    _tile_zero(3);
  }
  for (Index i = 0; i < words; i += 16, b += 16 * 32) {
    _tile_loadd(4, a + i, row_bytes);
    if constexpr (kPassing) {
      _tile_stream_loadd(6, b, kLineBytes);
      _tile_stream_loadd(7, b + 16, kLineBytes);
    } else {
      _tile_loadd(6, b, kLineBytes);
      _tile_loadd(7, b + 16, kLineBytes);
    }
    if constexpr (kElement == Element::kBf16) {
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
    } else {
      _tile_dpbssd(0, 4, 6);
      _tile_dpbssd(1, 4, 7);
    }
    if constexpr (kBoth) {
      _tile_loadd(5, a + 16 * lda + i, row_bytes);
      if constexpr (kElement == Element::kBf16) {
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      } else {
        _tile_dpbssd(2, 5, 6);
        _tile_dpbssd(3, 5, 7);
      }
    }
    work->step();
  }
  const Index out_bytes = ldc * Index{sizeof(float)};
  _tile_stored(0, c, out_bytes);
  _tile_stored(1, c + 16, out_bytes);
  if constexpr (kBoth) {
    _tile_stored(2, c + 16 * ldc, out_bytes);
    _tile_stored(3, c + 16 * ldc + 16, out_bytes);
  }
}

// What becomes of 32-bit sums of bytes: they stay, or the roundings of int8_kernel.
enum class Sums { kStay, kScaled };

// kWhole: a and c have kTileRows rows.
template <Element kElement, bool kFetch, Sums kSums = Sums::kScaled, bool kWhole = false>
static inline void amx_product(Index rows, const float* a, Index lda, const float* b, Index words,
                               float* c, Index ldc) {
  if (!kWhole && rows < kTileRows) _tile_loadconfig(&kTileConfigs.of[rows]);
  PanelFetch<kFetch> fetch{b};
  if (rows > 16) {
    multiply_tiles<kElement, true>(a, lda, b, words, c, ldc, &fetch);
  } else {
    multiply_tiles<kElement, false>(a, lda, b, words, c, ldc, &fetch);
  }
  if (!kWhole && rows < kTileRows) _tile_loadconfig(&kTileConfigs.of[kTileRows]);
  if constexpr (kElement == Element::kInt8 && kSums == Sums::kScaled) {
    const Reg scales[2] = {V::load(b + words * 32), V::load(b + words * 32 + 16)};
    for (Index r = 0; r < rows; ++r) {
      const Reg scale = V::set1(a[r * lda + words]);
      for (int v = 0; v < 2; ++v) {
        float* at = c + r * ldc + v * V::kWidth;
        const Reg sums = V::to_float(V::load_int(reinterpret_cast<const std::int32_t*>(at)));
        V::store(at, V::mul(V::mul(sums, scales[v]), scale));
      }
    }
  }
}
