// Attention in int8 of every instruction set: against the same roundings in double loops, at the
// lengths around tile, panel, line and block borders; what is not finite shows; many small
// probabilities are not lost.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "isa_table.h"

namespace inlay::backend::cpu {
namespace {

struct Int8AttentionCase {
  Index keys, head_size;
  bool causal;
  Index window = -1;
};

class Int8Attention : public EveryIsa {
 protected:
  static Index ld(Index d) { return 3 * d + 5; }

  std::vector<float> run(const std::vector<float>& qkv, const Int8AttentionCase& c, Index begin,
                         Index end) {
    const Index d = c.head_size;
    std::vector<float> out(static_cast<std::size_t>(c.keys * (d + 1)), 55.0F);
    Buffer scratch(static_cast<std::size_t>(attention_scratch(kernels(), d)) * sizeof(float));
    std::memset(scratch.data(), 0xFF, scratch.bytes());  // NaN: nothing stale may be read
    AttentionArgs args;
    args.element = Element::kInt8;
    args.q = qkv.data();
    args.k = qkv.data() + d;
    args.v = qkv.data() + 2 * d;
    args.ldq = args.ldk = args.ldv = ld(d);
    args.out = out.data();
    args.ldo = d + 1;
    args.keys = c.keys;
    args.query_begin = begin;
    args.query_end = end;
    args.head_size = d;
    args.scale = 1.0F / std::sqrt(static_cast<float>(d));
    args.causal = c.causal;
    args.window = c.window;
    args.scratch = scratch.as<float>();
    kernels().attention(args);
    return out;
  }

  // `values` as bytes of their own scale, back in floats.
  static void round_together(std::vector<double>& values) {
    double top = 0;
    for (const double v : values) top = std::max(top, std::fabs(v));
    for (double& v : values) v = top > 0 ? std::nearbyint(v / (top / 127)) * (top / 127) : 0;
  }
  static std::vector<double> rounded_row(const std::vector<float>& qkv, Index row, Index d,
                                         Index begin) {
    std::vector<double> values;
    for (Index j = 0; j < d; ++j) values.push_back(pick(qkv, row * ld(d) + begin + j));
    round_together(values);
    return values;
  }

  // Rows as attention_pack.inl rounds them: block after block, probabilities in 16,383 steps.
  static std::vector<double> expected_row(const std::vector<float>& qkv, const Int8AttentionCase& c,
                                          Index row) {
    const Index d = c.head_size;
    const Index seen = c.causal ? row + 1 : c.keys;
    const std::vector<double> q = rounded_row(qkv, row, d, 0);
    std::vector<double> out(static_cast<std::size_t>(d));
    double largest = -1e300;
    double total = 0;
    const Index block = attention_key_block(d);
    for (Index begin = 0; begin < seen; begin += block) {
      const Index packed = std::min(begin + block, c.keys);  // values that share a scale
      const Index end = std::min(begin + block, seen);
      std::vector<double> weight;
      const double before = largest;
      for (Index k = begin; k < end; ++k) {
        const std::vector<double> key = rounded_row(qkv, k, d, d);
        double dot = 0;
        for (std::size_t j = 0; j < key.size(); ++j) dot += q[j] * key[j];
        weight.push_back(dot / std::sqrt(static_cast<double>(d)));
        largest = std::max(largest, weight.back());
      }
      const double keep = std::exp(before - largest);
      total *= keep;
      for (double& w : weight) {
        w = std::exp(w - largest);
        total += w;
        w = std::nearbyint(w * 16383) / 16383;
      }
      for (Index j = 0; j < d; ++j) {
        std::vector<double> column;
        for (Index k = begin; k < packed; ++k) column.push_back(pick(qkv, k * ld(d) + 2 * d + j));
        round_together(column);
        double& sum = out[static_cast<std::size_t>(j)];
        sum *= keep;
        for (std::size_t k = 0; k < weight.size(); ++k) sum += weight[k] * column[k];
      }
    }
    for (double& x : out) x /= total;
    return out;
  }

