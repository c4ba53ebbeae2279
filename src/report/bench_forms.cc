// A bench's report as JSON and back, and as tables on a terminal.
#include <algorithm>
#include <cstdio>

#include "base/error.h"
#include "base/json_object.h"
#include "report/bench.h"
#include "report/child_results.h"
#include "report/html_page.h"
#include "report/status_table.h"

namespace inlay::report {
namespace {

constexpr std::int64_t kFormat = 1;

std::string row_json(const BenchRow& row) {
  JsonObject out;
  out.text("task", row.task)
      .text("device", row.device)
      .text("state", row.state)
      .text("reason", row.reason)
      .text("model", row.model)
      .text("revision", row.stats.revision)
      .text("backend", row.stats.backend)
      .text("isa", row.stats.isa)
      .text("dtype", row.stats.dtype)
      .text("version", row.room.version)
      .integer("threads", row.stats.threads)
      .integer("max_length", row.stats.max_length)
      .integer("texts", row.texts)
      .integer("tokens", row.tokens)
      .integer("truncated", row.truncated)
      .raw("cold", JsonObject()
                       .number("seconds", row.cold_seconds)
                       .number("load_seconds", row.load_seconds)
                       .number("ms_per_text", row.cold_ms())
                       .text("packed_weights", row.stats.packed_weights)
                       .done())
      .raw(
          "warm",
          JsonObject()
              .number("seconds", row.warm_seconds)
              .number("slowest_seconds", row.slowest_seconds)
              .integer("passes", row.passes)
              .number("ms_per_text", row.warm_ms())
              .number("texts_per_s",
                      row.warm_seconds > 0 ? static_cast<double>(row.texts) / row.warm_seconds : 0)
              .number("tokens_per_s",
                      row.warm_seconds > 0 ? static_cast<double>(row.tokens) / row.warm_seconds : 0)
              .done())
      .number("ratio_to_cpu", row.ratio_to_cpu)
      .number("min_cosine", row.min_cosine)
      .number("same_nearest", row.same_nearest)
      .number("padded_share", row.stats.padded_share)
      .integer("partitions", row.stats.partitions)
      .integer("fallback_ops", row.stats.fallback_ops)
      .integer("peak_rss", row.stats.peak_rss);
  return out.done();
}

BenchRow parse_row(const JsonValue& json) {
  BenchRow row;
  row.task = json.at("task").string();
  row.device = json.at("device").string();
  row.state = json.at("state").string();
  row.reason = json.at("reason").string();
  row.model = json.at("model").string();
  row.stats.isa = json.at("isa").string();
  row.stats.dtype = json.at("dtype").string();
  row.room.version = json.at("version").string();
  row.texts = json.at("texts").integer();
  row.tokens = json.at("tokens").integer();
  const JsonValue cold = json.at("cold");
  row.cold_seconds = cold.at("seconds").number();
  row.load_seconds = cold.at("load_seconds").number();
  row.warm_seconds = json.at("warm").at("seconds").number();
  row.ratio_to_cpu = json.at("ratio_to_cpu").number();
  return row;
}

std::string cell_json(const GridCell& cell) {
  return JsonObject()
      .text("task", cell.task)
      .text("device", cell.device)
      .text("dtype", cell.dtype)
      .integer("batch", cell.batch)
      .integer("threads", cell.threads)
      .integer("texts", cell.texts)
      .number("ms_per_text", cell.ms_per_text)
      .number("ms_per_text_with_load", cell.ms_per_text_with_load)
      .done();
}

std::string or_dash(double value) { return value > 0 ? short_number(value) : "-"; }

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", share * 100);
  return text;
}

std::string grid_table(const BenchReport& report) {
  std::string out;
  for (const Grid& grid : grids_of(report)) {
    const GridCell& first = grid.first();
    out += "grid: " + first.task + " on " + first.device + ", " + first.dtype +
           ": ms/text, and with the load\n";
    TextTable table;
    table.add_row({"  threads", "batch 1", "8", "32", "100", "256"});
    for (const auto& [count, row] : grid.by_threads) {
      std::vector<std::string> cells;
      for (const GridCell* cell : row) {
        cells.push_back(short_number(cell->ms_per_text) + " / " +
                        short_number(cell->ms_per_text_with_load));
      }
      cells.resize(5, "-");
      table.add_row(
          {"  " + std::to_string(count), cells[0], cells[1], cells[2], cells[3], cells[4]});
    }
    out += table.text();
    if (const GridCell* best = best_cell(report, first.task, first.device, first.dtype)) {
      out += "  best: batch " + std::to_string(best->batch) + ", threads " +
             std::to_string(best->threads) + ": " + short_number(best->ms_per_text) + " ms/text\n";
    }
  }
  return out;
}

}  // namespace

