// The CPU goes first, since everything is held against it; the others share what time is left, so
// that one that hangs costs its own share alone.
#include "report/measure.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <future>

#include "base/error.h"
#include "report/texts.h"

namespace inlay::report {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kMeasuredTexts = 64;
// Of the time that a device has, what passes may take: the rest is start, loading and results.
constexpr double kPassShare = 0.3;
constexpr double kMostPassSeconds = 1.5;

// What `auto` chooses from. The other rooms run on the same hardware by a longer road, and mlx:cpu
// is for tests. A room without parts goes by its bare name.
bool is_default_candidate(const std::string& device) {
  return device == "cpu" || device == "cuda" || device.starts_with("cuda:") || device == "mlx" ||
         device == "mlx:gpu" || device == "onnxruntime:coreml";
}

std::string text_of(double value, const char* format) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

Workload measure_load(const std::string& task) {
  Workload load{task, {}, bench_texts(kMeasuredTexts)};
  if (task == "rerank") {
    load.queries = {load.texts.front()};
    load.texts.erase(load.texts.begin());
  }
  return load;
}

// Both cut to what both have computed, from the beginning.
Answers beginning(const Answers& answers, std::size_t count) {
  Answers out = answers;
  Result& result = out.result;
  result.texts.resize(count);
  const std::size_t size = answers.size();
  const auto shorten = [&](auto* values) {
    if (size != 0) values->resize(values->size() / size * count);
  };
  shorten(&result.vectors);
  shorten(&result.scores);
  if (!result.sparse.empty()) result.sparse.resize(count);
  if (!result.late.empty()) result.late.resize(count);
  return out;
}

Agreement agreement_of(const ChildOutcome& cpu, const ChildOutcome& other) {
  const std::size_t count = std::min(cpu.answers.size(), other.answers.size());
  Answers a = beginning(cpu.answers, count);
  Answers b = beginning(other.answers, count);
  if (a.result.dim != b.result.dim) {
    Agreement none;
    none.min_cosine = none.mean_cosine = none.same_nearest = 0;
    return none;
  }
  return compare(a, b, verdict_tolerance());
}

EngineKeys keys_for(const MeasureOptions& options, const std::string& locator,
                    const std::string& device, const std::string& dtype) {
  EngineKeys keys;
  for (const auto& [name, value] : options.options) {
    // A length limit or a token budget of one call is not what a verdict is about.
    if (name == "memory-limit" || name == "packed-cache" || name == "onnxruntime-library" ||
        name == "provider-options")
      keys.emplace_back(name, value);
  }
  keys.emplace_back("model", locator);
  keys.emplace_back("device", device);
  keys.emplace_back("dtype", dtype);
  return keys;
}

// The largest batch that is as quick as the quickest: what differs by less than a device must gain
// is noise, and a load that was cut short says nothing against more texts than it had.
engine::Recommend recommend(const ChildOutcome& outcome) {
  engine::Recommend best;
  best.threads = outcome.stats.threads;
  best.dtype = outcome.stats.dtype;
  const double least = ms_per_item(outcome);
  for (const BatchTiming& timing : outcome.timings) {
    const double each = timing.seconds * 1e3 / static_cast<double>(timing.items);
    if (each > least * (1 + kLeastGain)) continue;
    best.batch = std::max(
        best.batch, static_cast<std::int64_t>(timing.batch == 0 ? timing.items : timing.batch));
  }
  return best;
}

void keep_grid(const std::optional<engine::Verdict>& known, engine::DeviceVerdict* verdict) {
  if (!known) return;
  for (const engine::DeviceVerdict& before : known->devices) {
    if (before.device == verdict->device && before.dtype == verdict->dtype &&
        before.version == verdict->version && before.recommend.grid_ms_per_text > 0)
      verdict->recommend = before.recommend;
  }
}

}  // namespace

Tolerance verdict_tolerance() { return {"auto", 0.9999, 1e9, 1.0, 1e-3}; }

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

double ms_per_item(const ChildOutcome& outcome) {
  double least = 0;
  for (const BatchTiming& timing : outcome.timings) {
    const double each = timing.seconds * 1e3 / static_cast<double>(timing.items);
    if (least == 0 || each < least) least = each;
  }
  if (least == 0 && outcome.answers.size() != 0)
    least = outcome.first_seconds * 1e3 / static_cast<double>(outcome.answers.size());
  return least;
}

