// Attention of one text and head: keys and values of a block packed into panels
// (attention_pack.inl), scores of a tile of query rows in cache, softmax on them, then the product
// with the values. Nothing of size [keys, keys] exists. A row's arithmetic depends on its text's
// length and its own position alone. Scores, softmax and sums are fp32. In bf16, what enters either
// product is rounded; in int8, see attention_pack.inl.

// What to add to the last 16 scores of a row so that `count` of them count: zeros, then -infinity.
static inline Row16 past_end(Index count) {
  constexpr float kNo = -__builtin_inff();
  alignas(64) static constexpr float kAdd[2 * kLanes] = {
      0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,
      kNo, kNo, kNo, kNo, kNo, kNo, kNo, kNo, kNo, kNo, kNo, kNo, kNo, kNo, kNo, kNo};
  return Row16::load(kAdd + kLanes - count);
}

// Where the probabilities of a row go, 16 at a time from a multiple of 16 on: over the scores, or
// as narrow rows. clear() takes back what lies in [begin, end), and may take up to 15 more.
struct FloatProbabilities {
  using Power = ExactPower;               // of exp2_of
  static constexpr bool kScaled = false;  // whether scores have a scale of their row
  static constexpr Index kWhole = 1;      // a row is taken up to a multiple of so many
  static constexpr int kAtOnce = 1;       // stores of 16 that store_all() joins
  float* out;
  inline void store(Index i, const Row16& p) const { p.store(out + i); }
  inline void clear(Index begin, Index end) const {
    for (Index i = begin; i < end; i += kLanes) Row16::set1(0).store(out + i);
  }
  inline void clear_one(Index i) const { out[i] = 0; }
};
struct HalfProbabilities {
  using Power = ShortPower;
  static constexpr bool kScaled = false;
  static constexpr Index kWhole = 32;
  static constexpr int kAtOnce = 2;
  std::uint16_t* out;
#if defined(INLAY_AVX512_BF16)
  inline void store_all(Index i, const Row16 (&p)[kAtOnce]) const {
    V::store_two_halves(out + i, p[0].reg[0], p[1].reg[0]);
  }
#endif
  inline void store(Index i, const Row16& p) const { RoundRow::apply(p, out + i); }
  inline void clear(Index begin, Index end) const {
    for (Index i = begin; i < end; i += kLanes) store(i, Row16::set1(0));
  }
  inline void clear_one(Index i) const { out[i] = 0; }
};
// Of keys that scale and log2(e) are not part of.
struct ScaledHalfProbabilities : HalfProbabilities {
  static constexpr bool kScaled = true;
};
// In planes, the upper bits to `out` and the lower ones to `low`.
struct StepProbabilities {
  using Power = StepsPower;
  static constexpr bool kScaled = true;
#if defined(INLAY_AMX)
  static constexpr int kAtOnce = 4;
  inline void store_all(Index i, const Row16 (&p)[kAtOnce]) const {
    V::store_64_planes(out + i, low + i, p[0].reg[0], p[1].reg[0], p[2].reg[0], p[3].reg[0]);
  }
#else
  static constexpr int kAtOnce = 1;
#endif
#if defined(INLAY_BYTE_PLANES)
  static constexpr Index kWhole = 64;
  std::uint8_t* out;
  std::uint8_t* low;
#else
  static constexpr Index kWhole = 2;
  std::uint16_t* out;
#endif
  inline void store_bits(Index i, const Row16& x) const {
#pragma GCC unroll 4
    for (int r = 0; r < Row16::kRegs; ++r) {
      const Index at = i + r * V::kWidth;
#if defined(INLAY_BYTE_PLANES)
      V::store_planes(out + at, low + at, x.reg[r]);
#else
      V::store_steps(out + at, x.reg[r]);
#endif
    }
  }
  inline void store(Index i, const Row16& p) const {
    store_bits(i, add(p, Row16::set1(kRoundMagic)));
  }
  inline void clear(Index begin, Index end) const {
    for (Index i = begin; i < end; i += kLanes) store_bits(i, Row16::set1(0));
  }
  inline void clear_one(Index i) const {
    out[i] = 0;
#if defined(INLAY_BYTE_PLANES)
    low[i] = 0;
#endif
  }
};

