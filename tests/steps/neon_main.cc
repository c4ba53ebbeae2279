// The cpu room's NEON kernels, cross-compiled and run under user-mode emulation by
// tests/unit/cpu/neon.sh: no GoogleTest, so that nothing but this project need exist for arm64.
// Kernels against double loops, a whole Program against ref, and the same bits for a text alone, in
// a batch and with two threads.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/executable.h"
#include "backend/cpu/isa.h"
#include "unit/cpu/encoder.h"

namespace inlay::backend {
const Backend& ref_backend();

namespace cpu {
namespace {

int failures = 0;
void check(bool good, const char* what, double got = 0, double expected = 0) {
  if (good) return;
  if (++failures <= 20) std::printf("FAILED %s: got %.9g, expected %.9g\n", what, got, expected);
}
void near(double got, double expected, double allowed, const char* what) {
  check(std::fabs(got - expected) <= allowed, what, got, expected);
}

std::vector<float> random_floats(Index count, unsigned seed, float scale = 1.0F) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-scale, scale);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& v : values) v = uniform(random);
  return values;
}

void test_gemm(const Kernels& kernels, Index m, Index n, Index k) {
  const Index panel = kernels.panel;
  const Index panels = (n + panel - 1) / panel;
  const std::vector<float> a = random_floats(m * k, 1);
  const std::vector<float> w = random_floats(n * k, 2);
  const std::vector<float> bias = random_floats(panels * panel, 3);
  std::vector<float> packed(static_cast<std::size_t>(panels * panel * k));
  for (Index j = 0; j < n; ++j) {
    for (Index i = 0; i < k; ++i) {
      packed[static_cast<std::size_t>(j / panel * panel * k + i * panel + j % panel)] =
          w[static_cast<std::size_t>(j * k + i)];
    }
  }
  std::vector<float> c(static_cast<std::size_t>(m * n));
  GemmArgs args;
  args.a = a.data();
  args.lda = k;
  args.m = m;
  args.n = n;
  args.k = k;
  args.weights = packed.data();
  args.bias = bias.data();
  args.c = c.data();
  args.ldc = n;
  args.row_block = 24;
  kernels.gemm(args, 0, args.units(panel));
  for (Index r = 0; r < m; ++r) {
    for (Index j = 0; j < n; ++j) {
      double sum = bias[static_cast<std::size_t>(j)];
      for (Index i = 0; i < k; ++i) {
        sum += static_cast<double>(a[static_cast<std::size_t>(r * k + i)]) *
               w[static_cast<std::size_t>(j * k + i)];
      }
      near(c[static_cast<std::size_t>(r * n + j)], sum, 2e-5, "gemm");
    }
  }
}

void test_gelu(const Kernels& kernels) {
  std::vector<float> x;
  for (float v = -8; v < 8; v += 1e-4F) x.push_back(v);
  std::vector<float> y = x;
  kernels.activate(Activation::kGelu, y.data(), static_cast<Index>(y.size()));
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double exact = 0.5 * x[i] * std::erfc(-static_cast<double>(x[i]) / std::sqrt(2.0));
    near(y[i], exact, 5e-7 + 1.2e-7 * std::fabs(exact), "gelu");
  }
}

void test_attention(const Kernels& kernels, Index keys, Index d, bool causal) {
  const std::vector<float> qkv = random_floats(keys * 3 * d, 4, 2.0F);
  std::vector<float> out(static_cast<std::size_t>(keys * d));
  Buffer scratch(static_cast<std::size_t>(attention_scratch(kernels, d)) * sizeof(float));
  AttentionArgs args;
  args.q = qkv.data();
  args.k = qkv.data() + d;
  args.v = qkv.data() + 2 * d;
  args.ldq = args.ldk = args.ldv = 3 * d;
  args.out = out.data();
  args.ldo = d;
  args.keys = keys;
  args.query_end = keys;
  args.head_size = d;
  args.scale = 0.2F;
  args.causal = causal;
  args.scratch = scratch.as<float>();
  kernels.attention(args);
  for (Index r = 0; r < keys; r += std::max<Index>(1, keys / 9)) {
    const Index seen = causal ? r + 1 : keys;
    std::vector<double> p;
    double total = 0;
    for (Index k = 0; k < seen; ++k) {
      double dot = 0;
      for (Index j = 0; j < d; ++j)
        dot += static_cast<double>(args.q[r * 3 * d + j]) * args.k[k * 3 * d + j];
      p.push_back(std::exp(0.2 * dot));
      total += p.back();
    }
    for (Index j = 0; j < d; ++j) {
      double sum = 0;
      for (Index k = 0; k < seen; ++k)
        sum += p[static_cast<std::size_t>(k)] / total * args.v[k * 3 * d + j];
      near(out[static_cast<std::size_t>(r * d + j)], sum, 1e-5, "attention");
    }
  }
}

