// What works on whole rows: norm, embedding, pooling, normalising, adding, activations alone.

// Calls f(offset, count): whole vectors of 16, then the rest. f is a struct, not a lambda: clang's
// attribute regions do not reach into lambdas.
template <typename F>
static inline void for_each_16(Index width, F& f) {
  Index i = 0;
  for (; i + kLanes <= width; i += kLanes) f.whole(i);
  if (i < width) f.rest(i, width - i);
}

static inline Row16 keep_lanes(const Row16& x, Index count) {
  alignas(64) float all[kLanes];
  x.store(all);
  for (Index i = count; i < kLanes; ++i) all[i] = 0;
  return Row16::load(all);
}

struct SumRow {
  const float* x;
  Row16 sum;
  inline void whole(Index i) { sum = add(sum, Row16::load(x + i)); }
  inline void rest(Index i, Index n) { sum = add(sum, Row16::load_some(x + i, n)); }
};
struct SumSquares {  // of x - mean
  const float* x;
  Row16 mean, sum;
  inline void whole(Index i) {
    const Row16 d = sub(Row16::load(x + i), mean);
    sum = fma(d, d, sum);
  }
  inline void rest(Index i, Index n) {
    const Row16 d = keep_lanes(sub(Row16::load_some(x + i, n), mean), n);
    sum = fma(d, d, sum);
  }
};
struct ScaleRow {
  const float* x;
  const float* weight;
  const float* bias;
  float* out;
  Row16 mean, scale;
  inline Row16 apply(const Row16& v, const Row16& w, const Row16& b) const {
    return fma(mul(sub(v, mean), scale), w, b);
  }
  inline void whole(Index i) {
    apply(Row16::load(x + i), Row16::load(weight + i), Row16::load(bias + i)).store(out + i);
  }
  inline void rest(Index i, Index n) {
    apply(Row16::load_some(x + i, n), Row16::load_some(weight + i, n),
          Row16::load_some(bias + i, n))
        .store_some(out + i, n);
  }
};
struct AddRows {
  const float* a;
  const float* b;
  float* out;
  inline void whole(Index i) { add(Row16::load(a + i), Row16::load(b + i)).store(out + i); }
  inline void rest(Index i, Index n) {
    add(Row16::load_some(a + i, n), Row16::load_some(b + i, n)).store_some(out + i, n);
  }
};

static inline void norm_row(const NormArgs& args, const float* x, float* out) {
  const float width = static_cast<float>(args.width);
  float mean = 0;
  if (!args.rms) {
    SumRow sum{x, Row16::set1(0)};
    for_each_16(args.width, sum);
    mean = sum_of(sum.sum) / width;
  }
  SumSquares squares{x, Row16::set1(mean), Row16::set1(0)};
  for_each_16(args.width, squares);
  const float scale = 1.0F / __builtin_sqrtf(sum_of(squares.sum) / width + args.eps);
  ScaleRow apply{x, args.weight, args.bias, out, Row16::set1(mean), Row16::set1(scale)};
  for_each_16(args.width, apply);
}

static void narrow(Element element, const float* row, Index width, float* out, float* scratch);

static inline void copy_row(const NormArgs& args, Index r) {
  if (args.copy_element == Element::kFp32) return;
  narrow(args.copy_element, args.out + r * args.ldo, args.width, args.copy + r * args.ldcopy,
         args.scratch);
}