// Scores of a row times `scale` are the exponents. Where they are 32-bit sums still, key_scales
// (else null) has the factors that make them floats.
struct RowOfScores {
  float* scores;
  float scale = 1;
  const float* key_scales = nullptr;
};
template <bool kSums>
static inline Row16 take_scores(const RowOfScores& row, Index i) {
  if constexpr (!kSums) return Row16::load(row.scores + i);
  Row16 x;
  for (int r = 0; r < Row16::kRegs; ++r) {
    float* at = row.scores + i + r * V::kWidth;
    const Reg sums = V::to_float(V::load_int(reinterpret_cast<const std::int32_t*>(at)));
    x.reg[r] = V::mul(sums, V::load(row.key_scales + i + r * V::kWidth));
  }
  x.store(row.scores + i);
  return x;
}

// 2^(score scale - largest), in Out's units, added to *sum.
template <typename Out>
static inline Row16 exponentiate(const Row16& scores, const Row16& scale, const Row16& largest,
                                 Row16* sum) {
  Row16 x = Out::kScaled ? fma(scores, scale, sub(Row16::set1(0), largest)) : sub(scores, largest);
#pragma GCC unroll 4
  for (int r = 0; r < Row16::kRegs; ++r)
    x.reg[r] = exp2_of<typename Out::Power>(V::max(V::set1(-126.0F), x.reg[r]));
  *sum = add(*sum, x);
  return x;
}

// `count` scores from a multiple of 16, `from`, on: 2^(score - largest) to `out`, whose column 0 is
// theirs. Returns the sum of these; *largest becomes the maximum of what it was and the scores.
// Lanes past the end, up to a multiple of 16, become 2^-126: below half a bit of any sum, which
// holds a one.
template <typename Out, bool kSums>
static inline float softmax_row(const RowOfScores& row, Index from, Index count, float* largest,
                                const Out& out) {
  const Index last = from + (count - 1) / kLanes * kLanes;
  const Row16 end = add(take_scores<kSums>(row, last), past_end(from + count - last));
  Row16 top = max(end, Row16::set1(-__builtin_inff()));  // not a NaN
  for (Index i = from; i < last; i += kLanes) top = max(take_scores<kSums>(row, i), top);
  const float most = max_of(top) * row.scale;
  *largest = most > *largest ? most : *largest;
  const Row16 scale = Row16::set1(row.scale);
  const Row16 shift = Row16::set1(*largest);
  Row16 sum = Row16::set1(0);
  Index i = from;
#if defined(INLAY_AVX512_BF16)
  if constexpr (Out::kAtOnce > 1) {  // narrow rows are packed from several registers
    for (; i + Out::kAtOnce * kLanes <= last; i += Out::kAtOnce * kLanes) {
      Row16 x[Out::kAtOnce];
#pragma GCC unroll 4
      for (int q = 0; q < Out::kAtOnce; ++q)
        x[q] = exponentiate<Out>(Row16::load(row.scores + i + q * kLanes), scale, shift, &sum);
      out.store_all(i, x);
    }
  }
#endif
  for (; i < last; i += kLanes)
    out.store(i, exponentiate<Out>(Row16::load(row.scores + i), scale, shift, &sum));
  out.store(last, exponentiate<Out>(end, scale, shift, &sum));
  return sum_of(sum);
}

static inline float exp2_scalar(float x) {
  alignas(64) float lanes[V::kWidth];
  V::store(lanes, exp2_of(V::max(V::set1(-126.0F), V::set1(x))));
  return lanes[0];
}

