// The engine in chunks: the same bits whatever a text shares a batch with, windows, spans,
// refusals. What the numbers are is for tests/oracles.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "inlay/inlay.hpp"

namespace inlay {
namespace {

EngineOptions chunk_options(const char* device = "cpu", const char* name = "bert-mean") {
  EngineOptions o;
  o.model = std::string(INLAY_SOURCE_DIR) + "/tests/golden/models/" + name;
  o.device = device;
  o.threads = 2;
  return o;
}

EmbedOptions chunked(int tokens = 0, int overlap = 0) {
  EmbedOptions embed;
  embed.chunk.emplace();
  embed.chunk->tokens = tokens;
  embed.chunk->overlap = overlap;
  return embed;
}

std::vector<std::string> texts() {
  std::vector<std::string> out{"", "  ", "river"};
  for (int i = 0; i < 40; ++i) {
    std::string text;
    for (int w = 0; w < (i * 17) % 50; ++w)
      text += (w % 9 == 8 ? ". The bank " : " by ") + std::to_string(w * i);
    out.push_back(text);
  }
  return out;
}

TEST(ChunkEngine, ATextsChunksDoNotDependOnItsNeighbours) {
  const std::vector<std::string> all = texts();
  for (const char* device : {"cpu", "ref"}) {
    Engine engine(chunk_options(device), chunked(7, 2));
    const Result together = engine.run({all});
    ASSERT_EQ(together.chunks.size(), all.size());
    EXPECT_TRUE(together.vectors.empty());
    EngineOptions small = chunk_options(device);
    small.batch_tokens = 48;
    small.threads = 1;
    Engine other(small, chunked(7, 2));
    std::vector<std::string> turned(all.rbegin(), all.rend());
    const Result backwards = other.run({turned});
    bool windows = false;
    for (std::size_t t = 0; t < all.size(); ++t) {
      const Result alone = engine.run({{all[t]}});
      EXPECT_EQ(alone.chunks[0].vectors, together.chunks[t].vectors) << device << " " << t;
      EXPECT_EQ(backwards.chunks[all.size() - 1 - t].vectors, together.chunks[t].vectors);
      EXPECT_EQ(together.chunks[t].vectors.size(),
                together.chunks[t].chunks.size() * static_cast<std::size_t>(engine.dim()));
      EXPECT_FALSE(together.texts[t].truncated);
      EXPECT_EQ(together.texts[t].whole, together.texts[t].tokens <= 48);
      windows = windows || !together.texts[t].whole;
      std::int64_t end = 0;
      for (const Chunk& chunk : together.chunks[t].chunks) {
        EXPECT_LE(chunk.begin, chunk.end);
        EXPECT_GE(chunk.end, end);
        end = chunk.end;
        EXPECT_GT(chunk.tokens, 0);
      }
    }
    EXPECT_TRUE(windows);
    EXPECT_EQ(engine.stats().truncated, 0);
  }
}

TEST(ChunkEngine, AChunkOfTheWholeTextIsTheTextsVector) {
  const std::vector<std::string> all = texts();
  Engine plain(chunk_options(), EmbedOptions{});
  const Result expected = plain.run({all});
  Engine engine(chunk_options(), chunked(46));
  const Result got = engine.run({all});
  const auto dim = static_cast<std::size_t>(plain.dim());
  int compared = 0;
  for (std::size_t t = 0; t < all.size(); ++t) {
    EXPECT_EQ(got.texts[t].tokens > 48, expected.texts[t].truncated);
    if (expected.texts[t].truncated) continue;
    ++compared;
    ASSERT_EQ(got.chunks[t].chunks.size(), 1U);
    EXPECT_EQ(got.chunks[t].chunks[0].tokens, expected.texts[t].tokens);
    const auto begin = expected.vectors.begin() + static_cast<std::ptrdiff_t>(t * dim);
    EXPECT_EQ(got.chunks[t].vectors,
              std::vector<float>(begin, begin + static_cast<std::ptrdiff_t>(dim)));
  }
  EXPECT_GT(compared, 5);
}

TEST(ChunkEngine, SpansOfTheCallerWin) {
  Engine engine(chunk_options(), chunked());
  const std::string text = "The river bank was steep, and she sat there.";
  Request request{{text, text, text}};
  request.spans = {std::vector<Span>{{26, 44}, {0, 25}, {3, 4}, {26, 44}}, std::nullopt,
                   std::vector<Span>{}};
  const Result result = engine.run(request);
  ASSERT_EQ(result.chunks[0].chunks.size(), 4U);
  EXPECT_EQ(result.chunks[0].chunks[0].begin, 26);
  EXPECT_EQ(result.chunks[0].chunks[0].byte_end, 44);
  ASSERT_EQ(result.chunks[1].chunks.size(), 1U);
  EXPECT_EQ(result.chunks[1].chunks[0].tokens, result.texts[1].tokens);
  EXPECT_TRUE(result.chunks[2].chunks.empty());
  const auto row = [&](std::ptrdiff_t i) {
    const auto begin = result.chunks[0].vectors.begin() + i * engine.dim();
    return std::vector<float>(begin, begin + engine.dim());
  };
  EXPECT_EQ(row(0), row(3));
  EXPECT_NE(row(0), row(1));
  EXPECT_EQ(result.chunks[0].chunks[2].tokens, 0);
  EXPECT_EQ(row(2), std::vector<float>(static_cast<std::size_t>(engine.dim())));
  // More of them than the text has tokens.
  Request many{{text}};
  many.spans.emplace_back();
  many.spans[0].emplace();
  for (std::int64_t begin = 0; begin < 40; ++begin) {
    for (std::int64_t end = begin + 4; end <= 44; ++end) many.spans[0]->push_back({begin, end});
  }
  const Result all = engine.run(many);
  EXPECT_EQ(all.chunks[0].chunks.size(), many.spans[0]->size());
  EXPECT_TRUE(all.texts[0].whole);
  EXPECT_EQ(
      std::count(all.chunks[0].vectors.begin(), all.chunks[0].vectors.end(), 0.0F) % engine.dim(),
      0);
}

ErrorCode code_of(const EngineOptions& engine, const TaskOptions& task, const Request& request) {
  try {
    Engine(engine, task).run(request);
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::kInternal;  // which nothing below expects
}

TEST(ChunkEngine, Refusals) {
  const std::string text = "The river bank was steep, and she sat there.";
  Request spans{{text}};
  spans.spans = {std::vector<Span>{{0, 4}}};
  EXPECT_EQ(code_of(chunk_options(), EmbedOptions{}, spans), ErrorCode::kUsage);
  Request more = spans;
  more.spans.emplace_back();
  EXPECT_EQ(code_of(chunk_options(), chunked(), more), ErrorCode::kUsage);
  Request outside = spans;
  outside.spans[0] = std::vector<Span>{{40, 45}};
  EXPECT_EQ(code_of(chunk_options(), chunked(), outside), ErrorCode::kBadInput);
  EXPECT_EQ(code_of(chunk_options("cpu", "xlm-roberta-cls"), chunked(), {{text}}),
            ErrorCode::kUsage);
  EmbedOptions needs = chunked();
  needs.chunk->by = ChunkBy::kSpans;
  EXPECT_EQ(code_of(chunk_options(), needs, {{text}}), ErrorCode::kBadInput);
  EngineOptions strict = chunk_options();
  strict.truncate = Truncate::kError;
  strict.max_length = 20;
  EXPECT_EQ(code_of(strict, chunked(), {{text}}), ErrorCode::kBadInput);
  Request short_one{{"river", "bank"}};
  EXPECT_EQ(Engine(strict, chunked()).run(short_one).chunks.size(), 2U);
  JointOptions joint;
  joint.dense = chunked();
  EXPECT_EQ(code_of(chunk_options(), joint, {{text}}), ErrorCode::kUsage);
}

TEST(ChunkEngine, TextsOfManyWindowsPassThroughAShortQueue) {
  EngineOptions small = chunk_options();
  small.batch_tokens = 48;
  Engine engine(small, chunked(20));
  std::string text;
  constexpr int kWords = INLAY_SANITIZED ? 1000 : 5000;
  for (int i = 0; i < kWords; ++i) text += "word ";
  std::vector<std::future<Result>> results;
  for (int i = 0; i < 4; ++i) results.push_back(engine.submit({{text, "short", text}}));
  std::vector<float> first;
  for (auto& result : results) {
    const Result got = result.get();
    EXPECT_GT(got.chunks[0].chunks.size(), kWords / 25U);
    EXPECT_EQ(got.chunks[0].vectors, got.chunks[2].vectors);
    if (first.empty()) first = got.chunks[0].vectors;
    EXPECT_EQ(got.chunks[0].vectors, first);
  }
  Request cancelled{{text, text}};
  cancelled.cancel.emplace();
  auto future = engine.submit(cancelled);
  cancelled.cancel->cancel();
  try {
    future.get();  // done before it was told
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCancelled);
  }
}

}  // namespace
}  // namespace inlay
