// Late chunking's arithmetic: sentences, chunks of a text's tokens, windows. What vectors come of
// them is for tests/unit/engine and tests/oracles.
#include "task/chunking.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "task/sentences.h"

namespace inlay::task {
namespace {

using Pairs = std::vector<std::pair<std::int64_t, std::int64_t>>;

std::vector<std::string> sentences(const std::string& text) {
  std::vector<std::string> out;
  std::vector<std::size_t> starts = sentence_starts(text);
  starts.push_back(text.size());
  for (std::size_t i = 0; i + 1 < starts.size(); ++i)
    out.push_back(text.substr(starts[i], starts[i + 1] - starts[i]));
  return out;
}

TEST(Sentences, EndAtMarksBeforeWhiteSpace) {
  using Strings = std::vector<std::string>;
  EXPECT_EQ(sentences(""), Strings{});
  EXPECT_EQ(sentences("one"), Strings{"one"});
  EXPECT_EQ(sentences("  One. Two!  Three?"), (Strings{"  One. ", "Two!  ", "Three?"}));
  EXPECT_EQ(sentences("He said \"No.\" (Why?) He left."),
            (Strings{"He said \"No.\" ", "(Why?) ", "He left."}));
  EXPECT_EQ(sentences("Pi is 3.14, e.g. a number. So?!... Yes"),
            (Strings{"Pi is 3.14, e.g. a number. ", "So?!... ", "Yes"}));
  EXPECT_EQ(sentences("what? no"), (Strings{"what? ", "no"}));
  EXPECT_EQ(sentences("東京は大きい。人が多い！「はい。」と言う"),
            (Strings{"東京は大きい。", "人が多い！", "「はい。」", "と言う"}));
  EXPECT_EQ(sentences("a line\nthe same\n\nanother\r\n\r\nlast"),
            (Strings{"a line\nthe same\n\n", "another\r\n\r\n", "last"}));
}

// A text whose words, separated by spaces, are its tokens, [CLS] and [SEP] around them; behind a
// prompt of `prompt` words.
struct Words {
  std::string text;
  tokens::Encoding encoding;
  std::size_t prompt_bytes = 0;
  std::int32_t pool_begin = 0;

