// What is measured, in which order and for how long. Forms of the report are in bench_forms.cc.
#include "report/bench.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <deque>

#include "base/error.h"
#include "base/threads.h"
#include "engine/model_tasks.h"
#include "report/measure.h"
#include "report/texts.h"

namespace inlay::report {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kTexts = 100, kLarge = 10000;
constexpr std::size_t kBatches[] = {1, 8, 32, 100, 256};
// Of the time of a row: one text is soon measured, 10,000 take what they take.
constexpr double kWeightOne = 1, kWeightHundred = 4, kWeightLarge = 40;
// A row may take so many shares before it is cut off: rows before it leave some over.
constexpr double kPatience = 4;
// A grid has ten and more passes a device and task where a row has two or three.
constexpr double kGridTimes = 5;
constexpr double kMostWarmSeconds = 4, kMostWarmSecondsOne = 0.5;

struct Subject {
  std::string task, locator;
  engine::ModelTasks model;
  std::string missing;  // why it cannot be measured; empty: it can
};

// One child to run.
struct Plan {
  const Subject* subject = nullptr;
  const engine::DeviceReport* device = nullptr;
  std::string dtype;
  std::size_t texts = 0;
  double weight = 0;
};

std::vector<Subject> subjects(const std::string& model) {
  std::vector<Subject> out;
  if (!model.empty()) {
    const engine::ModelTasks tasks = engine::model_tasks(model);
    for (const std::string& task : tasks.tasks) out.push_back({task, model, tasks, {}});
    return out;
  }
  for (const char* task : {"dense", "sparse", "rerank"}) {
    Subject subject{task, {}, {}, {}};
    for (const std::string& name : engine::default_models(task)) {
      try {
        subject.model = engine::model_tasks(name);
        subject.locator = name;
        break;
      } catch (const Error& error) {
        if (subject.missing.empty() && error.code() == ErrorCode::kNotFound) {
          subject.missing =
              name + " is not on this machine; inlay model get " + name + " brings it";
        } else if (subject.missing.empty()) {
          subject.missing = error.what();
        }
      }
    }
    if (!subject.locator.empty()) subject.missing.clear();
    if (subject.locator.empty()) subject.locator = engine::default_models(task).front();
    out.push_back(std::move(subject));
  }
  return out;
}

std::string key_of(const EngineKeys& keys, std::string_view name, std::string_view fallback) {
  for (const auto& [key, value] : keys)
    if (key == name) return value;
  return std::string(fallback);
}

// A row's verdict is one that `auto` may act on: nothing but the model was chosen.
bool plain(const BenchOptions& options) {
  return options.texts.empty() &&
         std::all_of(options.options.begin(), options.options.end(), [](const auto& key) {
           return key.first == "model" || key.first == "disable" || key.first == "packed-cache" ||
                  key.first == "memory-limit" || key.first == "onnxruntime-library";
         });
}

class Bench {
 public:
  explicit Bench(const BenchOptions& options)
      : options_(options), subjects_(subjects(options.model)) {}

  BenchReport run() {
    const std::string disable = key_of(options_.options, "disable", "");
    tell("what the devices are");
    report_.machine = engine::machine_json();
    report_.date = now_text();
    report_.texts_name = options_.texts_name;
    report_.devices = report_devices(options_.model, disable, kReportSeconds);
    begin_ = Clock::now();
    for (const Subject& subject : subjects_) {
      if (subject.missing.empty()) continue;
      BenchRow row;
      row.task = subject.task;
      row.model = subject.locator;
      row.state = "not run";
      row.reason = subject.missing;
      report_.rows.push_back(std::move(row));
    }
    std::vector<Plan> plans = make_plans();
    double weight = 0;
    for (const Plan& plan : plans) weight += plan.weight;
    for (const Plan& plan : plans) {
      measure_row(plan, left() * plan.weight / weight);
      weight -= plan.weight;
    }
    if (options_.grid) measure_grid();
    keep_verdicts();
    return std::move(report_);
  }

 private:
  void tell(const std::string& what) const {
    if (options_.progress) options_.progress(what);
  }
  double left() const {
    return seconds_ - std::chrono::duration<double>(Clock::now() - begin_).count();
  }

  bool wanted(const engine::DeviceReport& device) const {
    const std::string asked = key_of(options_.options, "device", "auto");
    if (device.device == "cpu") return true;  // what ratios are to
    if (asked == "auto") return device.device != "ref";
    return asked == device.device || device.device.starts_with(asked + ":");
  }

