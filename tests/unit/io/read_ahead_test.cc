// What is read ahead comes out as if nobody had, and how much there is is known.
#include "io/read_ahead.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "reading.h"

namespace inlay::io {
namespace {

// A reader that pauses before some texts.
class Pausing final : public TextReader {
 public:
  Pausing(std::size_t count, std::size_t pause) : count_(count), pause_(pause) {}
  bool next(std::string* text) override {
    if (at_ == count_) return false;
    *text = std::to_string(at_++);
    return true;
  }
  bool ready(int milliseconds) override { return milliseconds < 0 || at_ != pause_; }
  std::int64_t position() const override { return static_cast<std::int64_t>(at_); }
  std::int64_t total() const override { return static_cast<std::int64_t>(count_); }
  std::string where() const override { return "text " + std::to_string(at_); }

 private:
  std::size_t count_, pause_, at_ = 0;
};

std::size_t rest(ReadAhead* reader) {
  std::size_t count = 0;
  for (std::string text; reader->next(&text); ++count) {
    EXPECT_EQ(text, std::to_string(count));
    EXPECT_EQ(reader->position(), static_cast<std::int64_t>(count) + 1);
    EXPECT_EQ(reader->where(), "text " + std::to_string(count + 1));
  }
  EXPECT_EQ(reader->total(), static_cast<std::int64_t>(count));
  std::string none;
  EXPECT_FALSE(reader->next(&none));
  return count;
}

TEST(ReadAhead, KnowsFewFromMany) {
  for (const std::size_t count : {0U, 1U, 5U, 6U, 7U, 50U}) {
    ReadAhead reader(std::make_unique<Pausing>(count, 1000), 5);
    EXPECT_EQ(reader.whole(), count <= 5) << count;
    EXPECT_EQ(reader.many(), count > 5) << count;
    EXPECT_EQ(reader.count(), std::min<std::size_t>(count, 6)) << count;
    EXPECT_EQ(rest(&reader), count);
  }
}

TEST(ReadAhead, APauseEndsItAndNobodyKnows) {
  ReadAhead reader(std::make_unique<Pausing>(50, 3), 5);
  EXPECT_FALSE(reader.whole());
  EXPECT_FALSE(reader.many());
  EXPECT_EQ(reader.count(), 3U);
  std::string text;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(reader.ready(0));
    EXPECT_TRUE(reader.next(&text));
  }
  EXPECT_FALSE(reader.ready(0));
  EXPECT_TRUE(reader.next(&text));
  EXPECT_EQ(text, "3");
}

TEST(ReadAhead, AnErrorComesBehindTheTextsBeforeIt) {
  ReadAhead reader(
      read_texts(LineReader(open_memory("a\nb\n\xFF\n"), "memory", 100), InputFormat::kTxt, "text"),
      5);
  EXPECT_FALSE(reader.whole());
  EXPECT_FALSE(reader.many());
  std::string text;
  EXPECT_TRUE(reader.next(&text));
  EXPECT_TRUE(reader.next(&text));
  EXPECT_EQ(text, "b");
  EXPECT_EQ(reader.where(), "memory line 2");
  EXPECT_TRUE(reader.ready(0));
  EXPECT_THROW(reader.next(&text), Error);
}

TEST(ReadAhead, PairsAndSpansGoAlong) {
  ReadAhead pairs(
      read_pairs(LineReader(open_memory("[\"q\",\"t\"]\n[\"r\",\"u\"]\n"), "memory", 100)), 5);
  std::string text;
  EXPECT_TRUE(pairs.next(&text));
  EXPECT_EQ(text + pairs.query().data(), "tq");
  EXPECT_TRUE(pairs.next(&text));
  EXPECT_EQ(std::string(pairs.query()), "r");
  ReadAhead spans(
      read_texts(
          LineReader(open_memory("{\"text\":\"abc\",\"spans\":[[0,2]]}\n\"d\"\n"), "memory", 100),
          InputFormat::kJsonl, "text", true),
      5);
  EXPECT_TRUE(spans.next(&text));
  const auto first = spans.take_spans();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->at(0).end, 2);
  EXPECT_TRUE(spans.next(&text));
  EXPECT_FALSE(spans.take_spans());
}

}  // namespace
}  // namespace inlay::io
