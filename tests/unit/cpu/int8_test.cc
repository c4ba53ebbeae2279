// int8 of every instruction set: rows and products against plain integer arithmetic, to the bit;
// whole Programs with the same bits on every instruction set, in any batch and on any number of
// threads, near ref.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "backend/backend.h"
#include "backend/cpu/executable.h"
#include "backend/cpu/pack.h"
#include "encoder.h"
#include "isa_table.h"

namespace inlay::backend {
const Backend& ref_backend();
namespace cpu {
namespace {

// Every table that int8 may run on: generic has one of its own.
std::vector<const Kernels*> int8_tables() {
  std::vector<const Kernels*> tables;
  for (const IsaEntry& entry : isa_table()) {
    if (entry.kernels == nullptr || !entry.available()) continue;
    tables.push_back(&choose_isa(entry.name, true));
  }
  return tables;
}

class Int8 : public EveryIsa {};

float pick(const std::vector<float>& values, Index at) {
  return values[static_cast<std::size_t>(at)];
}

TEST_P(Int8, RowsAreRoundedToTheirOwnScale) {
  for (Index width = 1; width <= 70; ++width) {
    std::vector<float> row = random_floats(width, static_cast<unsigned>(width), 3.0F);
    row[static_cast<std::size_t>(width / 2)] = -3.5F;  // the largest, so that -127 occurs
    std::vector<float> out(static_cast<std::size_t>(int8_words(width) + 2), 77.0F);
    kernels().quantize(row.data(), width, out.data());
    EXPECT_EQ(pick(out, int8_words(width)), 3.5F / 127.0F);
    EXPECT_EQ(pick(out, int8_words(width) + 1), 77.0F) << "written past the row";
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(out.data());
    for (Index i = 0; i < width; ++i) {
      const float expected = std::nearbyint(pick(row, i) * (127.0F / 3.5F));
      ASSERT_EQ(static_cast<std::uint8_t>(static_cast<int>(expected) + kernels().int8_offset),
                bytes[i])
          << "element " << i << " of " << width;
    }
  }
}

TEST_P(Int8, ZerosAndWhatIsNotFinite) {
  std::vector<float> row(37, 0.0F);
  std::vector<float> out(static_cast<std::size_t>(int8_words(37) + 1));
  kernels().quantize(row.data(), 37, out.data());
  EXPECT_EQ(out.back(), 0.0F);
  for (const float bad : {std::numeric_limits<float>::infinity(), NAN}) {
    for (const std::size_t at : {0, 15, 36}) {
      row.assign(37, 1.0F);
      row[at] = bad;
      kernels().quantize(row.data(), 37, out.data());
      EXPECT_TRUE(std::isnan(out.back())) << bad << " at " << at;
    }
  }
}

// Integers times two scales: every sum is exact, so the result is known to the bit.
TEST_P(Int8, ProductsAreExact) {
  const Index p = kernels().panel;
  for (const Index k : {1, 3, 4, 5, 31, 64, 130}) {
    for (const Index n : {Index{1}, p - 1, p, 2 * p + 3}) {
      const Index most = 2 * kernels().tile_rows + 1;
      const std::vector<float> w = random_floats(n * k, 5);
      const std::vector<float> a = random_floats(most * k, 6);
      Plan plan;
      WeightSpec spec;
      spec.kind = WeightSpec::Kind::kInt8Panels;
      spec.parts = {{"w", {DType::kF32, {n, k}, w.data()}}};
      spec.n = n;
      spec.k = k;
      spec.floats = (n + p - 1) / p * p * (int8_words(k) + 2);
      plan.weight_floats = spec.floats;
      plan.weights.push_back(spec);
      const Buffer panels = pack_weights(plan, kernels());
      const Index lda = leading_dimension(int8_words(k) + 1);
      const std::vector<float> bias(static_cast<std::size_t>((n + p - 1) / p * p), 0.0F);
      for (Index m = 1; m <= most; ++m) {
        Buffer rows(static_cast<std::size_t>(m * lda) * sizeof(float));
        for (Index r = 0; r < m; ++r)
          kernels().quantize(a.data() + r * k, k, rows.as<float>() + r * lda);
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
        args.int8 = true;
        args.row_block = 112;
        kernels().gemm(args, 0, args.units(p));
        for (Index r = 0; r < m; ++r) {
          const float* row = rows.as<float>() + r * lda;
          const auto* bytes = reinterpret_cast<const std::uint8_t*>(row);
          for (Index j = 0; j < n; ++j) {
            float top = 0;
            for (Index i = 0; i < k; ++i) top = std::max(top, std::fabs(pick(w, j * k + i)));
            const float scale = top / 127.0F;
            std::int64_t sum = 0;
            for (Index i = 0; i < k; ++i) {
              const auto byte = static_cast<std::int8_t>(bytes[i] - kernels().int8_offset);
              sum += static_cast<std::int64_t>(byte) * std::lround(pick(w, j * k + i) / scale);
            }
            ASSERT_EQ(pick(c, r * n + j), static_cast<float>(sum) * scale * row[int8_words(k)])
                << kernels().name << " m " << m << " n " << n << " k " << k << " at " << r << ","
                << j;
          }
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, Int8, testing::ValuesIn(int8_tables()), isa_name);

std::vector<float> run_int8(const Encoder& encoder, const Kernels& kernels, const TestBatch& batch,
                            int threads) {
  CompileOptions options;
  options.dtype = "int8";
  options.threads = threads;
  options.max_tokens = 6000;
  options.max_texts = 400;
  options.max_text_tokens = 1100;
  const auto executable =
      make_executable(make_plan(encoder.program, kernels, 1100, true, true), kernels, options);
  EXPECT_EQ(executable->isa(), kernels.name);
  std::vector<float> out((batch.offsets.size() - 1) *
                         static_cast<std::size_t>(encoder.program.output_width()));
  executable->run(batch.view(), out);
  return out;
}

std::vector<EncoderShape> shapes() {
  std::vector<EncoderShape> all(1);
  all[0].hidden = 96;
  all[0].heads = 3;
  all[0].inner = 384;
  EncoderShape s;
  s.hidden = 40;
  s.heads = 5;
  s.inner = 33;
  s.activation = Activation::kSilu;
  s.read_row = SelectKind::kFirst;
  all.push_back(s);
  s = {};
  s.hidden = 64;
  s.heads = 1;
  s.activation = Activation::kGeluTanh;
  s.pool = {PoolMode::kMax, PoolMode::kMean};
  all.push_back(s);
  return all;
}

TEST(Int8Run, EveryInstructionSetGivesTheSameBits) {
  const TestBatch batch({1, 2, 3, 15, 16, 17, 33, 64, 130, 257, 600});
  const std::vector<const Kernels*> tables = int8_tables();
  for (const EncoderShape& shape : shapes()) {
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
  for (const EncoderShape& shape : shapes()) {
    const Encoder encoder(shape);
    const auto width = static_cast<std::size_t>(encoder.program.output_width());
    for (const Kernels* kernels : int8_tables()) {
      const std::vector<float> all = run_int8(encoder, *kernels, batch, 1);
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
  for (const EncoderShape& shape : shapes()) {
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