  std::vector<Plan> make_plans() const {
    const std::string dtype = key_of(options_.options, "dtype", "auto");
    const bool only_cpu = key_of(options_.options, "device", "auto") == "cpu";
    std::vector<Plan> plans;
    for (const Subject& subject : subjects_) {
      if (!subject.missing.empty()) continue;
      for (const engine::DeviceReport& device : report_.devices) {
        if (device.state != "ok" || !wanted(device)) continue;
        const bool cpu = device.device == "cpu";
        std::vector<std::string> dtypes{cpu ? "fp32" : dtype};
        const bool asked = only_cpu || key_of(options_.options, "device", "auto") == "auto";
        if (cpu && asked && dtype != "auto" && dtype != "fp32") dtypes.push_back(dtype);
        for (const std::string& one : dtypes) {
          const Plan plan{&subject, &device, one, kTexts, kWeightHundred};
          plans.push_back(plan);
          plans.push_back({&subject, &device, one, 1, kWeightOne});
          if (options_.large) plans.push_back({&subject, &device, one, kLarge, kWeightLarge});
        }
      }
    }
    // 10,000 texts last: what is short is not to wait for them.
    std::stable_sort(plans.begin(), plans.end(), [](const Plan& a, const Plan& b) {
      return (a.texts == kLarge) < (b.texts == kLarge);
    });
    return plans;
  }

  // Texts, or for reranking one query and so many texts that there are `count` with it.
  Workload load_of(const std::string& task, std::size_t count) const {
    std::vector<std::string> texts;
    if (options_.texts.empty()) {
      texts = bench_texts(std::max<std::size_t>(2, count));
    } else {
      for (std::size_t i = 0; i < std::max<std::size_t>(2, count); ++i)
        texts.push_back(options_.texts[i % options_.texts.size()]);
    }
    Workload load{task, {}, {}};
    if (task == "rerank") {
      load.queries = {texts.front()};
      load.texts.assign(texts.begin() + 1, texts.begin() + static_cast<std::ptrdiff_t>(
                                                               std::max<std::size_t>(2, count)));
    } else {
      load.texts.assign(texts.begin(), texts.begin() + static_cast<std::ptrdiff_t>(count));
    }
    return load;
  }

  EngineKeys keys_for(const Plan& plan) const {
    EngineKeys keys;
    for (const auto& [name, value] : options_.options) {
      if (name == "device" || name == "dtype" || name == "model") continue;
      // The rooms beside it, the CPU among them, run Inlay's own steps.
      if (name == "onnx-file" && !plan.device->device.starts_with("onnxruntime")) continue;
      keys.emplace_back(name, value);
    }
    keys.emplace_back("model", plan.subject->locator);
    keys.emplace_back("device", plan.device->device);
    keys.emplace_back("dtype", plan.dtype);
    return keys;
  }

  const BenchRow* row_of(const std::string& task, const std::string& device,
                         const std::string& dtype, std::int64_t texts) const {
    for (const BenchRow& row : report_.rows) {
      if (row.state == "ok" && row.task == task && row.device == device &&
          row.stats.dtype == dtype && (texts == 0 || row.texts == texts))
        return &row;
    }
    return nullptr;
  }

  void measure_row(const Plan& plan, double share) {
    const Subject& subject = *plan.subject;
    BenchRow row;
    row.task = subject.task;
    row.device = plan.device->device;
    row.model = subject.model.model;
    row.room = *plan.device;
    row.stats.dtype = plan.dtype;
    row.texts = static_cast<std::int64_t>(load_of(subject.task, plan.texts).items());
    row.state = "not run";
    const double limit = std::min(left(), share * kPatience);
    const double expected = expected_seconds(plan);
    if (limit < 0.2 || expected > left()) {
      char text[96] = "no time was left for it; --seconds gives more";
      if (expected > 0) {
        std::snprintf(text, sizeof text, "would take %.0f s, %.0f s are left; --seconds gives more",
                      std::max(1.0, expected), std::max(0.0, left()));
      }
      row.reason = text;
      report_.rows.push_back(std::move(row));
      return;
    }
    tell(subject.task + ", " + row.device + ", " + std::to_string(row.texts));
    ChildOrder order;
    order.options = keys_for(plan);
    order.load = load_of(subject.task, plan.texts);
    order.results = plan.texts == kTexts;
    order.seconds = std::min(plan.texts == 1 ? kMostWarmSecondsOne : kMostWarmSeconds, limit / 2);
    order.patience = limit / 3;
    if (plan.texts == kLarge) order.seconds = order.patience = 0.1;
    ChildOutcome outcome = run_in_child(order, std::max(limit, expected * 2));
    take(plan, &outcome, &row);
    report_.rows.push_back(std::move(row));
  }