// norm_row of so many rows at once: a row's sums are chains of dependent additions, of which one
// alone leaves most of a processor idle. Widths are multiples of 16.
template <int kRows>
static inline void norm_rows(const NormArgs& args, Index first) {
  const float width = static_cast<float>(args.width);
  const float* x[kRows];
  float* out[kRows];
  Row16 sum[kRows];
#pragma GCC unroll 4
  for (int q = 0; q < kRows; ++q) {
    x[q] = args.input + (first + q) * args.ldi;
    out[q] = args.out + (first + q) * args.ldo;
    sum[q] = Row16::set1(0);
  }
  if (args.residual != nullptr) {
    for (Index i = 0; i < args.width; i += kLanes) {
#pragma GCC unroll 4
      for (int q = 0; q < kRows; ++q) {
        const Row16 v =
            add(Row16::load(x[q] + i), Row16::load(args.residual + (first + q) * args.ldr + i));
        v.store(out[q] + i);
        sum[q] = add(sum[q], v);
      }
    }
#pragma GCC unroll 4
    for (int q = 0; q < kRows; ++q) x[q] = out[q];
  } else if (!args.rms) {
    for (Index i = 0; i < args.width; i += kLanes) {
#pragma GCC unroll 4
      for (int q = 0; q < kRows; ++q) sum[q] = add(sum[q], Row16::load(x[q] + i));
    }
  }
  Row16 mean[kRows];
  Row16 squares[kRows];
#pragma GCC unroll 4
  for (int q = 0; q < kRows; ++q) {
    mean[q] = Row16::set1(args.rms ? 0 : sum_of(sum[q]) / width);
    squares[q] = Row16::set1(0);
  }
  for (Index i = 0; i < args.width; i += kLanes) {
#pragma GCC unroll 4
    for (int q = 0; q < kRows; ++q) {
      const Row16 d = sub(Row16::load(x[q] + i), mean[q]);
      squares[q] = fma(d, d, squares[q]);
    }
  }
#pragma GCC unroll 4
  for (int q = 0; q < kRows; ++q) {
    const float scale = 1.0F / __builtin_sqrtf(sum_of(squares[q]) / width + args.eps);
    ScaleRow apply{x[q], args.weight, args.bias, out[q], mean[q], Row16::set1(scale)};
    for_each_16(args.width, apply);
  }
}

static void norm(const NormArgs& args, Index row_begin, Index row_end) {
  constexpr int kRows = V::kWidth >= 8 ? 4 : 2;
  if (args.width % kLanes == 0) {
    for (; row_begin + kRows <= row_end; row_begin += kRows) {
      norm_rows<kRows>(args, row_begin);
      for (Index r = row_begin; r < row_begin + kRows; ++r) copy_row(args, r);
    }
  }
  for (Index r = row_begin; r < row_end; ++r) {
    const float* x = args.input + r * args.ldi;
    float* out = args.out + r * args.ldo;
    if (args.residual != nullptr) {
      AddRows sum{x, args.residual + r * args.ldr, out};
      for_each_16(args.width, sum);
      x = out;
    }
    norm_row(args, x, out);
    copy_row(args, r);
  }
}

struct SumTables {  // null tables add nothing
  const float* token;
  const float* type;
  const float* position;
  float* out;
  Row16 scale;
  inline void whole(Index i) {
    Row16 x = mul(Row16::load(token + i), scale);
    if (type != nullptr) x = add(x, Row16::load(type + i));
    if (position != nullptr) x = add(x, Row16::load(position + i));
    x.store(out + i);
  }
  inline void rest(Index i, Index n) {
    Row16 x = mul(Row16::load_some(token + i, n), scale);
    if (type != nullptr) x = add(x, Row16::load_some(type + i, n));
    if (position != nullptr) x = add(x, Row16::load_some(position + i, n));
    x.store_some(out + i, n);
  }
};

// A half's exponent and mantissa stand where a float's do, 112 exponents lower; a subnormal half's
// mantissa gets a one in front, which is taken off again (kernels run with subnormals flushed); an
// infinity or NaN keeps its exponent of ones.
static inline void widen_halves(const std::uint16_t* from, Index count, float* to) {
  for (Index i = 0; i < count; ++i) {
    const std::uint32_t magnitude = (from[i] & 0x7FFFU) << 13U;
    const std::uint32_t exponent = magnitude < 0x00800000U ? 113U << 23U : 112U << 23U;
    const float one = magnitude < 0x00800000U ? 0x1.0p-14F : 0.0F;
    const float value = __builtin_bit_cast(float, magnitude + exponent) - one;
    const std::uint32_t not_finite = magnitude >= 0x0F800000U ? 0x7F800000U : 0U;
    to[i] = __builtin_bit_cast(
        float, __builtin_bit_cast(std::uint32_t, value) | not_finite | (from[i] & 0x8000U) << 16U);
  }
}

static inline void widen_bf16(const std::uint16_t* from, Index count, float* to) {
  for (Index i = 0; i < count; ++i)
    to[i] = __builtin_bit_cast(float, static_cast<std::uint32_t>(from[i]) << 16U);
}

// Columns of a table's row as floats: where they lie, or widened into `room`.
static inline const float* table_row(const Table& table, Index at, Index count, float* room) {
  if (table.element == TableElement::kFp32) return static_cast<const float*>(table.rows) + at;
  const auto* from = static_cast<const std::uint16_t*>(table.rows) + at;
  if (table.element == TableElement::kFp16) widen_halves(from, count, room);
  if (table.element == TableElement::kBf16) widen_bf16(from, count, room);
  return room;
}

