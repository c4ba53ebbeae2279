// Hand-written matchers against the general engine, Ruby's meanings, and refusals. The reference's
// own answers are in goldens_test.cc (split and regex variants).
#include "tokens/regex.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"

namespace inlay::tokens {
namespace {

const char* const kPublished[] = {
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
};

std::vector<std::string> matches(const Regex& regex, std::string_view text) {
  std::vector<Range> ranges;
  regex.find_all(text, &ranges);
  std::vector<std::string> result;
  for (const Range range : ranges)
    result.emplace_back(text.substr(range.begin, range.end - range.begin));
  return result;
}
std::vector<std::string> matches(std::string_view pattern, std::string_view text) {
  return matches(Regex(pattern, "pattern"), text);
}
using Texts = std::vector<std::string>;

// A random text of characters that the patterns tell apart.
std::string random_text(std::mt19937* random) {
  static constexpr char32_t kCharacters[] = {
      'a',   'Z',   's',    'S',   'l',  'L',    't',     'r',    'e',      '\'', '\'',  ' ',
      ' ',   '\t',  '\n',   '\r',  '1',  '2',    '.',     '/',    '-',      0xE9, 0x301, 0x17F,
      0x1C5, 0x2B0, 0x65E5, 0x660, 0xBD, 0x2003, 0x1F600, 0x200D, 0x10FFFF, 0x85};
  std::string text;
  for (unsigned i = (*random)() % 14; i > 0; --i)
    utf8_append(text, kCharacters[(*random)() % std::size(kCharacters)]);
  return text;
}

TEST(Regex, HandWrittenMatchersAgreeWithTheEngine) {
  std::mt19937 random(7);
  for (const char* pattern : kPublished) {
    const Regex fast(pattern, "fast");
    const Regex general(std::string("(?:") + pattern + ")", "general");
    ASSERT_TRUE(fast.hand_written()) << pattern;
    ASSERT_FALSE(general.hand_written());
    for (unsigned c = 0; c < 128; ++c) {  // the matchers have a table of ASCII of their own
      for (const char* around : {"", "a", "1", " ", ".", "\n"}) {
        const std::string text = around + std::string(1, static_cast<char>(c)) + around;
        ASSERT_EQ(matches(fast, text), matches(general, text)) << pattern << "\n" << c;
      }
    }
    for (int i = 0; i < 4000; ++i) {
      const std::string text = random_text(&random);
      ASSERT_EQ(matches(fast, text), matches(general, text)) << pattern << "\n"
                                                             << testing::PrintToString(text);
    }
  }
}

TEST(Regex, MeansWhatRubyMeans) {
  EXPECT_EQ(matches("^b", "a\nb"), Texts{"b"});
  EXPECT_EQ(matches("(?m:a.b)", "a\nb"), Texts{"a\nb"});
  EXPECT_EQ(matches("a.b", "a\nb"), Texts{});
  EXPECT_EQ(matches("\\h+", "xfF9g"), Texts{"fF9"});
  EXPECT_EQ(matches("a{,2}b", "aaab"), Texts{"aab"});
  EXPECT_EQ(matches("a{1,2}+", "aaaaa"), Texts{"aaaaa"});  // repeats the repetition
  EXPECT_EQ(matches("a{x}", "a{x}"), Texts{"a{x}"});
  EXPECT_EQ(matches("[[a-f]&&[^bc]]+", "abcdef"), (Texts{"a", "def"}));
  EXPECT_EQ(matches("[^[:alpha:]]+", "ab12"), Texts{"12"});
  EXPECT_EQ(matches("(?x) a b # c\n c", "abc"), Texts{"abc"});
  EXPECT_EQ(matches("\\u00e9\\x{e8}|\\x41",
                    "\xC3\xA9\xC3\xA8"
                    "A"),
            (Texts{"\xC3\xA9\xC3\xA8", "A"}));
  EXPECT_EQ(matches("(?<name>a)(?#note)b", "ab"), Texts{"ab"});
}

TEST(Regex, EmptyMatchesStepOverCharacters) {
  EXPECT_EQ(matches("x*", "a\xC3\xA9xx"), (Texts{"", "", "xx"}));
  EXPECT_EQ(matches("", "\xC3\xA9"), (Texts{"", ""}));
}

TEST(Regex, FindsFarMatches) {
  const std::string text = std::string(5000, 'a') +
                           "\xC3\xA9"
                           "b" +
                           std::string(100, 'c') + "b";
  EXPECT_EQ(matches("b", text), (Texts{"b", "b"}));
}

// Too many large classes for PCRE2 as they stand: they are shared, and mean the same.
TEST(Regex, ManyLargeClassesAreShared) {
  std::string pattern = R"((?i:x)|(\p{Lu})\1|[^\s\p{L}\p{N}]+|\b\p{Nd})";
  const std::string text = "ab C1 DDd \xC3\xA9! 2x \xE6\x97\xA5";
  const Texts wanted = matches(pattern + "|[\\p{L}&&[^a]]", text);
  for (int i = 0; i < 40; ++i) pattern += "|[\\p{L}&&[^a]]";
  EXPECT_EQ(matches(pattern, text), wanted);
  EXPECT_EQ(wanted.front(), "b");
  std::string longer = pattern;
  for (int i = 0; i < 200; ++i) longer += "|[\\p{L}&&[^a]]";
  EXPECT_EQ(matches(longer, text), wanted);
}

TEST(Regex, RefusesWhatItCannotMean) {
  for (const char* pattern :
       {"(", ")", "[a", "[z-a]", "a\\", "\\p{L", "\\x{110000}", "(?<=a+)b", "(?P<a>b)"}) {
    EXPECT_THROW(Regex(pattern, "file"), Error) << pattern;
  }
  for (const char* pattern : {"\\p{NoSuchScript}", "\\X", "\\K", "\\R", "(?~a)", "\\k<a>"}) {
    try {
      const Regex regex(pattern, "file");
      ADD_FAILURE() << pattern;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported) << error.what();
    }
  }
}

}  // namespace
}  // namespace inlay::tokens