  // From the row of 100 texts, for 10,000; 0: not known.
  double expected_seconds(const Plan& plan) const {
    if (plan.texts != kLarge) return 0;
    for (const BenchRow& row : report_.rows) {
      if (row.state == "ok" && row.task == plan.subject->task &&
          row.device == plan.device->device && row.texts > 1)
        return row.load_seconds + double{kLarge} * 1e-3 * row.cold_ms();
    }
    return 0;
  }

  void take(const Plan& plan, ChildOutcome* outcome, BenchRow* row) {
    if (!outcome->failure.empty()) row->reason = outcome->failure;
    if (plan.texts == kTexts) {
      const Outcome* cpu = cpu_outcome(row->task);
      outcomes_.push_back({row->task, row->device, *plan.device, std::move(*outcome), {}});
      Outcome& kept = outcomes_.back();
      kept.verdict =
          judge(row->device, plan.dtype, kept.outcome, cpu == nullptr ? nullptr : &cpu->outcome);
      kept.verdict.version = plan.device->version;
      outcome = &kept.outcome;
      if (outcome->failure.empty()) {
        row->min_cosine = kept.verdict.min_cosine;
        row->same_nearest = kept.verdict.same_nearest;
      }
    }
    if (!outcome->failure.empty()) return;
    row->state = "ok";
    row->stats = outcome->stats;
    row->tokens = outcome->first_tokens;
    row->truncated = outcome->truncated;
    row->load_seconds = outcome->start_seconds;
    row->cold_seconds = outcome->start_seconds + outcome->first_seconds;
    if (!outcome->timings.empty()) {
      row->warm_seconds = outcome->timings.front().seconds;
      row->slowest_seconds = outcome->timings.front().slowest;
      row->passes = outcome->timings.front().passes;
    }
    if (row->device == "cpu" && row->stats.dtype == "fp32") row->ratio_to_cpu = 1;
    const BenchRow* cpu = row_of(row->task, "cpu", "fp32", row->texts);
    if (cpu != nullptr && cpu->warm_seconds > 0 && row->warm_seconds > 0)
      row->ratio_to_cpu = row->warm_seconds / cpu->warm_seconds;
  }

  struct Outcome {
    std::string task, device;
    engine::DeviceReport report;
    ChildOutcome outcome;
    engine::DeviceVerdict verdict;
  };
  const Outcome* cpu_outcome(const std::string& task) const {
    for (const Outcome& one : outcomes_) {
      if (one.task == task && one.device == "cpu" && one.outcome.failure.empty() &&
          one.outcome.stats.dtype == "fp32")
        return &one;
    }
    return nullptr;
  }

  // 1, 2, 3, ... up to eight threads, beyond that powers of two, and all.
  static std::vector<int> thread_counts(int all) {
    std::vector<int> counts;
    for (int count = 1; count < all; count = all <= 8 ? count + 1 : count * 2)
      counts.push_back(count);
    counts.push_back(all);
    return counts;
  }

  void measure_grid() {
    begin_ = Clock::now();
    seconds_ = options_.seconds * kGridTimes;
    struct Job {
      const Outcome* row;
      int threads;
    };
    std::vector<Job> jobs;
    for (const Outcome& row : outcomes_) {
      if (!row.outcome.failure.empty()) continue;
      const int all = row.outcome.stats.threads;
      // Threads of the host make no other device quicker.
      const std::vector<int> counts =
          row.device == "cpu" ? thread_counts(all) : std::vector<int>{all};
      for (const int threads : counts) jobs.push_back({&row, threads});
    }
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      const Outcome& row = *jobs[i].row;
      const auto subject = std::find_if(subjects_.begin(), subjects_.end(),
                                        [&](const Subject& s) { return s.task == row.task; });
      const double share = left() / static_cast<double>(jobs.size() - i);
      tell("grid: " + row.task + ", " + row.device + ", threads " +
           std::to_string(jobs[i].threads));
      ChildOrder order;
      order.options =
          keys_for({&*subject, &row.report, row.outcome.stats.dtype, kTexts, kWeightHundred});
      std::erase_if(order.options, [](const auto& key) { return key.first == "threads"; });
      order.options.emplace_back("threads", std::to_string(jobs[i].threads));
      order.load = load_of(row.task, kTexts);
      order.batches.assign(std::begin(kBatches), std::end(kBatches));
      order.seconds = share * 0.6;
      order.most_passes = 7;
      order.warm_items = kLeastItems;
      if (left() < 1) {
        report_.notes.push_back("grid: no time was left for " + row.task + " on " + row.device +
                                " with " + std::to_string(jobs[i].threads) +
                                " threads; --seconds gives more");
        continue;
      }
      const ChildOutcome outcome = run_in_child(order, std::min(left(), share * kPatience));
      if (!outcome.failure.empty()) {
        report_.notes.push_back("grid: " + row.task + " on " + row.device + " with " +
                                std::to_string(jobs[i].threads) + " threads " + outcome.failure);
      }
      for (const BatchTiming& timing : outcome.timings) {
        const auto items = static_cast<double>(timing.items);
        report_.grid.push_back(
            {row.task, row.device,
             outcome.stats.dtype.empty() ? row.outcome.stats.dtype : outcome.stats.dtype,
             jobs[i].threads, static_cast<std::int64_t>(timing.batch),
             static_cast<std::int64_t>(timing.items), timing.seconds * 1e3 / items,
             (outcome.start_seconds + timing.seconds) * 1e3 / items});
      }
    }
  }

