// What attention keeps of a block of keys and values, and their packing into panels.
//
// int8: queries and keys have a scale a row and bytes, as rows and weights of a product do, but
// unmixed; scores are exact sums times both scales. A probability, which is at most 1, becomes a
// number of 14 bits, kProbabilitySteps times it rounded (8 bits would lose the many small ones of a
// long text), and values get bytes and a scale a column of the block. Their sums stay within 32
// bits (512 x 16,383 x 127 < 2^31) and are exact until they become floats, by one rounding.
// Processors multiply either words of two numbers of 16 bits, or (INLAY_BYTE_PLANES: their products
// of bytes are more than twice as fast) the probability's upper and lower 7 bits as rows of their
// own, whose sums are exact in floats: 512 x 127 x 127 < 2^24.

struct AttentionBuffers {
  float* keys;             // [key panels][words of a head][kPanel], times scale and log2(e)
  float* values;           // [value panels][words of the keys][kPanel]
  float* scores;           // [kTileRows][lds]
  float* narrow;           // [kTileRows][lds]: queries, then probabilities, in narrow rows
  float* sums;             // [kQueryBlock][padded head size]: products with the values so far
  float* largest;          // [kQueryBlock]
  float* total;            // [kQueryBlock]
  float* query_positions;  // [kTileRows][ldp]: a tile's queries against every relative position
  float* key_positions;    // [block][ldp]: a block's keys likewise
  float* key_scales;       // [block]: in int8, those of its keys, as they stand in the panels
  Index lds, ldp;
  Index padded;
};

// Words of a row of int8. AMX takes whole lines of 16, Armv8.6's matrix instructions pairs;
// elsewhere nothing is multiplied in vain.
static inline Index byte_words(Index width) {
#if defined(INLAY_AMX)
  return element_words(Element::kInt8, width);
#elif defined(INLAY_NEON_MMLA)
  return (width + 7) / 8 * 2;
#else
  return (width + 3) / 4;
#endif
}
// Words of a row of probabilities of so many keys.
static inline Index step_words(Index keys) {
#if defined(INLAY_BYTE_PLANES)
  return byte_words(keys);
#else
  return (keys + 1) / 2;
#endif
}
// Floats of a panel of int8 values: its scales, then the words of a block's keys.
static inline Index value_stride(Index head_size) {
  return (1 + step_words(attention_key_block(head_size))) * kPanel;
}

static inline AttentionBuffers attention_buffers(const AttentionArgs& args) {
  const Index block = attention_key_block(args.head_size);
  AttentionBuffers b;
  b.padded = round_up(args.head_size, kPanel);
  b.lds = block + kLanes;  // not a multiple of 4096 bytes
  b.keys = args.scratch;
  b.values = b.keys + round_up(block, kPanel) * attention_key_lines(args.head_size);
  b.scores = b.values + block * b.padded;
  b.narrow = b.scores + kTileRows * b.lds;
  b.sums = b.narrow + kTileRows * b.lds;
  b.largest = b.sums + kQueryBlock * b.padded;
  b.total = b.largest + kQueryBlock;
  b.key_scales = b.total + kQueryBlock;
  b.query_positions = b.key_scales + round_up(block, kPanel);
  b.ldp = round_up(args.positions, kPanel) + kLanes;
  b.key_positions = b.query_positions + kTileRows * b.ldp;
  return b;
}

// A square that keys or columns do not fill: what is missing becomes zeros.
static inline void transpose_some(const float* in, Index ldi, Index rows, Index width,
                                  float (&turned)[V::kWidth * V::kWidth], float factor) {
  alignas(64) float square[V::kWidth * V::kWidth];
  for (Index i = 0; i < V::kWidth; ++i) {
    float* line = square + i * V::kWidth;
    if (i >= rows) {
      V::store(line, V::zero());
    } else if (width == V::kWidth) {
      V::store(line, V::load(in + i * ldi));
    } else {
      for (Index j = 0; j < V::kWidth; ++j) line[j] = j < width ? in[i * ldi + j] : 0.0F;
    }
  }
  V::transpose_scaled(square, V::kWidth, turned, V::kWidth, factor);
}

