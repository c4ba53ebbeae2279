// The door's own rules: limits, special ids, vocab.txt, settings of other files, use from several
// threads. Equality with the reference is goldens_test.cc.
#include "tokens/tokenizer.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "token_files.h"

namespace inlay::tokens {
namespace {

using Ids = std::vector<std::int32_t>;

constexpr std::string_view kVocab =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\nhell\n##o\nworld\n!\nE\nCaf\xC3\xA9\ncafe\n";

EncodeOptions with_limit(int max_length,
                         TruncationStrategy strategy = TruncationStrategy::kLongestFirst,
                         TruncationDirection direction = TruncationDirection::kRight) {
  EncodeOptions options;
  options.max_length = max_length;
  options.strategy = strategy;
  options.direction = direction;
  return options;
}

TEST(Tokenizer, ReadsVocabTxt) {
  const Tokenizer tokenizer = Tokenizer::from_vocab_txt(kVocab, "vocab.txt");
  EXPECT_EQ(tokenizer.encode("Hello, WORLD! CAF\xC3\x89").ids, (Ids{2, 5, 1, 8, 9, 12, 3}));
  EXPECT_EQ(tokenizer.encode_pair("hello", "hell").type_ids, (Ids{0, 0, 0, 1, 1}));
  EXPECT_EQ(tokenizer.vocab_size(), 13);
  EXPECT_EQ(tokenizer.decode(Ids{2, 6, 7, 9, 3}, true), "hello!");
  const SpecialIds& special = tokenizer.special_ids();
  EXPECT_EQ(special.pad, 0);
  EXPECT_EQ(special.unk, 1);
  EXPECT_EQ(special.cls, 2);
  EXPECT_EQ(special.sep, 3);
  EXPECT_EQ(special.mask, 4);
  EXPECT_EQ(special.bos, std::nullopt);
}

TEST(Tokenizer, VocabTxtFollowsItsConfig) {
  const std::string cased =
      R"({"do_lower_case":false,"mask_token":{"content":"[GAP]","lstrip":true}})";
  const Tokenizer tokenizer = Tokenizer::from_vocab_txt(kVocab, "vocab.txt", cased);
  EXPECT_EQ(tokenizer.encode("Caf\xC3\xA9 Hello").ids, (Ids{2, 11, 1, 3}));
  EXPECT_EQ(tokenizer.special_ids().mask, 13);  // not in the vocabulary: the next free id
  EXPECT_EQ(tokenizer.encode("hello   [GAP]").ids, (Ids{2, 5, 13, 3}));
  LoadOptions lower;
  lower.lowercase = true;
  const Tokenizer lowered = Tokenizer::from_vocab_txt(kVocab, "vocab.txt", cased, lower);
  EXPECT_EQ(lowered.encode("HELLO World").ids, (Ids{2, 5, 8, 3}));
}

TEST(Tokenizer, VocabTxtReadsLineEndsAsPythonDoes) {
  const Tokenizer tokenizer = Tokenizer::from_vocab_txt(
      "[UNK]\r\n[CLS]\r\n[SEP]\r\n[PAD]\r\n[MASK]\r\na b\r\n", "vocab.txt");
  EXPECT_EQ(tokenizer.token_to_id("a b"), 5);
  EXPECT_EQ(tokenizer.vocab_size(), 6);
  EXPECT_THROW(Tokenizer::from_vocab_txt("", "vocab.txt"), Error);
  EXPECT_THROW(Tokenizer::from_vocab_txt("a\n\xFF\n", "vocab.txt"), Error);
}

TEST(Tokenizer, LowercaseOptionAddsWhatIsMissing) {
  FileText file;
  file.pre_tokenizer = R"({"type":"WhitespaceSplit"})";
  LoadOptions lower;
  lower.lowercase = true;
  EXPECT_EQ(file.load().encode("A b").ids, (Ids{0, 2}));
  EXPECT_EQ(Tokenizer::from_json(file.text(), "t", {}, lower).encode("A B").ids, (Ids{1, 2}));
  file.normalizer =
      R"({"type":"Sequence","normalizers":[{"type":"Lowercase"},{"type":"Replace","pattern":{"String":"b"},"content":"B"}]})";
  EXPECT_EQ(Tokenizer::from_json(file.text(), "t", {}, lower).encode("A B").ids, (Ids{1, 0}));
}

TEST(Tokenizer, SpecialIdsComeFromTheFiles) {
  const SpecialIds roberta = load_family("roberta").special_ids();
  EXPECT_EQ(roberta.cls, 0);
  EXPECT_EQ(roberta.sep, 2);
  EXPECT_EQ(roberta.pad, 1);
  EXPECT_EQ(roberta.unk, 3);
  EXPECT_TRUE(roberta.mask.has_value());
  const std::string config =
      R"({"pad_token":"a","cls_token":{"content":"b"},"mask_token":null,"eos_token":"zz"})";
  const SpecialIds named = Tokenizer::from_json(FileText().text(), "t", config).special_ids();
  EXPECT_EQ(named.pad, 1);
  EXPECT_EQ(named.cls, 2);
  EXPECT_EQ(named.mask, std::nullopt);
  EXPECT_EQ(named.eos, std::nullopt);  // not a token
  EXPECT_EQ(named.unk, 0);             // the model's own
}

TEST(Tokenizer, CutsToTheLimit) {
  const Tokenizer tokenizer = Tokenizer::from_vocab_txt(kVocab, "vocab.txt");
  const std::string text = "hello world hello ! world";
  EXPECT_FALSE(tokenizer.encode(text, with_limit(7)).truncated);
  const Encoding cut = tokenizer.encode(text, with_limit(4));
  EXPECT_EQ(cut.ids, (Ids{2, 5, 8, 3}));
  EXPECT_TRUE(cut.truncated);
  const Encoding left = tokenizer.encode(
      text, with_limit(4, TruncationStrategy::kLongestFirst, TruncationDirection::kLeft));
  EXPECT_EQ(left.ids, (Ids{2, 9, 8, 3}));
  EXPECT_TRUE(left.truncated);
}

TEST(Tokenizer, SpecialTokensStayWhenTheLimitIsSmaller) {
  const Tokenizer tokenizer = Tokenizer::from_vocab_txt(kVocab, "vocab.txt");
  for (const int limit : {1, 2}) {
    const Encoding encoding = tokenizer.encode("hello world", with_limit(limit));
    EXPECT_EQ(encoding.ids, (Ids{2, 3}));
    EXPECT_TRUE(encoding.truncated);
  }
  EXPECT_FALSE(tokenizer.encode("", with_limit(1)).truncated);
  EXPECT_EQ(tokenizer.special_tokens_added(false), 2);
  EXPECT_EQ(tokenizer.special_tokens_added(true), 3);
  EXPECT_THROW(tokenizer.encode("x", with_limit(-1)), Error);
}

// Whether something was cut is told exactly, also where the rest of the text makes no tokens.
TEST(Tokenizer, TruncatedMeansTokensWereLost) {
  const Tokenizer tokenizer = Tokenizer::from_vocab_txt(kVocab, "vocab.txt");
  EncodeOptions options = with_limit(2);
  options.add_special_tokens = false;
  for (const bool offsets : {false, true}) {
    options.offsets = offsets;
    EXPECT_FALSE(tokenizer.encode("hello world   \n", options).truncated);
    EXPECT_TRUE(tokenizer.encode("hello world  !", options).truncated);
    EXPECT_TRUE(tokenizer.encode("hello world[SEP]", options).truncated);
  }
}

TEST(Tokenizer, RefusesStrategiesThatCannotBeMet) {
  const Tokenizer tokenizer = Tokenizer::from_vocab_txt(kVocab, "vocab.txt");
  EXPECT_THROW(tokenizer.encode("hello world !", with_limit(3, TruncationStrategy::kOnlySecond)),
               Error);
  EXPECT_THROW(tokenizer.encode_pair("hello", "hello world ! ! !",
                                     with_limit(6, TruncationStrategy::kOnlyFirst)),
               Error);
  EXPECT_EQ(
      tokenizer
          .encode_pair("hello", "hello world !", with_limit(5, TruncationStrategy::kOnlySecond))
          .ids,
      (Ids{2, 5, 3, 5, 3}));
}

TEST(Tokenizer, PostProcessorForOneTextRefusesTwo) {
  FileText file;
  const std::string one =
      R"({"type":"TemplateProcessing","single":[{"Sequence":{"id":"A","type_id":0}}],)"
      R"("pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":0}},)"
      R"({"Sequence":{"id":"A","type_id":0}}],"special_tokens":{}})";
  file.post_processor = R"({"type":"Sequence","processors":[)" + one + "," + one + "]}";
  const Tokenizer tokenizer = file.load();
  EXPECT_EQ(tokenizer.encode("a").ids, (Ids{1}));
  EXPECT_THROW(tokenizer.encode_pair("a", "b"), Error);
}

TEST(Tokenizer, MissingUnknownTokenIsNamedWhenNeeded) {
  for (
      const char* model :
      {R"({"type":"WordLevel","vocab":{"a":0},"unk_token":"[UNK]"})",
       R"({"type":"BPE","vocab":{"a":0},"merges":[],"unk_token":"[UNK]"})",
       R"({"type":"Unigram","vocab":[["a",-1.0]],"unk_id":null})",
       R"({"type":"WordPiece","vocab":{"a":0},"unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":9})"}) {
    FileText file;
    file.model = model;
    const Tokenizer tokenizer = file.load();
    EXPECT_EQ(tokenizer.encode("a").ids, (Ids{0}));
    try {
      tokenizer.encode("b");
      ADD_FAILURE() << model;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadInput);
      EXPECT_NE(error.where().find("/model"), std::string::npos) << error.what();
    }
  }
}

TEST(Tokenizer, ManyThreadsGetTheSameIds) {
  const Tokenizer tokenizer = load_family("llama3");
  const Tokenizer other = load_family("xlmr");
  std::vector<std::string> texts;
  for (int i = 0; i < 200; ++i)
    texts.push_back("word" + std::to_string(i) + " caf\xC3\xA9 didn't " + std::string(i, 'x'));
  std::vector<Ids> wanted;
  for (const std::string& text : texts) wanted.push_back(tokenizer.encode(text).ids);
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 4; ++rank) {
    threads.emplace_back([&, rank] {
      for (std::size_t i = 0; i < texts.size(); ++i) {
        other.encode(texts[i]);  // shares the thread's caches
        wrong[rank] += tokenizer.encode(texts[i]).ids != wanted[i];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST(Tokenizer, DeadTokenizersLeaveNothingInCaches) {
  for (int i = 0; i < 50; ++i) {
    FileText file;
    file.model =
        R"({"type":"BPE","vocab":{"a":)" + std::to_string(i) + R"(,"b":1000},"merges":[]})";
    EXPECT_EQ(file.load().encode("ab").ids, (Ids{i, 1000}));
  }
}

}  // namespace
}  // namespace inlay::tokens
