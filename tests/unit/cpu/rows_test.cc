// Elementwise functions by their largest error (a cosine hides single wrong elements), and the row
// kernels against double loops.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/half.h"
#include "base/threads.h"
#include "isa_table.h"

namespace inlay::backend::cpu {
namespace {

class Rows16 : public EveryIsa {};

double exact(Activation activation, double x) {
  const auto sigmoid = [](double z) { return 1.0 / (1.0 + std::exp(-z)); };
  switch (activation) {
    case Activation::kGelu:
      return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case Activation::kGeluTanh:  // the same as x/2 (1 + tanh), without its cancellation
      return x * sigmoid(2 * std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x));
    case Activation::kGeluQuick:
      return x * sigmoid(1.702 * x);
    case Activation::kSilu:
      return x * sigmoid(x);
    default:
      return x < 0 ? 0 : x;
  }
}

// Every 4099th float (under sanitizers fewer) of all finite ones, both signs, and each float around
// the polynomial's ends.
std::vector<float> many_floats() {
  std::vector<float> values;
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32U);
       bits += INLAY_SANITIZED ? 65551 : 4099) {
    const float x = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    if (std::isfinite(x)) values.push_back(x);
  }
  for (const float centre : {0.0F, 1.0F, -1.0F, 5.5F, -5.5F, 87.0F, -87.0F, -174.7F}) {
    float x = centre;
    for (int i = 0; i < 2000; ++i, x = std::nextafter(x, 1e30F)) values.push_back(x);
  }
  for (float x = -12; x < 12; x += INLAY_SANITIZED ? 1e-3F : 3e-5F) values.push_back(x);
  return values;
}

TEST_P(Rows16, ActivationsByLargestError) {
  const std::vector<float> inputs = many_floats();
  struct Limit {
    Activation activation;
    double absolute, relative;
  };
  for (const Limit& limit : {Limit{Activation::kGelu, 5e-7, 1.2e-7},
                             {Activation::kGeluTanh, 4e-7, 4e-7},
                             {Activation::kGeluQuick, 4e-7, 4e-7},
                             {Activation::kSilu, 4e-7, 4e-7},
                             {Activation::kRelu, 0, 0}}) {
    std::vector<float> values = inputs;
    kernels().activate(limit.activation, values.data(), static_cast<Index>(values.size()));
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double expected = exact(limit.activation, static_cast<double>(inputs[i]));
      const double allowed = limit.absolute + limit.relative * std::fabs(expected);
      ASSERT_LE(std::fabs(values[i] - expected), allowed)
          << kernels().name << " " << activation_name(limit.activation) << " of " << inputs[i];
    }
  }
}

TEST_P(Rows16, NanStaysVisible) {
  for (const Activation activation :
       {Activation::kNone, Activation::kGelu, Activation::kGeluTanh, Activation::kGeluQuick,
        Activation::kSilu, Activation::kRelu, Activation::kTanh}) {
    std::vector<float> values(19, std::numeric_limits<float>::quiet_NaN());
    kernels().activate(activation, values.data(), 19);
    for (const float v : values) ASSERT_TRUE(std::isnan(v)) << activation_name(activation);
  }
}

TEST_P(Rows16, ActivationDoesNotDependOnTheLane) {
  for (int a = 0; a <= static_cast<int>(Activation::kLaplace); ++a) {
    const std::vector<float> inputs = random_floats(100, 5, 6.0F);
    std::vector<float> all = inputs;
    kernels().activate(static_cast<Activation>(a), all.data(), 100);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      float one = inputs[i];
      kernels().activate(static_cast<Activation>(a), &one, 1);
      ASSERT_EQ(one, all[i]);
    }
  }
}

TEST_P(Rows16, NormAgainstDouble) {
  for (const Index width : {1, 2, 15, 16, 17, 24, 384, 1000}) {
    for (const bool rms : {false, true}) {
      for (const bool with_residual : {false, true}) {
        const Index ld = width + 3;
        const Index rows = 5;
        const std::vector<float> x = random_floats(rows * ld, 1, 3.0F);
        const std::vector<float> residual = random_floats(rows * ld, 2, 3.0F);
        const std::vector<float> weight = random_floats(width, 3);
        const std::vector<float> bias = random_floats(width, 4);
        std::vector<float> out(static_cast<std::size_t>(rows * ld), 77.0F);
        NormArgs args;
        args.input = x.data();
        args.residual = with_residual ? residual.data() : nullptr;
        args.ldi = args.ldr = args.ldo = ld;
        args.weight = weight.data();
        args.bias = bias.data();
        args.out = out.data();
        args.width = width;
        args.eps = 1e-5F;
        args.rms = rms;
        kernels().norm(args, 1, 4);
        for (Index r = 0; r < rows; ++r) {
          std::vector<double> row;
          double mean = 0;
          for (Index d = 0; d < width; ++d) {
            const auto i = static_cast<std::size_t>(r * ld + d);
            row.push_back(static_cast<double>(x[i]) + (with_residual ? residual[i] : 0.0F));
            mean += row.back() / static_cast<double>(width);
          }
          if (rms) mean = 0;
          double variance = 0;
          for (const double v : row) variance += (v - mean) * (v - mean);
          const double scale = 1 / std::sqrt(variance / static_cast<double>(width) + 1e-5);
          for (Index d = 0; d < ld; ++d) {
            const float got = out[static_cast<std::size_t>(r * ld + d)];
            if (r == 0 || r == 4 || d >= width) {
              ASSERT_EQ(got, 77.0F) << "written outside at row " << r << ", column " << d;
              continue;
            }
            const auto i = static_cast<std::size_t>(d);
            // Width 1: x - mean is rounding alone, and eps decides.
            const double allowed = width == 1 && !rms ? 1e-3 : 4e-6;
            ASSERT_NEAR(got, (row[i] - mean) * scale * weight[i] + bias[i], allowed)
                << kernels().name << " width " << width;
          }
        }
      }
    }
  }
}