  void keep_verdicts() {
    for (const Subject& subject : subjects_) {
      if (cpu_outcome(subject.task) == nullptr) continue;
      const engine::VerdictKey key = engine::verdict_key(subject.model, subject.task);
      const std::optional<engine::Verdict> known = engine::read_verdict(key);
      engine::Verdict verdict;
      if (known) verdict = *known;
      verdict.key = key;
      if (plain(options_)) {
        verdict.devices.clear();
        verdict.measured = report_.date;
        for (const Outcome& one : outcomes_) {
          if (one.task != subject.task) continue;
          verdict.texts = static_cast<std::int64_t>(one.outcome.answers.size());
          verdict.devices.push_back(one.verdict);
        }
      }
      for (engine::DeviceVerdict& device : verdict.devices)
        set_recommend(subject.task, known, &device);
      const std::string why =
          verdict.devices.empty()
              ? "it was measured with other options than those that auto chooses by"
              : engine::write_verdict(verdict);
      report_.notes.push_back("verdict for " + subject.model.model + ", " + subject.task +
                              (why.empty() ? ": kept" : ": not kept, " + why));
    }
  }

  void set_recommend(const std::string& task, const std::optional<engine::Verdict>& known,
                     engine::DeviceVerdict* device) const {
    if (known) {
      for (const engine::DeviceVerdict& before : known->devices) {
        if (before.device == device->device && before.dtype == device->dtype &&
            before.recommend.grid_ms_per_text > 0)
          device->recommend = before.recommend;
      }
    }
    const GridCell* cell = best_cell(report_, task, device->device, device->dtype);
    if (cell == nullptr) return;
    device->recommend = {cell->batch, cell->threads, cell->dtype, cell->ms_per_text};
  }

  const BenchOptions& options_;
  std::vector<Subject> subjects_;
  BenchReport report_;
  std::deque<Outcome> outcomes_;  // entries stay where they are
  Clock::time_point begin_ = Clock::now();
  double seconds_ = options_.seconds;
};

}  // namespace

const GridCell* best_cell(const BenchReport& report, std::string_view task, std::string_view device,
                          std::string_view dtype) {
  const GridCell* best = nullptr;
  for (const Grid& grid : grids_of(report)) {
    const GridCell& first = grid.first();
    if (first.task != task || first.device != device || first.dtype != dtype) continue;
    std::size_t whole = 0;
    for (const auto& [threads, row] : grid.by_threads) whole = std::max(whole, row.size());
    for (const auto& [threads, row] : grid.by_threads) {
      if (row.size() < whole) continue;
      for (const GridCell* cell : row) {
        if (best == nullptr || cell->ms_per_text < best->ms_per_text) best = cell;
      }
    }
  }
  return best;
}

std::vector<Grid> grids_of(const BenchReport& report) {
  std::vector<Grid> grids;
  for (const GridCell& cell : report.grid) {
    auto grid = std::find_if(grids.begin(), grids.end(), [&](const Grid& g) {
      return g.first().task == cell.task && g.first().device == cell.device &&
             g.first().dtype == cell.dtype;
    });
    if (grid == grids.end()) grid = grids.insert(grids.end(), Grid{});
    auto row = std::find_if(grid->by_threads.begin(), grid->by_threads.end(),
                            [&](const auto& r) { return r.first == cell.threads; });
    if (row == grid->by_threads.end()) row = grid->by_threads.insert(row, {cell.threads, {}});
    row->second.push_back(&cell);
  }
  return grids;
}

BenchReport bench(const BenchOptions& options) { return Bench(options).run(); }

}  // namespace inlay::report
