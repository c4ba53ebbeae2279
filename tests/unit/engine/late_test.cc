// The engine with a vector a token, with several outputs of one pass, and with items beside the
// texts: the models of tests/data/heads. What the numbers are is for tests/cli and tests/oracles.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "inlay/inlay.hpp"

namespace inlay {
namespace {

EngineOptions late_options(const char* name) {
  EngineOptions o;
  o.model = std::string(INLAY_SOURCE_DIR) + "/tests/data/heads/" + name;
  o.device = "cpu";
  o.threads = 2;
  return o;
}

std::vector<std::string> river_texts(std::size_t count) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < count; ++i) {
    std::string text;
    for (std::size_t w = 0; w < (i * 7) % 23; ++w) text += "river, bank " + std::to_string(i);
    texts.push_back(text);
  }
  return texts;
}

Request as(Role role, std::vector<std::string> texts) {
  Request request{std::move(texts)};
  request.role = role;
  return request;
}

std::vector<std::vector<float>> values(const Result& result) {
  std::vector<std::vector<float>> all;
  for (const TokenVectors& vectors : result.late) all.push_back(vectors.values);
  return all;
}

TEST(LateEngine, MatricesDoNotDependOnTheBatch) {
  const std::vector<std::string> texts = river_texts(60);
  Engine engine(late_options("colbert"), LateOptions{});
  const Result documents = engine.run({texts});
  const Result queries = engine.run(as(Role::kQuery, texts));
  EXPECT_EQ(documents.dim, 24);
  EXPECT_EQ(engine.dim(), 24);
  EngineOptions small = late_options("colbert");
  small.batch_tokens = 40;
  Engine other(small, LateOptions{});
  // Queries, whose expansion is not seen, and documents share batches.
  std::future<Result> first = other.submit(as(Role::kQuery, texts));
  std::future<Result> second = other.submit(as(Role::kDocument, texts));
  EXPECT_EQ(values(first.get()), values(queries));
  EXPECT_EQ(values(second.get()), values(documents));
  for (std::size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(queries.late[i].tokens(), 11);
    EXPECT_EQ(queries.texts[i].tokens, 11);
    EXPECT_EQ(documents.late[i].dim, 24);
    EXPECT_LE(documents.late[i].tokens(), documents.texts[i].tokens);
  }
}

TEST(LateEngine, RerankingIsMaxSimOfTheMatrices) {
  const std::vector<std::string> texts = river_texts(40);
  const std::vector<std::string> asked = river_texts(50);
  Engine late(late_options("colbert"), LateOptions{});
  const Result documents = late.run({texts});
  const Result queries = late.run(as(Role::kQuery, asked));
  Engine engine(late_options("colbert"), RerankOptions{});
  Request one{texts};
  one.queries = {asked[5]};
  const Result ranked = engine.run(one);
  Request each{texts};
  each.queries.assign(asked.begin(), asked.begin() + 40);
  const Result pairs = engine.run(each);
  ASSERT_EQ(ranked.scores.size(), 40U);
  EXPECT_EQ(ranked.texts.size(), 40U);
  EXPECT_TRUE(ranked.late.empty());
  EXPECT_EQ(engine.dim(), 1);
  EXPECT_EQ(engine.stats().texts, 80);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto score = [&](const TokenVectors& query) {
      return static_cast<float>(max_sim(query.values, documents.late[i].values, 24));
    };
    EXPECT_EQ(ranked.scores[i], score(queries.late[5])) << i;
    EXPECT_EQ(pairs.scores[i], score(queries.late[i])) << i;
    EXPECT_EQ(ranked.texts[i].tokens, documents.texts[i].tokens);
  }
  Request wrong{texts};
  wrong.queries = {"a", "b"};
  EXPECT_THROW(engine.run(wrong), Error);
  Request none;
  none.queries = {"a"};
  EXPECT_TRUE(engine.run(none).scores.empty());
}

TEST(LateEngine, OnePassGivesWhatEachTaskGivesAlone) {
  const std::vector<std::string> texts = river_texts(60);
  JointOptions joint;
  joint.sparse = SparseOptions{};
  joint.sparse->top_k = 3;
  joint.late = LateOptions{};
  const Result all = Engine(late_options("bge-m3"), joint).run({texts});
  const Result dense = Engine(late_options("bge-m3"), EmbedOptions{}).run({texts});
  const Result sparse = Engine(late_options("bge-m3"), *joint.sparse).run({texts});
  const Result late = Engine(late_options("bge-m3"), LateOptions{}).run({texts});
  EXPECT_EQ(all.dim, dense.dim);
  EXPECT_EQ(all.vectors, dense.vectors);
  EXPECT_EQ(values(all), values(late));
  for (std::size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(all.sparse[i].indices, sparse.sparse[i].indices);
    EXPECT_EQ(all.sparse[i].values, sparse.sparse[i].values);
    EXPECT_LE(all.sparse[i].indices.size(), 3U);
    EXPECT_EQ(all.late[i].tokens(), all.texts[i].tokens - 1);  // all but the first
  }
  EXPECT_EQ(sparse.dim, 150);  // of the vocabulary
}

TEST(LateEngine, AQueryOverTheLimitIsAnErrorWhenAskedFor) {
  EngineOptions strict = late_options("colbert");
  strict.truncate = Truncate::kError;
  Engine engine(strict, RerankOptions{});
  Request request{{"fox"}};
  request.queries = {"a question of far too many words for the eleven tokens"};
  try {
    engine.run(request);
    ADD_FAILURE() << "expected a refusal";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("[query] expected at most 11 tokens"),
              std::string::npos)
        << error.what();
  }
  request.queries = {"a"};
  EXPECT_EQ(engine.run(request).scores.size(), 1U);
}

}  // namespace
}  // namespace inlay
