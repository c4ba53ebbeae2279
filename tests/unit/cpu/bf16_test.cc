// bf16 of every instruction set, emulated where it is not the processor's: rounding to the bit,
// products against double arithmetic on the rounded operands, attention by the largest error of an
// element, whole Programs near ref with one bit pattern for a text wherever it stands.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "backend/backend.h"
#include "backend/cpu/executable.h"
#include "backend/cpu/pack.h"
#include "base/half.h"
#include "encoder.h"
#include "isa_table.h"
#include "pack_matrix.h"

namespace inlay::backend {
const Backend& ref_backend();
namespace cpu {
namespace {

class Bf16 : public EveryIsa {};

float rounded(float x) { return bf16_to_float(float_to_bf16(x)); }

TEST_P(Bf16, RowsAreRoundedToNearestEven) {
  for (Index width = 1; width <= 70; ++width) {
    std::vector<float> row = random_floats(width, static_cast<unsigned>(width), 3.0F);
    row[0] = width % 2 == 0 ? 1.00390625F : 1.01171875F;  // halfway: down to even, up to even
    const Index words = element_words(Element::kBf16, width);
    std::vector<float> out(static_cast<std::size_t>(words + 1), 77.0F);
    kernels().narrow(Element::kBf16, row.data(), width, out.data(), nullptr);
    EXPECT_EQ(pick(out, words), 77.0F) << "written past the row";
    const auto* halves = reinterpret_cast<const std::uint16_t*>(out.data());
    for (Index i = 0; i < 2 * words; ++i) {
      const std::uint16_t expected = i < width ? float_to_bf16(pick(row, i)) : std::uint16_t{0};
      ASSERT_EQ(halves[i], expected) << "element " << i << " of " << width;
    }
  }
}

TEST_P(Bf16, KeepsWhatIsNotFinite) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<float> row(20, NAN);
  row[1] = kInfinity;
  row[17] = -kInfinity;
  row[2] = std::numeric_limits<float>::max();  // nearer to infinity than to any bf16
  std::vector<float> out(16);
  kernels().narrow(Element::kBf16, row.data(), 20, out.data(), nullptr);
  const auto* halves = reinterpret_cast<const std::uint16_t*>(out.data());
  for (std::size_t i = 0; i < 20; ++i) {
    const float got = bf16_to_float(halves[i]);
    if (i == 1 || i == 2) {
      EXPECT_EQ(got, kInfinity) << i;
    } else if (i == 17) {
      EXPECT_EQ(got, -kInfinity);
    } else {
      EXPECT_TRUE(std::isnan(got)) << i;
    }
  }
}

struct Panels {
  Index n, k;
  Buffer panels;
  std::vector<float> bias;
};
Panels pack(const Kernels& kernels, const std::vector<float>& w, Index n, Index k) {
  std::vector<float> bias(static_cast<std::size_t>(round_up(n, kernels.panel)), 0.0F);
  return {n, k, pack_matrix(kernels, Element::kBf16, w, n, k), std::move(bias)};
}

// The largest error of an element: sums of k products in fp32, one rounding each at most.
TEST_P(Bf16, ProductsHaveOnlyTheErrorOfTheirSums) {
  const Index p = kernels().panel;
  const Index most = kernels().tile_rows + 3;
  for (const Index k : {1, 2, 3, 31, 32, 33, 64, 130}) {
    const std::vector<float> a = random_floats(most * k, 6);
    const Index lda = leading_dimension(element_words(Element::kBf16, k));
    Buffer rows(static_cast<std::size_t>(most * lda) * sizeof(float));
    for (Index r = 0; r < most; ++r)
      kernels().narrow(Element::kBf16, a.data() + r * k, k, rows.as<float>() + r * lda, nullptr);
    for (const Index n : {Index{1}, p - 1, p, 2 * p + 3}) {
      const std::vector<float> w = random_floats(n * k, 5);
      const Panels panels = pack(kernels(), w, n, k);
      for (Index m = 1; m <= most; ++m) {
        std::vector<float> c(static_cast<std::size_t>(m * n), NAN);
        GemmArgs args;
        args.a = rows.as<float>();
        args.lda = lda;
        args.m = m;
        args.n = n;
        args.k = k;
        args.weights = panels.panels.as<float>();
        args.bias = panels.bias.data();
        args.c = c.data();
        args.ldc = n;
        args.element = Element::kBf16;
        args.row_block = 64;
        kernels().gemm(args, 0, args.units(p));
        const Index ldn = leading_dimension(element_words(Element::kBf16, n));
        std::vector<float> narrow(static_cast<std::size_t>(m * ldn), NAN);
        args.c = narrow.data();
        args.ldc = ldn;
        args.narrow_out = true;
        kernels().gemm(args, 0, args.units(p));
        for (Index r = 0; r < m; ++r) {
          const auto* halves = reinterpret_cast<const std::uint16_t*>(narrow.data() + r * ldn);
          for (Index j = 0; j < n; ++j) {
            double sum = 0, size = 0;
            for (Index i = 0; i < k; ++i) {
              const double product =
                  double{rounded(pick(a, r * k + i))} * double{rounded(pick(w, j * k + i))};
              sum += product;
              size += std::fabs(product);
            }
            const double bound = size * static_cast<double>(k + 1) * 0x1p-24;
            ASSERT_NEAR(pick(c, r * n + j), sum, bound)
                << kernels().name << " m " << m << " n " << n << " k " << k << " " << r << "," << j;
            ASSERT_EQ(halves[j], float_to_bf16(pick(c, r * n + j)));
          }
          for (Index j = n; j < 2 * element_words(Element::kBf16, n); ++j)
            ASSERT_EQ(halves[j], 0) << "behind the row's end";
        }
      }
    }
  }
}

// Of one text with itself, queries, keys and values `apart` floats from each other in rows of `ld`.
AttentionArgs attention_of(const std::vector<float>& qkv, Index apart, Index ld, Index keys,
                           Index head_size, std::vector<float>* out, Buffer* scratch) {
  AttentionArgs args;
  args.q = qkv.data();
  args.k = qkv.data() + apart;
  args.v = qkv.data() + 2 * apart;
  args.ldq = args.ldk = args.ldv = ld;
  args.out = out->data();
  args.ldo = head_size;
  args.keys = keys;
  args.query_end = keys;
  args.head_size = head_size;
  args.scale = 1.0F / std::sqrt(static_cast<float>(head_size));
  args.element = Element::kBf16;
  args.scratch = scratch->as<float>();
  return args;
}

// Against softmax in double over rounded queries and keys; what is left is the rounding of
// probabilities and values, 2^-9 of each.
TEST_P(Bf16, AttentionIsRight) {
  for (const Index d : {8, 32, 33, 64, 128}) {
    for (const Index keys : {1, 2, 3, 15, 16, 17, 31, 32, 33, 47, 64, 65, 130, 257, 513, 600}) {
      if (INLAY_SANITIZED && (keys == 600 || (keys > 65 && d > 33))) continue;
      const Index ld = 3 * d + 16;
      const std::vector<float> qkv = random_floats(keys * ld, static_cast<unsigned>(keys + d), 2);
      Buffer scratch(static_cast<std::size_t>(attention_scratch(kernels(), d)) * sizeof(float));
      std::fill_n(scratch.as<float>(), attention_scratch(kernels(), d), NAN);
      for (const bool causal : {false, true}) {
        std::vector<float> out(static_cast<std::size_t>(keys * d), NAN);
        AttentionArgs args = attention_of(qkv, d, ld, keys, d, &out, &scratch);
        args.causal = causal;
        kernels().attention(args);
        const Index ldh = leading_dimension(element_words(Element::kBf16, d));
        std::vector<float> halves(static_cast<std::size_t>(keys * ldh));
        args.out = halves.data();
        args.ldo = ldh;
        args.narrow_out = true;
        kernels().attention(args);
        for (Index i = 0; i < keys; i += keys < 70 ? 1 : 13) {
          const Index seen = causal ? i + 1 : keys;
          std::vector<double> p(static_cast<std::size_t>(seen));
          double top = -INFINITY, total = 0;
          for (Index j = 0; j < seen; ++j) {
            double dot = 0;
            for (Index c = 0; c < d; ++c) {
              const float key = args.k[j * ld + c] * (args.scale * 1.44269504F);
              dot += double{rounded(args.q[i * ld + c])} * double{rounded(key)};
            }
            p[static_cast<std::size_t>(j)] = dot;
            top = std::max(top, dot);
          }
          for (double& x : p) total += x = std::exp2(x - top);
          for (Index c = 0; c < d; ++c) {
            double sum = 0;
            for (Index j = 0; j < seen; ++j)
              sum += p[static_cast<std::size_t>(j)] / total * double{args.v[j * ld + c]};
            ASSERT_NEAR(pick(out, i * d + c), sum, 2 * 2 * 0x1p-8)
                << kernels().name << " d " << d << " keys " << keys << " row " << i;
            const auto* row = reinterpret_cast<const std::uint16_t*>(halves.data() + i * ldh);
            ASSERT_EQ(row[c], float_to_bf16(pick(out, i * d + c)));
          }
        }
      }
    }
  }
}

// Rows that are bf16 already, whole tiles of them read where they stand: against softmax in double.
TEST_P(Bf16, AttentionOfNarrowRowsIsRight) {
  for (const Index d : {32, 64, 96}) {
    for (const Index keys : {1, 2, 3, 7, 16, 17, 33, 64, 65, 130, 600}) {
      const Index ld = 3 * d / 2 + 16;
      const std::vector<float> values =
          random_floats(keys * 2 * ld, static_cast<unsigned>(keys + d), 2);
      std::vector<float> rows(static_cast<std::size_t>(keys * ld));
      auto* halves = reinterpret_cast<std::uint16_t*>(rows.data());
      for (std::size_t i = 0; i < values.size(); ++i) halves[i] = float_to_bf16(values[i]);
      const auto value = [&](Index row, Index column) {
        return double{bf16_to_float(halves[row * 2 * ld + column])};
      };
      Buffer scratch(static_cast<std::size_t>(attention_scratch(kernels(), d)) * sizeof(float));
      std::fill_n(scratch.as<float>(), attention_scratch(kernels(), d), NAN);
      std::vector<float> out(static_cast<std::size_t>(keys * d), NAN);
      AttentionArgs args = attention_of(rows, d / 2, ld, keys, d, &out, &scratch);
      args.narrow_in = true;
      kernels().attention(args);
      for (Index i = 0; i < keys; i += keys < 70 ? 1 : 13) {
        std::vector<double> p;
        double top = -INFINITY, total = 0;
        for (Index j = 0; j < keys; ++j) {
          double dot = 0;
          for (Index c = 0; c < d; ++c) dot += value(i, c) * value(j, d + c);
          p.push_back(dot * double{args.scale} * 1.4426950408889634);
          top = std::max(top, p.back());
        }
        for (double& x : p) total += x = std::exp2(x - top);
        for (Index c = 0; c < d; ++c) {
          double sum = 0;
          for (Index j = 0; j < keys; ++j)
            sum += p[static_cast<std::size_t>(j)] / total * value(j, 2 * d + c);
          ASSERT_NEAR(pick(out, i * d + c), sum, 2 * 0x1p-8)
              << kernels().name << " d " << d << " keys " << keys << " row " << i;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, Bf16, testing::ValuesIn(runnable(Element::kBf16)), isa_name);

std::vector<float> run_bf16(const Encoder& encoder, const Kernels& kernels, const TestBatch& batch,
                            int threads, bool fuse = true) {
  CompileOptions options;
  options.dtype = "bf16";
  options.threads = threads;
  options.max_tokens = 6000;
  options.max_texts = 400;
  options.max_text_tokens = 1100;
  const auto executable = make_executable(
      make_plan(encoder.program, kernels, 1100, fuse, Element::kBf16), kernels, options);
  EXPECT_EQ(executable->isa(), kernels.name);
  std::vector<float> out((batch.offsets.size() - 1) *
                         static_cast<std::size_t>(encoder.program.output_width()));
  executable->run(batch.view(), out);
  return out;
}

TEST(Bf16Run, ATextsBitsDependOnTheTextAlone) {
  const TestBatch batch({7, 130, 1, 64, 300, 16, 2, 90});
  const std::vector<std::size_t> order{5, 1, 7, 0};
  for (const EncoderShape& shape : narrow_shapes()) {
    const Encoder encoder(shape);
    const auto width = static_cast<std::size_t>(encoder.program.output_width());
    for (const Kernels* kernels : runnable(Element::kBf16)) {
      const std::vector<float> all = run_bf16(encoder, *kernels, batch, 1);
      ASSERT_EQ(all, run_bf16(encoder, *kernels, batch, 1, false)) << "not its plain twin's bits";
      ASSERT_EQ(all, run_bf16(encoder, *kernels, batch, 3)) << "not one thread's bits";
      const std::vector<float> some = run_bf16(encoder, *kernels, batch.pick(order), 2);
      for (std::size_t i = 0; i < order.size(); ++i) {
        ASSERT_EQ(0, std::memcmp(some.data() + i * width, all.data() + order[i] * width,
                                 width * sizeof(float)))
            << kernels->name << " text " << order[i];
      }
    }
  }
}

// Random weights, two layers: a wrong row, panel or pair leaves far less than this.
TEST(Bf16Run, IsNearRef) {
  const TestBatch batch({1, 2, 14, 15, 17, 31, 33, 64, 130, 257, INLAY_SANITIZED ? 40 : 600});
  for (const EncoderShape& shape : narrow_shapes()) {
    const Encoder encoder(shape);
    const auto width = static_cast<std::size_t>(encoder.program.output_width());
    CompileOptions options;
    options.max_texts = 400;
    options.max_text_tokens = 1100;
    std::vector<float> expected((batch.offsets.size() - 1) * width);
    ref_backend().compile(encoder.program, options)->run(batch.view(), expected);
    for (const Kernels* kernels : runnable(Element::kBf16)) {
      const std::vector<float> got = run_bf16(encoder, *kernels, batch, 1);
      ASSERT_NE(got, expected) << "not bf16";
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
        EXPECT_GT(dot / std::sqrt(a * b), 0.9999) << kernels->name << " text " << t;
      }
    }
  }
}

}  // namespace
}  // namespace cpu
}  // namespace inlay::backend
