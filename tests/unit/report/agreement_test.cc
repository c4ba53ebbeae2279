// Agreement on answers made by hand, where every figure is known; the texts that ship.
#include "report/agreement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "base/error.h"
#include "report/texts.h"
#include "report/workload.h"

namespace inlay::report {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Vectors on the unit circle at these angles, in degrees.
Answers on_circle(const std::vector<double>& degrees) {
  Answers answers;
  answers.task = "dense";
  answers.result.dim = 2;
  answers.result.texts.resize(degrees.size());
  for (const double angle : degrees) {
    answers.result.vectors.push_back(static_cast<float>(std::cos(angle * M_PI / 180)));
    answers.result.vectors.push_back(static_cast<float>(std::sin(angle * M_PI / 180)));
  }
  return answers;
}

std::vector<double> fan(std::size_t count) {
  std::vector<double> degrees;
  for (std::size_t i = 0; i < count; ++i) degrees.push_back(static_cast<double>(i) * 3);
  return degrees;
}

TEST(Agreement, EqualAnswersAgreeAtEveryDtype) {
  const Answers answers = on_circle(fan(20));
  for (const Tolerance& tolerance : tolerances()) {
    const Agreement agreement = compare(answers, answers, tolerance);
    EXPECT_NEAR(agreement.min_cosine, 1, 1e-12);
    EXPECT_EQ(agreement.max_abs, 0);
    EXPECT_EQ(agreement.same_nearest, 1);
    EXPECT_EQ(agreement.nearest, 10);
    EXPECT_THAT(disagreements(agreement, tolerance), IsEmpty()) << tolerance.dtype;
  }
}

TEST(Agreement, NamesTheWorstTextAndItsCosine) {
  std::vector<double> degrees = fan(20);
  const Answers reference = on_circle(degrees);
  degrees[7] += 10;
  const Agreement agreement = compare(reference, on_circle(degrees), tolerance_of("fp32"));
  EXPECT_EQ(agreement.worst, 7);
  EXPECT_NEAR(agreement.min_cosine, std::cos(10 * M_PI / 180), 1e-6);
  EXPECT_NEAR(agreement.mean_cosine, (19 + std::cos(10 * M_PI / 180)) / 20, 1e-6);
  EXPECT_THAT(disagreements(agreement, tolerance_of("fp32")),
              ElementsAre(HasSubstr("least cosine"), HasSubstr("largest difference"),
                          HasSubstr("nearest")));
}

TEST(Agreement, SameTenNearestHoldsRanksNotOrder) {
  // The query at 0; a text at 30 moves behind the eleventh: every cosine stays above 0.9986.
  Answers reference = on_circle({0, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 29.5});
  Answers swapped = on_circle({0, 12, 10, 14, 16, 18, 20, 22, 24, 26, 29.5, 28});
  reference.queries = swapped.queries = 1;
  EXPECT_NEAR(compare(reference, swapped, tolerance_of("fp32")).same_nearest, 0.9, 1e-9);
  // bf16 cannot tell the tenth from the eleventh.
  EXPECT_LT(std::cos(28 * M_PI / 180) - std::cos(29.5 * M_PI / 180), 0.0131);
  EXPECT_NEAR(compare(reference, swapped, tolerance_of("int8")).same_nearest, 1, 1e-9);
}

TEST(Agreement, ATextWithoutResultOnOneSideIsADisagreement) {
  const Answers reference = on_circle(fan(12));
  Answers other = reference;
  other.result.texts[3].error = "not finite";
  const Agreement agreement = compare(reference, other, tolerance_of("int8"));
  EXPECT_EQ(agreement.min_cosine, 0);
  EXPECT_EQ(agreement.worst, 3);
  Answers both = other;
  EXPECT_NEAR(compare(other, both, tolerance_of("fp32")).min_cosine, 1, 1e-12);
  other.result.texts[3].error.clear();
  other.result.vectors[6] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(
      disagreements(compare(reference, other, tolerance_of("fp8")), tolerance_of("fp8")).empty());
}

TEST(Agreement, Sparse) {
  Answers a;
  a.task = "sparse";
  a.result.dim = 100;
  a.result.texts.resize(2);
  a.result.sparse = {{{1, 5}, {3, 4}, {}}, {{}, {}, {}}};
  Answers b = a;
  EXPECT_NEAR(compare(a, b, tolerance_of("fp32")).min_cosine, 1, 1e-12);
  b.result.sparse[0] = {{1, 7}, {3, 4}, {}};  // 9 / 25 in common
  const Agreement agreement = compare(a, b, tolerance_of("fp32"));
  EXPECT_NEAR(agreement.min_cosine, 0.36, 1e-9);
  EXPECT_EQ(agreement.max_abs, 4);
  b = a;
  b.result.sparse[1] = {{2}, {1}, {}};
  EXPECT_EQ(compare(a, b, tolerance_of("fp32")).min_cosine, 0);
}

TEST(Agreement, LateTakesTheWorstToken) {
  Answers a;
  a.task = "late";
  a.result.dim = 2;
  a.result.texts.resize(2);
  a.result.late = {{2, {1, 0, 0, 1}}, {2, {1, 0}}};
  Answers b = a;
  EXPECT_NEAR(compare(a, b, tolerance_of("fp32")).min_cosine, 1, 1e-12);
  b.result.late[0].values = {1, 0, 0.6F, 0.8F};
  EXPECT_NEAR(compare(a, b, tolerance_of("fp32")).min_cosine, 0.8, 1e-6);
  b.result.late[0].values = {1, 0};
  EXPECT_EQ(compare(a, b, tolerance_of("fp32")).min_cosine, 0);
}

TEST(Agreement, RerankGoesQueryByQuery) {
  Answers a;
  a.task = "rerank";
  a.queries = 2;
  a.result.dim = 1;
  a.result.texts.resize(6);
  a.result.scores = {3, 2, 1, 4, 5, 6};
  Answers b = a;
  EXPECT_THAT(disagreements(compare(a, b, tolerance_of("fp32")), tolerance_of("fp32")), IsEmpty());
  b.result.scores = {3, 2, 1, 6, 5, 4};
  const Agreement agreement = compare(a, b, tolerance_of("fp32"));
  EXPECT_EQ(agreement.worst, 1);
  EXPECT_NEAR(agreement.min_cosine, (24.0 + 25 + 24) / 77, 1e-6);
  EXPECT_EQ(agreement.max_abs, 2);
}

TEST(Agreement, OtherTextsAreRefused) {
  EXPECT_THROW(compare(on_circle(fan(3)), on_circle(fan(4)), tolerance_of("fp32")), Error);
}

TEST(Texts, AreManyUnlikeAndTheSameEachTime) {
  const std::vector<std::string> texts = bench_texts(10000);
  EXPECT_EQ(std::set<std::string>(texts.begin(), texts.end()).size(), texts.size());
  const std::vector<std::string> fewer = bench_texts(100);
  EXPECT_TRUE(std::equal(fewer.begin(), fewer.end(), texts.begin()));
  std::size_t characters = 0;
  for (const std::string& text : fewer) characters += text.size();
  EXPECT_NEAR(static_cast<double>(characters) / 100, 400, 40);
  const TextSet set = verify_texts();
  EXPECT_EQ(set.queries.size(), 24U);
  EXPECT_EQ(set.documents.size(), 38U);
  const TextSet pairs = verify_pairs();
  EXPECT_EQ(pairs.queries.size() * pairs.documents.size(), 3U * 14U);
  for (const std::string& text : set.documents) EXPECT_FALSE(text.empty());
}

}  // namespace
}  // namespace inlay::report
