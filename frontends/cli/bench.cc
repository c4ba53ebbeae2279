// inlay bench: the speed of every device that is present.
#include "report/bench.h"

#include <array>
#include <cstdio>
#include <optional>

#include "base/error.h"
#include "commands.h"
#include "inputs.h"
#include "report/json_text.h"

namespace inlay::cli {
namespace {

constexpr std::size_t kLargestReport = std::size_t{64} << 20U;

// All texts of -i; empty without it.
std::vector<std::string> read_texts(const CommandLine& line) {
  std::vector<std::string> texts;
  if (!line.options.has("input")) return texts;
  const auto reader = open_texts(line);
  for (std::string text; reader->next(&text);) texts.push_back(text);
  if (texts.empty())
    fail(ErrorCode::kBadInput, line.options.text("input"), "expected texts to measure, got none.");
  return texts;
}

std::optional<report::BenchReport> read_before(const OptionValues& options) {
  if (!options.has("compare")) return std::nullopt;
  const std::string path = options.text("compare");
  const auto file = io::open_file(path);
  std::string text;
  std::array<char, 65536> buffer;
  for (std::size_t count = 0; (count = file->read(buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), count);
    if (text.size() > kLargestReport)
      fail(ErrorCode::kBadInput, path, "expected a report of inlay bench, got a larger file.");
  }
  return report::parse_bench(text, path);
}

void write(std::optional<Output>* output, const std::string& text) {
  if (!*output) return;
  (*output)->file().write(text);
  (*output)->file().commit();
}

}  // namespace

int run_bench(const CommandLine& line) {
  const OptionValues& options = line.options;
  if (!line.texts.empty()) {
    fail(ErrorCode::kUsage, "inlay bench",
         "expected no arguments, got some. Name a model with -m, texts with -i FILE.");
  }
  report::BenchOptions bench;
  bench.options = options.engine_keys();
  bench.model = options.text("model");
  bench.texts = read_texts(line);
  bench.texts_name = options.text("input", "Inlay's own");
  bench.seconds = static_cast<double>(options.integer("seconds", 60));
  bench.large = options.flag("large");
  bench.grid = options.flag("grid");
  const std::optional<report::BenchReport> before = read_before(options);
  // Places that cannot be written to are known before anything is measured.
  Output output(options.text("output", "-"));
  std::optional<Output> json, html;
  if (options.has("json")) json.emplace(options.text("json"));
  if (options.has("html")) html.emplace(options.text("html"));
  if (!options.flag("quiet")) {
    bench.progress = [](const std::string& what) {
      std::fprintf(stderr, "inlay: measuring %s\n", what.c_str());
    };
  }
  const report::BenchReport report = report::bench(bench);
  std::string table = report::bench_table(report);
  if (before) table += report::compare_table(*before, report);
  output.file().write(table);
  output.file().commit();
  write(&json, report::pretty_json(report::bench_json(report)));
  write(&html, report::bench_html(report, before ? &*before : nullptr));
  return 0;
}

}  // namespace inlay::cli