// Keys [begin, end) of a block that a query sees; none: begin == end.
struct Seen {
  Index begin, end;
};
static inline Seen seen_keys(const AttentionArgs& args, Index position, Index key_begin,
                             Index key_count) {
  Seen seen{0, key_count};
  if (args.causal || args.window >= 0) {
    const Index last = args.causal ? position : position + args.window;
    const Index end = last + 1 - key_begin;
    seen.end = end < 0 ? 0 : (end < key_count ? end : key_count);
  }
  if (args.window >= 0) {
    const Index begin = position - args.window - key_begin;
    seen.begin = begin < 0 ? 0 : (begin < seen.end ? begin : seen.end);
  }
  return seen;
}

// The columns of position panels that distances [lowest, highest] fall into: a range of panels.
static inline Seen position_panels(const AttentionArgs& args, Index lowest, Index highest) {
  return {args.distances[lowest] / kPanel, args.distances[highest] / kPanel + 1};
}

static inline void position_products(const AttentionArgs& args, const AttentionBuffers& b,
                                     Index rows, const float* x, Index ldx, const float* panels,
                                     Seen range, float* out) {
  for (Index panel = range.begin; panel < range.end; ++panel) {
    tile_product(rows, x, ldx, panels + panel * args.head_size * kPanel, args.head_size,
                 out + panel * kPanel, b.ldp);
  }
}

// The block's keys against the positions that any of the queries [row, row_end) may need.
static void pack_key_positions(const AttentionArgs& args, const AttentionBuffers& b, Index row,
                               Index row_end, Index key_begin, Index key_count) {
  const Seen range = position_panels(args, args.first_position + row - (key_begin + key_count - 1),
                                     args.first_position + row_end - 1 - key_begin);
  for (Index key = 0; key < key_count; key += kTileRows) {
    const Index rows = key_count - key < kTileRows ? key_count - key : Index{kTileRows};
    position_products(args, b, rows, args.k + (key_begin + key) * args.ldk, args.ldk,
                      args.position_queries, range, b.key_positions + key * b.ldp);
  }
}

static void add_disentangled(const AttentionArgs& args, const AttentionBuffers& b, Index row,
                             Index rows, Index key_begin, Index key_end) {
  const Index position = args.first_position + row;
  if (args.position_keys != nullptr) {
    const Seen range =
        position_panels(args, position - (key_end - 1), position + rows - 1 - key_begin);
    position_products(args, b, rows, args.q + row * args.ldq, args.ldq, args.position_keys, range,
                      b.query_positions);
  }
  // Neighbouring queries need neighbouring columns of a key's line: keys outside, queries inside.
  for (Index key = key_begin; key < key_end; ++key) {
    const std::int32_t* column = args.distances + position - key;
    float* score = b.scores + (key - key_begin);
    for (Index r = 0; args.position_keys != nullptr && r < rows; ++r)
      score[r * b.lds] += b.query_positions[r * b.ldp + column[r]];
    const float* line = b.key_positions + (key - key_begin) * b.ldp;
    for (Index r = 0; args.position_queries != nullptr && r < rows; ++r)
      score[r * b.lds] += line[column[r]];
  }
}

static inline void add_relative_bias(const AttentionArgs& args, Index position, Index key_begin,
                                     Index count, float* scores) {
  const float* bias = args.relative_bias + args.reach;
  for (Index j = 0; j < count; ++j) {
    Index distance = key_begin + j - position;
    distance = distance < -args.reach ? -args.reach : distance;
    distance = distance > args.reach ? args.reach : distance;
    scores[j] += bias[distance];
  }
}

static inline void add_alibi(const AttentionArgs& args, Index position, Index key_begin,
                             Index count, float* scores) {
  const auto from = static_cast<std::int32_t>(position - key_begin);
  for (std::int32_t j = 0; j < static_cast<std::int32_t>(count); ++j) {
    const std::int32_t distance = from < j ? j - from : from - j;
    scores[j] -= args.alibi * static_cast<float>(distance);
  }
}

