// Matrix products of every instruction set against double loops: all row tails, ragged columns,
// activations, residuals; and the same bits for a row wherever it stands.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "backend/cpu/plan.h"
#include "isa_table.h"

namespace inlay::backend::cpu {
namespace {

struct Product {
  Index m, n, k;
  std::vector<float> a, w, bias, residual;
  Index lda, ldc;
  Buffer panels;

  Product(const Kernels& kernels, Index m, Index n, Index k)
      : m(m), n(n), k(k), lda(leading_dimension(k)), ldc(leading_dimension(n)) {
    a = random_floats(m * lda, 1);
    w = random_floats(n * k, 2);
    residual = random_floats(m * ldc, 4);
    const Index p = kernels.panel;
    const Index count = (n + p - 1) / p;
    bias = random_floats(count * p, 3);
    panels = Buffer(static_cast<std::size_t>(count * p * k) * sizeof(float));
    std::memset(panels.data(), 0, panels.bytes());
    for (Index j = 0; j < n; ++j) {
      for (Index i = 0; i < k; ++i)
        panels.as<float>()[j / p * p * k + i * p + j % p] = w[static_cast<std::size_t>(j * k + i)];
    }
  }
  GemmArgs args(float* c, bool with_residual) const {
    GemmArgs args;
    args.a = a.data();
    args.lda = lda;
    args.m = m;
    args.n = n;
    args.k = k;
    args.weights = panels.as<float>();
    args.bias = bias.data();
    if (with_residual) {
      args.residual = residual.data();
      args.ldr = ldc;
    }
    args.c = c;
    args.ldc = ldc;
    args.row_block = 112;
    return args;
  }
  double expected(Index row, Index column, bool with_residual) const {
    double sum = 0;
    for (Index i = 0; i < k; ++i) {
      sum += static_cast<double>(a[static_cast<std::size_t>(row * lda + i)]) *
             w[static_cast<std::size_t>(column * k + i)];
    }
    sum += bias[static_cast<std::size_t>(column)];
    return with_residual ? sum + residual[static_cast<std::size_t>(row * ldc + column)] : sum;
  }
};

class Gemm : public EveryIsa {
 protected:
  void compare(Index m, Index n, Index k, bool with_residual) {
    const Product product(kernels(), m, n, k);
    // A guard after each row's columns shows writes past the end.
    std::vector<float> c(static_cast<std::size_t>(m * product.ldc), 123.0F);
    const GemmArgs args = product.args(c.data(), with_residual);
    kernels().gemm(args, 0, args.units(kernels().panel));
    // k products of at most 1, each rounded, and sums of at most k: the usual worst case,
    // quartered.
    const double allowed = static_cast<double>(k + 3) * static_cast<double>(k + 3) * 1.5e-8 + 1e-6;
    for (Index r = 0; r < m; ++r) {
      for (Index j = 0; j < product.ldc; ++j) {
        const float got = c[static_cast<std::size_t>(r * product.ldc + j)];
        if (j >= n) {
          ASSERT_EQ(got, 123.0F) << "written past the end of row " << r;
          continue;
        }
        ASSERT_NEAR(got, product.expected(r, j, with_residual), allowed)
            << kernels().name << " m " << m << " n " << n << " k " << k << " at " << r << "," << j;
      }
    }
  }
};

TEST_P(Gemm, EveryRowTail) {
  for (Index m = 1; m <= 2 * kernels().tile_rows + 1; ++m) compare(m, 33, 19, m % 2 == 0);
}

TEST_P(Gemm, RaggedColumns) {
  for (const Index n : {1, 7, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 100}) {
    compare(9, n, 40, false);
    compare(9, n, 40, true);
  }
}

TEST_P(Gemm, DepthsAndModelShapes) {
  for (const Index k : {1, 2, 3, 15, 16, 17, 100}) compare(5, 20, k, true);
  compare(29, 384, 384, true);
  compare(15, 1152, 384, false);
  compare(15, 384, 1536, true);
  compare(120, 64, 64, false);  // more than one block of rows
  compare(3, 40, 3072, true);
}

TEST_P(Gemm, ResidualInPlace) {
  const Product product(kernels(), 31, 70, 24);
  std::vector<float> apart(product.residual.size());
  std::vector<float> in_place = product.residual;
  GemmArgs args = product.args(apart.data(), true);
  kernels().gemm(args, 0, args.units(kernels().panel));
  args = product.args(in_place.data(), true);
  args.residual = in_place.data();
  kernels().gemm(args, 0, args.units(kernels().panel));
  for (Index r = 0; r < product.m; ++r) {
    ASSERT_EQ(0, std::memcmp(&apart[static_cast<std::size_t>(r * product.ldc)],
                             &in_place[static_cast<std::size_t>(r * product.ldc)],
                             static_cast<std::size_t>(product.n) * sizeof(float)));
  }
}

TEST_P(Gemm, ActivationThenResidual) {
  for (int a = 0; a <= static_cast<int>(Activation::kLaplace); ++a) {
    const auto activation = static_cast<Activation>(a);
    const Product product(kernels(), 17, 45, 12);
    std::vector<float> plain(product.residual.size());
    std::vector<float> fused(product.residual.size());
    GemmArgs args = product.args(plain.data(), false);
    kernels().gemm(args, 0, args.units(kernels().panel));
    kernels().activate(activation, plain.data(), static_cast<Index>(plain.size()));
    args = product.args(fused.data(), true);
    args.activation = activation;
    kernels().gemm(args, 0, args.units(kernels().panel));
    for (Index r = 0; r < product.m; ++r) {
      for (Index j = 0; j < product.n; ++j) {
        const auto i = static_cast<std::size_t>(r * product.ldc + j);
        ASSERT_EQ(fused[i], plain[i] + product.residual[i])
            << activation_name(activation) << " at " << r << "," << j;
      }
    }
  }
}

// The promise that everything rests on: a row's bits depend on the row alone.
TEST_P(Gemm, RowBitsDependOnTheRowAlone) {
  const Product product(kernels(), 61, 97, 133);
  std::vector<float> whole(product.residual.size());
  GemmArgs args = product.args(whole.data(), true);
  args.activation = Activation::kGelu;
  kernels().gemm(args, 0, args.units(kernels().panel));
  for (const Index begin : {0, 1, 5, 13, 14, 30, 60}) {
    for (const Index rows : {1, 2, 7, 14, 31}) {
      const Index count = std::min(rows, product.m - begin);
      std::vector<float> part(product.residual.size());
      GemmArgs some = product.args(part.data(), true);
      some.activation = Activation::kGelu;
      some.a += begin * product.lda;
      some.residual += begin * product.ldc;
      some.m = count;
      some.row_block = kernels().tile_rows;
      // By units in two halves, as threads take them.
      const Index units = some.units(kernels().panel);
      kernels().gemm(some, units / 2, units);
      kernels().gemm(some, 0, units / 2);
      for (Index r = 0; r < count; ++r) {
        ASSERT_EQ(0, std::memcmp(&part[static_cast<std::size_t>(r * product.ldc)],
                                 &whole[static_cast<std::size_t>((begin + r) * product.ldc)],
                                 static_cast<std::size_t>(product.n) * sizeof(float)))
            << "row " << begin + r << " in a call of " << count;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, Gemm, testing::ValuesIn(runnable()), isa_name);

}  // namespace
}  // namespace inlay::backend::cpu
