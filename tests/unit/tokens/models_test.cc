// The parts under the models: vocabulary, trie, long words against short ones, truncation's
// arithmetic.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "token_files.h"
#include "tokens/bpe.h"
#include "tokens/byte_alphabet.h"
#include "tokens/byte_trie.h"
#include "tokens/truncation.h"
#include "tokens/vocab.h"

namespace inlay::tokens {
namespace {

TEST(Vocab, FindsBothWays) {
  Vocab vocab;
  for (int i = 0; i < 5000; ++i) vocab.add("token" + std::to_string(i * 7), i * 3);
  vocab.add("", 1);
  EXPECT_EQ(vocab.seal(), -1);
  for (int i = 0; i < 5000; ++i) {
    ASSERT_EQ(vocab.find("token" + std::to_string(i * 7)), i * 3);
    ASSERT_EQ(vocab.token(i * 3), "token" + std::to_string(i * 7));
  }
  EXPECT_EQ(vocab.find(""), 1);
  EXPECT_EQ(vocab.find("token1"), -1);
  EXPECT_EQ(vocab.token(2), std::nullopt);
  EXPECT_EQ(vocab.token(-1), std::nullopt);
}

TEST(Vocab, LaterTokenWinsAndSharedIdsAreTold) {
  Vocab vocab;
  vocab.add("a", 0);
  vocab.add("a", 1);
  EXPECT_EQ(vocab.seal(), -1);
  EXPECT_EQ(vocab.find("a"), 1);
  EXPECT_EQ(vocab.token(0), "a");
  Vocab shared;
  shared.add("a", 5);
  shared.add("b", 5);
  EXPECT_EQ(shared.seal(), 5);
  EXPECT_EQ(Vocab().find("a"), -1);
}

TEST(ByteTrie, FindsEveryKeyAndNoOther) {
  std::mt19937 random(3);
  std::vector<std::string> texts;
  for (int i = 0; i < 3000; ++i) {
    std::string text;
    for (unsigned n = 1 + random() % (i % 5 ? 6 : 40); n > 0; --n)
      text += static_cast<char>(random() % (i % 2 ? 256 : 3));
    texts.push_back(text);
  }
  // Characters of several bytes, which are one step where their last bytes differ; some cut off.
  constexpr char32_t kFirst[] = {0x410, 0x3041, 0x4E00, 0x1F600, U'a'};
  for (int i = 0; i < 3000; ++i) {
    std::string text;
    for (unsigned n = 1 + random() % 5; n > 0; --n)
      utf8_append(text, kFirst[random() % 5] + random() % (i % 2 ? 8 : 90) * (i % 3 ? 1 : 65));
    if (i % 16 == 0) text.pop_back();
    if (!text.empty()) texts.push_back(text);
  }
  std::sort(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  std::vector<std::pair<std::string_view, std::int32_t>> keys;
  for (std::size_t i = 0; i < texts.size(); i += 2)
    keys.emplace_back(texts[i], static_cast<std::int32_t>(i));
  ByteTrie trie;
  trie.build(keys);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    // All keys that a text begins with, the text itself among them where it is one.
    const auto walk = [&](const auto& text) {
      std::vector<std::int32_t> found;
      std::uint32_t state = ByteTrie::kRoot;
      for (std::size_t at = 0; at < text.size() && trie.step(text, &state, &at);) {
        if (trie.value(state) >= 0) found.push_back(trie.value(state));
      }
      return found;
    };
    std::vector<std::int32_t> wanted;
    for (std::size_t bytes = 1; bytes <= texts[i].size(); ++bytes) {
      const auto key = std::lower_bound(texts.begin(), texts.end(), texts[i].substr(0, bytes));
      if (*key == texts[i].substr(0, bytes) && (key - texts.begin()) % 2 == 0)
        wanted.push_back(static_cast<std::int32_t>(key - texts.begin()));
    }
    ASSERT_EQ(walk(TrieText(texts[i])), wanted);
    const std::string padded = texts[i] + std::string(PaddedText::kPadding, '\0');
    ASSERT_EQ(walk(PaddedText(padded.data(), texts[i].size())), wanted);
  }
  trie.build({});
  EXPECT_TRUE(trie.empty());
}

// The heap for long words and the scan for short ones must merge alike: a long word of parts that
// never merge with each other has its parts' tokens.
TEST(Bpe, LongWordsMergeLikeShortOnes) {
  FileText file;
  file.model = R"({"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"aba":3,"ba":4,"abab":5,"-":6},)"
               R"("merges":["a b","b a",["ab","a"],"ab ab"]})";
  const Tokenizer tokenizer = file.load();
  std::mt19937 random(11);
  std::string word;
  std::vector<std::int32_t> wanted;
  for (int part = 0; part < 60; ++part) {
    std::string text;
    for (unsigned n = 1 + random() % 12; n > 0; --n) text += random() % 2 ? 'a' : 'b';
    text += '-';
    const auto ids = tokenizer.encode(text).ids;
    wanted.insert(wanted.end(), ids.begin(), ids.end());
    word += text;
  }
  EXPECT_EQ(tokenizer.encode(word).ids, wanted);
}