// What lies in [begin, end) of a tile's rows gets the biases of its place in the text.
static inline void add_biases(const AttentionArgs& args, const AttentionBuffers& b, Index row,
                              Index rows, Index key_begin, Index end) {
  if (args.distances != nullptr) add_disentangled(args, b, row, rows, key_begin, key_begin + end);
  for (Index r = 0; r < rows; ++r) {
    const Index position = args.first_position + row + r;
    float* scores = b.scores + r * b.lds;
    if (args.relative_bias != nullptr) add_relative_bias(args, position, key_begin, end, scores);
    if (args.alibi != 0.0F) add_alibi(args, position, key_begin, end, scores);
  }
}

// softmax_row over the keys that a row sees; zeros for the rest of [0, end) and what a row of
// probabilities has behind it. Columns are those of the tile, which starts at a multiple of 16.
template <typename Out, bool kSums>
static inline float softmax_seen(const RowOfScores& row, Seen seen, Index end, float* largest,
                                 const Out& out) {
  const Index start = seen.begin / kLanes * kLanes;
  for (Index i = start; i < seen.begin; ++i) row.scores[i] = -__builtin_inff();  // never of sums
  const float sum = softmax_row<Out, kSums>(row, start, seen.end - start, largest, out);
  out.clear(0, start);
  for (Index i = start; i < seen.begin; ++i) out.clear_one(i);
  out.clear(seen.end, round_up(end, Out::kWhole));
  return sum;
}

// The first `columns` of a line of results to their place.
static inline void store_columns(const AttentionArgs& args, const float* line, Index row,
                                 Index column, Index columns) {
  if (!args.narrow_out) {
    float* out = fp32_at(args.out, args.ldo, row, column);
    for (Index j = 0; j < columns; ++j) out[j] = line[j];
    return;
  }
  std::uint16_t* out = bf16_at(args.out, args.ldo, row, column);
  alignas(64) std::uint16_t halves[kPanel];
  std::uint16_t* to = columns == kPanel ? out : halves;
#pragma GCC unroll 4
  for (int v = 0; v < kPanel; v += V::kWidth) V::store_halves(to + v, V::load(line + v));
  for (Index j = 0; to == halves && j < columns; ++j) out[j] = halves[j];
}

// Sums of a tile's probabilities in steps times a panel of values, whose scales they get.
static inline void steps_tile(const AttentionBuffers& b, Index rows, const float* values,
                              Index begin, Index used, float* tile) {
  const float* words = values + kPanel + step_words(begin) * kPanel;
#if defined(INLAY_BYTE_PLANES)
  alignas(64) float planes[2 * kTileRows * kPanel];  // a row's upper bits, then its lower ones
  for (Index r = 0; r < 2 * rows; r += kTileRows) {
    const Index count = 2 * rows - r < kTileRows ? 2 * rows - r : Index{kTileRows};
    const float* p = b.narrow + r * (b.lds / 2);
#if defined(INLAY_AMX)
    whole_sums(count, p, b.lds / 2, words, step_words(used), planes + r * kPanel, kPanel);
#else
    steps_product(count, p, b.lds / 2, words, step_words(used), planes + r * kPanel, kPanel);
#endif
  }
#endif
#if defined(INLAY_AMX)
  join_planes(planes, rows, values, tile);
#else
#if !defined(INLAY_BYTE_PLANES)
  steps_product(rows, b.narrow, b.lds, words, step_words(used), tile, kPanel);
#endif
  for (Index r = 0; r < rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kPanel; v += V::kWidth) {
      float* at = tile + r * kPanel + v;
#if defined(INLAY_BYTE_PLANES)
      const float* both = planes + 2 * r * kPanel + v;
      const Reg x = V::fma(V::load(both), V::set1(128.0F), V::load(both + kPanel));
#else
      const Reg x = V::load(at);
#endif
      V::store(at, V::mul(x, V::load(values + v)));
    }
  }
#endif
}

