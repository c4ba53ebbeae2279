// MaxSim and what is kept of sparse vectors; expected values by hand.
#include <gtest/gtest.h>

#include <vector>

#include "inlay/inlay.hpp"
#include "task/sparse_cut.h"

namespace inlay {
namespace {

TEST(MaxSim, SumsTheBestOfEachQueryRow) {
  const std::vector<float> query{1, 0, 0, 1, -1, -1};
  const std::vector<float> document{0.5F, 2, -3, 0.25F};
  // Rows: max(0.5, -3), max(2, 0.25), max(-2.5, 2.75).
  EXPECT_EQ(max_sim(query, document, 2), 0.5 + 2 + 2.75);
  EXPECT_EQ(max_sim(query, document, 1), 2 + 0 + 0 + 2 + 3 + 3);
  EXPECT_EQ(max_sim(document, query, 2), 2 + 0.25 + 2.75 - 0.25);
}

TEST(MaxSim, NothingScoresZeroAndAllNegativeStaysNegative) {
  EXPECT_EQ(max_sim({}, std::vector<float>{1, 2}, 2), 0);
  EXPECT_EQ(max_sim(std::vector<float>{1, 2}, {}, 2), 0);
  EXPECT_EQ(max_sim(std::vector<float>{1}, std::vector<float>{-3, -2}, 1), -2);
}

TEST(MaxSim, RefusesBrokenRows) {
  const std::vector<float> three{1, 2, 3};
  EXPECT_THROW(max_sim(three, three, 2), Error);
  EXPECT_THROW(max_sim(three, three, 0), Error);
  EXPECT_THROW(max_sim(three, std::vector<float>{1, 2}, 3), Error);
}

TEST(CutSparse, KeepsTheLargestAndIdsAscending) {
  const SparseVector all{{2, 5, 7, 9, 11}, {0.5F, 2, 1, 2, 3}, {}};
  const auto cut = [&](int top_k, float min_weight) {
    SparseOptions options;
    options.top_k = top_k;
    options.min_weight = min_weight;
    SparseVector kept = all;
    task::cut_sparse(options, &kept);
    EXPECT_EQ(kept.indices.size(), kept.values.size());
    return kept.indices;
  };
  EXPECT_EQ(cut(0, 0), all.indices);
  EXPECT_EQ(cut(9, 0), all.indices);
  EXPECT_EQ(cut(2, 0), (std::vector<std::int32_t>{5, 11}));  // of equal weights the lower id
  EXPECT_EQ(cut(0, 1), (std::vector<std::int32_t>{5, 7, 9, 11}));
  EXPECT_EQ(cut(1, 2.5F), (std::vector<std::int32_t>{11}));
  EXPECT_EQ(cut(3, 4), (std::vector<std::int32_t>{}));
}

}  // namespace
}  // namespace inlay
