// The parent's half first, then the child's.
#include "report/device_child.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "base/child_process.h"
#include "base/error.h"
#include "base/json_object.h"
#include "base/options.h"
#include "report/child_results.h"

namespace inlay::report {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::string order_json(const ChildOrder& order) {
  JsonObject options;
  for (const auto& [name, value] : order.options) options.text(name, value);
  JsonArray batches;
  for (const std::size_t batch : order.batches) batches.add(std::to_string(batch));
  return JsonObject()
      .text("do", "run")
      .raw("options", options.done())
      .text("task", order.load.task)
      .texts("queries", order.load.queries)
      .texts("texts", order.load.texts)
      .raw("batches", batches.done())
      .number("seconds", order.seconds)
      .number("patience", order.patience)
      .integer("most_passes", order.most_passes)
      .boolean("adaptive", order.adaptive)
      .boolean("results", order.results)
      .integer("warm_items", static_cast<std::int64_t>(order.warm_items))
      .done();
}

std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of(" \r\n");
  if (end == std::string::npos) return "";
  const std::size_t begin = text.find_last_of('\n', end);
  return printable(text.substr(begin + 1, end - begin));
}

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", seconds);
  return text;
}

// What became of a child that did not finish; `doing` is the last it told of.
std::string fate(const ChildResult& child, const std::string& doing, double limit) {
  if (!child.started) return "could not be started";
  std::string text;
  if (child.timed_out) {
    text = "gave no answer within " + seconds_text(limit) + " (" + doing + ")";
  } else if (child.signal != 0) {
    text = "crashed (" + doing + ", signal " + std::to_string(child.signal);
    const char* name = ::strsignal(child.signal);
    text += (name == nullptr ? std::string() : std::string(", ") + name) + ")";
  } else {
    text = "ended (" + doing + ") with exit code " + std::to_string(child.exit_code);
  }
  const std::string said = last_line(child.errors);
  return said.empty() || child.timed_out ? text : text + ": " + said;
}

// Calls `take` with each whole line of JSON; lines of others are passed over.
void each_event(const std::string& output, const std::function<void(const JsonValue&)>& take) {
  std::size_t begin = 0;
  while (begin < output.size()) {
    const std::size_t end = output.find('\n', begin);
    if (end == std::string::npos) return;
    const std::string_view line = std::string_view(output).substr(begin, end - begin);
    begin = end + 1;
    const JsonDocument document = JsonDocument::parse(line, "child");
    take(document.root());
  }
}

void take_event(const JsonValue& event, ChildOutcome* outcome, std::string* doing, bool* done) {
  const std::string_view name = event.at("event").string();
  if (name == "loading") {
    *doing = "while it was loading";
  } else if (name == "loaded") {
    *doing = "while it computed";
    outcome->start_seconds = event.at("seconds").number();
  } else if (name == "first") {
    outcome->first_seconds = event.at("seconds").number();
    outcome->first_tokens = event.at("tokens").integer();
    outcome->truncated = event.at("truncated").integer();
    if (const auto results = event.find("results"))
      outcome->answers.result = parse_results(*results);
  } else if (name == "batch") {
    outcome->timings.push_back({static_cast<std::size_t>(event.at("batch").integer()),
                                static_cast<std::size_t>(event.at("items").integer()),
                                static_cast<int>(event.at("passes").integer()),
                                event.at("seconds").number(), event.at("fastest").number(),
                                event.at("slowest").number()});
  } else if (name == "stats") {
    outcome->stats = parse_stats(event);
  } else if (name == "refused") {
    outcome->refused = true;
    outcome->failure = event.at("message").string();
  } else if (name == "done") {
    *done = true;
  }
}

}  // namespace

