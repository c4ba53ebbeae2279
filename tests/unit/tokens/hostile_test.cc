// Files that lie: every one is refused at load with the place named, or encodes in bounded time.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "token_files.h"

namespace inlay::tokens {
namespace {

void expect_refused(const FileText& file, ErrorCode code, const std::string& where) {
  SCOPED_TRACE(file.text().substr(0, 600));
  try {
    file.load();
    ADD_FAILURE() << "loaded";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_NE(error.where().find(where), std::string::npos) << error.what();
  }
}

std::string bpe(const std::string& vocab, const std::string& merges, const std::string& more = "") {
  return R"({"type":"BPE","vocab":)" + vocab + R"(,"merges":)" + merges + more + "}";
}

struct Case {
  std::string member, json;
  std::string where;
  ErrorCode code = ErrorCode::kBadInput;
};

std::vector<Case> broken_files() {
  const std::string word_level = R"({"type":"WordLevel","unk_token":"a","vocab":)";
  const auto unigram = [](const std::string& vocab, const std::string& unk) {
    return R"({"type":"Unigram","vocab":)" + vocab + R"(,"unk_id":)" + unk + "}";
  };
  const auto processing = [](const std::string& single) {
    return R"({"type":"TemplateProcessing","single":)" + single +
           R"(,"pair":[{"Sequence":{"id":"A","type_id":0}}],"special_tokens":{"x":{"id":"x","ids":[1],"tokens":["x"]}}})";
  };
  const std::string long_token(10 << 20, 'a');
  return {
      {"model", word_level + "{}}", "/model/vocab"},
      {"model", word_level + R"({"a":2147483648}})", "/model/vocab/a"},
      {"model", word_level + R"({"a":-1}})", "/model/vocab/a"},
      {"model", word_level + R"({"a":1,"b":1}})", "/model/vocab"},
      {"model", word_level + R"({"a":1.5}})", "/model/vocab/a"},
      {"model", word_level + R"({"a":"1"}})", "/model/vocab/a"},
      {"model", word_level + R"([]})", "/model/vocab"},
      {"model", word_level + R"({")" + long_token + R"(":0}})", "/model/vocab"},
      {"model", R"({"type":"Markov"})", "/model/type", ErrorCode::kUnsupported},
      {"model",
       R"({"type":"WordPiece","unk_token":"a","vocab":{"a":0},"continuing_subword_prefix":"##"})",
       "/model"},
      {"model",
       R"({"type":"WordPiece","unk_token":"a","vocab":{"a":0},"continuing_subword_prefix":"##",)"
       R"("max_input_chars_per_word":-1})",
       "/max_input_chars_per_word"},
      {"model", bpe(R"({"a":0,"b":1})", R"(["a c"])"), "/model/merges/0"},
      {"model", bpe(R"({"a":0,"b":1})", R"(["a b"])"), "/model/merges/0"},
      {"model", bpe(R"({"a":0,"":1})", R"(["a "])"),
       "/model/merges/0"},  // a cycle: "a" and nothing make "a"
      {"model", bpe(R"({"a":0,"##":1})", R"([["a","##"]])", R"(,"continuing_subword_prefix":"##")"),
       "/model/merges/0"},
      {"model",
       bpe(R"({"a":0,"b":1})", R"([["a","b"]])", R"(,"continuing_subword_prefix":"longer")"),
       "/model/merges/0"},
      {"model", bpe(R"({"a":0,"b":1})", R"(["a b c"])"), "/model/merges/0"},
      {"model", bpe(R"({"a":0,"b":1})", R"([1])"), "/model/merges/0"},
      {"model", bpe(R"({"a":0,"b":1})", R"({})"), "/model/merges"},
      {"model", bpe(R"({"a":0})", "[]", R"(,"dropout":0.1)"), "/model/dropout",
       ErrorCode::kUnsupported},
      {"model", unigram("[]", "null"), "/model/vocab"},
      {"model", unigram(R"([["a",0]])", "1"), "/model/unk_id"},
      {"model", unigram(R"([["a",0]])", "-1"), "/model/unk_id"},
      {"model", unigram(R"([["a"]])", "0"), "/model/vocab/0"},
      {"model", unigram(R"([["a",0],[1,"a"]])", "0"), "/model/vocab/1"},
      {"added_tokens", R"([{"id":0,"content":"a"}])", "/added_tokens/0"},
      {"added_tokens", "[" + added_token(long_token) + "]", "/added_tokens/0/content"},
      {"added_tokens", "{}", "/added_tokens"},
      {"pre_tokenizer", R"({"type":"FixedLength","length":0})", "/pre_tokenizer/length"},
      {"pre_tokenizer", R"({"type":"Nothing"})", "/pre_tokenizer/type", ErrorCode::kUnsupported},
      {"pre_tokenizer", R"({"type":"Metaspace","replacement":"ab"})", "/pre_tokenizer/replacement"},
      {"pre_tokenizer", R"({"type":"Metaspace","replacement":"a","prepend_scheme":"maybe"})",
       "/prepend_scheme"},
      {"pre_tokenizer", R"({"type":"Punctuation","behavior":"Eaten"})", "/pre_tokenizer/behavior"},
      {"pre_tokenizer",
       R"({"type":"Split","pattern":{"Regex":"(a"},"behavior":"Isolated","invert":false})",
       "/pattern/Regex"},
      {"pre_tokenizer",
       R"({"type":"Split","pattern":{"Regex":"[b-a]"},"behavior":"Isolated","invert":false})",
       "/pattern/Regex"},
      {"pre_tokenizer",
       R"({"type":"Split","pattern":{"Regex":"\\p{Nowhere}"},"behavior":"Isolated","invert":false})",
       "/pattern/Regex", ErrorCode::kUnsupported},
      {"post_processor", processing(R"([{"SpecialToken":{"id":"y","type_id":0}}])"),
       "/single/0/SpecialToken/id"},
      {"post_processor", processing(R"([{"Sequence":{"id":"B","type_id":0}}])"), "/post_processor"},
      {"post_processor", processing(R"([{"Sequence":{"id":"A","type_id":-1}}])"),
       "/single/0/Sequence/type_id"},
      {"post_processor", R"({"type":"BertProcessing","sep":["a",4294967296],"cls":["b",1]})",
       "/post_processor/sep"},
      {"decoder", R"({"type":"Strip","content":"a","start":-1,"stop":0})", "/decoder/start"},
      {"decoder", R"({"type":"Strip","content":"a","start":0,"stop":99999999999})",
       "/decoder/stop"},
      {"decoder", R"({"type":"Strip","content":"","start":0,"stop":1})", "/decoder/content"},
      {"normalizer", R"({"type":"Precompiled","precompiled_charsmap":"AAAA"})", "/normalizer"},
      {"normalizer", R"({"type":"Precompiled","precompiled_charsmap":"!"})", "/normalizer"},
  };
}

TEST(HostileTokenizer, IsRefusedAtItsPlace) {
  for (const Case& broken : broken_files()) {
    FileText file;
    std::string FileText::*member = broken.member == "model"            ? &FileText::model
                                    : broken.member == "added_tokens"   ? &FileText::added_tokens
                                    : broken.member == "pre_tokenizer"  ? &FileText::pre_tokenizer
                                    : broken.member == "post_processor" ? &FileText::post_processor
                                    : broken.member == "decoder"        ? &FileText::decoder
                                                                        : &FileText::normalizer;
    file.*member = broken.json;
    expect_refused(file, broken.code, broken.where);
  }
}

TEST(HostileTokenizer, NestsOnlySoDeep) {
  for (const auto& [member, key] : {std::pair(&FileText::pre_tokenizer, "pretokenizers"),
                                    std::pair(&FileText::post_processor, "processors"),
                                    std::pair(&FileText::decoder, "decoders")}) {
    std::string json = R"({"type":"Sequence",")" + std::string(key) + R"(":[]})";
    for (int i = 0; i < 40; ++i) {
      json = R"({"type":"Sequence",")" + std::string(key) + R"(":[)" + json + "]}";
    }
    FileText file;
    file.*member = json;
    expect_refused(file, ErrorCode::kBadInput, "");
  }
}

TEST(HostileTokenizer, EveryPrefixOfAFileIsRefused) {
  for (const char* name : {"t5.json", "bert_uncased.json", "gpt2.json"}) {
    const std::string text = read_data(name);
    const std::size_t end = text.find_last_not_of(" \n");
    for (std::size_t size = 0; size <= end; ++size) {
      EXPECT_THROW(Tokenizer::from_json(text.substr(0, size), name), Error) << name << ' ' << size;
    }
  }
}

TEST(HostileTokenizer, SparseIdsTakeNoMemory) {
  FileText file;
  file.model = R"({"type":"WordLevel","vocab":{"[UNK]":2147483647,"a":0},"unk_token":"[UNK]"})";
  const Tokenizer tokenizer = file.load();
  EXPECT_EQ(tokenizer.encode("a").ids, std::vector<std::int32_t>{0});
  EXPECT_EQ(tokenizer.encode("b").ids, std::vector<std::int32_t>{2147483647});
  EXPECT_EQ(tokenizer.id_to_token(2147483647), "[UNK]");
  EXPECT_EQ(tokenizer.id_to_token(7), std::nullopt);
  EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{-5, 0, 8, 2147483647}, false), "a [UNK]");
}

TEST(HostileTokenizer, CatastrophicPatternGivesUp) {
  FileText file;
  file.pre_tokenizer =
      R"({"type":"Split","pattern":{"Regex":"(a+)+$"},"behavior":"Isolated","invert":false})";
  const Tokenizer tokenizer = file.load();
  EXPECT_EQ(tokenizer.encode("aaaa").ids.size(), 1U);
  try {
    tokenizer.encode(std::string(40, 'a') + "b");
    ADD_FAILURE() << "matched";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    EXPECT_NE(std::string(error.what()).find("match limit"), std::string::npos) << error.what();
  }
}

TEST(HostileTokenizer, ChainsDoNotGrowATextWithoutBound) {
  if (INLAY_SANITIZED) GTEST_SKIP() << "minutes under sanitizers: the bound is some 100 MB";
  FileText file;
  std::string parts, replaces;
  for (int i = 0; i < 60; ++i) {
    parts +=
        R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":false,"use_regex":false},)";
    replaces += R"({"type":"Replace","pattern":{"String":"a"},"content":"aa"},)";
  }
  parts.pop_back();
  replaces.pop_back();
  file.pre_tokenizer = R"({"type":"Sequence","pretokenizers":[)" + parts + "]}";
  file.decoder = R"({"type":"Sequence","decoders":[)" + replaces + "]}";
  const Tokenizer tokenizer = file.load();
  EXPECT_THROW(tokenizer.encode("\xC3\xA9"), Error);
  EXPECT_THROW(tokenizer.decode(std::vector<std::int32_t>{1}, false), Error);
}

double seconds_to_encode(const Tokenizer& tokenizer, const std::string& text) {
  const auto begin = std::chrono::steady_clock::now();
  tokenizer.encode(text);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Not a speed test: a quadratic step anywhere would make the ratio a thousand.
TEST(HostileTokenizer, OneMegabyteOfOneCharacterIsLikeProse) {
  constexpr std::size_t kBytes = std::size_t{1} << (INLAY_SANITIZED ? 15U : 20U);
  std::string prose;
  while (prose.size() < kBytes)
    prose += "The quick brown fox, 42 years old, didn't jump over the lazy dog. ";
  for (const char* name : {"bert_uncased", "gpt2", "llama3", "o200k", "deepseek", "xlmr", "albert",
                           "t5", "llama2", "gemma", "suffix_bpe", "unigram_bytes"}) {
    const Tokenizer tokenizer = load_family(name);
    const double usual = std::max(seconds_to_encode(tokenizer, prose), 0.02);
    for (const char* character :
         {"a", " ", "\n", "1", "'", "\xC3\xA9", "\xE6\x97\xA5", "\xCC\x81", "[", "_"}) {
      std::string text;
      while (text.size() < kBytes) text += character;
      EXPECT_LT(seconds_to_encode(tokenizer, text), 10 * usual) << name << " '" << character << "'";
    }
  }
}

// Such tokens take the rest of the run along, each: the reference's pieces overlap without bound.
TEST(HostileTokenizer, AddedTokensOfWhiteSpaceEnd) {
  FileText file;
  const std::string spaces(1U << 20U, ' ');
  file.added_tokens = "[" + added_token(" ", "lstrip") + "]";
  EXPECT_EQ(file.load().encode(spaces).ids.size(), spaces.size());
  file.added_tokens = "[" + added_token(" ", "rstrip") + "]";
  const Tokenizer tokenizer = file.load();
  EXPECT_EQ(tokenizer.encode(spaces.substr(0, 20)).ids.size(), 20U);
  EXPECT_THROW(tokenizer.encode(spaces), Error);
}

}  // namespace
}  // namespace inlay::tokens
