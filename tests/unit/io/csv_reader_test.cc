// Comma-separated values: RFC 4180 and what lies just outside it.
#include "reading.h"

namespace inlay::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr InputFormat kCsv = InputFormat::kCsv;

TEST(CsvReader, TheNamedColumn) {
  EXPECT_THAT(read_all("id,text\n1,a\n2,b\n", kCsv), ElementsAre("a", "b"));
  EXPECT_THAT(read_all("id,text\r\n1,a\r\n2,b", kCsv), ElementsAre("a", "b"));
  EXPECT_THAT(read_all("x,y,z\n1,2,3\n", kCsv, "y"), ElementsAre("2"));
  EXPECT_THAT(read_all("\"te\"\"xt\",b\n1,2\n", kCsv, "te\"xt"), ElementsAre("1"));
  EXPECT_THAT(read_all("\xEF\xBB\xBFtext\na\n", kCsv), ElementsAre("a"));
}

TEST(CsvReader, QuotedFields) {
  EXPECT_THAT(read_all("text,n\n\"a,b\",1\n\"say \"\"hi\"\"\",2\n\"\",3\n\"\"\"\",4\n", kCsv),
              ElementsAre("a,b", "say \"hi\"", "", "\""));
  EXPECT_THAT(read_all("n,text\n1,\"two\nlines\"\n2,\"dos\r\nlines\"\r\n3,\"\n\n\"\n", kCsv),
              ElementsAre("two\nlines", "dos\r\nlines", "\n\n"));
  EXPECT_THAT(read_all("text,n\n\"a\nb\",\"c\nd\"\n", kCsv, "n"), ElementsAre("c\nd"));
  EXPECT_THAT(read_all("text\n\"a\"", kCsv), ElementsAre("a"));
}

TEST(CsvReader, QuotesInsideUnquotedFieldsAreText) {
  EXPECT_THAT(read_all("text,n\nsay \"hi\",1\n", kCsv), ElementsAre("say \"hi\""));
}

TEST(CsvReader, EmptyFieldsAndLines) {
  EXPECT_THAT(read_all("", kCsv), IsEmpty());
  EXPECT_THAT(read_all("text\n", kCsv), IsEmpty());
  EXPECT_THAT(read_all("text,n\n,1\n\n,2\n\n", kCsv), ElementsAre("", ""));
  EXPECT_THAT(read_all("text\na\n\nb\n", kCsv),
              ElementsAre("a", "", "b"));  // one column: an empty text
}

TEST(CsvReader, RefusalsNameTheLine) {
  EXPECT_THAT(failure("id,body\n1,a\n", kCsv),
              StartsWith("[in line 1] expected one column \"text\""));
  EXPECT_THAT(failure("id,body\n1,a\n", kCsv), HasSubstr("id, body"));
  EXPECT_THAT(failure("text,text\n1,a\n", kCsv), HasSubstr("2 of that name"));
  EXPECT_THAT(failure("id,text\n1,a\n2\n", kCsv), StartsWith("[in line 3] expected 2 fields"));
  EXPECT_THAT(failure("id,text\n1,a,b\n", kCsv), StartsWith("[in line 2] expected 2 fields"));
  EXPECT_THAT(failure("id,text\n1,\"a\"b\n", kCsv), StartsWith("[in line 2] expected a comma"));
  EXPECT_THAT(failure("id,text\n1,\"a\nb\nc\n", kCsv),
              StartsWith("[in line 2] expected a closing quote"));
  EXPECT_THAT(failure("id,text\n1,\"a\nb\xFF\"\n", kCsv), StartsWith("[in line 3] expected UTF-8"));
  EXPECT_THAT(failure(std::string("id,text\n1,\0\n", 12), kCsv),
              StartsWith("[in line 2] expected text, got a NUL"));
}

TEST(CsvReader, RecordsAreBounded) {
  const std::string line(600, 'x');
  EXPECT_THAT(failure("text\n\"" + line + "\n" + line + "\"\n", kCsv),
              StartsWith("[in line 2] expected at most 1000"));
  EXPECT_THAT(failure("text" + std::string(100'000, ',') + "\n", kCsv, "text", 1 << 20),
              HasSubstr("65536 fields"));
}

}  // namespace
}  // namespace inlay::io