static void embed(const EmbedArgs& args, Index row_begin, Index row_end) {
  constexpr Index kRun = 512;  // columns at once
  float room[kRun];
  const Index width = args.norm.width;
  for (Index r = row_begin; r < row_end; ++r) {
    float* out = args.norm.out + r * args.norm.ldo;
    const Index type = args.type_ids == nullptr ? 0 : args.type_ids[r];
    const Index position = args.positions == nullptr ? 0 : args.position_ids[r];
    for (Index begin = 0; begin < width; begin += kRun) {
      const Index n = width - begin < kRun ? width - begin : kRun;
      SumTables sum{table_row(args.tokens, args.ids[r] * width + begin, n, room),
                    args.types == nullptr ? nullptr : args.types + type * width + begin,
                    args.positions == nullptr ? nullptr : args.positions + position * width + begin,
                    out + begin, Row16::set1(args.scale)};
      for_each_16(n, sum);
    }
    if (args.norm.weight != nullptr) norm_row(args.norm, out, out);
    copy_row(args.norm, r);
  }
}

struct ColumnsOfRows {
  const float* x;
  Index ld, count;
  inline Row16 operator()(Index r) const {
    return count < kLanes ? Row16::load_some(x + r * ld, count) : Row16::load(x + r * ld);
  }
};

// 16 columns of a text's rows to one. Sums go by blocks of 64 rows, then over the blocks: long
// texts keep their precision.
static inline Row16 pool_columns(const PoolArgs& args, Index column, Index count) {
  const Index last = args.rows - 1;
  const ColumnsOfRows row{args.input + column, args.ldi, count};
  if (args.mode == PoolMode::kCls) return row(args.begin);
  if (args.mode == PoolMode::kLastToken) return row(last);
  if (args.mode == PoolMode::kMax) {
    Row16 largest = row(args.begin);
    for (Index r = args.begin + 1; r <= last; ++r) largest = max(row(r), largest);
    return largest;
  }
  constexpr Index kBlock = 64;
  const bool weighted = args.mode == PoolMode::kWeightedMean;
  Row16 total = Row16::set1(0);
  for (Index block = args.begin; block <= last; block += kBlock) {
    const Index end = block + kBlock <= last + 1 ? block + kBlock : last + 1;
    Row16 sum = Row16::set1(0);
    for (Index r = block; r < end; ++r) {
      sum = weighted ? fma(row(r), Row16::set1(static_cast<float>(r + 1)), sum) : add(sum, row(r));
    }
    total = add(total, sum);
  }
  const double rows = static_cast<double>(args.rows - args.begin);
  double divisor = rows;
  if (weighted) divisor = rows * (static_cast<double>(args.begin + 1 + args.rows) / 2.0);
  if (args.mode == PoolMode::kMeanSqrtLen) divisor = __builtin_sqrt(rows);
  Row16 result;
  for (int i = 0; i < Row16::kRegs; ++i)
    result.reg[i] = V::div(total.reg[i], V::set1(static_cast<float>(divisor)));
  return result;
}

static void pool(const PoolArgs& args) {
  for (Index i = 0; i < args.width; i += kLanes) {
    const Index count = args.width - i < kLanes ? args.width - i : kLanes;
    Row16 x = Row16::set1(0);  // nothing left to pool: zeros
    if (args.begin < args.rows) x = pool_columns(args, i, count);
    x.store_some(args.out + i, count);
  }
}

struct DivideRow {
  float* x;
  Reg divisor;
  inline void whole(Index i) {
    Row16 v = Row16::load(x + i);
    for (int j = 0; j < Row16::kRegs; ++j) v.reg[j] = V::div(v.reg[j], divisor);
    v.store(x + i);
  }
  inline void rest(Index i, Index n) {
    Row16 v = Row16::load_some(x + i, n);
    for (int j = 0; j < Row16::kRegs; ++j) v.reg[j] = V::div(v.reg[j], divisor);
    v.store_some(x + i, n);
  }
};

static void normalize(float* row, Index width) {
  SumSquares squares{row, Row16::set1(0), Row16::set1(0)};
  for_each_16(width, squares);
  const float length = __builtin_sqrtf(sum_of(squares.sum));
  DivideRow divide{row, V::set1(length < 1e-12F ? 1e-12F : length)};
  for_each_16(width, divide);
}

