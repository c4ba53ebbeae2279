// Words cut into parts: what neighbours.h says of tokens of any bytes, and that the parts' ids are
// the word's, over vocabularies made to tie and to cross edges.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "base/utf8.h"
#include "token_files.h"
#include "tokens/byte_alphabet.h"
#include "tokens/neighbours.h"

namespace inlay::tokens {
namespace {

using Random = std::mt19937;

// Runs of a few characters, so that the same ones meet often.
std::string random_run(Random* random, const std::vector<std::string>& letters, unsigned most) {
  std::string text;
  for (unsigned n = 1 + (*random)() % most; n > 0; --n)
    text += letters[(*random)() % letters.size()];
  return text;
}

bool crosses(std::string_view token, std::string_view left, std::string_view right) {
  for (std::size_t at = 1; at < token.size(); ++at) {
    const std::string_view front = token.substr(0, at), back = token.substr(at);
    const bool meets_left = front.ends_with(left) || left.ends_with(front);
    const bool meets_right = back.starts_with(right) || right.starts_with(back);
    if (meets_left && meets_right) return true;
  }
  return false;
}

TEST(Neighbours, NoTokenCrossesAnEdgeBetweenThem) {
  const std::vector<std::string> letters = {"a",  "-",  "é",  "ж",  "の", "は",
                                            "日", "本", "。", "한", "😀"};
  Random random(3);
  int apart = 0, pairs = 0;
  for (int round = 0; round < 40; ++round) {
    Neighbours neighbours;
    std::vector<std::string> tokens;
    for (int i = 0; i < 12; ++i) {
      const std::string run = random_run(&random, letters, 4);
      const std::size_t begin = random() % 4 == 0 ? random() % run.size() : 0;
      tokens.push_back(
          run.substr(begin, random() % 4 == 0 ? 1 + random() % run.size() : run.size()));
      neighbours.add(tokens.back());
    }
    neighbours.seal();
    for (const std::string& left : letters) {
      for (const std::string& right : letters) {
        ++pairs;
        if (!neighbours.apart(utf8_decode(left, 0).value, utf8_decode(right, 0).value)) continue;
        ++apart;
        for (const std::string& token : tokens)
          ASSERT_FALSE(crosses(token, left, right)) << left << right << " in " << token;
      }
    }
  }
  EXPECT_GT(apart, pairs / 4);
}

TEST(Neighbours, PartsEndAtTheFirstEdgeThatCounts) {
  Neighbours neighbours;
  neighbours.add("日本");
  neighbours.seal();
  const std::string text = "日本本日";
  EXPECT_EQ(neighbours.part_end(text, 0), 6U);
  EXPECT_EQ(neighbours.part_end(text, 6), 9U);
  EXPECT_EQ(neighbours.part_end(text, 9), 12U);
  neighbours.bind(U'本');
  EXPECT_EQ(neighbours.part_end(text, 0), 12U);
}

void expect_same_ids(const Tokenizer& tokenizer, const std::string& text) {
  EncodeOptions general;
  general.offsets = true;
  ASSERT_EQ(tokenizer.encode(text).ids, tokenizer.encode(text, general).ids) << text;
}

constexpr int kRounds = INLAY_SANITIZED ? 3 : 20, kTexts = INLAY_SANITIZED ? 60 : 300;

// Few scores, so that paths tie, some only but for their roundings.
TEST(Parts, OfUnigramWordsHaveTheWordsIds) {
  const std::vector<std::string> letters = {"日", "本", "の",     "は", "ー",     "a",
                                            "(",  "漢", "\u3000", "▁",  "\u0301", "\u0600"};
  constexpr std::size_t kPieces = 6;  // of the letters
  Random random(5);
  for (int round = 0; round < kRounds; ++round) {
    std::vector<std::string> pieces = {"<unk>", "▁"};
    for (std::size_t i = 0; i < kPieces; ++i) pieces.push_back(letters[i]);
    while (pieces.size() < 30) {
      std::string piece;
      if (random() % 4 == 0) piece = "▁";
      for (unsigned n = 1 + random() % 3; n > 0; --n) piece += letters[random() % kPieces];
      if (std::find(pieces.begin(), pieces.end(), piece) == pieces.end()) pieces.push_back(piece);
    }
    const char* scores[] = {"-1.1", "-2.3", "-3.3", "-2.2000000000000002", "-4.7"};
    FileText file;
    file.model = R"({"type":"Unigram","unk_id":0,"vocab":[)";
    for (const std::string& piece : pieces)
      file.model +=
          (piece == pieces[0] ? "[\"" : ",[\"") + piece + "\"," + scores[random() % 5] + "]";
    file.model += "]}";
    file.pre_tokenizer = R"({"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},)"
                         R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"always"}]})";
    const Tokenizer tokenizer = file.load();
    for (int i = 0; i < kTexts; ++i) {
      std::string text;
      for (int words = 0; words < 4; ++words) text += random_run(&random, letters, 40) + " ";
      ASSERT_NO_FATAL_FAILURE(expect_same_ids(tokenizer, text));
    }
  }
}