namespace {

std::vector<engine::DeviceReport> ask_devices(const std::vector<std::string>& devices,
                                              const std::string& model_locator,
                                              const std::string& disable, double limit_seconds) {
  std::vector<std::future<engine::DeviceReport>> reports;
  for (const std::string& device : devices) {
    const bool own = device == "cpu" || device == "ref";
    reports.push_back(std::async(own ? std::launch::deferred : std::launch::async, [=] {
      return own ? engine::report_device(device, model_locator, disable)
                 : report_in_child(device, model_locator, disable, limit_seconds);
    }));
  }
  std::vector<engine::DeviceReport> out;
  out.reserve(reports.size());
  for (auto& report : reports) out.push_back(report.get());
  return out;
}

}  // namespace

std::vector<engine::DeviceReport> report_devices(const std::string& model_locator,
                                                 const std::string& disable, double limit_seconds) {
  return ask_devices(engine::device_names(), model_locator, disable, limit_seconds);
}

JobMeasured measure_for_job(const std::string& locator, const std::string& task,
                            const MeasureOptions& options) {
  const auto begin = Clock::now();
  std::string name = locator;
  engine::ModelTasks model;
  try {
    if (name.empty()) name = engine::default_models(task).front();
    model = engine::model_tasks(name);
  } catch (const Error&) {
    return {};
  }
  if (!model.program) return {};
  const engine::VerdictKey key = engine::verdict_key(model, task);
  if (engine::read_verdict(key)) return {};
  std::vector<std::string> names;
  for (const std::string& device : engine::device_names())
    if (is_default_candidate(device)) names.push_back(device);
  const std::vector<engine::DeviceReport> devices =
      ask_devices(names, name, options.disable, options.seconds * kReportShare);
  const bool choice = std::any_of(devices.begin(), devices.end(), [](const auto& device) {
    return device.device != "cpu" && device.state == "ok";
  });
  if (!choice) return {};
  const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  MeasureOptions measuring = options;
  measuring.seconds -= seconds();
  const engine::Verdict verdict = measure(model, name, task, devices, measuring);
  const std::string not_kept = engine::write_verdict(verdict);
  const std::vector<backend::Preferred> preferred =
      engine::preferred_devices(verdict, "auto", 0, 0);
  JobMeasured out;
  out.told = "measured " + std::to_string(verdict.devices.size()) + " ways to run this model in " +
             text_of(seconds(), "%.1f s") + ": auto takes " +
             (preferred.empty() ? "cpu" : preferred.front().device) + ". inlay status -m " +
             model.model + " says why";
  if (!not_kept.empty()) {
    out.told += "; the verdict was not kept: " + not_kept;
    out.device = preferred.empty() ? "cpu" : preferred.front().device;
    out.dtype = preferred.empty() ? "auto" : preferred.front().dtype;
  }
  return out;
}

