// Devices first, verdicts of the models next, then both together.
#include "report/status_report.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/json_object.h"
#include "engine/model_tasks.h"

namespace inlay::report {
namespace {

using Clock = std::chrono::steady_clock;

struct ModelTask {
  std::string locator, task;
  engine::ModelTasks model;
};

// The tasks of the model named; without one, the first default model of each task that is here.
std::vector<ModelTask> model_tasks_of(const std::string& model) {
  std::vector<ModelTask> out;
  if (!model.empty()) {
    const engine::ModelTasks tasks = engine::model_tasks(model);
    for (const std::string& task : tasks.tasks)
      if (tasks.program) out.push_back({model, task, tasks});
    return out;
  }
  for (const char* task : {"dense", "sparse", "rerank"}) {
    for (const std::string& name : engine::default_models(task)) {
      try {
        out.push_back({name, task, engine::model_tasks(name)});
        break;
      } catch (const Error&) {
        continue;  // not here, or not usable: there is nothing to measure
      }
    }
  }
  return out;
}

}  // namespace

std::string status_report(const StatusOptions& options) {
  const auto begin = Clock::now();
  const double report_seconds =
      options.measure ? options.measuring.seconds * kReportShare : kReportSeconds;
  std::vector<engine::DeviceReport> devices =
      report_devices(options.model, options.disable, report_seconds);
  const std::vector<ModelTask> all = model_tasks_of(options.model);
  std::string not_kept;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const ModelTask& subject = all[i];
    const engine::VerdictKey key = engine::verdict_key(subject.model, subject.task);
    std::optional<engine::Verdict> verdict = engine::read_verdict(key);
    if (options.measure) {
      MeasureOptions measuring = options.measuring;
      const double used = std::chrono::duration<double>(Clock::now() - begin).count();
      measuring.seconds =
          std::max(0.0, measuring.seconds - used) / static_cast<double>(all.size() - i);
      verdict = measure(subject.model, subject.locator, subject.task, devices, measuring, verdict);
      not_kept = engine::write_verdict(*verdict);
    }
    if (!verdict) continue;
    for (engine::DeviceReport& device : devices)
      engine::add_verdict(*verdict, all.size() == 1, &device);
  }
  JsonObject out;
  out.raw("machine", engine::machine_json());
  if (options.model.empty()) {
    out.raw("model", "null");
  } else {
    out.text("model", engine::model_tasks(options.model).model);
  }
  JsonArray list;
  for (const engine::DeviceReport& device : devices)
    list.add(engine::device_report_json(device, options.verbose));
  out.raw("devices", list.done());
  if (!not_kept.empty()) out.text("not_kept", "the verdict was not kept: " + not_kept);
  return out.done();
}

}  // namespace inlay::report