// The product of a tile's probabilities of keys [begin, begin + used) with a panel of values.
static inline void value_product(const AttentionArgs& args, const AttentionBuffers& b, Index rows,
                                 Index begin, Index used, Index column, float* tile) {
  const Element element = args.element;
  if (element == Element::kInt8) {
    const float* values = b.values + column / kPanel * value_stride(args.head_size);
    return steps_tile(b, rows, values, begin, used, tile);
  }
  const Index key_words = element_words(element, used);
  const bool bf16 = element == Element::kBf16;
  const Index lines = attention_key_block(args.head_size) / (bf16 ? 2 : 1);
  const Index first_line = begin / (bf16 ? 2 : 1);
  whole_product(element, rows, bf16 ? b.narrow : b.scores + begin, b.lds,
                b.values + column * lines + first_line * kPanel, key_words, tile, kPanel);
}

// Queries to narrow rows. In int8 a row's scale is left to its exponents (scales[r], behind the
// words a one), unless biases are to be added to its scores.
static inline void narrow_queries(const AttentionArgs& args, const AttentionBuffers& b, Index row,
                                  Index rows, bool biased, float* scales) {
  const Index d = args.head_size;
  const float* q = args.q + row * args.ldq;
  if (args.narrow_in) {  // a tile that is not whole: no product may read past the last row
    for (Index r = 0; r < rows; ++r)
      __builtin_memcpy(b.narrow + r * b.lds, q + r * args.ldq,
                       static_cast<std::size_t>(d / 2) * sizeof(float));
    return;
  }
  for (Index r = 0; r < rows; ++r) fetch_next_head(q + r * args.ldq, d);
  if (args.element == Element::kBf16) {
    for (Index r = 0; r < rows; ++r)
      narrow(Element::kBf16, q + r * args.ldq, d, b.narrow + r * b.lds, nullptr);
    return;
  }
  const Index words = byte_words(d);
  Index at_once = 0;
#if defined(INLAY_AMX)
  for (; d % kLanes == 0 && at_once < rows; at_once += 16) {
    round_rows(q + at_once * args.ldq, args.ldq, rows - at_once < 16 ? rows - at_once : 16, d,
               b.narrow + at_once * b.lds, b.lds, scales + at_once);
  }
#endif
  for (Index r = at_once; r < rows; ++r)
    scales[r] = round_to_bytes<V::kOffset>(q + r * args.ldq, d, b.narrow + r * b.lds, words);
  for (Index r = 0; r < rows; ++r) {
    // A query of zeros has sums of zeros, whatever their scale.
    const float scale = scales[r] == 0 ? 1.0F : scales[r];
    b.narrow[r * b.lds + words] = biased ? scale : 1.0F;
    scales[r] = biased ? 1.0F : scale;
  }
}

// Where the probabilities of row r of a tile go, from its column `begin` of the block on.
static inline FloatProbabilities probabilities(const AttentionBuffers& b, Index r, Index begin,
                                               FloatProbabilities /*kind*/) {
  return {b.scores + r * b.lds + begin};
}
static inline HalfProbabilities probabilities(const AttentionBuffers& b, Index r, Index /*begin*/,
                                              HalfProbabilities /*kind*/) {
  return {reinterpret_cast<std::uint16_t*>(b.narrow + r * b.lds)};
}
static inline ScaledHalfProbabilities probabilities(const AttentionBuffers& b, Index r, Index begin,
                                                    ScaledHalfProbabilities /*kind*/) {
  return {probabilities(b, r, begin, HalfProbabilities{})};
}
static inline StepProbabilities probabilities(const AttentionBuffers& b, Index r, Index /*begin*/,
                                              StepProbabilities kind) {
  float* row = b.narrow + r * b.lds;
  kind.out = reinterpret_cast<decltype(kind.out)>(row);
#if defined(INLAY_BYTE_PLANES)
  kind.low = reinterpret_cast<std::uint8_t*>(row + b.lds / 2);
#endif
  return kind;
}

