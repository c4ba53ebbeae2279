// int8 of every instruction set: rows and products against plain integer arithmetic, to the bit;
// whole Programs with the same bits on every instruction set, in any batch and on any number of
// threads, near ref.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>

#include "backend/backend.h"
#include "backend/cpu/executable.h"
#include "backend/cpu/pack.h"
#include "base/error.h"
#include "base/mix.h"
#include "encoder.h"
#include "isa_table.h"
#include "pack_matrix.h"

namespace inlay::backend {
const Backend& ref_backend();
namespace cpu {
namespace {

std::vector<const Kernels*> int8_tables() { return runnable(Element::kInt8); }
Index int8_words(Index width) { return element_words(Element::kInt8, width); }

class Int8 : public EveryIsa {};

// The mixing of rows and weights (base/mix.h) by its matrix, H4 diag(1, 1, 1, -1) twice.
std::vector<double> mixed(const float* row, Index width) {
  constexpr int kH[4][4] = {{1, 1, 1, -1}, {1, -1, 1, 1}, {1, 1, -1, 1}, {1, -1, -1, -1}};
  const Index runs = mix_runs(width);
  const Index run = width / runs;
  std::vector<double> out(row, row + width);
  for (Index gap = 1; gap < runs; gap *= 4) {
    const std::vector<double> in = out;
    for (Index i = 0; i < width; ++i) {
      const Index place = i / run;
      const Index first = place / (4 * gap) * (4 * gap) + place % gap;
      double sum = 0;
      for (Index j = 0; j < 4; ++j)
        sum += kH[place / gap % 4][j] *
               in[static_cast<std::size_t>((first + j * gap) * run + i % run)];
      out[static_cast<std::size_t>(i)] = sum;
    }
  }
  return out;
}
// The same with the roundings of its additions.
std::vector<float> mixed_in_floats(const float* row, Index width) {
  const Index runs = mix_runs(width);
  const Index run = width / runs;
  std::vector<float> x(row, row + width);
  for (Index gap = 1; gap < runs; gap *= 4) {
    for (Index place = 0; place < runs; ++place) {
      if (place / gap % 4 != 0) continue;
      for (Index i = 0; i < run; ++i) {
        float* at[4];
        for (Index j = 0; j < 4; ++j) at[j] = x.data() + (place + j * gap) * run + i;
        const float s = *at[0] + *at[1], t = *at[0] - *at[1];
        const float u = *at[2] - *at[3], v = *at[2] + *at[3];
        *at[0] = s + u;
        *at[1] = t + v;
        *at[2] = s - u;
        *at[3] = t - v;
      }
    }
  }
  return x;
}
double largest(const std::vector<double>& values) {
  double top = 0;
  for (const double v : values) top = std::max(top, std::fabs(v));
  return top;
}

TEST_P(Int8, RowsAreMixedAndRoundedToTheirOwnScale) {
  for (const Index width : {1, 2, 3, 4, 5, 8, 12, 16, 31, 32, 48, 64, 70, 80, 128, 192, 384, 400}) {
    std::vector<float> row = random_floats(width, static_cast<unsigned>(width), 3.0F);
    row[static_cast<std::size_t>(width / 2)] = -90.0F;
    const std::vector<float> before = row;
    std::vector<float> out(static_cast<std::size_t>(int8_words(width) + 2), 77.0F);
    std::vector<float> scratch(static_cast<std::size_t>(width + kLanes));
    kernels().narrow(Element::kInt8, row.data(), width, out.data(), scratch.data());
    EXPECT_EQ(row, before) << "the row itself is not to change";
    const std::vector<double> expected = mixed(row.data(), width);
    const double scale = largest(expected) / 127.0;
    EXPECT_NEAR(pick(out, int8_words(width)), scale, scale * 1e-6);
    EXPECT_EQ(pick(out, int8_words(width) + 1), 77.0F) << "written past the row";
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(out.data());
    for (Index i = width; i < 4 * int8_words(width); ++i) ASSERT_EQ(bytes[i], 0) << "a tail";
    for (Index i = 0; i < width; ++i) {
      const auto byte = static_cast<std::int8_t>(bytes[i] - kernels().int8_offset);
      ASSERT_NEAR(byte, expected[static_cast<std::size_t>(i)] / scale, 0.501)
          << "element " << i << " of " << width;
    }
  }
}

// What mixing is for: one large element, and a constant row, both come out flat.
TEST_P(Int8, MixingFlattens) {
  std::vector<float> out(static_cast<std::size_t>(row_floats(Element::kInt8, 384)));
  std::vector<float> scratch(384);
  for (const bool constant : {false, true}) {
    std::vector<float> row(384, constant ? 1.0F : 0.0F);
    row[99] = 1.0F;
    kernels().narrow(Element::kInt8, row.data(), 384, out.data(), scratch.data());
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(out.data());
    int full = 0;
    for (Index i = 0; i < 384; ++i)
      full += std::abs(static_cast<std::int8_t>(bytes[i] - kernels().int8_offset)) == 127 ? 1 : 0;
    EXPECT_EQ(full, constant ? 384 : 16);
  }
}

// What `inlay model convert` leans on: bytes, written as floats again, give the same bytes.
TEST(Int8Weights, RestoredRowsRoundToTheSameBytesAndScale) {
  for (const Index width : {1, 7, 12, 36, 64, 384, 1536}) {
    for (unsigned seed = 0; seed < 200; ++seed) {
      std::vector<float> row = random_floats(width, seed, std::ldexp(1.0F, int(seed % 60) - 30));
      row[seed % row.size()] *= 50;  // one outweighs the others
      std::vector<std::int8_t> bytes(row.size()), again(row.size());
      const float scale = mix_to_bytes(row.data(), width, bytes.data());
      for (std::size_t i = 0; i < row.size(); ++i) row[i] = static_cast<float>(bytes[i]) * scale;
      unmix_row(row.data(), width);
      ASSERT_EQ(mix_to_bytes(row.data(), width, again.data()), scale) << width << " " << seed;
      ASSERT_EQ(again, bytes) << width << " " << seed;
    }
  }
}

// Tables are halves beside narrow products: what they cannot hold is refused, not changed.
TEST(Int8Weights, TablesBeyondHalfPrecisionAreRefused) {
  Encoder encoder(EncoderShape{});
  const Kernels& kernels = *isa_table().back().of(Element::kInt8);
  for (const Element element : {Element::kFp32, Element::kInt8}) {
    const Plan plan = make_plan(encoder.program, kernels, 512, true, element);
    auto* table = static_cast<float*>(const_cast<void*>(plan.weights[0].parts[0].tensor.data));
    const float before = table[5];
    table[5] = 70000;
    if (element == Element::kFp32) {
      EXPECT_NO_THROW(pack_weights(plan, kernels));
    } else {
      try {
        pack_weights(plan, kernels);
        FAIL();
      } catch (const Error& refused) {
        EXPECT_NE(std::string(refused.what()).find("--dtype fp32"), std::string::npos);
      }
    }
    table[5] = before;
  }
}

TEST_P(Int8, ZerosAndWhatIsNotFinite) {
  for (const std::size_t width : {37, 36, 48, 384}) {
    const auto ints = static_cast<Index>(width);
    std::vector<float> row(width, 0.0F);
    std::vector<float> scratch(width + kLanes);
    std::vector<float> out(static_cast<std::size_t>(row_floats(Element::kInt8, ints)));
    kernels().narrow(Element::kInt8, row.data(), ints, out.data(), scratch.data());
    EXPECT_EQ(out.back(), 0.0F);
    for (const float bad : {std::numeric_limits<float>::infinity(), NAN}) {
      for (const std::size_t at : {std::size_t{0}, std::size_t{15}, width - 1}) {
        row.assign(width, 1.0F);
        row[at] = bad;
        kernels().narrow(Element::kInt8, row.data(), ints, out.data(), scratch.data());
        EXPECT_TRUE(std::isnan(out.back())) << bad << " at " << at << " of " << width;
      }
    }
  }
}

// Weights and rows of a product: any numbers; of one size, whose bytes are the largest; and weights
// of which four come to 252 to 256 steps, against rows that make the most of it.
enum class Numbers { kAny, kLargest, kNearTheBound };
void choose(Numbers numbers, std::vector<float>* w, std::vector<float>* a) {
  if (numbers == Numbers::kLargest) {
    for (std::vector<float>* values : {w, a})
      for (float& v : *values) v = v < 0 ? -1.0F : 1.0F;
  } else if (numbers == Numbers::kNearTheBound) {
    for (float& v : *w) v = v < 0 ? -64.0F : -63.0F;
    for (std::size_t i = 0; i < w->size(); i += 31) (*w)[i] = 127.0F;
    for (float& v : *a) v = 1.0F;
  }
}

// Integers times two scales: every sum is exact, so the result is known to the bit.
TEST_P(Int8, ProductsAreExact) {
  const Index p = kernels().panel;
  const Index most = 2 * kernels().int8_rows + 1;
  for (const Index k : {1, 3, 4, 5, 31, 60, 64, 130}) {
    for (const Index n : {Index{1}, p - 1, p, 2 * p + 3}) {
      std::vector<float> w = random_floats(n * k, 5);
      std::vector<float> a = random_floats(most * k, 6);
      choose(k == 31 ? static_cast<Numbers>(1 + n % 2) : Numbers::kAny, &w, &a);
      const Buffer panels = pack_matrix(kernels(), Element::kInt8, w, n, k);
      const Index lda = leading_dimension(int8_words(k) + 1);
      std::vector<float> scratch(static_cast<std::size_t>(k + kLanes));
      const std::vector<float> bias(static_cast<std::size_t>((n + p - 1) / p * p), 0.0F);
      for (Index m = 1; m <= most; ++m) {
        Buffer rows(static_cast<std::size_t>(m * lda) * sizeof(float));
        for (Index r = 0; r < m; ++r)
          kernels().narrow(Element::kInt8, a.data() + r * k, k, rows.as<float>() + r * lda,
                           scratch.data());
        std::vector<float> c(static_cast<std::size_t>(m * n), NAN);
        GemmArgs args;
        args.a = rows.as<float>();
        args.lda = lda;
        args.m = m;
        args.n = n;
        args.k = k;
        args.weights = panels.as<float>();
        args.bias = bias.data();
        args.c = c.data();
        args.ldc = n;
        args.element = Element::kInt8;
        args.row_block = 112;
        kernels().gemm(args, 0, args.units(p));
        for (Index r = 0; r < m; ++r) {
          const float* row = rows.as<float>() + r * lda;
          const auto* bytes = reinterpret_cast<const std::uint8_t*>(row);
          for (Index j = 0; j < n; ++j) {
            const std::vector<float> column = mixed_in_floats(w.data() + j * k, k);
            float top = 0;
            for (const float x : column) top = std::max(top, std::fabs(x));
            const float scale = round_up_to_12_bits(top / 127.0F);
            std::int64_t sum = 0;
            for (Index i = 0; i < k; ++i) {
              const auto byte = static_cast<std::int8_t>(bytes[i] - kernels().int8_offset);
              sum += static_cast<std::int64_t>(byte) *
                     std::lround(column[static_cast<std::size_t>(i)] / scale);
            }
            const float column_scale = scale / static_cast<float>(mix_runs(k));
            ASSERT_EQ(pick(c, r * n + j),
                      static_cast<float>(sum) * column_scale * row[int8_words(k)])
                << kernels().name << " m " << m << " n " << n << " k " << k << " at " << r << ","
                << j;
          }
        }
      }
    }
  }
}

// Pairs of words (Kernels::int8_pairs): each word once, few without a partner where weights are as
// trained ones are, and no pair beyond its bound.
TEST(Int8Weights, WordsFindPartners) {
  for (const Kernels* kernels : int8_tables()) {
    if (!kernels->int8_pairs) continue;
    const Index panel = kernels->panel, k = 384, words = int8_words(k);
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    std::vector<float> w(static_cast<std::size_t>(panel * k));
    for (float& v : w) v = normal(random);
    const Buffer packed = pack_matrix(*kernels, Element::kInt8, w, panel, k);
    const auto* order =
        reinterpret_cast<const std::uint16_t*>(packed.as<float>() + (words + 2) * panel);
    const Index pairs = *order++;
    EXPECT_GT(pairs, words / 2 * 8 / 10);
    std::vector<bool> seen(static_cast<std::size_t>(words));
    for (Index i = 0; i < words; ++i) {
      ASSERT_LT(order[i], words);
      ASSERT_FALSE(seen[order[i]]);
      seen[order[i]] = true;
    }
    const auto* bytes = reinterpret_cast<const std::int8_t*>(packed.as<float>());
    for (Index line = 0; line < 2 * pairs; line += 2) {
      for (Index at = line * 4 * panel; at < (line + 1) * 4 * panel; at += 2) {
        const Index next = at + 4 * panel;
        ASSERT_LE(std::abs(bytes[at]) + std::abs(bytes[at + 1]) + std::abs(bytes[next]) +
                      std::abs(bytes[next + 1]),
                  255);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, Int8, testing::ValuesIn(int8_tables()), isa_name);

std::vector<float> run_int8(const Encoder& encoder, const Kernels& kernels, const TestBatch& batch,
                            int threads, bool fuse = true) {
  CompileOptions options;
  options.dtype = "int8";
  options.threads = threads;
  options.max_tokens = 6000;
  options.max_texts = 400;
  options.max_text_tokens = 1100;
  const auto executable = make_executable(
      make_plan(encoder.program, kernels, 1100, fuse, Element::kInt8), kernels, options);
  EXPECT_EQ(executable->isa(), kernels.name);
  std::vector<float> out((batch.offsets.size() - 1) *
                         static_cast<std::size_t>(encoder.program.output_width()));
  executable->run(batch.view(), out);
  return out;
}

TEST(Int8Run, EveryInstructionSetGivesTheSameBits) {
  const TestBatch batch({1, 2, 3, 15, 16, 17, 33, 64, 130, 257, INLAY_SANITIZED ? 40 : 600});
  const std::vector<const Kernels*> tables = int8_tables();
  for (const EncoderShape& shape : narrow_shapes()) {
    const Encoder encoder(shape);
    const std::vector<float> expected = run_int8(encoder, *tables.back(), batch, 1);
    for (const Kernels* kernels : tables) {
      const std::vector<float> got = run_int8(encoder, *kernels, batch, 2);
      ASSERT_EQ(0, std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)))
          << kernels->name << ", hidden " << shape.hidden;
    }
  }
}

TEST(Int8Run, ATextsBitsDependOnTheTextAlone) {
  const TestBatch batch({7, 130, 1, 64, 300, 16, 2, 90});
  const std::vector<std::size_t> order{5, 1, 7, 0};
  for (const EncoderShape& shape : narrow_shapes()) {
    const Encoder encoder(shape);
    const auto width = static_cast<std::size_t>(encoder.program.output_width());
    for (const Kernels* kernels : int8_tables()) {
      const std::vector<float> all = run_int8(encoder, *kernels, batch, 1);
      ASSERT_EQ(all, run_int8(encoder, *kernels, batch, 1, false)) << "not its plain twin's bits";
      const std::vector<float> some = run_int8(encoder, *kernels, batch.pick(order), 2);
      for (std::size_t i = 0; i < order.size(); ++i) {
        ASSERT_EQ(0, std::memcmp(some.data() + i * width, all.data() + order[i] * width,
                                 width * sizeof(float)))
            << kernels->name << " text " << order[i];
      }
    }
  }
}

// Random weights, two layers: a wrong scale, row or panel leaves far less than this.
TEST(Int8Run, IsNearRef) {
  const TestBatch batch({1, 2, 14, 15, 17, 64, 130, 257});
  for (const EncoderShape& shape : narrow_shapes()) {
    const Encoder encoder(shape);
    const auto width = static_cast<std::size_t>(encoder.program.output_width());
    CompileOptions options;
    options.max_texts = 400;
    options.max_text_tokens = 1100;
    std::vector<float> expected((batch.offsets.size() - 1) * width);
    ref_backend().compile(encoder.program, options)->run(batch.view(), expected);
    for (const Kernels* kernels : int8_tables()) {
      const std::vector<float> got = run_int8(encoder, *kernels, batch, 1);
      ASSERT_NE(got, expected) << "not int8";
      for (std::size_t t = 0; t + 1 < batch.offsets.size(); ++t) {
        double dot = 0, a = 0, b = 0;
        for (std::size_t i = t * width; i < (t + 1) * width; ++i) {
          dot += double{got[i]} * expected[i];
          a += double{got[i]} * got[i];
          b += double{expected[i]} * expected[i];
        }
        if (b == 0) {  // pooling begins behind the text's end
          EXPECT_EQ(a, 0);
          continue;
        }
        EXPECT_GT(dot / std::sqrt(a * b), 0.9995) << kernels->name << " text " << t;
      }
    }
  }
}

}  // namespace
}  // namespace cpu
}  // namespace inlay::backend
