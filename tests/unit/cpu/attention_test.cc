// Attention of every instruction set against double loops, at the lengths around tile, panel and
// block borders, and the same bits however the query rows are split.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "isa_table.h"

namespace inlay::backend::cpu {
namespace {

struct AttentionCase {
  Index keys, head_size;
  bool causal;
};

class Attention : public EveryIsa {
 protected:
  static Index ld(Index d) { return 3 * d + 5; }

  std::vector<float> run(const std::vector<float>& qkv, const AttentionCase& c, Index begin,
                         Index end, Index first_position = 0, bool one_query = false) {
    const Index d = c.head_size;
    std::vector<float> out(static_cast<std::size_t>(c.keys * (d + 1)), 55.0F);
    Buffer scratch(static_cast<std::size_t>(attention_scratch(kernels(), d)) * sizeof(float));
    std::memset(scratch.data(), 0xFF, scratch.bytes());  // NaN: nothing stale may be read
    AttentionArgs args;
    args.q = qkv.data() + (one_query ? first_position * ld(d) : 0);
    args.k = qkv.data() + d;
    args.v = qkv.data() + 2 * d;
    args.ldq = args.ldk = args.ldv = ld(d);
    args.out = out.data();
    args.ldo = d + 1;
    args.keys = c.keys;
    args.query_begin = begin;
    args.query_end = end;
    args.first_position = first_position;
    args.head_size = d;
    args.scale = 1.0F / std::sqrt(static_cast<float>(d));
    args.causal = c.causal;
    args.scratch = scratch.as<float>();
    kernels().attention(args);
    return out;
  }

  static std::vector<double> expected_row(const std::vector<float>& qkv, const AttentionCase& c,
                                          Index row) {
    const Index d = c.head_size;
    const Index seen = c.causal ? row + 1 : c.keys;
    const auto at = [&](Index r, Index column) {
      return static_cast<double>(qkv[static_cast<std::size_t>(r * ld(d) + column)]);
    };
    std::vector<double> weight;
    double largest = -1e300;
    for (Index k = 0; k < seen; ++k) {
      double dot = 0;
      for (Index j = 0; j < d; ++j) dot += at(row, j) * at(k, d + j);
      weight.push_back(dot / std::sqrt(static_cast<double>(d)));
      largest = std::max(largest, weight.back());
    }
    double total = 0;
    for (double& w : weight) total += w = std::exp(w - largest);
    std::vector<double> out(static_cast<std::size_t>(d));
    for (Index k = 0; k < seen; ++k) {
      for (Index j = 0; j < d; ++j)
        out[static_cast<std::size_t>(j)] +=
            weight[static_cast<std::size_t>(k)] / total * at(k, 2 * d + j);
    }
    return out;
  }

  void compare(const AttentionCase& c) {
    // Scores up to some 20: a softmax with something to lose.
    const std::vector<float> qkv = random_floats(c.keys * ld(c.head_size), 8, 3.0F);
    const std::vector<float> got = run(qkv, c, 0, c.keys);
    const Index step = std::max<Index>(1, c.keys / 40);  // double loops are slow: some rows
    for (Index r = 0; r < c.keys;
         r += r + step < c.keys ? step : std::max<Index>(1, c.keys - 1 - r)) {
      const std::vector<double> expected = expected_row(qkv, c, r);
      for (Index j = 0; j < c.head_size; ++j) {
        ASSERT_NEAR(got[static_cast<std::size_t>(r * (c.head_size + 1) + j)],
                    expected[static_cast<std::size_t>(j)], 3e-5)
            << kernels().name << " keys " << c.keys << " head " << c.head_size << " row " << r;
      }
      ASSERT_EQ(got[static_cast<std::size_t>(r * (c.head_size + 1) + c.head_size)], 55.0F);
    }
  }
};

TEST_P(Attention, LengthsAndHeadSizes) {
  for (const Index keys : {1, 2, 13, 14, 15, 16, 17, 31, 32, 33, 255, 256, 257}) {
    for (const Index d : {32, 64, 128, 24, 80, 1}) {
      if (INLAY_SANITIZED && keys > 33 && d > 32 && (keys != 257 || d != 80)) continue;
      compare({keys, d, false});
      compare({keys, d, true});
    }
  }
}

TEST_P(Attention, LongTextsOfSeveralBlocks) {
  for (const Index keys : {511, 512, 513, 1000}) {
    for (const Index d : {32, 64, 128, 24, 80}) {
      if (INLAY_SANITIZED && (keys != 513 || d > 64)) continue;
      compare({keys, d, false});
      compare({keys, d, true});
    }
  }
}

TEST_P(Attention, VeryLong) { compare({INLAY_SANITIZED ? 1500 : 5000, 32, false}); }

TEST_P(Attention, SplitsGiveTheSameBits) {
  for (const Index keys : {37, 256, 700}) {
    for (const bool causal : {false, true}) {
      const AttentionCase c{keys, 32, causal};
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

TEST_P(Attention, OneQueryRowStandsWhereItIsSaid) {
  for (const Index keys : {1, 5, 33, 600}) {
    for (const bool causal : {false, true}) {
      for (const Index position : {Index{0}, keys - 1}) {
        const AttentionCase c{keys, 24, causal};
        const std::vector<float> qkv = random_floats(keys * ld(24), 8, 2.0F);
        const std::vector<float> got = run(qkv, c, 0, 1, position, true);
        const std::vector<double> expected = expected_row(qkv, c, position);
        for (std::size_t j = 0; j < 24; ++j) ASSERT_NEAR(got[j], expected[j], 2e-5);
      }
    }
  }
}

TEST_P(Attention, HugeScoresStayFinite) {
  const AttentionCase c{40, 32, false};
  const std::vector<float> qkv = random_floats(40 * ld(32), 3, 1e6F);
  for (const float v : run(qkv, c, 0, 40)) ASSERT_TRUE(std::isfinite(v));
}

INSTANTIATE_TEST_SUITE_P(Isa, Attention, testing::ValuesIn(runnable()), isa_name);

}  // namespace
}  // namespace inlay::backend::cpu