static void pack_keys(const AttentionArgs& args, const AttentionBuffers& b, Index begin,
                      Index count) {
  const float factor = args.scale * kLog2E;  // scores come out as exponents of two
  const Index d = args.head_size;
  for (Index panel = 0; panel * kPanel < count; ++panel) {
    float* out = b.keys + panel * d * kPanel;
    const float* k = args.k + (begin + panel * kPanel) * args.ldk;
    const Index columns = count - panel * kPanel < kPanel ? count - panel * kPanel : kPanel;
    for (Index c = 0; c < kPanel; c += V::kWidth) {
      const Index rows = columns - c < V::kWidth ? columns - c : Index{V::kWidth};
      for (Index j = 0; j < d; j += V::kWidth) {
        const Index width = d - j < V::kWidth ? d - j : Index{V::kWidth};
        const float* in = k + c * args.ldk + j;
        float* to = out + j * kPanel + c;
        if (rows == V::kWidth && width == V::kWidth) {
          V::transpose_scaled(in, args.ldk, to, kPanel, factor);
        } else {
          alignas(64) float turned[V::kWidth * V::kWidth];
          transpose_some(in, args.ldk, rows, width, turned, factor);
          for (Index i = 0; i < width; ++i)
            V::store(to + i * kPanel, V::load(turned + i * V::kWidth));
        }
      }
    }
  }
}

#if defined(INLAY_AMX)
#include "backend/cpu/amx_attention.inl"
#endif

// A key in bf16, times scale and log2(e).
struct RoundKey {
  const float* x;
  std::uint16_t* out;
  Row16 factor;
  inline void apply(const Row16& v, std::uint16_t* to) const {
    RoundRow::apply(mul(v, factor), to);
  }
  inline void whole(Index i) { apply(Row16::load(x + i), out + i); }
  inline void rest(Index i, Index n) {
    alignas(64) std::uint16_t halves[kLanes];
    apply(Row16::load_some(x + i, n), halves);
    for (Index j = 0; j < n; ++j) out[i + j] = halves[j];
  }
};

// What a column's sum starts from: what kOffset and kComplements take off (kernels.h).
static inline std::int32_t start_of(const float* row, Index width) {
  std::int32_t start = 0;
  const auto* bytes = reinterpret_cast<const std::int8_t*>(row);
  if (V::kComplements) {
    for (Index i = 0; i < width; ++i) start += bytes[i] < 0 ? -bytes[i] : 0;
  } else if (V::kOffset != 0) {
    for (Index i = 0; i < width; ++i) start -= V::kOffset * bytes[i];
  }
  return start;
}

// A head's columns are followed by the next one's, which comes to the caches meanwhile: columns of
// rows are no stream that a processor would see.
static inline void fetch_next_head([[maybe_unused]] const float* row,
                                   [[maybe_unused]] Index head_size) {
#if defined(INLAY_AMX)
  for (Index i = 0; i < head_size; i += 16) __builtin_prefetch(row + head_size + i, 0, 2);
#endif
}

// Keys as a product's weights, a square of words at a time: rows are rounded, then turned. In int8
// a column's scale (times scale and log2(e)) and start follow its words.
template <Element kElement>
static void pack_keys_narrow(const AttentionArgs& args, const AttentionBuffers& b, Index begin,
                             Index count) {
  constexpr bool kBytes = kElement == Element::kInt8;
  const float factor = args.scale * kLog2E;
  const Index d = args.head_size;
  const Index words = kBytes ? byte_words(d) : element_words(Element::kBf16, d);
  static_assert(V::kWidth <= 2 * kTileRows);
  float* rounded = b.scores;  // and what lies behind them, `narrow`: neither holds anything yet
  alignas(64) float scales[V::kWidth];
  alignas(64) float starts[V::kWidth];
  for (Index panel = 0; panel * kPanel < count; ++panel) {
    float* out = b.keys + panel * (words + (kBytes ? 2 : 0)) * kPanel;
    for (Index c = 0; c < kPanel; c += V::kWidth) {
      const Index first = panel * kPanel + c;
      Index at_once = 0;  // rows that are rounded already
#if defined(INLAY_AMX)
      if (kBytes && d % kLanes == 0) {
        at_once = count - first < V::kWidth ? count - first : Index{V::kWidth};
        at_once = at_once < 0 ? 0 : at_once;
        for (Index i = 0; i < at_once; ++i)
          fetch_next_head(args.k + (begin + first + i) * args.ldk, d);
        round_rows(args.k + (begin + first) * args.ldk, args.ldk, at_once, d, rounded, b.lds,
                   scales);
        for (Index i = 0; i < at_once; ++i) scales[i] *= factor;
        V::store(starts, V::zero());
      }
#endif
      for (Index i = at_once; i < V::kWidth; ++i) {
        float* row = rounded + i * b.lds;
        scales[i] = starts[i] = 0;
        if (first + i >= count) {
          clear_tail(row, 0, 4 * words);
          continue;
        }
        const float* key = args.k + (begin + first + i) * args.ldk;
        if constexpr (kBytes) {
          scales[i] = factor * round_to_bytes<0>(key, d, row, words);
          const std::int32_t start = start_of(row, d);
          __builtin_memcpy(starts + i, &start, sizeof start);
        } else {
          fetch_next_head(key, d);
          RoundKey halves{key, reinterpret_cast<std::uint16_t*>(row), Row16::set1(factor)};
          for_each_16(d, halves);
          clear_tail(row, 2 * d, 4 * words);
        }
      }
      // Lines past the last word, where a square has them, are written again: by what follows here,
      // or by the next panel.
      for (Index j = 0; j < words; j += V::kWidth)
        V::template transpose_scaled<false>(rounded + j, b.lds, out + j * kPanel + c, kPanel, 1);
      if constexpr (kBytes) {
        V::store(out + words * kPanel + c, V::load(scales));
        V::store(b.key_scales + first, V::load(scales));
        V::store(out + (words + 1) * kPanel + c, V::load(starts));
      }
    }
  }
}

