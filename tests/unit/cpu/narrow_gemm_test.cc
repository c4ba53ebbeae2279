// Products of narrow rows large enough for blocks of columns and groups of tiles, with all that an
// epilogue can do, against the generic table: the same bits in int8, near in bf16.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "isa_table.h"
#include "pack_matrix.h"

namespace inlay::backend::cpu {
namespace {

struct NarrowProduct {
  Element element;
  Index m, n, k;
  Activation activation;
  bool residual, narrow_out;
};

// c as floats [m, n]; with narrow_out, of the bf16 rows.
std::vector<float> multiply(const Kernels& kernels, const NarrowProduct& p) {
  const std::vector<float> w = random_floats(p.n * p.k, 5, 0.1F);
  const std::vector<float> a = random_floats(p.m * p.k, 6, 0.5F);
  const Buffer panels = pack_matrix(kernels, p.element, w, p.n, p.k);
  const Index lda = leading_dimension(row_floats(p.element, p.k));
  Buffer rows(static_cast<std::size_t>(p.m * lda) * sizeof(float));
  std::vector<float> scratch(static_cast<std::size_t>(p.k + kLanes));
  for (Index r = 0; r < p.m; ++r)
    kernels.narrow(p.element, a.data() + r * p.k, p.k, rows.as<float>() + r * lda, scratch.data());
  std::vector<float> bias = random_floats(p.n, 7);
  bias.resize(static_cast<std::size_t>(round_up(p.n, kernels.panel)));
  const Index words = p.narrow_out ? element_words(Element::kBf16, p.n) : p.n;
  std::vector<float> c = random_floats(p.m * words, 8);  // the residual, too
  GemmArgs args;
  args.a = rows.as<float>();
  args.lda = lda;
  args.m = p.m;
  args.n = p.n;
  args.k = p.k;
  args.weights = panels.as<float>();
  args.bias = bias.data();
  args.activation = p.activation;
  args.c = c.data();
  args.ldc = words;
  if (p.residual) args.residual = c.data();
  args.ldr = words;
  args.narrow_out = p.narrow_out;
  args.element = p.element;
  args.row_block = round_up(544, kernels.rows_at_once(p.element));
  const Index units = args.units(kernels.panel);
  kernels.gemm(args, 0, units / 3);  // as two threads have it
  kernels.gemm(args, units / 3, units);
  if (!p.narrow_out) return c;
  std::vector<float> floats;
  for (Index r = 0; r < p.m; ++r) {
    for (Index j = 0; j < p.n; ++j) {
      std::uint32_t bits = reinterpret_cast<const std::uint16_t*>(c.data() + r * words)[j];
      bits <<= 16U;
      floats.push_back(0);
      std::memcpy(&floats.back(), &bits, sizeof bits);
    }
  }
  return floats;
}

TEST(NarrowGemm, LargeProductsAreTheGenericTables) {
  for (const Element element : {Element::kBf16, Element::kInt8}) {
    const std::vector<const Kernels*> tables = runnable(element);
    for (const NarrowProduct& p :
         {NarrowProduct{element, 580, 64, 800, Activation::kGelu, false, false},
          NarrowProduct{element, 40, 64, 1700, Activation::kNone, true, false},
          NarrowProduct{element, 17, 96, 800, Activation::kGelu, false, true},
          NarrowProduct{element, 1, 64, 900, Activation::kRelu, true, false},
          NarrowProduct{element, 33, 72, 200, Activation::kGelu, true, false}}) {
      if (p.narrow_out && element == Element::kInt8) continue;
      const std::vector<float> expected = multiply(*tables.back(), p);
      for (const Kernels* kernels : tables) {
        const std::vector<float> got = multiply(*kernels, p);
        ASSERT_EQ(got.size(), expected.size());
        for (std::size_t i = 0; i < got.size(); ++i) {
          const float bound = element == Element::kInt8 ? 0
                              : p.narrow_out            ? 0x1p-7F * (1 + std::fabs(expected[i]))
                                                        : 2e-5F * (1 + std::fabs(expected[i]));
          ASSERT_NEAR(got[i], expected[i], bound) << kernels->name << " m " << p.m << " at " << i;
        }
      }
    }
  }
}

// The short polynomial of narrow products: a product with one weight of one is the activation.
TEST(NarrowGemm, GeluIsRight) {
  for (const Kernels* kernels : runnable(Element::kBf16)) {
    const Index n = kernels->panel;
    std::vector<float> row(16, 0.0F);
    std::vector<float> panel(static_cast<std::size_t>(16 * n), 0.0F);
    std::vector<float> bias(static_cast<std::size_t>(n));
    std::vector<float> c(static_cast<std::size_t>(n));
    GemmArgs args;
    args.a = row.data();
    args.lda = 16;
    args.m = 1;
    args.n = n;
    args.k = 1;
    args.weights = panel.data();
    args.bias = bias.data();
    args.activation = Activation::kGelu;
    args.c = c.data();
    args.ldc = n;
    args.element = Element::kBf16;
    args.row_block = kernels->tile_rows;
    for (double x = -9; x < 9; x += 0.001 * static_cast<double>(n)) {
      for (Index j = 0; j < n; ++j)
        bias[static_cast<std::size_t>(j)] = static_cast<float>(x + 0.001 * static_cast<double>(j));
      kernels->gemm(args, 0, 1);
      for (Index j = 0; j < n; ++j) {
        const double v = double{pick(bias, j)};
        const double expected = 0.5 * v * std::erfc(-v / std::sqrt(2.0));
        ASSERT_NEAR(pick(c, j), expected, 6e-5) << kernels->name << " at " << v;
        if (v <= 0) continue;
        ASSERT_NEAR(pick(c, j) / expected, 1, 1.5e-4) << kernels->name << " at " << v;
      }
    }
  }
}

}  // namespace
}  // namespace inlay::backend::cpu
