// The generated tables at the places where the ages of Unicode in the wheel differ;
// tests/oracles/test_unicode.py goes over every code point.
#include "tokens/unicode.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace inlay::tokens {
namespace {

bool in_class(std::string_view name, char32_t c) {
  const auto ranges = unicode_class(name);
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const CodeRange& range) { return range.first <= c && c <= range.last; });
}

TEST(Unicode, AgesAreTheWheels) {
  EXPECT_TRUE(canonical_decomposition(0x32FF).empty());  // Unicode 12: not yet there in 9
  EXPECT_TRUE(compatibility_decomposition(0x32FF).empty());
  EXPECT_EQ(char_record(0x1DF6).combining_class, 0);  // Unicode 10
  EXPECT_TRUE(has(0x300, kBertAccent));
  EXPECT_FALSE(has(0x1DF6, kBertAccent));
  EXPECT_TRUE(is_cjk(0x2B81F));
  EXPECT_FALSE(is_cjk(0x2B820));  // the reference's typing error
  EXPECT_TRUE(is_cjk(0x2B920));
  EXPECT_FALSE(has(0x903, kBertAccent));  // Mc
  EXPECT_TRUE(has(0x903, kAccent));
  EXPECT_TRUE(is_punctuation(U'$'));  // ASCII, though a symbol
  EXPECT_FALSE(is_punctuation(0x20AC));
}

TEST(Unicode, FlagsByThemselvesAreTheRecords) {
  for (char32_t c = 0; c < 0x11000; ++c)
    ASSERT_EQ(char_flags(c), char_record(c).flags) << static_cast<std::uint32_t>(c);
}

TEST(Unicode, ClassesAndFlagsAgree) {
  const struct {
    const char* name;
    std::uint32_t flags;
  } pairs[] = {{"L", kLetter}, {"N", kNumber},     {"M", kMark},     {"P", kPunct},
               {"S", kSymbol}, {"Z", kSeparator},  {"Lu", kLu},      {"Ll", kLl},
               {"Lt", kLt},    {"Lm", kLm},        {"Lo", kLo},      {"Nd", kNd},
               {"d", kNd},     {"s", kRegexSpace}, {"w", kRegexWord}};
  for (const auto& pair : pairs) {
    std::string table(0x110000, 0);
    char32_t last = 0;
    for (const CodeRange& range : unicode_class(pair.name)) {
      ASSERT_LE(range.first, range.last);
      ASSERT_TRUE(table[range.first] == 0 &&
                  (last == 0 || range.first > last + 1 || range.first == 0xE000));
      for (char32_t c = range.first; c <= range.last; ++c) table[c] = 1;
      last = range.last;
    }
    for (char32_t c = 0; c < 0x110000; ++c) {
      ASSERT_EQ(has(c, pair.flags), table[c] == 1)
          << pair.name << " " << static_cast<std::uint32_t>(c);
    }
  }
}

TEST(Unicode, ClassNamesAreLoose) {
  EXPECT_EQ(unicode_class("Old_Italic").data(), unicode_class("olditalic").data());
  EXPECT_EQ(unicode_class("LU").data(), unicode_class("Lu").data());
  EXPECT_NE(unicode_class("S").size(), unicode_class("s").size());
  EXPECT_TRUE(unicode_class("Klingon").empty());
  EXPECT_TRUE(unicode_class("").empty());
  EXPECT_TRUE(unicode_class(std::string(5000, 'x')).empty());
  EXPECT_FALSE(in_class("punct", U'$'));
  EXPECT_TRUE(in_class("[:punct:]", U'$'));
  EXPECT_TRUE(in_class("[:alpha:]", U'é'));
  EXPECT_TRUE(in_class("Han", 0x4E00));
}

TEST(Unicode, SurrogatesAndBeyondAnswerNothing) {
  for (const char32_t c :
       {char32_t{0xD800}, char32_t{0xDFFF}, char32_t{0x110000}, char32_t{0xFFFFFFFF}}) {
    EXPECT_EQ(char_record(c).flags, 0U);
    EXPECT_EQ(to_lower(c).first, c);
    EXPECT_TRUE(canonical_decomposition(c).empty());
    EXPECT_EQ(compose(U'a', c), 0U);
  }
}

TEST(Unicode, LowerAndFold) {
  EXPECT_EQ(to_lower(U'É').first, U'é');
  EXPECT_EQ(to_lower(0x3A3).first, char32_t{0x3C3});  // never the final sigma
  EXPECT_EQ(to_lower(0x130).second, char32_t{0x307});
  EXPECT_EQ(fold_partner(U's'), char32_t{0x17F});
  EXPECT_EQ(fold_partner(U'K'), char32_t{0x212A});
  EXPECT_EQ(fold_partner(U't'), 0U);
}

TEST(Unicode, Compose) {
  EXPECT_EQ(compose(U'e', 0x301), U'é');
  EXPECT_EQ(compose(0x1112, 0x1161), char32_t{0xD558});
  EXPECT_EQ(compose(0xD558, 0x11AB), char32_t{0xD55C});
  EXPECT_EQ(compose(0xD558, 0x11A7), 0U);  // no trailing consonant
  EXPECT_EQ(compose(0xD55C, 0x11AB), 0U);  // has one already
  EXPECT_EQ(compose(0x915, 0x93C), 0U);    // excluded from composition
  EXPECT_EQ(compose(0x11131, 0x11127), char32_t{0x1112E});
}

TEST(Unicode, Scripts) {
  EXPECT_EQ(fixed_script(U'a'), fixed_script(U'é'));
  EXPECT_NE(fixed_script(U'a'), fixed_script(U'я'));
  EXPECT_EQ(fixed_script(0x3042), fixed_script(0x4E00));  // Hiragana counts as Han
  EXPECT_EQ(fixed_script(0x30FC), fixed_script(0x4E00));
  EXPECT_EQ(fixed_script(U' '), kScriptAny);
}

TEST(Unicode, Graphemes) {
  const struct {
    std::string text;
    std::size_t end;
  } cases[] = {{"ab", 1},
               {"a\u0301b", 3},
               {"\r\nx", 2},
               {"\n\u0301", 1},
               {"\u1112\u1161\u11abx", 9},
               {"\uac00\u11a8\u1100", 6},
               {"\u0600a", 3},
               {"\u0600\n", 2},
               {"\u00a9\ufe0f\u200d\u00a9x", 10},
               {"a\u200d\u00a9", 4},
               {"\u0915\u094d\u0937x", 9},
               {"\u0915\u0937", 3},
               {"\U0001f468\u200d\U0001f469", 11}};
  for (const auto& item : cases) EXPECT_EQ(grapheme_end(item.text, 0), item.end) << item.text;
}

}  // namespace
}  // namespace inlay::tokens