// Merges of bytes: tokens begin and end inside of characters.
TEST(Parts, OfByteBpeWordsHaveTheWordsIds) {
  const std::vector<std::string> letters = {"日", "本", "の", "は", "ア", "한", "x"};
  const char* pattern =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+)";
  Random random(9);
  for (int round = 0; round < kRounds; ++round) {
    std::vector<std::string> tokens;  // in the byte alphabet
    for (const char32_t c : kByteCharacters) {
      tokens.emplace_back();
      utf8_append(tokens.back(), c);
    }
    const auto spelled = [&](const std::string& text) {
      std::vector<std::string> symbols;
      for (const char byte : text) symbols.push_back(tokens[static_cast<unsigned char>(byte)]);
      return symbols;
    };
    std::vector<std::pair<std::string, std::string>> merges;
    while (merges.size() < 40) {  // a pair that meets in a text as merged so far
      std::vector<std::string> symbols = spelled(random_run(&random, letters, 4));
      for (const auto& [left, right] : merges) {
        for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
          if (symbols[i] != left || symbols[i + 1] != right) continue;
          symbols[i] += right;
          symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        }
      }
      if (symbols.size() < 2) continue;
      const std::size_t at = random() % (symbols.size() - 1);
      if (symbols[at].size() + symbols[at + 1].size() > 30) continue;
      merges.emplace_back(symbols[at], symbols[at + 1]);
      if (std::find(tokens.begin(), tokens.end(), symbols[at] + symbols[at + 1]) == tokens.end())
        tokens.push_back(symbols[at] + symbols[at + 1]);
    }
    FileText file;
    file.model = R"({"type":"BPE","ignore_merges":)" +
                 std::string(round % 2 == 0 ? "true" : "false") + R"(,"vocab":{)";
    for (std::size_t id = 0; id < tokens.size(); ++id) {
      const bool escaped = tokens[id] == "\"" || tokens[id] == "\\";
      file.model += (id > 0 ? ",\"" : "\"") + (escaped ? "\\" + tokens[id] : tokens[id]) +
                    "\":" + std::to_string(id);
    }
    file.model += R"(},"merges":[)";
    for (const auto& [left, right] : merges)
      file.model +=
          (left == merges[0].first && right == merges[0].second && file.model.back() == '['
               ? "[\""
               : ",[\"") +
          left + "\",\"" + right + "\"]";
    file.model += "]}";
    file.pre_tokenizer =
        R"({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":")" +
        std::string(pattern) +
        R"("},"behavior":"Isolated","invert":false},)"
        R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]})";
    const Tokenizer tokenizer = file.load();
    for (int i = 0; i < kTexts; ++i) {
      std::string text;
      for (int words = 0; words < 6; ++words) text += random_run(&random, letters, 12) + " ";
      ASSERT_NO_FATAL_FAILURE(expect_same_ids(tokenizer, text));
    }
  }
}

}  // namespace
}  // namespace inlay::tokens