ChildOutcome run_in_child(const ChildOrder& order, double limit_seconds) {
  ChildOutcome outcome;
  const ChildResult child = run_self({std::string(kChildWord)}, order_json(order), limit_seconds);
  std::string doing = "while it started";
  bool done = false;
  try {
    each_event(child.output,
               [&](const JsonValue& event) { take_event(event, &outcome, &doing, &done); });
  } catch (const Error& error) {
    outcome.failure = std::string("answered what is not understood: ") + error.what();
    return outcome;
  }
  outcome.answers.task = order.load.task;
  outcome.answers.queries = order.load.queries.size();
  if (!done && outcome.failure.empty()) outcome.failure = fate(child, doing, limit_seconds);
  return outcome;
}

engine::DeviceReport report_in_child(const std::string& device, const std::string& model_locator,
                                     const std::string& disable, double limit_seconds) {
  const std::string order = JsonObject()
                                .text("do", "report")
                                .text("device", device)
                                .text("model", model_locator)
                                .text("disable", disable)
                                .done();
  const ChildResult child = run_self({std::string(kChildWord)}, order, limit_seconds);
  engine::DeviceReport report;
  std::string failure;
  try {
    each_event(child.output, [&](const JsonValue& event) {
      const std::string_view name = event.at("event").string();
      if (name == "report") report = engine::parse_device_report(event.at("report").string());
      if (name == "refused") failure = event.at("message").string();
    });
  } catch (const Error& error) {
    failure = std::string("answered what is not understood: ") + error.what();
  }
  if (!report.device.empty()) return report;
  report.device = device;
  report.state = "refused";
  report.reason =
      failure.empty() ? fate(child, "while it was asked what it is", limit_seconds) : failure;
  report.remedy = "--disable " + device + " leaves it out; mend its driver or library";
  return report;
}

// ------------------------------------------------------------------------------------------------
// the child

namespace {

// Standard output belongs to events; what a device's library prints there goes to standard error.
class Events {
 public:
  Events() : file_(::dup(STDOUT_FILENO)) { ::dup2(STDERR_FILENO, STDOUT_FILENO); }
  void emit(const JsonObject& event) const {
    const std::string line = event.done() + "\n";
    for (std::size_t at = 0; at < line.size();) {
      const ssize_t count = ::write(file_, line.data() + at, line.size() - at);
      if (count <= 0) ::_exit(1);  // nobody reads: the parent is gone
      at += static_cast<std::size_t>(count);
    }
  }

