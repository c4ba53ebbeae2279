// The rooms with their reasons, the machine, the model, and what verdicts say.
#include <sys/utsname.h>

#include <algorithm>

#include "backend/select.h"
#include "base/json_object.h"
#include "base/process.h"
#include "base/threads.h"
#include "engine/device_report.h"
#include "engine/loader.h"
#include "files/locate.h"
#include "inlay/inlay.hpp"

namespace inlay {
namespace engine {
namespace {

const char* state_name(backend::State state) {
  static constexpr const char* kNames[] = {"ok", "absent", "disabled", "refused"};
  return kNames[static_cast<std::size_t>(state)];
}

std::optional<Program> program_of(std::string_view locator) {
  if (locator.empty()) return std::nullopt;
  const files::Located located = files::locate(locator, files::Ask::kNever);
  const files::ModelFiles model = files::ModelFiles::open(located.folder, located.name);
  const auto task = task::make_task(model, task::natural_task(model));
  if (!task->reads()) return std::nullopt;
  return build_program(model, task.get());
}

DeviceReport report_of(const std::string& device, const std::optional<Program>& program,
                       std::string_view disable) {
  const backend::DeviceState state = backend::device_state(device, disable);
  const backend::Probe& probe = state.probe;
  DeviceReport report;
  report.device = device;
  report.state = state_name(probe.state);
  report.reason = probe.reason;
  report.remedy = probe.remedy;
  report.version = probe.version;
  report.isa = probe.isa;
  report.dtypes = probe.dtypes;
  report.notes = probe.notes;
  if (program && state.backend != nullptr && probe.state != backend::State::kDisabled) {
    backend::CompileOptions options;
    options.unit = state.unit;
    report.missing_steps = state.backend->supports(*program, options);
  }
  if (probe.state == backend::State::kOk && !report.missing_steps.empty()) {
    report.state = "refused";
    report.reason = report.missing_steps.front();
    report.remedy = "choose a device that runs every step of this model";
  }
  return report;
}

std::string tasks_json(const DeviceReport& report) {
  JsonObject tasks;
  for (const auto& [name, figures] : report.tasks) {
    tasks.raw(name, JsonObject()
                        .number("ms_per_text", figures.ms_per_text)
                        .number("ratio_to_cpu", figures.ratio_to_cpu)
                        .number("min_cosine", figures.min_cosine)
                        .done());
  }
  return tasks.done();
}

std::vector<std::string> texts_of(const JsonValue& list) {
  std::vector<std::string> texts;
  for (const JsonValue& item : list.items()) texts.emplace_back(item.string());
  return texts;
}

// What of a verdict's measurements of a device stands for it: the one in use, else the first.
const DeviceVerdict* measured(const Verdict& verdict, const std::string& device) {
  const DeviceVerdict* found = nullptr;
  for (const DeviceVerdict& one : verdict.devices) {
    if (one.device != device) continue;
    if (found == nullptr || (one.state == "ok" && found->state != "ok")) found = &one;
  }
  return found;
}

}  // namespace

std::vector<std::string> device_names() { return backend::device_names(); }

DeviceReport report_device(const std::string& device, std::string_view model_locator,
                           std::string_view disable) {
  return report_of(device, program_of(model_locator), disable);
}

void add_verdict(const Verdict& verdict, bool alone, DeviceReport* report) {
  const DeviceVerdict* found = measured(verdict, report->device);
  if (found == nullptr) return;
  const std::vector<backend::Preferred> preferred = preferred_devices(verdict, "auto", 0, 0);
  const std::string taken = preferred.empty() ? "cpu" : preferred.front().device;
  std::string text = found->reason;
  if (found->state == "ok") {
    text = found->device == taken ? "taken by auto" : "agrees, and " + taken + " is faster";
    if (found->device == "cpu" && taken == "cpu") text += ": no other device agrees and is faster";
  }
  if (found->device != "cpu" || !alone) text += " (" + found->dtype + ")";
  if (!alone) text = verdict.key.task + ": " + text;
  report->verdict += (report->verdict.empty() ? "" : "; ") + text;
  if (!(found->ms_per_text > 0)) return;
  report->partitions = std::max(report->partitions, found->partitions);
  report->fallback_ops = std::max(report->fallback_ops, found->fallback_ops);
  report->padded_share = std::max(report->padded_share, found->padded_share);
  report->tasks[verdict.key.task] = {found->ms_per_text, found->ratio_to_cpu, found->min_cosine};
  if (!report->recommend && found->recommend.batch > 0) report->recommend = found->recommend;
}

std::string device_report_json(const DeviceReport& report, bool verbose) {
  JsonObject out;
  out.text("device", report.device)
      .text("state", report.state)
      .text("reason", report.reason)
      .text("remedy", report.remedy)
      .text("version", report.version)
      .text("isa", report.isa)
      .texts("dtypes", report.dtypes)
      .texts("missing_steps", report.missing_steps);
  if (verbose) out.texts("notes", report.notes);
  out.integer("partitions", report.partitions)
      .integer("fallback_ops", report.fallback_ops)
      .number("padded_share", report.padded_share)
      .raw("tasks", tasks_json(report));
  if (report.verdict.empty()) {
    out.raw("verdict", "null");
  } else {
    out.text("verdict", report.verdict);
  }
  if (!report.recommend) return out.raw("recommend", "null").done();
  return out
      .raw("recommend", JsonObject()
                            .integer("batch", report.recommend->batch)
                            .integer("threads", report.recommend->threads)
                            .text("dtype", report.recommend->dtype)
                            .done())
      .done();
}

DeviceReport parse_device_report(std::string_view json) {
  const JsonDocument document = JsonDocument::parse(json, "device");
  const JsonValue root = document.root();
  DeviceReport report;
  report.device = root.at("device").string();
  report.state = root.at("state").string();
  report.reason = root.at("reason").string();
  report.remedy = root.at("remedy").string();
  report.version = root.at("version").string();
  report.isa = root.at("isa").string();
  report.dtypes = texts_of(root.at("dtypes"));
  report.missing_steps = texts_of(root.at("missing_steps"));
  if (const auto notes = root.find("notes")) report.notes = texts_of(*notes);
  return report;
}

std::string machine_json() {
  utsname names{};
  std::string system;
  if (::uname(&names) == 0)
    system = std::string(names.sysname) + " " + names.release + " " + names.machine;
  std::string isa;
  for (const backend::Backend* room : backend::all_backends())
    if (room->name() == "cpu") isa = room->probe().isa;
  return JsonObject()
      .text("cpu", cpu_model_name())
      .text("isa", isa)
      .integer("threads", available_threads())
      .integer("memory_bytes", machine_memory_bytes())
      .text("system", system)
      .done();
}

}  // namespace engine

std::string status_json(std::string_view model_locator, std::string_view disable, bool verbose) {
  const std::optional<Program> program = engine::program_of(model_locator);
  std::vector<engine::Verdict> verdicts;
  JsonObject out;
  out.raw("machine", engine::machine_json());
  if (model_locator.empty()) {
    out.raw("model", "null");
  } else {
    const engine::ModelTasks model = engine::model_tasks(model_locator);
    out.text("model", model.model);
    for (const std::string& task : model.tasks) {
      if (auto verdict = engine::read_verdict(engine::verdict_key(model, task)))
        verdicts.push_back(*std::move(verdict));
    }
  }
  JsonArray devices;
  for (const std::string& device : engine::device_names()) {
    engine::DeviceReport report = engine::report_of(device, program, disable);
    for (const engine::Verdict& verdict : verdicts)
      engine::add_verdict(verdict, verdicts.size() == 1, &report);
    devices.add(engine::device_report_json(report, verbose));
  }
  return out.raw("devices", devices.done()).done();
}

}  // namespace inlay
