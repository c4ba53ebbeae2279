// Lines of plain text: endings, the byte-order mark, limits, bytes that are no text.
#include "reading.h"

namespace inlay::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr InputFormat kTxt = InputFormat::kTxt;

TEST(TxtReader, OneTextALine) {
  EXPECT_THAT(read_all("a\nb\n", kTxt), ElementsAre("a", "b"));
  EXPECT_THAT(read_all("a\r\nb\r\n", kTxt), ElementsAre("a", "b"));
  EXPECT_THAT(read_all("a\nb", kTxt), ElementsAre("a", "b"));
  EXPECT_THAT(read_all("a\r\nb\n c ", kTxt), ElementsAre("a", "b", " c "));
}

TEST(TxtReader, EmptyLinesAreEmptyTexts) {
  EXPECT_THAT(read_all("", kTxt), IsEmpty());
  EXPECT_THAT(read_all("\n", kTxt), ElementsAre(""));
  EXPECT_THAT(read_all("\n\na\n\r\n", kTxt), ElementsAre("", "", "a", ""));
}

TEST(TxtReader, LoneCarriageReturnIsText) {
  EXPECT_THAT(read_all("a\rb\n", kTxt), ElementsAre("a\rb"));
  EXPECT_THAT(read_all("a\r", kTxt), ElementsAre("a\r"));
}

TEST(TxtReader, ByteOrderMarkIsDroppedOnlyAtTheStart) {
  EXPECT_THAT(read_all("\xEF\xBB\xBF"
                       "a\n\xEF\xBB\xBF"
                       "b\n",
                       kTxt),
              ElementsAre("a",
                          "\xEF\xBB\xBF"
                          "b"));
  EXPECT_THAT(read_all("\xEF\xBB\xBF", kTxt), IsEmpty());
  EXPECT_THAT(read_all("\xEF\xBB\xBF\n", kTxt), ElementsAre(""));
}

TEST(TxtReader, NamesLineAndByteOfBadUtf8) {
  const std::string message = failure("good\nalso good\nbad \xFF byte\n", kTxt);
  EXPECT_THAT(message, StartsWith("[in line 3] expected UTF-8, got byte 0xFF at byte 5."));
  EXPECT_THAT(failure("\xED\xA0\x80\n", kTxt), StartsWith("[in line 1] "));  // a surrogate
  EXPECT_THAT(failure("a\n\xC0\xAF\n", kTxt), StartsWith("[in line 2] "));   // overlong
  EXPECT_THAT(failure("a\n\xE4\xBD", kTxt), StartsWith("[in line 2] "));     // cut short
  EXPECT_THAT(failure("\xFF\xFE"
                      "a",
                      kTxt),
              StartsWith("[in line 1] "));  // UTF-16
}

TEST(TxtReader, RefusesNul) {
  EXPECT_THAT(failure(std::string("a\nb\0c\n", 6), kTxt),
              StartsWith("[in line 2] expected text, got a NUL byte"));
}

TEST(TxtReader, LongLinesEndWithTheLimit) {
  EXPECT_THAT(read_all(std::string(1000, 'x') + "\r\n" + std::string(1000, 'y'), kTxt, "", 1000),
              ElementsAre(std::string(1000, 'x'), std::string(1000, 'y')));
  const std::string message = failure("a\n" + std::string(1001, 'x'), kTxt);
  EXPECT_THAT(message, StartsWith("[in line 2] expected at most 1000 bytes"));
  EXPECT_THAT(message, HasSubstr("--max-line"));
}

TEST(TxtReader, LinesLongerThanABlock) {
  const std::string big(400'000, 'z');
  EXPECT_THAT(read_all(big + "\nb\n" + big, kTxt, "", 1 << 20), ElementsAre(big, "b", big));
}

// Bytes in portions of one, so that every place is once the end of a block.
class SlowSource final : public ByteSource {
 public:
  explicit SlowSource(std::string bytes) : bytes_(std::move(bytes)) {}
  std::size_t read(char* out, std::size_t) override {
    if (at_ == bytes_.size()) return 0;
    *out = bytes_[at_++];
    return 1;
  }

 private:
  std::string bytes_;
  std::size_t at_ = 0;
};

TEST(TxtReader, AnyPortionsOfBytesGiveTheSameTexts) {
  const std::string bytes =
      "\xEF\xBB\xBF"
      "a\r\n\r\n\xE4\xBD\xA0\nlast";
  const auto reader =
      read_texts(LineReader(std::make_unique<SlowSource>(bytes), "in", 100), kTxt, "");
  std::vector<std::string> texts;
  std::string text;
  while (reader->next(&text)) texts.push_back(text);
  EXPECT_EQ(texts, read_all(bytes, kTxt));
  EXPECT_EQ(reader->position(), static_cast<std::int64_t>(bytes.size()));
}

TEST(ArgumentReader, GivesTextsAndRefusesBadUtf8) {
  const auto reader = read_arguments({"a", "", "b\nc", "\xFF"});
  std::string text;
  for (const char* expected : {"a", "", "b\nc"}) {
    ASSERT_TRUE(reader->next(&text));
    EXPECT_EQ(text, expected);
  }
  try {
    reader->next(&text);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), StartsWith("[argument 4] "));
  }
}

TEST(OpenFile, MissingFilesAndFolders) {
  try {
    open_file("no/such/file.txt");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_THAT(error.what(), StartsWith("[no/such/file.txt] "));
  }
  try {
    open_file(testing::TempDir());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
  }
}

TEST(InputFormat, FollowsTheExtension) {
  EXPECT_EQ(input_format_of("a.jsonl"), InputFormat::kJsonl);
  EXPECT_EQ(input_format_of("a.JSONL"), InputFormat::kJsonl);
  EXPECT_EQ(input_format_of("a.b.csv"), InputFormat::kCsv);
  EXPECT_EQ(input_format_of("csv"), InputFormat::kTxt);
  EXPECT_EQ(input_format_of("a.txt"), InputFormat::kTxt);
  EXPECT_EQ(input_format_of("-"), InputFormat::kTxt);
}

}  // namespace
}  // namespace inlay::io
