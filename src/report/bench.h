// `inlay bench`: the speed of every device that is present, task by task, each row in a process of
// its own, so that a cold figure is cold and a crash is a sentence. Nothing is downloaded.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/device_report.h"
#include "report/device_child.h"

namespace inlay::report {

struct BenchOptions {
  EngineKeys options;              // the caller's; device and dtype narrow what is measured
  std::string model;               // empty: the default model of each task
  std::vector<std::string> texts;  // empty: Inlay's own
  std::string texts_name;          // for the report
  double seconds = 60;             // for all of it; a grid has five times as much again
  bool large = false;              // 10,000 texts, too
  bool grid = false;               // batch sizes by threads, too
  std::function<void(const std::string&)> progress;  // told what is measured now
};

struct BenchRow {
  std::string task, device, model;
  std::string state;  // "ok", "not run"
  std::string reason;
  engine::DeviceReport room;  // of the device: version
  Stats stats;
  std::int64_t texts = 0;  // or pairs
  std::int64_t tokens = 0, truncated = 0;
  double load_seconds = 0;  // from the start of a process until the model is ready
  double cold_seconds = 0;  // until the first pass over all texts is done, too
  double warm_seconds = 0;  // of a later pass, the median; 0: there was no time for one
  double slowest_seconds = 0;
  int passes = 0;
  double ratio_to_cpu = 0;  // time over that of the CPU's fp32 with as many texts; 0: not known
  double min_cosine = 0, same_nearest = 0;  // to the CPU's fp32; 0: not compared

  double cold_ms() const { return texts == 0 ? 0 : cold_seconds * 1e3 / double(texts); }
  double warm_ms() const { return texts == 0 ? 0 : warm_seconds * 1e3 / double(texts); }
};

struct GridCell {
  std::string task, device, dtype;
  int threads = 0;
  std::int64_t batch = 0, texts = 0;
  double ms_per_text = 0, ms_per_text_with_load = 0;
};

struct BenchReport {
  std::string machine;  // JSON
  std::string date, texts_name;
  std::vector<engine::DeviceReport> devices;
  std::vector<BenchRow> rows;
  std::vector<GridCell> grid;
  std::vector<std::string> notes;  // verdicts kept or not
};

// Measures, and keeps verdicts where the options are those that a verdict is about. Throws what
// the folder of `model` throws, kNotFound when it is not on this machine.
BenchReport bench(const BenchOptions& options);

std::string bench_json(const BenchReport& report);
BenchReport parse_bench(std::string_view json, const std::string& where);  // throws kBadInput
std::string bench_table(const BenchReport& report);
// Rows that both have, side by side.
std::string compare_table(const BenchReport& before, const BenchReport& now);
// One page that needs nothing else; `before` null: no comparison.
std::string bench_html(const BenchReport& report, const BenchReport* before);

// The quickest cell of a task, device and dtype; null: there is none. A number of threads for which
// batch sizes are missing, since time ran out, does not count beside one that has more.
const GridCell* best_cell(const BenchReport& report, std::string_view task, std::string_view device,
                          std::string_view dtype);

// Cells of one task, device and dtype, in the report's order, under each number of threads in the
// order in which the numbers first appear. They point into the report.
struct Grid {
  std::vector<std::pair<int, std::vector<const GridCell*>>> by_threads;
  const GridCell& first() const { return *by_threads.front().second.front(); }
};
std::vector<Grid> grids_of(const BenchReport& report);

}  // namespace inlay::report
