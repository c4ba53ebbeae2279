// JSON lines: strings, objects, escapes, and what a hostile file may hold.
#include "reading.h"

namespace inlay::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr InputFormat kJsonl = InputFormat::kJsonl;

TEST(JsonlReader, StringsAndObjects) {
  EXPECT_THAT(
      read_all("\"a\"\n{\"text\":\"b\"}\r\n {\"id\":1,\"text\":\"c\\nd\",\"x\":[{}]} ", kJsonl),
      ElementsAre("a", "b", "c\nd"));
  EXPECT_THAT(read_all("{\"body\":\"a\",\"text\":1}\n", kJsonl, "body"), ElementsAre("a"));
  EXPECT_THAT(read_all("\"\"\n", kJsonl), ElementsAre(""));
}

TEST(JsonlReader, SpansComeWithTheirText) {
  const auto open = [](const std::string& bytes, bool spans) {
    return read_texts(LineReader(open_memory(bytes), "in", 1000), kJsonl, "text", spans);
  };
  const std::string bytes =
      "{\"text\":\"abc\",\"spans\":[[0,1],[1,3]]}\n\"plain\"\n{\"text\":\"x\",\"spans\":null}\n"
      "{\"text\":\"y\",\"spans\":[]}\n";
  const auto reader = open(bytes, true);
  std::string text;
  ASSERT_TRUE(reader->next(&text));
  const auto spans = reader->take_spans();
  ASSERT_TRUE(spans);
  ASSERT_EQ(spans->size(), 2U);
  EXPECT_EQ((*spans)[1].begin, 1);
  EXPECT_EQ((*spans)[1].end, 3);
  EXPECT_FALSE(reader->take_spans());
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(reader->next(&text));
    EXPECT_FALSE(reader->take_spans());
  }
  ASSERT_TRUE(reader->next(&text));
  EXPECT_TRUE(reader->take_spans()->empty());
  const auto blind = open("{\"text\":\"a\",\"spans\":\"of another kind\"}\n", false);
  ASSERT_TRUE(blind->next(&text));
  EXPECT_FALSE(blind->take_spans());
  for (const char* bad : {"5", "[5]", "[[1]]", "[[1,2,3]]", "[[\"0\",1]]", "[[0,1.5]]", "{}"}) {
    const auto broken = open(std::string("{\"text\":\"a\",\"spans\":") + bad + "}\n", true);
    try {
      broken->next(&text);
      ADD_FAILURE() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadInput);
      EXPECT_THAT(error.what(), HasSubstr("in line 1"));
    }
  }
}

TEST(JsonlReader, BlankLinesHoldNoText) {
  EXPECT_THAT(read_all("\"a\"\n\n  \r\n\"b\"\n\n", kJsonl), ElementsAre("a", "b"));
  EXPECT_THAT(read_all("", kJsonl), IsEmpty());
  EXPECT_THAT(read_all("\xEF\xBB\xBF\"a\"\n", kJsonl), ElementsAre("a"));
}

TEST(JsonlReader, EscapesAreText) {
  EXPECT_THAT(read_all("\"a\\u0000b\"\n", kJsonl), ElementsAre(std::string("a\0b", 3)));
  EXPECT_THAT(read_all("\"\\ud83d\\ude00\"\n", kJsonl), ElementsAre("\xF0\x9F\x98\x80"));
}

TEST(JsonlReader, RefusalsNameTheLine) {
  const char* const bad[] = {
      "\"a\"\n\"\\ud800\"\n",         // lone surrogate
      "\"a\"\n\"\\udc00\\ud800\"\n",  // wrong order
      "\"a\"\n{\"text\":\"\\ud800\"}\n",
      "\"a\"\n{\"text\":\"b\",\"x\":\"\\udfff\"}\n",  // in another member
      "\"a\"\n{\"text\":\"b\",\"text\":\"c\"}\n",     // which one?
      "\"a\"\n{\"x\":1e400,\"text\":\"b\"}\n",
      "\"a\"\n1e400\n",
      "\"a\"\n12\n",
      "\"a\"\nnull\n",
      "\"a\"\n[\"b\"]\n",
      "\"a\"\n{\"x\":\"b\"}\n",
      "\"a\"\n{\"text\":null}\n",
      "\"a\"\n{\"text\":7}\n",
      "\"a\"\n{\"text\":\"b\"\n",
      "\"a\"\n\"b\n",
      "\"a\"\n'b'\n",
      "\"a\"\n\"b\" \"c\"\n",
      "\"a\"\n\"\xFF\"\n",
      "\"a\"\nplain text\n",
  };
  for (const char* bytes : bad)
    EXPECT_THAT(failure(bytes, kJsonl), StartsWith("[in line 2")) << bytes;
  EXPECT_THAT(failure(std::string("\"a\"\n\"b\0c\"\n", 10), kJsonl), StartsWith("[in line 2"));
}

TEST(JsonlReader, DepthIsBounded) {
  const std::string deep(1'000'000, '[');
  EXPECT_THAT(failure(deep + "\n", kJsonl, "text", 1 << 24), StartsWith("[in line 1]"));
  const std::string closed = "{\"text\":" + deep + std::string(1'000'000, ']') + "}\n";
  EXPECT_THAT(failure(closed, kJsonl, "text", 1 << 24), StartsWith("[in line 1]"));
}

TEST(JsonlReader, ManyElementsAreRead) {
  std::string wide = "{\"x\":[0";
  for (int i = 0; i < 1'000'000; ++i) wide += ",0";
  EXPECT_THAT(read_all(wide + "],\"text\":\"a\"}\n", kJsonl, "text", 1 << 24), ElementsAre("a"));
}

TEST(JsonlReader, SaysHowToNameTheMember) {
  EXPECT_THAT(failure("{\"body\":\"a\"}\n", kJsonl), HasSubstr("--field"));
}

}  // namespace
}  // namespace inlay::io