static void add_rows(const float* a, const float* b, float* out, Index count) {
  AddRows sum{a, b, out};
  for_each_16(count, sum);
}

template <VectorActivation kActivation>
struct ActivateRow {
  float* x;
  static inline Row16 apply(Row16 v) {
    for (int j = 0; j < Row16::kRegs; ++j) v.reg[j] = activate_reg<kActivation>(v.reg[j]);
    return v;
  }
  inline void whole(Index i) { apply(Row16::load(x + i)).store(x + i); }
  inline void rest(Index i, Index n) { apply(Row16::load_some(x + i, n)).store_some(x + i, n); }
};
template <VectorActivation kActivation>
static void activate_row(float* x, Index count) {
  ActivateRow<kActivation> row{x};
  for_each_16(count, row);
}

static void activate(Activation activation, float* x, Index count) {
  using A = VectorActivation;
  if (activation == Activation::kNone) return;
  if (activation == Activation::kGelu) return activate_row<A::kGelu>(x, count);
  if (activation == Activation::kGeluTanh) return activate_row<A::kGeluTanh>(x, count);
  if (activation == Activation::kGeluQuick) return activate_row<A::kGeluQuick>(x, count);
  if (activation == Activation::kSilu) return activate_row<A::kSilu>(x, count);
  if (activation == Activation::kRelu) return activate_row<A::kRelu>(x, count);
  activate_scalar(activation, x, count);
}

static inline void mix4(Reg& a, Reg& b, Reg& c, Reg& d) {
  const Reg s = V::add(a, b);
  const Reg t = V::sub(a, b);
  const Reg u = V::sub(c, d);
  const Reg v = V::add(c, d);
  a = V::add(s, u);
  b = V::add(t, v);
  c = V::sub(s, u);
  d = V::sub(t, v);
}

// The largest size in a row, and a poison: zeros, or NaN once an element was not finite.
struct LargestOfRow {
  const float* x;
  Row16 largest, poison;
  inline void take(const Row16& v) {
    for (int j = 0; j < Row16::kRegs; ++j) {
      largest.reg[j] = V::max_size(v.reg[j], largest.reg[j]);
      poison.reg[j] = V::fma(v.reg[j], V::zero(), poison.reg[j]);
    }
  }
  inline void whole(Index i) { take(Row16::load(x + i)); }
  inline void rest(Index i, Index n) { take(Row16::load_some(x + i, n)); }
};

// One register of each of kRuns runs, `gap` floats apart. Every result is a sum of all, so that one
// shows what was not finite; one that overflows alone is the largest (round_to_bytes).
template <int kRuns>
static inline void mix_columns(const float* in, float* out, Index gap, Reg* largest, Reg* poison) {
  Reg x[kRuns];
#pragma GCC unroll 16
  for (int i = 0; i < kRuns; ++i) x[i] = V::load(in + i * gap);
#pragma GCC unroll 4
  for (int q = 0; q < kRuns; q += 4) mix4(x[q], x[q + 1], x[q + 2], x[q + 3]);
  if constexpr (kRuns == 16) {
#pragma GCC unroll 4
    for (int q = 0; q < 4; ++q) mix4(x[q], x[q + 4], x[q + 8], x[q + 12]);
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRuns; ++i) V::store(out + i * gap, x[i]);
  *poison = V::fma(x[0], V::zero(), *poison);
#pragma GCC unroll 4
  for (int half = kRuns / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < half; ++i) x[i] = V::max_size(x[i], V::abs(x[i + half]));
  }
  *largest = V::max(x[0], *largest);
}

template <int kRuns>
static inline void mix_runs_of(const float* row, Index run, float* out, LargestOfRow* seen) {
  if (run < V::kWidth) {  // shorter than a register: through copies
    alignas(64) float lines[kRuns * V::kWidth];
    for (Index i = 0; i < kRuns * V::kWidth; ++i) {
      const Index at = i % V::kWidth;
      lines[i] = at < run ? row[i / V::kWidth * run + at] : 0.0F;
    }
    mix_columns<kRuns>(lines, lines, V::kWidth, &seen->largest.reg[0], &seen->poison.reg[0]);
    for (Index i = 0; i < kRuns * run; ++i) out[i] = lines[i / run * V::kWidth + i % run];
    return;
  }
  // The last registers may cover again what the ones before them did.
  for (Index i = 0; i < run; i += V::kWidth) {
    const Index at = i + V::kWidth <= run ? i : run - V::kWidth;
    mix_columns<kRuns>(row + at, out + at, run, &seen->largest.reg[0], &seen->poison.reg[0]);
  }
}

