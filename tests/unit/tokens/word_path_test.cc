// The quick way by words and raw bytes gives the ids of the general way, which is taken whenever
// offsets are asked for; and it allocates nothing once its memory has grown. What the general way
// gives is compared with the reference elsewhere.
#include "tokens/word_path.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "token_files.h"

namespace inlay {
std::int64_t allocation_count();  // ../allocations.cc; -1: not counted in this build
}  // namespace inlay

namespace inlay::tokens {
namespace {

// Families whose pipelines go by words, and two that do not.
constexpr const char* kFamilies[] = {"bert_uncased",   "bert_cased", "gpt2",     "roberta",
                                     "roberta_prefix", "llama3",     "qwen2",    "o200k",
                                     "xlmr",           "camembert",  "deepseek", "albert"};

constexpr const char* kParts[] = {"a",      "B",       "z",          "Dog",     "the ",
                                  " and",   " ",       "  ",         "\t",      "\n",
                                  "\r\n",   "\r",      "\x0b",       "\x01",    "\x7f",
                                  "'s",     "'LL",     "1",          "42",      "1234",
                                  ".",      ",",       "-",          "_",       "(x)",
                                  "é",      "É",       "e\u0301",    " \u0301", "\u0301",
                                  "\u0600", "\u0600 ", "\u200d",     " \u200d", "\u00a0",
                                  "\u3000", "\u0085",  "ж",          "Слово",   "東",
                                  "京は",   "。",      "、",         "한",      "\u1100\u1161",
                                  "ﬁ",      "①",       "≠",          "\u037e",  "İ",
                                  "ß",      "😀",       "\U0010ffff", "\ufffd",  "▁",
                                  "##",     "[MASK]",  "<s>",        "</s>",    "<|endoftext|>",
                                  "नमस्ते",   "ไทย",     "\u093c"};

std::string random_text(std::mt19937* random, std::size_t parts) {
  std::string text;
  for (; parts > 0; --parts) text += kParts[(*random)() % std::size(kParts)];
  return text;
}

void expect_same(const Tokenizer& tokenizer, const std::string& text, const char* family) {
  static Encoding quick, general;
  tokenizer.encode(text, {}, &quick);
  EncodeOptions options;
  options.offsets = true;
  tokenizer.encode(text, options, &general);
  ASSERT_EQ(quick.ids, general.ids) << family << ": " << text;
  ASSERT_EQ(quick.type_ids, general.type_ids) << family << ": " << text;
  ASSERT_EQ(quick.special, general.special) << family << ": " << text;
}

TEST(WordPath, GivesTheGeneralWaysIds) {
  for (const char* family : kFamilies) {
    const Tokenizer tokenizer = load_family(family);
    std::mt19937 random(7);
    for (int i = 0; i < (INLAY_SANITIZED ? 300 : 3000); ++i)
      expect_same(tokenizer, random_text(&random, random() % 40), family);
  }
}

// Words, spaces and wide characters at every place of a vector's block, and texts of every length:
// the last bytes are read otherwise than those with text behind them.
TEST(WordPath, BlocksBeginAndEndAnywhere) {
  for (const char* family : kFamilies) {
    const Tokenizer tokenizer = load_family(family);
    for (std::size_t size = 0; size <= (INLAY_SANITIZED ? 130U : 200U); ++size) {
      expect_same(tokenizer, std::string(size, 'a'), family);
      expect_same(tokenizer, std::string(size, ' '), family);
      expect_same(tokenizer, std::string(size, '.'), family);
      const std::string lead(size, size % 3 == 0 ? ' ' : 'b');
      for (const char* part : {"x", " dog ", "é", "東", " \u0301", "。y", "\r\n"}) {
        expect_same(tokenizer, lead + part + "the end", family);
      }
    }
  }
}

TEST(WordPath, WordsOfEveryLengthComeOutOfTheCacheAsTheyWent) {
  for (const char* family : kFamilies) {
    const Tokenizer tokenizer = load_family(family);
    for (int round = 0; round < 2; ++round) {
      std::string word;
      for (int length = 1; length <= 80; ++length) {
        word += static_cast<char>('a' + length % 7);
        expect_same(tokenizer, word, family);
        expect_same(tokenizer, word + " " + word + "\n", family);
        expect_same(tokenizer, "Ж" + word, family);
      }
    }
  }
}

// More words than the cache has places: what is replaced is computed again.
TEST(WordPath, AFullCacheForgetsAndStaysRight) {
  for (const char* family : {"bert_uncased", "gpt2", "xlmr"}) {
    const Tokenizer tokenizer = load_family(family);
    Encoding first, again;
    std::vector<std::string> texts;
    for (int i = 0; i < 400; ++i) {
      std::string text;
      for (int j = 0; j < 500; ++j) text += "w" + std::to_string(i * 500 + j) + "a ";
      texts.push_back(std::move(text));
    }
    tokenizer.encode(texts[0], {}, &first);
    for (const std::string& text : texts) tokenizer.encode(text, {}, &again);
    tokenizer.encode(texts[0], {}, &again);
    EXPECT_EQ(first.ids, again.ids) << family;
    for (std::size_t i = 0; i < texts.size(); i += INLAY_SANITIZED ? 200 : 40)
      expect_same(tokenizer, texts[i], family);
  }
}

TEST(WordPath, TokenizersShareACacheWithoutMixing) {
  const Tokenizer one = load_family("bert_uncased"), other = load_family("bert_cased");
  std::mt19937 random(11);
  for (int i = 0; i < 500; ++i) {
    const std::string text = random_text(&random, 12);
    expect_same(one, text, "bert_uncased");
    expect_same(other, text, "bert_cased");
  }
}

TEST(WordPath, TheLimitCutsAsTheGeneralWayDoes) {
  for (const char* family : kFamilies) {
    const Tokenizer tokenizer = load_family(family);
    std::mt19937 random(13);
    Encoding quick, general;
    for (int i = 0; i < 500; ++i) {
      const std::string text = random_text(&random, random() % 40);
      EncodeOptions options;
      options.max_length = static_cast<int>(random() % 30 + 1);
      tokenizer.encode(text, options, &quick);
      options.offsets = true;
      tokenizer.encode(text, options, &general);
      ASSERT_EQ(quick.ids, general.ids) << family << ": " << text;
      ASSERT_EQ(quick.truncated, general.truncated) << family << ": " << text;
    }
  }
}

TEST(WordPath, NothingIsAllocatedOnceMemoryHasGrown) {
  if (allocation_count() < 0) GTEST_SKIP() << "ThreadSanitizer replaces operator new";
  for (const char* family : kFamilies) {
    const Tokenizer tokenizer = load_family(family);
    const auto make_texts = [&](const char* word) {  // the words in front differ, not their lengths
      std::mt19937 random(17);
      std::vector<std::string> texts;
      for (int i = 0; i < 200; ++i) {
        texts.push_back(word + std::to_string(i) + " " + random_text(&random, 60));
        texts.back() += std::string(static_cast<std::size_t>(i), '-');
      }
      return texts;
    };
    Encoding encoding;
    for (const char* word : {"qxy", "qyx", "qxy"}) {
      for (const std::string& text : make_texts(word)) tokenizer.encode(text, {}, &encoding);
    }
    const std::vector<std::string> texts = make_texts("xqy");  // new: the cache lacks these words
    const std::int64_t before = allocation_count();
    for (const std::string& text : texts) tokenizer.encode(text, {}, &encoding);
    EXPECT_EQ(allocation_count(), before) << family;
  }
}

}  // namespace
}  // namespace inlay::tokens