  explicit Words(const std::string& words, const std::string& prompt = "")
      : text(words), prompt_bytes(prompt.size()) {
    const std::string whole = prompt + words;
    add(1, 0, 0);
    std::size_t at = 0;
    while (at < whole.size()) {
      const std::size_t end = std::min(whole.find(' ', at), whole.size());
      if (end > at) add(0, at, end);
      at = end + 1;
    }
    add(1, 0, 0);
  }
  void add(std::uint8_t special, std::size_t begin, std::size_t end) {
    encoding.ids.push_back(7);
    encoding.type_ids.push_back(0);
    encoding.special.push_back(special);
    encoding.offsets.emplace_back(begin, end);
  }
  std::vector<PlannedChunk> chunks(const ChunkPlan& plan,
                                   const std::vector<Span>* spans = nullptr) const {
    return plan_chunks({encoding, text, prompt_bytes, pool_begin}, plan, spans, "text 4");
  }
};

ChunkPlan plan_of(std::int64_t tokens, std::int64_t overlap = 0, std::int64_t window = 100) {
  ChunkPlan plan;
  plan.tokens = tokens;
  plan.overlap = overlap;
  plan.window = window;
  return plan;
}

Pairs rows(const std::vector<PlannedChunk>& chunks) {
  Pairs out;
  for (const PlannedChunk& c : chunks) {
    EXPECT_EQ(c.chunk.tokens, c.end - c.begin);
    out.emplace_back(c.begin, c.end);
  }
  return out;
}
Pairs characters(const std::vector<PlannedChunk>& chunks) {
  Pairs out;
  for (const PlannedChunk& c : chunks) out.emplace_back(c.chunk.begin, c.chunk.end);
  return out;
}
Pairs bytes(const std::vector<PlannedChunk>& chunks) {
  Pairs out;
  for (const PlannedChunk& c : chunks) out.emplace_back(c.chunk.byte_begin, c.chunk.byte_end);
  return out;
}

TEST(Chunks, OfTokensShareSpecialTokensWithTheOuterOnes) {
  const Words words("aa bb cc dd ee");  // rows 1 to 5
  EXPECT_EQ(rows(words.chunks(plan_of(2))), (Pairs{{0, 3}, {3, 5}, {5, 7}}));
  EXPECT_EQ(characters(words.chunks(plan_of(2))), (Pairs{{0, 5}, {6, 11}, {12, 14}}));
  EXPECT_EQ(rows(words.chunks(plan_of(3, 1))), (Pairs{{0, 4}, {3, 7}}));
  EXPECT_EQ(rows(words.chunks(plan_of(4, 3))), (Pairs{{0, 5}, {2, 7}}));
  EXPECT_EQ(rows(words.chunks(plan_of(5))), (Pairs{{0, 7}}));
  EXPECT_EQ(rows(Words("").chunks(plan_of(5))), (Pairs{{0, 2}}));
  EXPECT_EQ(characters(Words("   ").chunks(plan_of(5))), (Pairs{{0, 0}}));
}

TEST(Chunks, LeaveRoomForPromptAndSpecialTokens) {
  const Words words("aa bb cc dd ee", "a prompt: ");  // rows 3 to 7
  EXPECT_EQ(rows(words.chunks(plan_of(3))), (Pairs{{0, 6}, {6, 9}}));
  EXPECT_EQ(characters(words.chunks(plan_of(3))), (Pairs{{0, 8}, {9, 14}}));
  EXPECT_EQ(rows(words.chunks(plan_of(3, 0, 5))), (Pairs{{0, 4}, {4, 7}, {7, 9}}));
  try {
    words.chunks(plan_of(3, 0, 4));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    EXPECT_EQ(error.where(), "text 4");
  }
  Words left_out = words;
  left_out.pool_begin = 3;
  EXPECT_EQ(rows(left_out.chunks(plan_of(3))), (Pairs{{3, 6}, {6, 9}}));
}

TEST(Chunks, CountCharactersAsCodePoints) {
  const Words words("äö 東京 😀😀 z");
  EXPECT_EQ(characters(words.chunks(plan_of(1))), (Pairs{{0, 2}, {3, 5}, {6, 8}, {9, 10}}));
  EXPECT_EQ(bytes(words.chunks(plan_of(1))), (Pairs{{0, 4}, {5, 11}, {12, 20}, {21, 22}}));
  const std::vector<Span> spans{{3, 8}, {0, 10}};
  EXPECT_EQ(bytes(words.chunks(plan_of(1), &spans)), (Pairs{{5, 20}, {0, 22}}));
  EXPECT_EQ(rows(words.chunks(plan_of(1), &spans)), (Pairs{{2, 4}, {0, 6}}));
  // Over the blocks that characters are counted in.
  std::string text;
  for (int i = 0; i < 300; ++i) text += i % 3 == 0 ? "é " : "x ";
  const Words many(text);
  const auto chunks = many.chunks(plan_of(1, 0, 400));
  ASSERT_EQ(chunks.size(), 300U);
  std::vector<Span> same;
  for (std::int64_t i = 0; i < 300; ++i) {
    const auto& c = chunks[static_cast<std::size_t>(i)];
    EXPECT_EQ(c.chunk.begin, 2 * i);
    same.push_back({c.chunk.begin, c.chunk.end});
  }
  EXPECT_EQ(bytes(many.chunks(plan_of(1, 0, 400), &same)), bytes(chunks));
  EXPECT_EQ(rows(many.chunks(plan_of(1, 0, 400), &same)), rows(chunks));
}

TEST(Chunks, EndBeforeACharacterOfSeveralTokens) {
  Words words("ab");
  words.text = "a😀b";
  words.encoding.clear();
  words.add(0, 0, 1);
  for (int i = 0; i < 4; ++i) words.add(0, 1, 5);  // a token a byte
  words.add(0, 5, 6);
  EXPECT_EQ(rows(words.chunks(plan_of(4))), (Pairs{{0, 1}, {1, 5}, {5, 6}}));
  EXPECT_EQ(rows(words.chunks(plan_of(3))), (Pairs{{0, 1}, {1, 4}, {4, 6}}));  // no other way
  EXPECT_EQ(characters(words.chunks(plan_of(4))), (Pairs{{0, 1}, {1, 2}, {2, 3}}));
  // Whether a token names its own byte or the whole character.
  for (std::uint32_t i = 0; i < 4; ++i) words.encoding.offsets[i + 1] = {1 + i, 2 + i};
  EXPECT_EQ(rows(words.chunks(plan_of(4))), (Pairs{{0, 1}, {1, 5}, {5, 6}}));
  EXPECT_EQ(characters(words.chunks(plan_of(4))), (Pairs{{0, 1}, {1, 2}, {2, 3}}));
  const std::vector<Span> emoji{{1, 2}, {0, 1}, {2, 3}};
  EXPECT_EQ(rows(words.chunks(plan_of(4), &emoji)), (Pairs{{1, 5}, {0, 1}, {5, 6}}));
}

TEST(Chunks, OfSentencesAreAsManyAsFit) {
  const Words words("a b. C d e. F. G h i j k l. M");  // of 2, 3, 1, 6 and 1 tokens
  ChunkPlan plan = plan_of(5);
  plan.by = ChunkBy::kSentences;
  EXPECT_EQ(rows(words.chunks(plan)), (Pairs{{0, 6}, {6, 7}, {7, 12}, {12, 15}}));
  plan.tokens = 6;
  EXPECT_EQ(rows(words.chunks(plan)), (Pairs{{0, 7}, {7, 13}, {13, 15}}));
  plan.sentences = 1;
  EXPECT_EQ(rows(words.chunks(plan)), (Pairs{{0, 3}, {3, 6}, {6, 7}, {7, 13}, {13, 15}}));
  plan.sentences = 0;
  plan.overlap = 4;
  plan.tokens = 7;
  // [a b. C d e. F.], [F. G ...] which repeats F., and no chunk that only repeats.
  EXPECT_EQ(rows(words.chunks(plan)), (Pairs{{0, 7}, {6, 13}, {13, 15}}));
}

TEST(Chunks, OfTheCallerHoldTheTokensThatEndInThem) {
  const Words words("abcd ef gh");
  const auto of = [&](std::vector<Span> spans) { return rows(words.chunks(plan_of(9), &spans)); };
  EXPECT_EQ(of({{0, 10}}), (Pairs{{0, 5}}));
  EXPECT_EQ(of({{0, 2}, {2, 10}}), (Pairs{{1, 1}, {0, 5}}));  // abcd ends in the second
  EXPECT_EQ(of({{5, 7}, {0, 4}, {8, 10}}), (Pairs{{2, 3}, {0, 2}, {3, 5}}));
  EXPECT_EQ(of({{4, 5}, {3, 3}, {10, 10}}), (Pairs{{2, 2}, {1, 1}, {4, 4}}));
  EXPECT_EQ(of({}), Pairs{});
  const std::vector<Span> bad_spans[] = {{{-1, 2}}, {{3, 2}}, {{0, 11}}, {{0, 1}, {11, 12}}};
  for (const auto& spans : bad_spans) {
    try {
      words.chunks(plan_of(9), &spans);
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadInput);
      EXPECT_NE(std::string(error.what()).find("<= 10"), std::string::npos) << error.what();
    }
  }
  const std::vector<Span> long_span{{0, 10}};
  EXPECT_THROW(words.chunks(plan_of(2, 0, 4), &long_span), Error);
}

PlannedChunk at(std::int32_t begin, std::int32_t end) { return {{}, begin, end}; }

TEST(Windows, OneWhereTheTextFits) {
  ChunkPlan plan = plan_of(4, 0, 12);
  plan.window_overlap = 3;
  const std::vector<PlannedChunk> chunks{at(4, 9), at(0, 4), at(5, 5), at(9, 12)};
  const auto windows = plan_windows(chunks, 12, plan);
  ASSERT_EQ(windows.size(), 1U);
  EXPECT_EQ(windows[0].begin, 0);
  EXPECT_EQ(windows[0].end, 12);
  EXPECT_EQ(windows[0].chunks, (std::vector<std::uint32_t>{1, 0, 3}));
  EXPECT_TRUE(plan_windows({}, 12, plan).empty());
  EXPECT_TRUE(plan_windows({at(5, 5)}, 12, plan).empty());
}

// Where chunks end with the windows, these are the authors' own: [0, L), [L - o, 2 L - o), ...
TEST(Windows, AreThePublishedOnesWhereChunksEndWithThem) {
  ChunkPlan plan = plan_of(4, 0, 12);
  plan.window_overlap = 4;
  std::vector<PlannedChunk> chunks;
  for (std::int32_t begin = 0; begin < 34; begin += 4)
    chunks.push_back(at(begin, std::min(begin + 4, 34)));
  Pairs got;
  for (const Window& w : plan_windows(chunks, 34, plan)) got.emplace_back(w.begin, w.end);
  EXPECT_EQ(got, (Pairs{{0, 12}, {8, 20}, {16, 28}, {24, 34}}));
}

TEST(Windows, HoldEveryChunkWholeAndOnce) {
  for (const std::int64_t size : {5, 9, 16}) {
    for (std::int64_t overlap = 0; overlap < size; overlap += 3) {
      ChunkPlan plan = plan_of(4, 0, size);
      plan.window_overlap = overlap;
      std::vector<PlannedChunk> chunks;
      for (std::int32_t i = 0; i < 90; ++i) {
        const std::int32_t begin = (i * 37) % 60;
        chunks.push_back(at(begin, begin + 1 + (i * 13) % static_cast<std::int32_t>(size)));
      }
      std::vector<int> seen(chunks.size());
      for (const Window& w : plan_windows(chunks, 80, plan)) {
        EXPECT_LE(w.end - w.begin, size);
        EXPECT_LE(w.end, 80);
        EXPECT_LE(static_cast<std::int32_t>(w.spans.size()), w.end - w.begin);
        ASSERT_EQ(w.spans.size(), w.chunks.size());
        for (std::size_t i = 0; i < w.chunks.size(); ++i) {
          ++seen[w.chunks[i]];
          EXPECT_EQ(w.begin + w.spans[i].first, chunks[w.chunks[i]].begin);
          EXPECT_EQ(w.begin + w.spans[i].second, chunks[w.chunks[i]].end);
          EXPECT_GE(w.spans[i].first, 0);
          EXPECT_LE(w.begin + w.spans[i].second, w.end);
        }
      }
      EXPECT_EQ(seen, std::vector<int>(chunks.size(), 1));
    }
  }
}

TEST(ChunkOptions, DefaultsFollowTheLimit) {
  ChunkOptions options;
  EXPECT_EQ(plan_chunking(options, 8192, 2).tokens, 256);
  EXPECT_EQ(plan_chunking(options, 8192, 2).window_overlap, 512);
  EXPECT_EQ(plan_chunking(options, 256, 2).tokens, 128);
  EXPECT_EQ(plan_chunking(options, 256, 2).window_overlap, 64);
  EXPECT_EQ(plan_chunking(options, 3, 2).tokens, 1);
  const auto refused = [](ChunkOptions o) {
    try {
      plan_chunking(o, 256, 2);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage);
      return error.where();
    }
    return std::string();
  };
  options.tokens = 255;
  EXPECT_EQ(refused(options), "--chunk-tokens");
  options.tokens = 254;
  EXPECT_EQ(refused(options), "");
  options.overlap = 254;
  EXPECT_EQ(refused(options), "--chunk-overlap");
  options.overlap = 253;
  options.window_overlap = 256;
  EXPECT_EQ(refused(options), "--window-overlap");
  options.window_overlap = -1;
  EXPECT_EQ(refused(options), "--window-overlap");
}

}  // namespace
}  // namespace inlay::task
