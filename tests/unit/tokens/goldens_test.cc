// Whole tokenizers in the published layouts, and every part under every setting, against the
// answers that tools/make_tokenizers.py recorded from the reference wheel.
#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "base/json.h"
#include "token_files.h"

namespace inlay::tokens {
namespace {

std::vector<std::int64_t> integers(const JsonValue& list) {
  std::vector<std::int64_t> result;
  for (const JsonValue& item : list.items()) result.push_back(item.integer());
  return result;
}

template <typename T>
std::vector<std::int64_t> widened(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

// The recorded offsets count characters.
std::int64_t characters_before(std::string_view text, std::uint32_t byte) {
  std::int64_t count = 0;
  for (std::uint32_t i = 0; i < byte && i < text.size(); ++i) {
    count += (static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80U;
  }
  return count;
}

class Goldens {
 public:
  Goldens() {
    std::istringstream variants(read_data("variants.jsonl"));
    for (std::string line; std::getline(variants, line);) {
      const std::string_view key = R"(,"tokenizer":)";
      const JsonDocument entry = JsonDocument::parse(line, "variants.jsonl");
      const std::string name(entry.root().at("name").string());
      const std::string text = line.substr(line.find(key) + key.size());
      loaded_.emplace(name, Tokenizer::from_json(text.substr(0, text.size() - 1), name));
    }
  }
  const Tokenizer& operator[](const std::string& name) {
    const auto found = loaded_.find(name);
    return found != loaded_.end() ? found->second
                                  : loaded_.emplace(name, load_family(name)).first->second;
  }

 private:
  std::map<std::string, Tokenizer> loaded_;
};

EncodeOptions read_options(const JsonValue& golden) {
  EncodeOptions options;
  const auto given = golden.find("options");
  if (!given) return options;
  options.add_special_tokens = given->bool_or("add_special_tokens", true);
  options.max_length = static_cast<int>(given->integer_or("max_length", 0));
  if (given->string_or("direction", "right") == "left")
    options.direction = TruncationDirection::kLeft;
  if (given->string_or("strategy", "") == "only_first")
    options.strategy = TruncationStrategy::kOnlyFirst;
  return options;
}

Encoding encode(const Tokenizer& tokenizer, const JsonValue& golden, const EncodeOptions& options) {
  const auto pair = golden.find("pair");
  const std::string_view text = golden.at("text").string();
  if (!pair) return tokenizer.encode(text, options);
  Encoding encoding = tokenizer.encode_pair(text, pair->string(), options);
  // A first text that was tokenized beforehand gives the same.
  Encoding prepared;
  tokenizer.encode_pair(*tokenizer.prepare_first(text, options), pair->string(), &prepared);
  EXPECT_EQ(prepared.ids, encoding.ids);
  EXPECT_EQ(prepared.type_ids, encoding.type_ids);
  EXPECT_EQ(prepared.special, encoding.special);
  EXPECT_EQ(prepared.offsets, encoding.offsets);
  EXPECT_EQ(prepared.truncated, encoding.truncated);
  return encoding;
}

void check_offsets(const Encoding& encoding, const JsonValue& golden) {
  const auto wanted = integers(golden.at("offsets"));
  ASSERT_EQ(wanted.size(), encoding.offsets.size() * 2);
  const auto pair = golden.find("pair");
  const std::string_view first = golden.at("text").string();
  const std::string_view second = pair ? pair->string() : std::string_view();
  for (std::size_t i = 0; i < encoding.offsets.size(); ++i) {
    const auto matches = [&](std::string_view text) {
      return characters_before(text, encoding.offsets[i].first) == wanted[2 * i] &&
             characters_before(text, encoding.offsets[i].second) == wanted[2 * i + 1];
    };
    EXPECT_TRUE(matches(first) || (pair && matches(second))) << "token " << i;
  }
}

// One query for many documents is tokenized once: at every limit the pair is the same.
TEST(TokensGoldens, PreparedFirstTextsGiveThePair) {
  Goldens tokenizers;
  std::istringstream goldens(read_data("goldens.jsonl"));
  int count = 0;
  for (std::string line; std::getline(goldens, line);) {
    const JsonDocument document = JsonDocument::parse(line, "goldens.jsonl");
    const JsonValue golden = document.root();
    if (!golden.contains("pair")) continue;
    SCOPED_TRACE(line.substr(0, 400));
    const Tokenizer& tokenizer = tokenizers[std::string(golden.at("tokenizer").string())];
    for (int limit = 0; limit < 24; ++limit) {
      for (const auto direction : {TruncationDirection::kRight, TruncationDirection::kLeft}) {
        EncodeOptions options;
        options.max_length = limit;
        options.direction = direction;
        options.offsets = limit % 3 == 0;
        encode(tokenizer, golden, options);  // compares
        ++count;
      }
    }
  }
  EXPECT_GT(count, 1000);
}

TEST(TokensGoldens, AreMet) {
  Goldens tokenizers;
  std::istringstream goldens(read_data("goldens.jsonl"));
  int count = 0;
  for (std::string line; std::getline(goldens, line); ++count) {
    const JsonDocument document = JsonDocument::parse(line, "goldens.jsonl");
    const JsonValue golden = document.root();
    SCOPED_TRACE(line.substr(0, 400));
    const Tokenizer& tokenizer = tokenizers[std::string(golden.at("tokenizer").string())];
    EncodeOptions options = read_options(golden);
    const Encoding plain = encode(tokenizer, golden, options);
    options.offsets = true;
    const Encoding tracked = encode(tokenizer, golden, options);
    ASSERT_EQ(widened(plain.ids), integers(golden.at("ids")));
    ASSERT_EQ(plain.ids, tracked.ids);  // the fast ways give what the general one gives
    ASSERT_EQ(plain.type_ids, tracked.type_ids);
    ASSERT_EQ(plain.truncated, tracked.truncated);
    ASSERT_EQ(plain.special.size(), plain.ids.size());
    const auto types = golden.find("type_ids");
    ASSERT_EQ(widened(plain.type_ids),
              types ? integers(*types) : std::vector<std::int64_t>(plain.ids.size(), 0));
    if (golden.contains("special")) {
      ASSERT_EQ(widened(plain.special), integers(golden.at("special")));
    }
    if (golden.contains("offsets")) check_offsets(tracked, golden);
    if (golden.contains("decode")) {
      for (const bool skip : {false, true}) {
        ASSERT_EQ(tokenizer.decode(plain.ids, skip), golden.at("decode").items()[skip].string());
      }
    }
  }
  EXPECT_GT(count, 1300);
}

}  // namespace
}  // namespace inlay::tokens