template <int kOffset>
struct QuantizeRow {
  const float* x;
  std::uint8_t* out;
  Reg inverse;
  inline void apply(const Row16& v, std::uint8_t* to) const {
    for (int j = 0; j < Row16::kRegs; ++j) {
      const Reg q = V::add(V::mul(v.reg[j], inverse), V::set1(kRoundMagic));
      V::template store_bytes<kOffset>(to + j * V::kWidth, q);
    }
  }
  inline void whole(Index i) { apply(Row16::load(x + i), out + i); }
  inline void rest(Index i, Index n) {
    alignas(64) std::uint8_t bytes[kLanes];
    apply(Row16::load_some(x + i, n), bytes);
    for (Index j = 0; j < n; ++j) out[i + j] = bytes[j];
  }
};
struct RoundRow {
  const float* x;
  std::uint16_t* out;
  static inline void apply(const Row16& v, std::uint16_t* to) {
    for (int j = 0; j < Row16::kRegs; ++j) V::store_halves(to + j * V::kWidth, v.reg[j]);
  }
  inline void whole(Index i) { apply(Row16::load(x + i), out + i); }
  inline void rest(Index i, Index n) {
    alignas(64) std::uint16_t halves[kLanes];
    apply(Row16::load_some(x + i, n), halves);
    for (Index j = 0; j < n; ++j) out[i + j] = halves[j];
  }
};

// What stands in the words behind the last element meets zero weights; it must not be a NaN, nor
// depend on what was there.
static inline void clear_tail(float* out, Index begin, Index end) {
  auto* bytes = reinterpret_cast<std::uint8_t*>(out);
  for (Index i = begin; i < end; ++i) bytes[i] = 0;
}

// A row, of which the largest size is known, as bytes (plus kOffset), in so many words; returns its
// scale.
template <int kOffset>
static inline float row_to_bytes(const LargestOfRow& seen, const float* row, Index width,
                                 float* out, Index words) {
  const float top = max_of(seen.largest);
  // Below the least normal number times 127 the inverse would be infinite: such a row is zeros.
  const bool some = top > 1e-35F;
  const Reg inverse = V::set1(some ? 127.0F / top : 0.0F);
  auto* to = reinterpret_cast<std::uint8_t*>(out);
  Index i = 0;
#if defined(INLAY_AVX512)
  for (; i + 64 <= width; i += 64) {
    V::store_64_bytes<kOffset>(
        to + i, V::mul(V::load(row + i), inverse), V::mul(V::load(row + i + 16), inverse),
        V::mul(V::load(row + i + 32), inverse), V::mul(V::load(row + i + 48), inverse));
  }
#endif
  QuantizeRow<kOffset> bytes{row + i, to + i, inverse};
  for_each_16(width - i, bytes);
  clear_tail(out, width, 4 * words);
  return (some ? top / 127.0F : 0.0F) + __builtin_fmaf(top, 0.0F, sum_of(seen.poison));
}

template <int kOffset>
static inline float round_to_bytes(const float* row, Index width, float* out, Index words) {
  LargestOfRow seen{row, Row16::set1(0), Row16::set1(0)};
  for_each_16(width, seen);
  return row_to_bytes<kOffset>(seen, row, width, out, words);
}

static void quantize(const float* row, Index width, float* out, float* scratch) {
  const Index words = element_words(Element::kInt8, width);
  LargestOfRow seen{row, Row16::set1(0), Row16::set1(0)};
  if (mix_runs(width) == 16) {
    mix_runs_of<16>(row, width / 16, scratch, &seen);
    row = scratch;
  } else if (mix_runs(width) == 4) {
    mix_runs_of<4>(row, width / 4, scratch, &seen);
    row = scratch;
  } else {
    for_each_16(width, seen);
  }
  out[words] = row_to_bytes<V::kOffset>(seen, row, width, out, words);
}

static void narrow(Element element, const float* row, Index width, float* out, float* scratch) {
  if (element == Element::kInt8) return quantize(row, width, out, scratch);
  RoundRow halves{row, reinterpret_cast<std::uint16_t*>(out)};
  for_each_16(width, halves);
  clear_tail(out, 2 * width, 4 * element_words(Element::kBf16, width));
}