// The softmax of a tile's scores of the keys [begin, most) of a block; keep[r] becomes the factor
// of what row r summed before.
template <typename Out, bool kSums = false>
static inline void softmax_tile(const AttentionArgs& args, const AttentionBuffers& b, Index row,
                                Index rows, Index slot, Index key_begin, Index key_count,
                                Index begin, Index most, bool first, const float* scales,
                                float* keep) {
  for (Index r = 0; r < rows; ++r) {
    const RowOfScores scores{b.scores + r * b.lds + begin, scales[r], b.key_scales + begin};
    const Out out = probabilities(b, r, begin, Out{});
    float& largest = b.largest[slot + r];
    float& total = b.total[slot + r];
    if (first) {
      largest = -__builtin_inff();
      total = 0;
    }
    keep[r] = 1;
    const Seen seen = seen_keys(args, args.first_position + row + r, key_begin, key_count);
    if (seen.begin >= seen.end) {
      out.clear(0, round_up(most - begin, Out::kWhole));
      continue;
    }
    const float before = largest;
    const float sum = softmax_seen<Out, kSums>(scores, {seen.begin - begin, seen.end - begin},
                                               most - begin, &largest, out);
    if (!first) keep[r] = exp2_scalar(before - largest);
    total = first ? sum : __builtin_fmaf(total, keep[r], sum);
  }
}

// One tile of query rows against one block of keys. `slot` is the tile's first row in the running
// buffers; `first` and `last` say whether the block starts and ends what the rows see.
static inline void attend_tile(const AttentionArgs& args, const AttentionBuffers& b, Index row,
                               Index rows, Index slot, Index key_begin, Index key_count, bool first,
                               bool last) {
  // Later rows see from and up to later keys: the first and the last bound the tile.
  const Index position = args.first_position + row;
  const Element element = args.element;
  const bool fp32 = element == Element::kFp32;
  // Keys of a panel, or of a 64-byte line of narrow probabilities.
  const Index whole = fp32 ? Index{kPanel} : element == Element::kBf16 ? 32 : 64;
  const Index begin = seen_keys(args, position, key_begin, key_count).begin / whole * whole;
  const Index most = seen_keys(args, position + rows - 1, key_begin, key_count).end;
  const float* q = args.q + row * args.ldq;
  const bool int8 = element == Element::kInt8;
  const bool biased =
      args.distances != nullptr || args.relative_bias != nullptr || args.alibi != 0.0F;
  alignas(64) float scales[kTileRows];  // of scores
  for (float& scale : scales) scale = args.narrow_in ? args.scale * kLog2E : 1.0F;
  const bool in_place = fp32 || (args.narrow_in && rows == kTileRows);
  for (Index r = 0; in_place && !fp32 && r < rows; ++r)
    fetch_next_head(q + r * args.ldq, args.head_size / 2);
  if (!in_place) narrow_queries(args, b, row, rows, biased, scales);
  const Index words = int8 ? byte_words(args.head_size) : element_words(element, args.head_size);
  const Index lines = int8 ? words + 2 : words;
#if defined(INLAY_AMX)
  const bool sums = int8 && !biased && args.window < 0;  // scores stay sums until softmax_row
#else
  constexpr bool sums = false;
#endif
  for (Index panel = begin / kPanel; panel * kPanel < most; ++panel) {
    const float* keys = b.keys + panel * lines * kPanel;
    float* scores = b.scores + panel * kPanel;
#if defined(INLAY_AMX)
    if (sums) {
      whole_sums(rows, b.narrow, b.lds, keys, words, scores, b.lds);
      continue;
    }
#endif
    whole_product(element, rows, in_place ? q : b.narrow, in_place ? args.ldq : b.lds, keys, words,
                  scores, b.lds);
  }
  if (biased) add_biases(args, b, row, rows, key_begin, most);
  alignas(64) float keep[kTileRows];
  if (fp32) {
    softmax_tile<FloatProbabilities>(args, b, row, rows, slot, key_begin, key_count, begin, most,
                                     first, scales, keep);
  } else if (args.narrow_in) {
    softmax_tile<ScaledHalfProbabilities>(args, b, row, rows, slot, key_begin, key_count, begin,
                                          most, first, scales, keep);
  } else if (!int8) {
    softmax_tile<HalfProbabilities>(args, b, row, rows, slot, key_begin, key_count, begin, most,
                                    first, scales, keep);
  } else if (sums) {
    softmax_tile<StepProbabilities, true>(args, b, row, rows, slot, key_begin, key_count, begin,
                                          most, first, scales, keep);
  } else {
    softmax_tile<StepProbabilities>(args, b, row, rows, slot, key_begin, key_count, begin, most,
                                    first, scales, keep);
  }
  const Index used = most > begin ? most - begin : 0;
  alignas(64) float tile[kTileRows * kPanel];
  for (Index column = 0; column < args.head_size; column += kPanel) {
    const Index columns =
        args.head_size - column < kPanel ? args.head_size - column : Index{kPanel};
    value_product(args, b, rows, begin, used, column, tile);
    for (Index r = 0; r < rows; ++r) {
      float* sums = b.sums + (slot + r) * b.padded + column;
      const Index out_column = args.out_column + column;
      const Reg factor = V::set1(keep[r]);
      const float total = b.total[slot + r];  // zero where a window holds no key that is seen
      const Reg divisor = V::set1(total == 0 ? 0.0F : 1.0F / total);  // NaN stays
      alignas(64) float line[kPanel];
      const bool direct = last && columns == kPanel && !args.narrow_out;
      float* target = direct ? fp32_at(args.out, args.ldo, row + r, out_column) : line;
#pragma GCC unroll 4
      for (int v = 0; v < kTileRegs; ++v) {
        Reg x = V::load(tile + r * kPanel + v * V::kWidth);
        if (!first) x = V::fma(V::load(sums + v * V::kWidth), factor, x);
        if (last) {
          V::store(target + v * V::kWidth, V::mul(x, divisor));
        } else {
          V::store(sums + v * V::kWidth, x);
        }
      }
      if (last && !direct) store_columns(args, line, row + r, out_column, columns);
    }
  }
}