void test_program(const Kernels& kernels) {
  EncoderShape shape;
  shape.activation = Activation::kGelu;
  shape.pool = {PoolMode::kMean, PoolMode::kMax};
  Encoder encoder(shape);
  const auto width = static_cast<std::size_t>(encoder.program.output_width());
  const std::vector<int> lengths{1, 5, 6, 7, 15, 16, 17, 40, 130, 2};
  const TestBatch batch(lengths);
  CompileOptions options;
  options.max_tokens = 1000;
  options.max_texts = 100;
  std::vector<float> expected(lengths.size() * width);
  ref_backend().compile(encoder.program, options)->run(batch.view(), expected);
  std::vector<float> first;
  for (const int threads : {1, 2}) {
    options.threads = threads;
    const auto ours = make_executable(make_plan(encoder.program, kernels, options.max_text_tokens),
                                      kernels, options);
    std::vector<float> got(expected.size());
    ours->run(batch.view(), got);
    for (std::size_t i = 0; i < got.size(); ++i) near(got[i], expected[i], 3e-6, "program");
    if (first.empty()) first = got;
    check(first == got, "program: the number of threads changes bits");
    for (std::size_t t = 0; t < lengths.size(); ++t) {
      std::vector<float> alone(width);
      ours->run(batch.pick({t}).view(), alone);
      check(std::memcmp(alone.data(), &got[t * width], width * sizeof(float)) == 0,
            "program: a text alone differs");
    }
  }
}

// bf16 and int8 of every level that this (emulated) processor has: int8 to the bits of generic,
// bf16 near ref, and either with the same bits for a text alone.
void test_narrow(Element element) {
  EncoderShape shape;
  shape.hidden = 96;
  shape.heads = 3;
  const Encoder encoder(shape);
  const auto width = static_cast<std::size_t>(encoder.program.output_width());
  const std::vector<int> lengths{1, 2, 15, 17, 33, 130};
  const TestBatch batch(lengths);
  CompileOptions options;
  options.max_tokens = 1000;
  options.max_texts = 100;
  std::vector<float> expected(lengths.size() * width);
  ref_backend().compile(encoder.program, options)->run(batch.view(), expected);
  std::vector<float> bits;
  for (std::size_t i = isa_table().size(); i-- > 0;) {  // generic first
    const IsaEntry& entry = isa_table()[i];
    if (entry.of(element) == nullptr) continue;
    check(entry.available(), entry.name);
    const Kernels& kernels = *entry.of(element);
    const auto ours =
        make_executable(make_plan(encoder.program, kernels, options.max_text_tokens, true, element),
                        kernels, options);
    std::vector<float> got(expected.size());
    ours->run(batch.view(), got);
    const double bound = element == Element::kBf16 ? 0.01 : 0.02;
    for (std::size_t j = 0; j < got.size(); ++j) near(got[j], expected[j], bound, entry.name);
    check(got != expected, "narrow products give fp32's bits");
    if (bits.empty()) bits = got;
    if (element == Element::kInt8) check(got == bits, "int8 differs from generic's bits");
    for (std::size_t t = 0; t < lengths.size(); ++t) {
      std::vector<float> alone(width);
      ours->run(batch.pick({t}).view(), alone);
      check(std::memcmp(alone.data(), &got[t * width], width * sizeof(float)) == 0,
            "narrow: a text alone differs");
    }
    std::printf("isa %s, %s\n", entry.name, element == Element::kBf16 ? "bf16" : "int8");
  }
}

int run() {
  const Kernels& kernels = choose_isa("neon");
  check(std::strcmp(choose_isa().name, "neon") == 0, "neon is the choice on arm64");
  for (Index m = 1; m <= 2 * kernels.tile_rows + 1; ++m) test_gemm(kernels, m, 33, 20);
  for (const Index n : {1, 15, 16, 17, 64}) test_gemm(kernels, 7, n, 65);
  test_gelu(kernels);
  for (const Index keys : {1, 2, 5, 6, 7, 15, 16, 17, 33, 257, 513, 700}) {
    for (const Index d : {32, 24, 64}) {
      test_attention(kernels, keys, d, false);
      test_attention(kernels, keys, d, true);
    }
  }
  test_program(kernels);
  test_narrow(Element::kBf16);
  test_narrow(Element::kInt8);
  std::printf("isa %s: %d failures\n", kernels.name, failures);
  return failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace cpu
}  // namespace inlay::backend

int main() { return inlay::backend::cpu::run(); }
