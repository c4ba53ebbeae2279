// The page of a bench: plots of what is asked first, then every number.
#include <algorithm>
#include <cstdio>

#include "base/json.h"
#include "report/bench.h"
#include "report/html_page.h"

namespace inlay::report {
namespace {

const char* task_title(const std::string& task) {
  if (task == "dense") return "Dense vectors";
  if (task == "sparse") return "Sparse vectors";
  if (task == "rerank") return "Reranking";
  return "Token vectors";
}

std::vector<std::string> tasks_of(const BenchReport& report) {
  std::vector<std::string> tasks;
  for (const BenchRow& row : report.rows)
    if (std::find(tasks.begin(), tasks.end(), row.task) == tasks.end()) tasks.push_back(row.task);
  return tasks;
}

std::string facts(const BenchReport& report) {
  const JsonDocument document = JsonDocument::parse(report.machine, "machine");
  std::string out = "<dl>";
  for (const auto& [key, value] : document.root().members()) {
    std::string text;
    if (value.is_string()) {
      text = value.string();
    } else if (key == "memory_bytes") {
      text = short_number(value.number() / (1 << 30)) + " GiB";
    } else {
      text = std::to_string(value.integer());
    }
    out += "<dt>" + html_escape(key == "memory_bytes" ? "memory" : key) + "</dt><dd>" +
           html_escape(text) + "</dd>";
  }
  out += "<dt>texts</dt><dd>" + html_escape(report.texts_name) + "</dd>";
  out += "<dt>measured</dt><dd>" + html_escape(report.date) + ", Inlay " + version() + "</dd>";
  return out + "</dl>\n";
}

std::string plot(const BenchReport& report, const std::string& task, bool many) {
  std::vector<Bar> bars;
  std::int64_t texts = 0;
  for (const BenchRow& row : report.rows) {
    if (row.task != task || row.state != "ok" || (row.texts > 1) != many || row.texts >= 5000)
      continue;
    texts = row.texts;
    Bar bar{row.device + ", " + row.stats.dtype, {row.warm_ms(), row.cold_ms()}, row.stats.isa};
    bars.push_back(std::move(bar));
  }
  if (bars.empty()) return "";
  const std::string unit = task == "rerank" ? "ms a pair" : "ms a text";
  const std::string count = many ? std::to_string(texts) + (task == "rerank" ? " pairs" : " texts")
                                 : std::string(task == "rerank" ? "one pair" : "one text");
  return svg_bars(std::string(task_title(task)) + ", " + count, unit,
                  {"warm", "cold: start and load included"}, bars);
}

std::string dash(double value) { return value > 0 ? short_number(value) : "–"; }

std::string rows_table(const BenchReport& report) {
  std::vector<std::vector<std::string>> rows{{"task", "device", "dtype", "texts", "tokens",
                                              "cold ms/text", "warm ms/text", "texts/s", "tokens/s",
                                              "padded", "time/CPU", "least cosine"}};
  std::string of_before;
  for (const BenchRow& row : report.rows) {
    if (row.state != "ok") continue;
    const double warm = row.warm_seconds;
    const char* how = row.ratio_to_cpu == 1 || row.ratio_to_cpu == 0 ? ""
                      : row.ratio_to_cpu < 1                         ? " class=\"good\""
                                                                     : " class=\"bad\"";
    char cosine[32] = "–";
    if (row.min_cosine > 0) std::snprintf(cosine, sizeof cosine, "%.7f", row.min_cosine);
    std::string task = row.task;  // the model once, not in each of its rows
    if (row.task + row.model != of_before)
      task += "<br><span class=\"soft\">" + html_escape(row.model) + "</span>";
    of_before = row.task + row.model;
    std::string device = html_escape(row.device);
    if (!row.stats.isa.empty())
      device += " <span class=\"soft\">" + html_escape(row.stats.isa) + "</span>";
    rows.push_back({task, device, row.stats.dtype, std::to_string(row.texts),
                    std::to_string(row.tokens), dash(row.cold_ms()), dash(row.warm_ms()),
                    dash(warm > 0 ? static_cast<double>(row.texts) / warm : 0),
                    dash(warm > 0 ? static_cast<double>(row.tokens) / warm : 0),
                    short_number(row.stats.padded_share * 100) + " %",
                    std::string("<span") + how + ">" + dash(row.ratio_to_cpu) + "</span>", cosine});
  }
  return html_table(rows, 3);
}

std::string not_run(const BenchReport& report) {
  std::vector<std::vector<std::string>> rows{{"what", "state", "why", "remedy"}};
  for (const BenchRow& row : report.rows) {
    if (row.state == "ok") continue;
    std::string what = row.task;
    if (!row.device.empty()) what += " on " + row.device;
    if (row.texts != 0)
      what += ", " + std::to_string(row.texts) + (row.texts == 1 ? " text" : " texts");
    rows.push_back({html_escape(what), row.state, html_words(row.reason), ""});
  }
  for (const engine::DeviceReport& device : report.devices) {
    if (device.state == "ok") continue;
    rows.push_back({html_escape(device.device), device.state, html_words(device.reason),
                    html_words(device.remedy)});
  }
  if (rows.size() == 1) return "";
  return "<h2>Not run</h2>\n" + html_table(rows, 9);
}

// Darker is slower; the best is outlined.
std::string grids(const BenchReport& report) {
  std::string out;
  for (const Grid& grid : grids_of(report)) {
    const GridCell& first = grid.first();
    const GridCell* best = best_cell(report, first.task, first.device, first.dtype);
    double worst = 0;
    for (const auto& [count, row] : grid.by_threads)
      for (const GridCell* cell : row) worst = std::max(worst, cell->ms_per_text);
    out += "<figure><figcaption>" + std::string(task_title(first.task)) + " on " +
           html_escape(first.device) + ", " + first.dtype +
           "</figcaption><p class=\"soft\">ms a text by batch size and threads; in brackets with "
           "the load</p><div class=\"scroll\"><table><tr><th>threads</th>";
    for (const char* batch : {"1", "8", "32", "100", "256"})
      out += std::string("<th class=\"n\">batch ") + batch + "</th>";
    out += "</tr>";
    for (const auto& [count, row] : grid.by_threads) {
      out += "<tr><td>" + std::to_string(count) + "</td>";
      for (const GridCell* cell : row) {
        const double heat = worst > best->ms_per_text ? (cell->ms_per_text - best->ms_per_text) /
                                                            (worst - best->ms_per_text)
                                                      : 0;
        char share[32];
        std::snprintf(share, sizeof share, "%.2f", heat);
        out += std::string("<td class=\"n heat") + (cell == best ? " best" : "") +
               "\" style=\"--h:" + share + "\">" + short_number(cell->ms_per_text) +
               " <span class=\"soft\">(" + short_number(cell->ms_per_text_with_load) +
               ")</span></td>";
      }
      out += "</tr>";
    }
    out += "</table></div></figure>\n";
  }
  return out.empty()
             ? out
             : "<h2>Batch sizes and threads</h2>\n<div class=\"plots wide\">" + out + "</div>\n";
}

std::string comparison(const BenchReport& before, const BenchReport& now) {
  std::vector<Bar> bars;
  for (const BenchRow& row : now.rows) {
    for (const BenchRow& old : before.rows) {
      if (old.task != row.task || old.device != row.device || old.texts != row.texts ||
          old.stats.dtype != row.stats.dtype || old.model != row.model ||
          old.tokens != row.tokens || row.texts == 1 || row.texts >= 5000 ||
          !(old.warm_seconds > 0) || !(row.warm_seconds > 0))
        continue;
      bars.push_back({row.task + ", " + row.device + ", " + row.stats.dtype,
                      {row.warm_ms(), old.warm_ms()},
                      short_number(row.warm_seconds / old.warm_seconds) + " of the time before"});
    }
  }
  if (bars.empty()) return "";
  return "<h2>Beside the run of " + html_escape(before.date) + "</h2>\n<div class=\"plots\">" +
         svg_bars("Warm", "ms a text", {"now", "before"}, bars) + "</div>\n";
}

}  // namespace

std::string bench_html(const BenchReport& report, const BenchReport* before) {
  std::string body = "<h1>Inlay bench</h1>\n";
  body +=
      "<p class=\"soft\">Every row is a process of its own. Cold is from its start, load included; "
      "warm is the median of later passes. Time/CPU is the time over that of the CPU's fp32: below "
      "1 is faster.</p>\n";
  body += facts(report);
  body += "<div class=\"plots\">\n";
  for (const std::string& task : tasks_of(report)) body += plot(report, task, true);
  for (const std::string& task : tasks_of(report)) body += plot(report, task, false);
  body += "</div>\n";
  if (before != nullptr) body += comparison(*before, report);
  body += "<h2>All figures</h2>\n" + rows_table(report) + grids(report) + not_run(report);
  return html_page("Inlay bench, " + report.date, body);
}

}  // namespace inlay::report