// The same of keys that are bf16 already, without a factor.
static void pack_narrow_keys(const AttentionArgs& args, const AttentionBuffers& b, Index begin,
                             Index count) {
  const Index words = args.head_size / 2;
  for (Index first = 0; first < round_up(count, kPanel); first += V::kWidth) {
    float* out = b.keys + first / kPanel * words * kPanel + first % kPanel;
    const float* rows = args.k + (begin + first) * args.ldk;
    Index ld = args.ldk;
    if (first + V::kWidth > count) {  // zeros where there is no key, by a copy as above
      for (Index i = 0; i < V::kWidth; ++i) {
        for (Index j = 0; j < words; j += V::kWidth)
          V::store(b.scores + i * b.lds + j,
                   first + i < count ? V::load(rows + i * ld + j) : V::zero());
      }
      rows = b.scores;
      ld = b.lds;
    } else {
      for (Index i = 0; i < V::kWidth; ++i) fetch_next_head(rows + i * ld, words);
    }
    for (Index j = 0; j < words; j += V::kWidth)
      V::template transpose_scaled<false>(rows + j, ld, out + j * kPanel, kPanel, 1);
  }
}

static void pack_values(const AttentionArgs& args, const AttentionBuffers& b, Index begin,
                        Index count) {
  const Index block = attention_key_block(args.head_size);
  for (Index column = 0; column < args.head_size; column += kPanel) {
    float* out = b.values + column * block;
    const Index columns =
        args.head_size - column < kPanel ? args.head_size - column : Index{kPanel};
    for (Index i = 0; i < count; ++i, out += kPanel) {
      const float* v = args.v + (begin + i) * args.ldv + column;
      if (columns == kPanel) {
#pragma GCC unroll 4
        for (int r = 0; r < kTileRegs; ++r)
          V::store(out + r * V::kWidth, V::load(v + r * V::kWidth));
      } else {
        for (Index j = 0; j < kPanel; ++j) out[j] = j < columns ? v[j] : 0.0F;
      }
    }
  }
}

static void pack_values_bf16(const AttentionArgs& args, const AttentionBuffers& b, Index begin,
                             Index count) {
  const Index block = attention_key_block(args.head_size);
  const Index words = element_words(Element::kBf16, count);
  alignas(64) float lines[2][kPanel];
  for (Index column = 0; column < args.head_size; column += kPanel) {
    float* out = b.values + column * (block / 2);
    const Index columns =
        args.head_size - column < kPanel ? args.head_size - column : Index{kPanel};
    for (Index i = 0; i < words; ++i, out += kPanel) {
      const float* pair[2];
      for (Index half = 0; half < 2; ++half) {
        const Index key = 2 * i + half;
        const float* v = args.v + (begin + key) * args.ldv + column;
        pair[half] = v;
        if (column == 0 && key < count) fetch_next_head(v, args.head_size);
        if (key < count && columns == kPanel) continue;
        for (Index j = 0; j < kPanel; ++j)
          lines[half][j] = key < count && j < columns ? v[j] : 0.0F;
        pair[half] = lines[half];
      }
#pragma GCC unroll 4
      for (int r = 0; r < kPanel; r += V::kWidth)
        V::store(out + r, V::pair_halves(V::load(pair[0] + r), V::load(pair[1] + r)));
    }
  }
}

// The same of values that are bf16 already.
static void pack_narrow_values(const AttentionArgs& args, const AttentionBuffers& b, Index begin,
                               Index count) {
  const Index block = attention_key_block(args.head_size);
  const Index words = element_words(Element::kBf16, count);
  alignas(64) static constexpr std::uint16_t kZeros[kPanel] = {};
  for (Index column = 0; column < args.head_size; column += kPanel) {
    float* out = b.values + column * (block / 2);
    for (Index i = 0; i < words; ++i, out += kPanel) {
      const std::uint16_t* pair[2];
      for (Index half = 0; half < 2; ++half) {
        const Index key = 2 * i + half;
        const float* v = args.v + (begin + key) * args.ldv;
        pair[half] = key < count ? reinterpret_cast<const std::uint16_t*>(v) + column : kZeros;
        if (column == 0 && key < count) fetch_next_head(v, args.head_size / 2);
      }
#pragma GCC unroll 4
      for (int r = 0; r < kPanel; r += V::kWidth)
        V::store(out + r, V::zip_halves(pair[0] + r, pair[1] + r));
    }
  }
}

