// Every normalizer against answers that tests/oracles/test_unicode.py recorded from the wheel,
// texts and alignments; and what from_json refuses.
#include "tokens/normalizers.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "tokens/charsmap.h"

namespace inlay::tokens {
namespace {

std::string read(const std::string& name) {
  std::ifstream file(std::string(INLAY_TEST_DATA) + "/tokens/" + name, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      bits = bits << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += i + k > bytes.size() ? '=' : kAlphabet[bits >> (18 - 6 * k) & 63U];
    }
  }
  return out;
}

std::unique_ptr<Normalizer> make(const std::string& json) {
  const JsonDocument document = JsonDocument::parse(json, "tokenizer.json");
  return Normalizer::from_json(document.root());
}

TEST(Normalizers, AnswerAsTheWheel) {
  const std::string charsmap = base64(read("nmt_nfkc.charsmap"));
  ASSERT_GT(charsmap.size(), 100'000U);
  const std::string data = read("normalizers.jsonl");
  int checked = 0;
  NormalizedString plain;
  NormalizedString tracked;
  for (std::size_t at = 0; at < data.size();) {
    const std::size_t end = data.find('\n', at);
    std::string line = data.substr(at, end - at);
    at = end + 1;
    if (const auto place = line.find("@nmt_nfkc"); place != std::string::npos)
      line.replace(place, 9, charsmap);
    const JsonDocument document = JsonDocument::parse(line, "normalizers.jsonl");
    const std::string name(document.root().at("name").string());
    const auto normalizer = Normalizer::from_json(document.root().at("normalizer"));
    for (const JsonValue& item : document.root().at("cases").items()) {
      const auto parts = item.items();
      const std::string_view text = parts[0].string();
      plain.reset(text, false);
      normalizer->normalize(plain);
      EXPECT_EQ(plain.text(), parts[1].string()) << name << ": " << text;
      tracked.reset(text, true);
      normalizer->normalize(tracked);
      ASSERT_EQ(tracked.text(), parts[1].string()) << name << ": " << text;
      std::vector<std::int64_t> spans;
      for (std::uint32_t i = 0; i < tracked.text().size();) {
        const std::uint32_t next = i + utf8_decode(tracked.text(), i).bytes;
        const Range from = tracked.to_original({i, next}).value();
        spans.push_back(from.begin);
        spans.push_back(from.end);
        i = next;
      }
      std::vector<std::int64_t> expected;
      for (const JsonValue& number : parts[2].items()) expected.push_back(number.integer());
      EXPECT_EQ(spans, expected) << name << ": " << text;
      ++checked;
    }
  }
  EXPECT_GE(checked, 600);
}

TEST(Normalizers, NullIsNone) { EXPECT_EQ(make("null"), nullptr); }

TEST(Normalizers, OldFilesNameNoType) {
  NormalizedString text(" a ");
  make(R"({"strip_left": true, "strip_right": false})")->normalize(text);
  EXPECT_EQ(text.text(), "a ");
  text.reset("É", true);
  make(R"({"type": "Bert", "clean_text": true, "handle_chinese_chars": true, "lowercase": true})")
      ->normalize(text);
  EXPECT_EQ(text.text(), "e");
}

TEST(Normalizers, BertFromOptions) {
  NormalizedString text("É\u0001日");
  make_bert_normalizer({.strip_accents = false})->normalize(text);
  EXPECT_EQ(text.text(), "é 日 ");
}

TEST(Normalizers, Refuses) {
  const struct {
    const char* json;
    ErrorCode code;
    const char* says;
  } cases[] = {
      {R"({"type": "Transliterate"})", ErrorCode::kUnsupported, "Transliterate"},
      {R"({"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Append"}]})",
       ErrorCode::kUnsupported, "Append"},
      {R"({})", ErrorCode::kBadInput, "type"},
      {R"("NFC")", ErrorCode::kBadInput, "object"},
      {R"({"type": "Strip", "strip_left": true})", ErrorCode::kBadInput, "strip_right"},
      {R"({"type": "Sequence", "normalizers": [null]})", ErrorCode::kBadInput, "normalizers"},
      {R"({"type": "Replace", "pattern": {"Regex": "(a"}, "content": "b"})", ErrorCode::kBadInput,
       "Regex"},
      {R"({"type": "Replace", "pattern": {}, "content": "b"})", ErrorCode::kBadInput, "Regex"},
      {R"({"type": "BertNormalizer", "clean_text": 1})", ErrorCode::kBadInput, "clean_text"},
      {R"({"type": "Precompiled", "precompiled_charsmap": "***"})", ErrorCode::kBadInput, "base64"},
  };
  for (const auto& item : cases) {
    try {
      make(item.json);
      ADD_FAILURE() << item.json << " was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), item.code) << item.json << ": " << error.what();
      EXPECT_NE(std::string(error.what()).find(item.says), std::string::npos) << error.what();
    }
  }
}

// Without tracking, a warmed-up text allocates nothing: its buffer stays where it is.
TEST(Normalizers, ReuseMemory) {
  const auto normalizer = make_bert_normalizer({});
  NormalizedString text;
  const std::string long_text(10'000, 'A');
  for (int i = 0; i < 2; ++i) {
    text.reset(long_text, false);
    normalizer->normalize(text);
    text.reset(long_text, false);
    normalizer->normalize(text);
  }
  const char* first = text.text().data();
  text.reset("Short", false);
  normalizer->normalize(text);
  text.reset("Other", false);
  normalizer->normalize(text);
  EXPECT_EQ(text.text().data(), first);
  EXPECT_EQ(text.text(), "other");
}

}  // namespace
}  // namespace inlay::tokens