TEST_P(Rows16, NormalizeAgainstDouble) {
  for (const Index width : {1, 3, 16, 19, 384}) {
    std::vector<float> row = random_floats(width, 9, 5.0F);
    const std::vector<float> before = row;
    kernels().normalize(row.data(), width);
    double squares = 0;
    for (const float v : before) squares += static_cast<double>(v) * v;
    for (Index d = 0; d < width; ++d) {
      const auto i = static_cast<std::size_t>(d);
      ASSERT_NEAR(row[i], before[i] / std::sqrt(squares), 3e-7);
    }
  }
  std::vector<float> zeros(21, 0.0F);
  kernels().normalize(zeros.data(), 21);
  for (const float v : zeros) ASSERT_EQ(v, 0.0F);
}

// Sums over a row have one order on every instruction set, so where no multiply-add is involved the
// bits are the same on all.
TEST_P(Rows16, PooledSumsAreTheSameEverywhere) {
  const Index rows = 200;
  const Index width = 50;
  const std::vector<float> x = random_floats(rows * width, 6);
  const auto pooled = [&](const Kernels& table, PoolMode mode) {
    std::vector<float> out(static_cast<std::size_t>(width));
    PoolArgs args;
    args.input = x.data();
    args.ldi = width;
    args.rows = rows;
    args.begin = 3;
    args.width = width;
    args.mode = mode;
    args.out = out.data();
    table.pool(args);
    return out;
  };
  for (const PoolMode mode : {PoolMode::kCls, PoolMode::kMax, PoolMode::kMean,
                              PoolMode::kMeanSqrtLen, PoolMode::kLastToken}) {
    EXPECT_EQ(pooled(kernels(), mode), pooled(*isa_table().back().of(Element::kFp32), mode));
  }
}

std::vector<float> embedded(const Kernels& kernels, const Table& tokens, Index rows, Index width) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(rows));
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(i);
  std::vector<float> out(static_cast<std::size_t>(rows * width));
  EmbedArgs args;
  args.tokens = tokens;
  args.ids = ids.data();
  args.norm.width = width;
  args.norm.out = out.data();
  args.norm.ldo = width;
  // As in runs: with subnormals flushed.
  ThreadPool(1).run([&](int) { kernels.embed(args, 0, rows); });
  return out;
}

// All 65,536 of each, in rows longer than what is widened at once.
TEST_P(Rows16, TablesOf16BitsWidenExactly) {
  const Index width = 521;
  const Index rows = 126;
  std::vector<std::uint16_t> bits(static_cast<std::size_t>(rows * width));
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<std::uint16_t>(i);
  std::vector<float> halves, bf16;
  for (const std::uint16_t b : bits) {
    halves.push_back(half_to_float(b));
    const float value = bf16_to_float(b);
    bf16.push_back(std::fpclassify(value) == FP_SUBNORMAL ? std::copysign(0.0F, value) : value);
  }
  const auto same = [](float a, float b) {
    return std::isnan(b) ? std::isnan(a) : std::bit_cast<int>(a) == std::bit_cast<int>(b);
  };
  const Table fp16_table{bits.data(), TableElement::kFp16};
  const Table bf16_table{bits.data(), TableElement::kBf16};
  const std::vector<float> of_halves = embedded(kernels(), fp16_table, rows, width);
  const std::vector<float> of_bf16 = embedded(kernels(), bf16_table, rows, width);
  for (std::size_t i = 0; i < bits.size(); ++i) {
    ASSERT_TRUE(same(of_halves[i], halves[i])) << i << " " << of_halves[i];
    ASSERT_TRUE(same(of_bf16[i], bf16[i])) << i << " " << of_bf16[i];
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, Rows16, testing::ValuesIn(runnable()), isa_name);

}  // namespace
}  // namespace inlay::backend::cpu
