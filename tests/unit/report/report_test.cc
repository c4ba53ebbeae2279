// Reports, laid-out JSON and the status table.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "report/html_page.h"
#include "report/json_text.h"
#include "report/run_report.h"
#include "report/status_table.h"

namespace inlay::report {
namespace {

using testing::HasSubstr;
using testing::Not;

Stats some_stats() {
  Stats stats;
  stats.model = "a \"b\"";
  stats.revision = "r";
  stats.weight_file = "model.safetensors";
  stats.adapter = "separation";
  stats.packed_weights = "mapped";
  stats.device = "cpu";
  stats.backend = "cpu";
  stats.isa = "avx2";
  stats.dtype = "fp32";
  stats.texts = 3;
  stats.tokens = 21;
  stats.truncated = 1;
  stats.load_seconds = 0.5;
  stats.tokenize_seconds = 0.25;
  stats.compute_seconds = 1.5;
  stats.peak_rss = 1000;
  return stats;
}

TEST(RunReport, HasEveryFieldOfTheContractInOrder) {
  EXPECT_EQ(run_report_json(some_stats(), 2.5),
            "{\"device\":\"cpu\",\"backend\":\"cpu\",\"isa\":\"avx2\",\"dtype\":\"fp32\",\"model\":"
            "\"a \\\"b\\\"\","
            "\"revision\":\"r\",\"weight_file\":\"model.safetensors\","
            "\"adapter\":\"separation\",\"packed_weights\":\"mapped\",\"texts\":3,\"tokens\":21,"
            "\"truncated\":1,\"padded_share\":0,"
            "\"partitions\":1,"
            "\"fallback_ops\":0,\"seconds\":{\"load\":0.5,\"tokenize\":0.25,\"compute\":1.5,"
            "\"total\":2.5},"
            "\"peak_rss\":1000}\n");
  EXPECT_EQ(run_summary(some_stats(), 2.5),
            "3 texts, 21 tokens, 1 truncated in 2.50 s; cpu, avx2, fp32");
}

TEST(PrettyJson, BreaksOnlyWhatIsLong) {
  EXPECT_EQ(pretty_json("{}"), "{}\n");
  EXPECT_EQ(pretty_json("[1,2]"), "[\n  1,\n  2\n]\n");
  EXPECT_EQ(pretty_json("{\"a\":[1,2,{\"b\":\"x, y: {\\\"\"}],\"c\":null}"),
            "{\n  \"a\": [1, 2, {\"b\": \"x, y: {\\\"\"}],\n  \"c\": null\n}\n");
  const std::string word(60, 'w');
  EXPECT_EQ(pretty_json("{\"a\":[\"" + word + "\",\"" + word + "\"]}"),
            "{\n  \"a\": [\n    \"" + word + "\",\n    \"" + word + "\"\n  ]\n}\n");
}

constexpr const char* kStatus =
    "{\"machine\":{\"cpu\":\"Some "
    "CPU\",\"threads\":2,\"memory_bytes\":25769803776,\"isas\":[\"generic\",\"avx2\"]},"
    "\"model\":null,\"devices\":["
    "{\"device\":\"cpu\",\"state\":\"ok\",\"reason\":\"\",\"remedy\":\"\",\"version\":\"0.1.0\","
    "\"isa\":\"avx2\","
    "\"dtypes\":[\"fp32\"],"
    "\"missing_steps\":[],\"notes\":[\"generic: available, not "
    "chosen\"],\"partitions\":1,\"fallback_ops\":0,\"padded_share\":0,\"tasks\":{},"
    "\"verdict\":null,"
    "\"recommend\":null},"
    "{\"device\":\"cuda\",\"state\":\"absent\",\"reason\":\"not built in\",\"remedy\":\"build with "
    "it\","
    "\"version\":null,\"dtypes\":[],\"missing_steps\":[\"conv\"]}]}";

TEST(StatusTable, TellsMachineAndDevices) {
  EXPECT_EQ(status_table(kStatus),
            "machine:\n"
            "  cpu      Some CPU\n"
            "  threads  2\n"
            "  memory   24.0 GiB\n"
            "  isas     generic, avx2\n"
            "devices:\n"
            "  cpu   ok      0.1.0  avx2  fp32\n"
            "  cuda  absent                     not built in\n"
            "notes:\n"
            "  cpu: generic: available, not chosen\n"
            "  cuda: build with it\n"
            "  cuda: lacks the steps conv\n");
}

TEST(StatusTable, NamesTheModel) {
  std::string with_model = kStatus;
  with_model.replace(with_model.find("\"model\":null"), 12, "\"model\":\"minilm\"");
  EXPECT_THAT(status_table(with_model), HasSubstr("model: minilm\n"));
  EXPECT_THAT(status_table(kStatus), Not(HasSubstr("model")));
}

TEST(StatusTable, RefusesAnotherForm) {
  EXPECT_THROW(status_table("{}"), Error);
  EXPECT_THROW(status_table("{\"machine\":{},\"devices\":{}}"), Error);
}

TEST(HtmlPage, ALineDoesNotEndInsideAnOption) {
  EXPECT_EQ(
      html_words("use  --device cpu, -DX=ON & more"),
      "use  <span class=\"o\">--device</span> cpu, <span class=\"o\">-DX=ON</span> &amp; more");
  EXPECT_EQ(html_words(""), "");
}

TEST(HtmlPage, OnlyATableOfWordsStandsLineBelowLineOnAPhone) {
  EXPECT_THAT(html_table({{"what", "why"}, {"a", "b"}}, 2), HasSubstr("class=\"words\""));
  EXPECT_THAT(html_table({{"what", "ms"}, {"a", "1"}}, 1), Not(HasSubstr("class=\"words\"")));
}

TEST(TextTable, CountsCodePoints) {
  TextTable table;
  table.add_row({"\xC3\xA9\xC3\xA9", "b"});
  table.add_row({"abc", ""});
  EXPECT_EQ(table.text(), "\xC3\xA9\xC3\xA9   b\nabc\n");
}

}  // namespace
}  // namespace inlay::report