static void attention(const AttentionArgs& args) {
  [[maybe_unused]] const KernelSession session;
  const AttentionBuffers b = attention_buffers(args);
  const Index block = attention_key_block(args.head_size);
  for (Index begin = args.query_begin; begin < args.query_end; begin += kQueryBlock) {
    const Index end = begin + kQueryBlock < args.query_end ? begin + kQueryBlock : args.query_end;
    // With a window, only keys near these rows; from whole panels, as the rows' bits must not
    // depend on anything but their place.
    Seen keys{0, args.keys};
    if (args.window >= 0) {
      keys.begin =
          seen_keys(args, args.first_position + begin, 0, args.keys).begin / kPanel * kPanel;
      keys.end = seen_keys(args, args.first_position + end - 1, 0, args.keys).end;
      // Beyond all keys (PackedBatch::key_counts): one block still runs, and leaves zeros.
      if (keys.begin >= keys.end) keys.begin = (keys.end - 1) / kPanel * kPanel;
    }
    for (Index key = keys.begin; key < keys.end; key += block) {
      const Index count = keys.end - key < block ? keys.end - key : block;
      const bool packed = args.window < 0 && args.keys <= block && begin > args.query_begin;
      if (!packed) pack_block(args, b, key, count);
      if (args.position_queries != nullptr) pack_key_positions(args, b, begin, end, key, count);
      for (Index row = begin; row < end; row += kTileRows) {
        const Index rows = end - row < kTileRows ? end - row : Index{kTileRows};
        attend_tile(args, b, row, rows, row - begin, key, count, key == keys.begin,
                    key + count == keys.end);
      }
    }
  }
}
