// What stands at the two ends of a layer stack's matrix products: queries and keys made ready for
// attention, and the SPLADE head, whose products never leave the tile.

// Turns the pairs of one head by their cosines and sines.
static inline void rotate(float* x, const float* turns, Index pairs, bool interleaved) {
  const float* cosines = turns;
  const float* sines = turns + pairs;
  if (interleaved) {
    for (Index i = 0; i < pairs; ++i) {
      const float a = x[2 * i];
      const float b = x[2 * i + 1];
      x[2 * i] = a * cosines[i] - b * sines[i];
      x[2 * i + 1] = b * cosines[i] + a * sines[i];
    }
    return;
  }
  float* y = x + pairs;
  Index i = 0;
  for (; i + V::kWidth <= pairs; i += V::kWidth) {
    const Reg a = V::load(x + i);
    const Reg b = V::load(y + i);
    const Reg c = V::load(cosines + i);
    const Reg s = V::load(sines + i);
    V::store(x + i, V::sub(V::mul(a, c), V::mul(b, s)));
    V::store(y + i, V::fma(b, c, V::mul(a, s)));
  }
  for (; i < pairs; ++i) {
    const float a = x[i];
    const float b = y[i];
    x[i] = a * cosines[i] - b * sines[i];
    y[i] = b * cosines[i] + a * sines[i];
  }
}

static void prepare(const PrepareArgs& args) {
  const Index width = args.heads * args.head_size;
  NormArgs norm;
  norm.weight = args.norm_weight;
  norm.bias = args.norm_bias;
  norm.eps = args.eps;
  norm.rms = args.rms;
  norm.width = args.whole ? width : args.head_size;
  for (Index r = 0; r < args.rows; ++r) {
    const float* x = args.input + r * args.ldi;
    float* out = args.out + r * args.ldo;
    if (norm.weight != nullptr) {
      for (Index begin = 0; begin < width; begin += norm.width)
        norm_row(norm, x + begin, out + begin);
    } else if (x != out) {
      for (Index d = 0; d < width; ++d) out[d] = x[d];
    }
    if (args.turns == nullptr) continue;
    const float* turns = args.turns + r * 2 * args.pairs;
    for (Index head = 0; head < args.heads; ++head)
      rotate(out + head * args.head_size, turns, args.pairs, args.interleaved);
  }
}

// A text's best (or summed) logits of one panel.
struct VocabularyColumns {
  Reg best[kTileRegs];
  Reg poison[kTileRegs];  // NaN once any logit was not finite: a maximum may lose it

  inline void start(bool sum) {
#pragma GCC unroll 4
    for (int v = 0; v < kTileRegs; ++v) {
      best[v] = sum ? V::zero() : V::set1(-__builtin_inff());
      poison[v] = V::zero();
    }
  }
  inline void maximum(const float* logits) {
#pragma GCC unroll 4
    for (int v = 0; v < kTileRegs; ++v) {
      const Reg x = V::load(logits + v * V::kWidth);
      best[v] = V::max(x, best[v]);
      poison[v] = V::fma(x, V::zero(), poison[v]);
    }
  }
  inline void add(const float* weights) {
#pragma GCC unroll 4
    for (int v = 0; v < kTileRegs; ++v) best[v] = V::add(best[v], V::load(weights + v * V::kWidth));
  }
};

static inline void add_bias(float* line, const float* bias) {
#pragma GCC unroll 4
  for (int v = 0; v < kPanel; v += V::kWidth)
    V::store(line + v, V::add(V::load(line + v), V::load(bias + v)));
}

static inline void finish_vocabulary(const VocabularyArgs& args, const VocabularyColumns& columns,
                                     Index text, Index column) {
  alignas(64) float line[kPanel];
#pragma GCC unroll 4
  for (int v = 0; v < kTileRegs; ++v)
    V::store(line + v * V::kWidth, V::add(columns.best[v], columns.poison[v]));
  if (!args.sum) {  // the maximum of f is f of the maximum: bias and logarithm once a text
    add_bias(line, args.bias + column);
    log1p_relu(line, kPanel, args.twice);
  }
  const Index count = args.n - column < kPanel ? args.n - column : Index{kPanel};
  for (Index j = 0; j < count; ++j) args.out[text * args.ldo + column + j] = line[j];
}

static void vocabulary_max(const VocabularyArgs& args, Index panel_begin, Index panel_end) {
  [[maybe_unused]] const KernelSession session;
  alignas(64) float tile[kMostRows * kPanel];
  const Index most = rows_at_once(args.element);
  const Index first = args.offsets[0];
  const Index tokens = args.offsets[args.texts] - first;
  for (Index panel = panel_begin; panel < panel_end; ++panel) {
    const float* weights = args.weights + panel * panel_floats(args);
    const Index column = panel * kPanel;
    VocabularyColumns columns;
    columns.start(args.sum);
    Index text = 0;
    for (Index row = 0; row < tokens; row += most) {
      const Index rows = tokens - row < most ? tokens - row : most;
      panel_product<false>(args, rows, row, weights, tile);
      for (Index r = 0; r < rows; ++r) {
        float* logits = tile + r * kPanel;
        if (args.sum) {
          add_bias(logits, args.bias + column);
          log1p_relu(logits, kPanel, args.twice);
          columns.add(logits);
        } else {
          columns.maximum(logits);
        }
        if (first + row + r + 1 < args.offsets[text + 1]) continue;
        finish_vocabulary(args, columns, text++, column);
        columns.start(args.sum);
      }
    }
  }
}
