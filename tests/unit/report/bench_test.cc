// Reports made by hand: their forms, what two of them say of each other, and what is made of a
// measurement.
#include "report/bench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "base/json_object.h"
#include "report/child_results.h"
#include "report/html_page.h"
#include "report/measure.h"

namespace inlay::report {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

BenchRow row(const std::string& device, std::int64_t texts, double warm, std::int64_t tokens) {
  BenchRow row;
  row.task = "dense";
  row.device = device;
  row.model = "org/model";
  row.state = "ok";
  row.stats.dtype = "fp32";
  row.stats.isa = "avx2";
  row.texts = texts;
  row.tokens = tokens;
  row.load_seconds = 0.1;
  row.cold_seconds = warm + 0.2;
  row.warm_seconds = warm;
  row.passes = 3;
  row.ratio_to_cpu = 1;
  return row;
}

BenchReport some_report() {
  BenchReport report;
  report.machine = R"({"cpu":"Some <CPU>","threads":2,"memory_bytes":1073741824})";
  report.date = "2026-01-01T00:00:00Z";
  report.texts_name = "Inlay's own";
  report.rows = {row("cpu", 100, 1.0, 8000), row("mlx", 100, 0.5, 8000)};
  BenchRow missing;
  missing.task = "rerank";
  missing.state = "not run";
  missing.reason = "a \"model\" & more";
  report.rows.push_back(missing);
  report.grid = {{"dense", "cpu", "fp32", 1, 1, 100, 20, 21},
                 {"dense", "cpu", "fp32", 1, 8, 100, 12, 13},
                 {"dense", "cpu", "fp32", 2, 1, 100, 15, 16}};
  return report;
}

TEST(BenchForms, JsonComesBack) {
  const BenchReport report = some_report();
  const BenchReport back = parse_bench(bench_json(report), "file");
  ASSERT_EQ(back.rows.size(), 3U);
  EXPECT_EQ(back.date, report.date);
  EXPECT_EQ(back.rows[1].device, "mlx");
  EXPECT_EQ(back.rows[1].warm_seconds, 0.5);
  EXPECT_EQ(back.rows[1].tokens, 8000);
  EXPECT_EQ(back.rows[2].reason, "a \"model\" & more");
  EXPECT_THAT(bench_json(report),
              AllOf(HasSubstr("\"texts_per_s\":200"), HasSubstr("\"tokens_per_s\":16000"),
                    HasSubstr("\"batch\":8,\"threads\":1")));
  for (const char* bad : {"", "{}", "[]", "{\"format\":2}", "{\"format\":1,\"rows\":[]}"})
    EXPECT_THROW(parse_bench(bad, "file"), Error) << bad;
}

TEST(BenchForms, TableTellsEverythingOnce) {
  const std::string table = bench_table(some_report());
  EXPECT_THAT(table, AllOf(HasSubstr("mlx"), HasSubstr("5.00"), HasSubstr("16000"),
                           HasSubstr("rerank: a \"model\" & more"),
                           HasSubstr("best: batch 8, threads 1: 12.0 ms/text")));
}

TEST(BenchForms, ComparisonNeedsTheSameTokens) {
  const BenchReport now = some_report();
  BenchReport before = parse_bench(bench_json(now), "file");
  before.rows[0].warm_seconds = 2;
  before.rows[1].tokens = 7999;
  const std::string table = compare_table(before, now);
  EXPECT_THAT(table, AllOf(HasSubstr("0.5"), HasSubstr("other token counts"),
                           Not(HasSubstr("another machine"))));
  before.machine = R"({"cpu":"Another","threads":2})";
  EXPECT_THAT(compare_table(before, now), HasSubstr("on another machine: Another"));
  before.rows.clear();
  EXPECT_THAT(compare_table(before, now), HasSubstr("no row is in both"));
}

TEST(BenchForms, PageIsWholeAndEscaped) {
  const BenchReport report = some_report();
  const std::string page = bench_html(report, &report);
  EXPECT_THAT(page, AllOf(HasSubstr("<!doctype html>"), HasSubstr("Some &lt;CPU&gt;"),
                          HasSubstr("a &quot;model&quot; &amp; more"), HasSubstr("</html>\n"),
                          HasSubstr("prefers-color-scheme:dark"), Not(HasSubstr("<CPU>"))));
  EXPECT_THAT(page, HasSubstr("class=\"n heat best\""));
}

TEST(Html, NumbersHaveThreeDigits) {
  EXPECT_EQ(short_number(0.01234), "0.0123");
  EXPECT_EQ(short_number(1.234), "1.23");
  EXPECT_EQ(short_number(12.34), "12.3");
  EXPECT_EQ(short_number(1234.5), "1234");
}

TEST(Grid, BestCellIsOfItsTaskDeviceAndDtype) {
  BenchReport report = some_report();
  EXPECT_EQ(best_cell(report, "dense", "cpu", "fp32")->batch, 8);
  EXPECT_EQ(best_cell(report, "dense", "cpu", "int8"), nullptr);
  EXPECT_EQ(best_cell(report, "dense", "mlx", "fp32"), nullptr);
  EXPECT_EQ(best_cell(report, "sparse", "cpu", "fp32"), nullptr);
  // Two threads were broken off after their first batch size.
  report.grid[2].ms_per_text = 11;
  EXPECT_EQ(best_cell(report, "dense", "cpu", "fp32")->threads, 1);
  report.grid.push_back({"dense", "cpu", "fp32", 2, 8, 100, 13, 14});
  EXPECT_EQ(best_cell(report, "dense", "cpu", "fp32")->threads, 2);
  report.grid.pop_back();
  // Another dtype is another grid, quicker or not.
  report.grid.push_back({"dense", "cpu", "int8", 1, 32, 100, 5, 6});
  EXPECT_EQ(best_cell(report, "dense", "cpu", "fp32")->batch, 8);
  ASSERT_EQ(grids_of(report).size(), 2U);
  EXPECT_EQ(grids_of(report)[1].by_threads.size(), 1U);
}

// 12 texts of two values; `turn` moves every vector, `seconds` is what a pass takes.
ChildOutcome outcome(float turn, double seconds, std::size_t texts = 12) {
  ChildOutcome out;
  out.stats.dtype = "fp16";
  out.stats.threads = 2;
  out.start_seconds = 0.5;
  out.answers.task = "dense";
  out.answers.result.dim = 2;
  for (std::size_t i = 0; i < texts; ++i) {
    out.answers.result.vectors.push_back(1);
    out.answers.result.vectors.push_back(static_cast<float>(i) * 0.3F + turn);
  }
  out.answers.result.texts.resize(texts);
  out.timings = {{0, texts, 3, seconds, seconds, seconds}, {8, texts, 3, seconds * 2, 0, 0}};
  return out;
}

TEST(Judge, FasterSlowerWrongAndBroken) {
  const ChildOutcome cpu = outcome(0, 1.2);
  EXPECT_EQ(judge("cpu", "fp32", cpu, nullptr).state, "ok");
  const engine::DeviceVerdict fast = judge("mlx", "auto", outcome(0, 0.6), &cpu);
  EXPECT_EQ(fast.state, "ok");
  EXPECT_EQ(fast.dtype, "fp16");
  EXPECT_NEAR(fast.ms_per_text, 50, 1e-9);
  EXPECT_NEAR(fast.ratio_to_cpu, 0.5, 1e-9);
  EXPECT_EQ(fast.load_seconds, 0.5);
  EXPECT_EQ(fast.recommend.batch, 12);
  // What saves less than 5 % is within the noise.
  EXPECT_EQ(judge("mlx", "auto", outcome(0, 1.15), &cpu).state, "slower");
  EXPECT_THAT(judge("mlx", "auto", outcome(0, 2.4), &cpu).reason,
              HasSubstr("slower than the CPU: 2.00 times its time"));
  const engine::DeviceVerdict wrong = judge("mlx", "auto", outcome(0.1F, 0.1), &cpu);
  EXPECT_EQ(wrong.state, "disagrees");
  EXPECT_THAT(wrong.reason, HasSubstr("least cosine"));
  ChildOutcome broken;
  broken.failure = "crashed";
  EXPECT_EQ(judge("mlx", "auto", broken, &cpu).state, "failed");
  EXPECT_EQ(judge("mlx", "auto", broken, &cpu).reason, "crashed");
}

TEST(Judge, RecommendsTheLargestBatchThatIsAsQuickAsTheQuickest) {
  ChildOutcome cpu = outcome(0, 1);  // 12 texts, since time was short
  cpu.timings = {{0, 12, 3, 1.02, 1, 1.1}, {32, 12, 3, 1.04, 1, 1.1}, {8, 12, 3, 1, 1, 1.1}};
  EXPECT_EQ(judge("cpu", "fp32", cpu, nullptr).recommend.batch, 32);
  cpu.timings[1].seconds = 1.06;  // beyond noise
  EXPECT_EQ(judge("cpu", "fp32", cpu, nullptr).recommend.batch, 12);
  cpu.timings[0].seconds = 2;
  EXPECT_EQ(judge("cpu", "fp32", cpu, nullptr).recommend.batch, 8);
}

TEST(Judge, CoreMlThatFallsBackIsNotTaken) {
  const ChildOutcome cpu = outcome(0, 1.2);
  ChildOutcome coreml = outcome(0, 0.1);
  EXPECT_EQ(judge("onnxruntime:coreml", "auto", coreml, &cpu).state, "ok");
  coreml.stats.partitions = 3;
  coreml.stats.fallback_ops = 7;
  const engine::DeviceVerdict verdict = judge("onnxruntime:coreml", "auto", coreml, &cpu);
  EXPECT_EQ(verdict.state, "falls back");
  EXPECT_THAT(verdict.reason, HasSubstr("7 operations there, 3 partitions"));
}

TEST(Judge, ComparesWhatBothHaveComputed) {
  const ChildOutcome cpu = outcome(0, 1.2);
  const engine::DeviceVerdict more = judge("mlx", "auto", outcome(0, 2.4, 48), &cpu);
  EXPECT_EQ(more.state, "ok");
  EXPECT_NEAR(more.ratio_to_cpu, 0.5, 1e-9);
}

TEST(ChildResults, ComeBackBitForBit) {
  Result result;
  result.dim = 3;
  result.vectors = {0.1F, -1e-30F, std::numeric_limits<float>::quiet_NaN()};
  result.sparse = {{{3, 70000}, {0.5F, 2}, {}}};
  result.late = {{3, {1, 2, 3}}};
  result.scores = {-7.25F};
  result.texts.resize(2);
  result.texts[1].error = "not \"finite\"";
  result.texts[0].tokens = 9;
  const JsonDocument document = JsonDocument::parse(results_json(result), "test");
  const Result back = parse_results(document.root());
  EXPECT_EQ(back.vectors[0], 0.1F);
  EXPECT_EQ(back.vectors[1], -1e-30F);
  EXPECT_NE(back.vectors[2], back.vectors[2]);
  EXPECT_EQ(back.sparse[0].indices, result.sparse[0].indices);
  EXPECT_EQ(back.late[0].values, result.late[0].values);
  EXPECT_EQ(back.scores, result.scores);
  EXPECT_EQ(back.texts[1].error, result.texts[1].error);
  EXPECT_EQ(back.texts[0].tokens, 9);
  const JsonDocument bad = JsonDocument::parse("{\"dim\":1,\"vectors\":[\"x\"]}", "test");
  EXPECT_THROW(parse_results(bad.root()), Error);
}

}  // namespace
}  // namespace inlay::report