// The scales that turn columns of values into bytes, and those that turn sums back; NaN where a
// value is not finite.
static inline void value_scales(const AttentionArgs& args, Index begin, Index count, Index column,
                                Index columns, float* inverse, float* scales) {
  for (Index j = 0; j < kPanel; ++j) inverse[j] = scales[j] = 0;
  for (Index j = 0; j + V::kWidth <= columns; j += V::kWidth) {
    Reg top = V::zero();
    Reg poison = V::zero();
    for (Index i = 0; i < count; ++i) {
      const Reg v = V::load(args.v + (begin + i) * args.ldv + column + j);
      top = V::max(V::abs(v), top);
      poison = V::fma(v, V::zero(), poison);
    }
    V::store(inverse + j, top);
    V::store(scales + j, poison);
  }
  for (Index j = columns / V::kWidth * V::kWidth; j < columns; ++j) {
    for (Index i = 0; i < count; ++i) {
      const float v = args.v[(begin + i) * args.ldv + column + j];
      const float size = __builtin_fabsf(v);
      inverse[j] = size > inverse[j] ? size : inverse[j];
      scales[j] = __builtin_fmaf(v, 0.0F, scales[j]);
    }
  }
  for (Index j = 0; j < columns; ++j) {
    const float top = inverse[j];
    const bool some = top > 1e-35F;  // as round_to_bytes has it
    inverse[j] = some ? 127.0F / top : 0.0F;
    scales[j] += some ? top / 127.0F : 0.0F;
  }
}

// Values as weights of the product with probabilities: a panel's scales, then words of two or four
// keys a column.
static void pack_values_int8(const AttentionArgs& args, const AttentionBuffers& b, Index begin,
                             Index count) {
#if defined(INLAY_BYTE_PLANES)
  constexpr int kKeys = 4;
#else
  constexpr int kKeys = 2;
#endif
  const Index words = step_words(count);
  alignas(64) float inverse[kPanel];
  alignas(64) float lines[kKeys][kPanel];
  for (Index column = 0; column < args.head_size; column += kPanel) {
    const Index columns =
        args.head_size - column < kPanel ? args.head_size - column : Index{kPanel};
    float* out = b.values + column / kPanel * value_stride(args.head_size);
    value_scales(args, begin, count, column, columns, inverse, out);
    out += kPanel;
    for (Index i = 0; i < words; ++i, out += kPanel) {
      const float* rows[kKeys];
      for (Index q = 0; q < kKeys; ++q) {
        const Index key = kKeys * i + q;
        rows[q] = args.v + (begin + key) * args.ldv + column;
        if (column == 0 && key < count) fetch_next_head(rows[q], args.head_size);
        if (key < count && columns == kPanel) continue;
        for (Index j = 0; j < kPanel; ++j)
          lines[q][j] = key < count && j < columns ? rows[q][j] : 0.0F;
        rows[q] = lines[q];
      }
#pragma GCC unroll 4
      for (int r = 0; r < kPanel; r += V::kWidth) {
        Reg x[kKeys];
        const Reg scale = V::load(inverse + r);
#pragma GCC unroll 4
        for (int q = 0; q < kKeys; ++q)
          x[q] = V::add(V::mul(V::load(rows[q] + r), scale), V::set1(kRoundMagic));
#if defined(INLAY_BYTE_PLANES)
        V::store(out + r, V::quad_bytes(x[0], x[1], x[2], x[3]));
#else
        V::store(out + r, V::pair_steps(x[0], x[1]));
#endif
      }
    }
  }
}

static void pack_block(const AttentionArgs& args, const AttentionBuffers& b, Index begin,
                       Index count) {
  if (args.narrow_in) {
    pack_narrow_keys(args, b, begin, count);
    pack_narrow_values(args, b, begin, count);
  } else if (args.element == Element::kBf16) {
    pack_keys_narrow<Element::kBf16>(args, b, begin, count);
    pack_values_bf16(args, b, begin, count);
  } else if (args.element == Element::kInt8) {
    pack_keys_narrow<Element::kInt8>(args, b, begin, count);
    pack_values_int8(args, b, begin, count);
  } else {
    pack_keys(args, b, begin, count);
    pack_values(args, b, begin, count);
  }
}