  // Near rounding's borders fp32 and double fall to different sides: one byte of a row in a score
  // of 20, or one step of a probability.
  void compare(const Int8AttentionCase& c) {
    const std::vector<float> qkv = random_floats(c.keys * ld(c.head_size), 8, 1.5F);
    const std::vector<float> got = run(qkv, c, 0, c.keys);
    const Index step = std::max<Index>(1, c.keys / 10);  // double loops are slow: some rows
    for (Index r = 0; r < c.keys;
         r += r + step < c.keys ? step : std::max<Index>(1, c.keys - 1 - r)) {
      const std::vector<double> expected = expected_row(qkv, c, r);
      for (Index j = 0; j < c.head_size; ++j) {
        ASSERT_NEAR(pick(got, r * (c.head_size + 1) + j), expected[static_cast<std::size_t>(j)],
                    5e-4)
            << kernels().name << " keys " << c.keys << " head " << c.head_size << " row " << r;
      }
      ASSERT_EQ(pick(got, r * (c.head_size + 1) + c.head_size), 55.0F);
    }
  }
};

TEST_P(Int8Attention, LengthsAndHeadSizes) {
  for (const Index keys : {1, 2, 3, 4, 5, 13, 16, 17, 31, 32, 33, 63, 64, 65, 255, 257}) {
    for (const Index d : {32, 64, 128, 24, 80, 7, 1}) {
      if (INLAY_SANITIZED && keys > 65 && d > 32 && (keys != 257 || d != 80)) continue;
      compare({keys, d, false});
      compare({keys, d, true});
    }
  }
}

TEST_P(Int8Attention, LongTextsOfSeveralBlocks) {
  for (const Index keys : {512, 513, 700}) {
    for (const Index d : {32, 80}) {
      if (INLAY_SANITIZED && (keys != 513 || d > 32)) continue;
      compare({keys, d, false});
      compare({keys, d, true});
    }
  }
}

TEST_P(Int8Attention, SplitsGiveTheSameBits) {
  for (const Index keys : {37, 256, 700}) {
    for (const Index window : {-1, 40}) {
      const Int8AttentionCase c{keys, 32, false, window};
      const std::vector<float> qkv = random_floats(keys * ld(32), 8, 3.0F);
      const std::vector<float> whole = run(qkv, c, 0, keys);
      for (Index begin = 0; begin < keys; begin += kQueryBlock) {  // as a team takes them
        const Index end = std::min(begin + kQueryBlock, keys);
        const std::vector<float> part = run(qkv, c, begin, end);
        const auto from = static_cast<std::size_t>(begin * 33);
        ASSERT_EQ(0, std::memcmp(&part[from], &whole[from],
                                 static_cast<std::size_t>((end - begin) * 33) * sizeof(float)));
      }
    }
  }
}

// A window's rows see what a text of these keys alone would give, but for the scales of values.
TEST_P(Int8Attention, AWindowSeesItsKeys) {
  constexpr Index kKeys = 400;
  const std::vector<float> qkv = random_floats(kKeys * ld(32), 8, 1.5F);
  const std::vector<float> got = run(qkv, {kKeys, 32, false, 30}, 0, kKeys);
  for (const Index row : {0, 29, 150, 399}) {
    const Index begin = std::max<Index>(row - 30, 0);
    const Index end = std::min(row + 31, kKeys);
    std::vector<float> part(qkv.begin() + begin * ld(32), qkv.begin() + end * ld(32));
    const std::vector<float> alone = run(part, {end - begin, 32, false}, 0, end - begin);
    for (Index j = 0; j < 32; ++j)
      ASSERT_NEAR(pick(got, row * 33 + j), pick(alone, (row - begin) * 33 + j), 0.02) << row;
  }
}

// 500 probabilities of 1/400 beside a one hold more than half of the mass.
TEST_P(Int8Attention, ManySmallProbabilitiesCount) {
  constexpr Index kKeys = 501;
  const Index stride = ld(32);
  std::vector<float> qkv(static_cast<std::size_t>(kKeys * stride), 0.0F);
  const float score = std::log(400.0F) * std::sqrt(32.0F);
  for (Index r = 0; r < kKeys; ++r) {
    qkv[static_cast<std::size_t>(r * stride)] = 1.0F;
    qkv[static_cast<std::size_t>(r * stride + 32)] = r == 3 ? score : 0.0F;
    qkv[static_cast<std::size_t>(r * stride + 64)] = r == 3 ? 0.0F : 1.0F;
  }
  const std::vector<float> got = run(qkv, {kKeys, 32, false}, 0, kKeys);
  EXPECT_NEAR(got[0], 500.0 / 900.0, 0.01);
}

TEST_P(Int8Attention, WhatIsNotFiniteShows) {
  const Int8AttentionCase c{40, 24, false};
  const Index stride = ld(24);
  for (const float bad : {std::numeric_limits<float>::infinity(), NAN}) {
    for (const Index column : {0, 23, 24, 47, 48, 71}) {  // of queries, keys, values
      std::vector<float> qkv = random_floats(40 * stride, 8, 1.0F);
      qkv[static_cast<std::size_t>(17 * stride + column)] = bad;
      const std::vector<float> got = run(qkv, c, 0, 40);
      const bool query = column < 24;
      const bool value = column >= 48;
      for (const Index row : {0, 17, 39}) {
        for (Index j = 0; j < 24; ++j) {
          const bool reached = (!query || row == 17) && (!value || j == column - 48);
          ASSERT_EQ(!std::isfinite(pick(got, row * 25 + j)), reached)
              << bad << " at column " << column << ", row " << row << ", " << j;
        }
      }
    }
  }
}

TEST_P(Int8Attention, HugeScoresStayFinite) {
  const std::vector<float> qkv = random_floats(40 * ld(32), 3, 1e6F);
  for (const float v : run(qkv, {40, 32, false}, 0, 40)) ASSERT_TRUE(std::isfinite(v));
}

INSTANTIATE_TEST_SUITE_P(Isa, Int8Attention, testing::ValuesIn(runnable(Element::kInt8)), isa_name);

}  // namespace
}  // namespace inlay::backend::cpu
