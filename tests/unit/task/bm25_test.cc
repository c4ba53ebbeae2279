// BM25 vectors; hashes recorded from mmh3 5.3.1, stems from py_rust_stemmers 0.1.8.
#include "task/bm25.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "inlay/inlay.hpp"

namespace inlay::task {
namespace {

TEST(Bm25, HashIsMurmur3) {
  EXPECT_EQ(murmur3(""), 0);
  EXPECT_EQ(murmur3("a"), 1009084850);
  EXPECT_EQ(murmur3("ab"), -1681926305);
  EXPECT_EQ(murmur3("abc"), -1277324294);
  EXPECT_EQ(murmur3("abcd"), 1139631978);
  EXPECT_EQ(murmur3("hello world"), 1586663183);
}

TEST(Bm25, CountsStemsWithoutStopWords) {
  const Bm25 bm25({}, {"the"});
  Bm25Vector v;
  bm25.document("The quick, QUICK foxes running: _", &v);
  ASSERT_EQ(v.indices, (std::vector<std::uint32_t>{243905464, 771291085, 1621867415}));
  const double norm = 1.2 * (1 - 0.75 + 0.75 * 4 / 256);
  EXPECT_NEAR(v.values[0], 2.2 / (1 + norm), 1e-6);
  EXPECT_NEAR(v.values[1], 4.4 / (2 + norm), 1e-6);
  bm25.query("quick the quick", &v);
  EXPECT_EQ(v.indices, std::vector<std::uint32_t>{771291085});
  EXPECT_EQ(v.values, std::vector<float>{1.0F});
  bm25.document("the", &v);
  EXPECT_TRUE(v.indices.empty() && v.values.empty());
}

TEST(Bm25, RefusesOptionsOutOfRange) {
  Bm25Options options;
  options.avg_len = 0;
  EXPECT_THROW(Bm25(options, {}), Error);
  options = {};
  options.language = "klingon";
  EXPECT_THROW(Bm25(options, {}), Error);
}

}  // namespace
}  // namespace inlay::task