TEST(Bpe, ReadsBothSpellingsOfMerges) {
  FileText lines, pairs;
  lines.model = R"({"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["#version: 0.2","a b"]})";
  pairs.model = R"({"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]]})";
  EXPECT_EQ(lines.load().encode("abba").ids, pairs.load().encode("abba").ids);
}

// Matching against merging, over vocabularies in which merges come in any order, tokens have
// several merges, merges are listed twice and some tokens are never made.
TEST(Bpe, MatchingFindsWhatMergingMakes) {
  std::mt19937 random(5);
  int solved = 0, words = 0;
  for (int round = 0; round < 60; ++round) {
    Vocab vocab;
    std::string vocab_json, merges_json;
    std::vector<std::string> tokens;
    std::vector<std::int32_t> byte_ids;
    const auto add = [&](const std::string& token) {
      const auto id = static_cast<std::int32_t>(tokens.size());
      vocab.add(token, id);
      vocab_json += (id > 0 ? ",\"" : "\"") +
                    (token == "\"" || token == "\\" ? "\\" + token : token) +
                    "\":" + std::to_string(id);
      tokens.push_back(token);
      return id;
    };
    for (const char32_t c : kByteCharacters) {
      std::string token;
      utf8_append(token, c);
      byte_ids.push_back(add(token));
    }
    const unsigned letters = 2 + random() % 4, count = 1 + random() % 60;
    const auto any = [&] {
      const std::size_t made = tokens.size() - 256, at = random() % (letters + made);
      return at < letters ? tokens['a' + at] : tokens[256 + at - letters];
    };
    std::vector<std::pair<std::string, std::string>> merges;
    for (unsigned i = 0; i < count; ++i) {
      const std::string left = any(), right = any();
      if (left.size() + right.size() > 24) continue;
      if (std::find(tokens.begin(), tokens.end(), left + right) == tokens.end()) add(left + right);
      merges.emplace_back(left, right);
    }
    if (round % 3 == 0) std::shuffle(merges.begin(), merges.end(), random);
    add("aab" + std::string(round % 5, 'a') + "zz");  // no merge makes it
    vocab.seal();
    MergeTable table;
    table.reset(merges.size());
    for (std::uint32_t rank = 0; rank < merges.size(); ++rank) {
      const auto& [left, right] = merges[rank];
      table.add(vocab.find(left), vocab.find(right), rank, vocab.find(left + right));
      merges_json += (rank > 0 ? ",\"" : "\"") + left + " " + right + "\"";
    }
    const auto json = JsonDocument::parse(
        "{\"type\":\"BPE\",\"vocab\":{" + vocab_json + "},\"merges\":[" + merges_json + "]}",
        "test");
    const auto merged = Bpe::from_json(json.root());
    MatchedBpe matched;
    matched.build(vocab, table, byte_ids);
    for (int i = 0; i < 200; ++i) {
      std::string word;
      for (unsigned n = 1 + random() % (i % 10 == 0 ? 90 : 14); n > 0; --n)
        word += static_cast<char>('a' + random() % letters);
      std::vector<TokenSpan> wanted, got;
      merged->compute(word, &wanted);
      ++words;
      if (!matched.encode(word, false, &got)) {
        ASSERT_TRUE(got.empty());
        continue;
      }
      ++solved;
      ASSERT_EQ(got.size(), wanted.size()) << word;
      for (std::size_t at = 0; at < got.size(); ++at) {
        ASSERT_EQ(got[at].id, wanted[at].id) << word;
        ASSERT_EQ(got[at].begin, wanted[at].begin) << word;
        ASSERT_EQ(got[at].end, wanted[at].end) << word;
      }
    }
  }
  EXPECT_GT(solved, words * 3 / 4);
}

TEST(Truncation, SharesTheRoomAsTheReferenceDoes) {
  const auto check = [](std::size_t a, std::size_t b, std::size_t room, std::size_t wanted_a,
                        std::size_t wanted_b) {
    const Lengths kept = truncate({a, b}, true, room, TruncationStrategy::kLongestFirst);
    EXPECT_EQ(kept.first, wanted_a) << a << " " << b << " " << room;
    EXPECT_EQ(kept.second, wanted_b) << a << " " << b << " " << room;
  };
  check(3, 4, 7, 3, 4);
  check(3, 9, 8, 3, 5);
  check(9, 3, 8, 5, 3);
  check(9, 9, 7, 3, 4);   // the second text, not shorter, takes the odd one
  check(10, 9, 7, 4, 3);  // the longer does
  check(9, 9, 0, 0, 0);
  check(1, 9, 1, 0, 1);
}

}  // namespace
}  // namespace inlay::tokens
