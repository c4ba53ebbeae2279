// The product of rows with a weight matrix on AMX where its epilogue has a vector form: a tile of
// sums is finished, some rows after each step, while the next tile is multiplied. Multiplications
// and vector instructions then run side by side, and what TILESTORED wrote has reached the cache
// when it is read. A row's arithmetic is finish_tile's.

// A tile of sums that is being finished. Its rows' addresses move on from row to row: computing
// them anew takes as many instructions as the row itself.
template <Element kElement, VectorActivation kActivation>
struct TileWork {
  Index lda, ldr, ldc;
  bool narrow_out;
  Index share;                       // rows finished after a step
  Index left = 0;                    // rows of the tile that are not finished
  const float* sums = nullptr;       // from here on: of the next of these
  const float* row_scale = nullptr;  // int8
  const float* residual = nullptr;   // or none
  float* out = nullptr;
  Reg bias[2] = {}, scales[2] = {};

  inline void row() {
    Reg x[2];
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      if constexpr (kElement == Element::kInt8) {  // the roundings of int8_kernel
        x[v] =
            V::to_float(V::load_int(reinterpret_cast<const std::int32_t*>(sums + v * V::kWidth)));
        x[v] = V::mul(V::mul(x[v], scales[v]), V::set1(*row_scale));
      } else {
        x[v] = V::load(sums + v * V::kWidth);
      }
      x[v] = activate_reg<kActivation>(V::add(x[v], bias[v]));
    }
    if (residual != nullptr) {
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) x[v] = V::add(x[v], V::load(residual + v * V::kWidth));
      residual += ldr;
    }
    if (narrow_out) {
      V::store_two_halves(reinterpret_cast<std::uint16_t*>(out), x[0], x[1]);
    } else {
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) V::store(out + v * V::kWidth, x[v]);
    }
    sums += kPanel;
    if constexpr (kElement == Element::kInt8) row_scale += lda;
    out += ldc;
  }
  inline void rows(Index count) {
    count = count < left ? count : left;
    left -= count;
    for (; count > 0; --count) row();
  }
  inline void step() { rows(share); }
};

// The first to read a panel fetches ahead, too (kFetchAhead).
template <typename Work>
struct WorkAndFetch {
  Work* work;
  PanelFetch<true> fetch;
  inline void step() {
    fetch.step();
    work->step();
  }
};

template <Element kElement, VectorActivation kActivation>
static void amx_gemm_of(const GemmArgs& args, Index begin, Index end) {
  const Index panels = args.panels(kPanel);
  const Index stride = panel_floats(args);
  const Index words = element_words(kElement, args.k);
  const Index lda = args.lda;
  alignas(64) float tiles[2][kTileRows * kPanel];
  using Work = TileWork<kElement, kActivation>;
  Work work{lda, args.ldr, args.ldc, args.narrow_out, (kTileRows + words / 16 - 1) / (words / 16)};
  Index configured = kTileRows;
  int which = 0;
  for (Index unit = begin; unit < end; ++unit) {
    const Index panel = unit % panels;
    const Index first = unit / panels * args.row_block;
    const Index last = first + args.row_block < args.m ? first + args.row_block : args.m;
    const float* weights = args.weights + panel * stride;
    // Tile by tile (kernels.h, keeps_weights), later tiles find the weights where the first had
    // them.
    const Index reader = first == 0 || args.row_block > kTileRows ? first : last;
    for (Index row = first; row < last; row += kTileRows, which ^= 1) {
      const Index rows = last - row < kTileRows ? last - row : Index{kTileRows};
      if (rows != configured) _tile_loadconfig(&kTileConfigs.of[rows]);
      configured = rows;
      const float* a = args.a + row * lda;
      float* c = tiles[which];
      if (rows <= 16) {
        multiply_tiles<kElement, false>(a, lda, weights, words, c, kPanel, &work);
      } else if (row == reader) {
        WorkAndFetch<Work> both{&work, {weights}};
        multiply_tiles<kElement, true>(a, lda, weights, words, c, kPanel, &both);
      } else {
        multiply_tiles<kElement, true, true>(a, lda, weights, words, c, kPanel, &work);
      }
      work.rows(kTileRows);
      const Index column = panel * kPanel;
      work.left = rows;
      work.sums = c;
      work.row_scale = a + words;
      work.residual = args.residual == nullptr ? nullptr : args.residual + row * args.ldr + column;
      work.out =
          args.narrow_out ? args.c + row * args.ldc + column / 2 : args.c + row * args.ldc + column;
      for (int v = 0; v < 2; ++v) {
        work.bias[v] = V::load(args.bias + column + v * V::kWidth);
        if constexpr (kElement == Element::kInt8)
          work.scales[v] = V::load(weights + words * kPanel + v * V::kWidth);
      }
    }
  }
  work.rows(kTileRows);
}

template <Element kElement>
static bool amx_gemm_by_activation(const GemmArgs& args, Index begin, Index end) {
  using A = VectorActivation;
  switch (args.activation) {
    case Activation::kNone:
      amx_gemm_of<kElement, A::kNone>(args, begin, end);
      return true;
    case Activation::kGelu:
      amx_gemm_of<kElement, A::kGeluShort>(args, begin, end);
      return true;
    case Activation::kGeluTanh:
      amx_gemm_of<kElement, A::kGeluTanh>(args, begin, end);
      return true;
    case Activation::kRelu:
      amx_gemm_of<kElement, A::kRelu>(args, begin, end);
      return true;
    default:
      return false;
  }
}

// Whether this was a product for it, which is done then: whole panels, and an activation that is
// worth a loop of its own.
static bool amx_gemm(const GemmArgs& args, Index begin, Index end) {
  if (args.gated || args.n % kPanel != 0) return false;
  if (args.element == Element::kBf16)
    return amx_gemm_by_activation<Element::kBf16>(args, begin, end);
  return args.element == Element::kInt8 && amx_gemm_by_activation<Element::kInt8>(args, begin, end);
}