engine::DeviceVerdict judge(const std::string& device, const std::string& dtype,
                            const ChildOutcome& outcome, const ChildOutcome* cpu) {
  engine::DeviceVerdict verdict;
  verdict.device = device;
  verdict.dtype = outcome.stats.dtype.empty() ? dtype : outcome.stats.dtype;
  if (!outcome.failure.empty()) {
    verdict.state = "failed";
    verdict.reason = outcome.failure;
    return verdict;
  }
  verdict.isa = outcome.stats.isa;
  verdict.ms_per_text = ms_per_item(outcome);
  verdict.load_seconds = outcome.start_seconds;
  verdict.padded_share = outcome.stats.padded_share;
  verdict.partitions = outcome.stats.partitions;
  verdict.fallback_ops = outcome.stats.fallback_ops;
  verdict.recommend = recommend(outcome);
  verdict.state = "ok";
  verdict.ratio_to_cpu = verdict.min_cosine = verdict.same_nearest = 1;
  if (cpu == nullptr) return verdict;
  const Agreement agreement = agreement_of(*cpu, outcome);
  verdict.min_cosine = agreement.min_cosine;
  verdict.same_nearest = agreement.same_nearest;
  verdict.ratio_to_cpu = verdict.ms_per_text / ms_per_item(*cpu);
  const std::vector<std::string> reasons = disagreements(agreement, verdict_tolerance());
  if (!reasons.empty()) {
    verdict.state = "disagrees";
    verdict.reason = "disagrees with the CPU's fp32: " + reasons.front();
    for (std::size_t i = 1; i < reasons.size(); ++i) verdict.reason += "; " + reasons[i];
  } else if (device.ends_with(":coreml") && (verdict.partitions > 1 || verdict.fallback_ops > 0)) {
    // What is cut into pieces is slower as soon as texts have other lengths than the measured ones.
    verdict.state = "falls back";
    verdict.reason = "falls back to the CPU: " + std::to_string(verdict.fallback_ops) +
                     " operations there, " + std::to_string(verdict.partitions) + " partitions";
  } else if (verdict.ratio_to_cpu > 1 - kLeastGain) {
    verdict.state = "slower";
    verdict.reason = verdict.ratio_to_cpu > 1
                         ? "slower than the CPU: " + text_of(verdict.ratio_to_cpu, "%.2f times")
                         : "no faster than the CPU: " + text_of(verdict.ratio_to_cpu, "%.2f times");
    verdict.reason += " its time, " + text_of(verdict.ms_per_text, "%.3g ms a text");
  }
  return verdict;
}

engine::Verdict measure(const engine::ModelTasks& model, const std::string& locator,
                        const std::string& task, const std::vector<engine::DeviceReport>& devices,
                        const MeasureOptions& options,
                        const std::optional<engine::Verdict>& known) {
  const auto deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                           std::chrono::duration<double>(options.seconds));
  const auto left = [&] { return std::chrono::duration<double>(deadline - Clock::now()).count(); };
  engine::Verdict verdict;
  verdict.key = engine::verdict_key(model, task);
  verdict.measured = now_text();
  ChildOrder order;
  order.load = measure_load(task);
  order.batches = {0, 32, 8};
  order.adaptive = order.results = true;
  const auto run = [&](const std::string& device, const std::string& dtype, double limit) {
    order.options = keys_for(options, locator, device, dtype);
    order.seconds = std::min(kMostPassSeconds, limit * kPassShare);
    return run_in_child(order, limit);
  };

  std::vector<const engine::DeviceReport*> candidates;
  const engine::DeviceReport* cpu_report = nullptr;
  for (const engine::DeviceReport& device : devices) {
    if (device.device == "cpu") cpu_report = &device;
    if (device.state != "ok" || device.device == "cpu" || device.device == "ref") continue;
    if (options.all || is_default_candidate(device.device)) candidates.push_back(&device);
  }
  // With somebody to compare it to the CPU gets half of the time at most.
  const ChildOutcome cpu = run("cpu", "fp32", candidates.empty() ? left() : left() / 2);
  verdict.devices.push_back(judge("cpu", "fp32", cpu, nullptr));
  if (cpu_report != nullptr) verdict.devices.back().version = cpu_report->version;
  verdict.texts = static_cast<std::int64_t>(cpu.answers.size());
  keep_grid(known, &verdict.devices.back());
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const engine::DeviceReport& device = *candidates[i];
    const double share = left() / static_cast<double>(candidates.size() - i);
    const auto add = [&](const std::string& dtype, double limit) {
      engine::DeviceVerdict one;
      if (!cpu.failure.empty()) {
        one.device = device.device;
        one.dtype = dtype;
        one.state = "failed";
        one.reason = "not measured: the CPU, which it is held against, " + cpu.failure;
      } else {
        one = judge(device.device, dtype, run(device.device, dtype, limit), &cpu);
      }
      one.version = device.version;
      keep_grid(known, &one);
      verdict.devices.push_back(one);
      return one;
    };
    const auto begin = Clock::now();
    const engine::DeviceVerdict first = add("auto", share);
    const double used = std::chrono::duration<double>(Clock::now() - begin).count();
    // A narrower dtype that disagrees says nothing against the device itself.
    if (first.state == "disagrees" && first.dtype != "fp32" && share - used > used)
      add("fp32", share - used);
  }
  return verdict;
}

}  // namespace inlay::report