std::string bench_json(const BenchReport& report) {
  JsonArray devices, rows, grid;
  for (const engine::DeviceReport& device : report.devices)
    devices.add(engine::device_report_json(device, false));
  for (const BenchRow& row : report.rows) rows.add(row_json(row));
  for (const GridCell& cell : report.grid) grid.add(cell_json(cell));
  return JsonObject()
      .integer("format", kFormat)
      .text("inlay", version())
      .text("date", report.date)
      .raw("machine", report.machine)
      .text("texts", report.texts_name)
      .raw("devices", devices.done())
      .raw("rows", rows.done())
      .raw("grid", grid.done())
      .texts("notes", report.notes)
      .done();
}

BenchReport parse_bench(std::string_view json, const std::string& where) {
  const JsonDocument document =
      JsonDocument::parse(json, where, "It is not a file that inlay bench --json has written.");
  const JsonValue root = document.root();
  if (root.at("format").integer() != kFormat) {
    fail(ErrorCode::kBadInput, where,
         "expected a bench of format " + std::to_string(kFormat) + ", got " +
             std::to_string(root.at("format").integer()) + ". Measure it again.");
  }
  BenchReport report;
  report.date = root.at("date").string();
  report.texts_name = root.at("texts").string();
  const JsonValue machine = root.at("machine");
  report.machine = JsonObject()
                       .text("cpu", machine.at("cpu").string())
                       .integer("threads", machine.at("threads").integer())
                       .done();
  for (const JsonValue& row : root.at("rows").items()) report.rows.push_back(parse_row(row));
  return report;
}

std::string bench_table(const BenchReport& report) {
  std::string out = "texts: " + report.texts_name + "; " + report.date + "\n";
  std::string not_run;
  TextTable table;
  table.add_row({"task", "device", "isa", "dtype", "texts", "tokens", "cold ms/text",
                 "warm ms/text", "texts/s", "tokens/s", "padded", "time/CPU", "least cosine"});
  for (const BenchRow& row : report.rows) {
    if (row.state != "ok") {
      not_run += "  " + row.task + (row.device.empty() ? "" : " on " + row.device) +
                 (row.texts == 0
                      ? ""
                      : ", " + std::to_string(row.texts) + (row.texts == 1 ? " text" : " texts")) +
                 ": " + row.reason + "\n";
      continue;
    }
    const double warm = row.warm_seconds;
    char cosine[32] = "-";
    if (row.min_cosine > 0) std::snprintf(cosine, sizeof cosine, "%.7f", row.min_cosine);
    table.add_row({row.task, row.device, row.stats.isa, row.stats.dtype, std::to_string(row.texts),
                   std::to_string(row.tokens), or_dash(row.cold_ms()), or_dash(row.warm_ms()),
                   or_dash(warm > 0 ? static_cast<double>(row.texts) / warm : 0),
                   or_dash(warm > 0 ? static_cast<double>(row.tokens) / warm : 0),
                   percent(row.stats.padded_share), or_dash(row.ratio_to_cpu), cosine});
  }
  out += table.text();
  for (const engine::DeviceReport& device : report.devices) {
    if (device.state == "ok") continue;
    not_run += "  " + device.device + ": " + device.state + ", " + device.reason + "\n";
  }
  if (!not_run.empty()) out += "not run:\n" + not_run;
  out += grid_table(report);
  for (const std::string& note : report.notes) out += note + "\n";
  return out;
}

std::string compare_table(const BenchReport& before, const BenchReport& now) {
  TextTable table;
  table.add_row({"task", "device", "dtype", "texts", "before", "now", "now/before", "cold before",
                 "cold now"});
  bool any = false, other_tokens = false;
  for (const BenchRow& row : now.rows) {
    for (const BenchRow& old : before.rows) {
      if (old.task != row.task || old.device != row.device || old.texts != row.texts ||
          old.stats.dtype != row.stats.dtype || old.model != row.model || old.state != "ok" ||
          row.state != "ok")
        continue;
      any = true;
      const bool same = old.tokens == row.tokens;
      other_tokens = other_tokens || !same;
      table.add_row({row.task, row.device, row.stats.dtype, std::to_string(row.texts),
                     or_dash(old.warm_ms()), or_dash(row.warm_ms()),
                     same && old.warm_seconds > 0 && row.warm_seconds > 0
                         ? short_number(row.warm_seconds / old.warm_seconds)
                         : "-",
                     or_dash(old.cold_ms()), or_dash(row.cold_ms())});
    }
  }
  const JsonDocument a = JsonDocument::parse(before.machine, "machine");
  const JsonDocument b = JsonDocument::parse(now.machine, "machine");
  std::string out = "beside the run of " + before.date + ", ms/text";
  if (a.root().at("cpu").string() != b.root().at("cpu").string() ||
      a.root().at("threads").integer() != b.root().at("threads").integer())
    out += ", on another machine: " + std::string(a.root().at("cpu").string());
  out += ":\n" + (any ? table.text() : std::string("  no row is in both\n"));
  if (other_tokens) out += "  rows with other token counts have no ratio\n";
  return out;
}

}  // namespace inlay::report