 private:
  int file_;
};

std::string read_all(int descriptor) {
  std::string text;
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t count = ::read(descriptor, buffer.data(), buffer.size());
    if (count <= 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

std::vector<std::string> texts_of(const JsonValue& list) {
  std::vector<std::string> texts;
  for (const JsonValue& item : list.items()) texts.emplace_back(item.string());
  return texts;
}

ChildOrder parse_order(const JsonValue& json) {
  ChildOrder order;
  for (const auto& [name, value] : json.at("options").members())
    order.options.emplace_back(std::string(name), std::string(value.string()));
  order.load.task = json.at("task").string();
  order.load.queries = texts_of(json.at("queries"));
  order.load.texts = texts_of(json.at("texts"));
  order.batches.clear();
  for (const JsonValue& batch : json.at("batches").items())
    order.batches.push_back(static_cast<std::size_t>(batch.integer()));
  order.seconds = json.at("seconds").number();
  order.patience = json.at("patience").number();
  order.most_passes = static_cast<int>(json.at("most_passes").integer());
  order.adaptive = json.at("adaptive").boolean();
  order.results = json.at("results").boolean();
  order.warm_items = static_cast<std::size_t>(json.at("warm_items").integer());
  return order;
}

EngineOptions engine_options(const EngineKeys& keys) {
  OptionValues values;
  for (const auto& [name, value] : keys) {
    if (const OptionSpec* option = find_option(name)) values.set(*option, value, "--" + name);
  }
  EngineOptions options = values.engine_options();
  options.meanwhile = "nothing";  // what is measured is the device alone
  return options;
}

// Passes over the load with `batch` items a request until the time or the passes are used up.
BatchTiming time_batch(Engine& engine, const Workload& load, std::size_t batch, double seconds,
                       int most_passes) {
  std::vector<double> passes;
  double used = 0;
  do {
    const auto begin = Clock::now();
    ask(engine, load, batch);
    passes.push_back(since(begin));
    used += passes.back();
  } while (used + passes.back() <= seconds && static_cast<int>(passes.size()) < most_passes);
  std::sort(passes.begin(), passes.end());
  return {batch,          load.items(), static_cast<int>(passes.size()), passes[passes.size() / 2],
          passes.front(), passes.back()};
}

// The beginning of the load that `seconds` are enough for, when kLeastItems took `least_seconds`.
Workload cut(const Workload& load, double least_seconds, double seconds) {
  Workload less = load;
  const double share = seconds / std::max(1e-9, least_seconds / double{kLeastItems});
  const auto items = static_cast<std::size_t>(
      std::clamp(share, double{kLeastItems}, static_cast<double>(load.texts.size())));
  less.texts.resize(std::min(less.texts.size(), items));
  return less;
}

void run_order(const ChildOrder& order, const Events& events, Clock::time_point start) {
  events.emit(JsonObject().text("event", "loading"));
  Engine engine(engine_options(order.options), task_options(order.load.task));
  events.emit(JsonObject().text("event", "loaded").number("seconds", since(start)));
  Workload load = order.load;
  if (order.adaptive && load.texts.size() > kLeastItems) {
    Workload least = load;
    least.texts.resize(kLeastItems);
    const auto begin = Clock::now();
    ask(engine, least, 0);
    // One pass for results and two for the time must fit.
    load = cut(load, since(begin), order.seconds / 3);
  }
  const auto begin = Clock::now();
  const bool brief = order.warm_items != 0 && order.warm_items < load.texts.size();
  Workload first_load = load;
  if (brief) first_load.texts.resize(order.warm_items);
  const Answers answers = ask(engine, first_load, order.batches.front());
  const double first = since(begin);
  std::int64_t tokens = 0, truncated = 0;
  for (const TextInfo& text : answers.result.texts) {
    tokens += text.tokens;
    truncated += text.truncated ? 1 : 0;
  }
  JsonObject event;
  event.text("event", "first")
      .number("seconds", first)
      .integer("tokens", tokens)
      .integer("truncated", truncated);
  if (order.results) event.raw("results", results_json(answers.result));
  events.emit(event);
  const double left =
      std::max(0.0, order.seconds - first) / static_cast<double>(order.batches.size());
  for (const std::size_t batch : order.batches) {
    const bool patient = first <= std::max(order.patience, order.seconds);
    if (!patient && !brief && batch == order.batches.front()) continue;
    const BatchTiming timing = time_batch(engine, load, batch, left, order.most_passes);
    events.emit(JsonObject()
                    .text("event", "batch")
                    .integer("batch", static_cast<std::int64_t>(timing.batch))
                    .integer("items", static_cast<std::int64_t>(timing.items))
                    .integer("passes", timing.passes)
                    .number("seconds", timing.seconds)
                    .number("fastest", timing.fastest)
                    .number("slowest", timing.slowest));
  }
  events.emit(stats_json(engine.stats()));
}

}  // namespace

int serve_child() {
  die_with_parent();
  const auto start = Clock::now();
  const Events events;
  try {
    const JsonDocument document = JsonDocument::parse(read_all(STDIN_FILENO), "order");
    const JsonValue root = document.root();
    if (root.at("do").string() == "report") {
      const engine::DeviceReport report =
          engine::report_device(std::string(root.at("device").string()), root.at("model").string(),
                                root.at("disable").string());
      events.emit(JsonObject()
                      .text("event", "report")
                      .text("report", engine::device_report_json(report, true)));
    } else {
      run_order(parse_order(root), events, start);
    }
    events.emit(JsonObject().text("event", "done"));
    return 0;
  } catch (const std::exception& error) {
    events.emit(JsonObject().text("event", "refused").text("message", error.what()));
    return 1;
  }
}

}  // namespace inlay::report
