// What this machine offers, measured nowhere yet: the rooms with their reasons, the machine, the
// model.
#include "backend/select.h"
#include "base/json.h"
#include "base/process.h"
#include "base/threads.h"
#include "engine/loader.h"
#include "files/locate.h"
#include "inlay/inlay.hpp"

namespace inlay {
namespace {

void add_text(std::string& out, const char* key, std::string_view value) {
  json_append_string(out, key);
  out += ":";
  json_append_string(out, value);
}

void add_list(std::string& out, const char* key, const std::vector<std::string>& values) {
  json_append_string(out, key);
  out += ":[";
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i != 0) out += ",";
    json_append_string(out, values[i]);
  }
  out += "]";
}

const char* state_name(backend::State state) {
  static constexpr const char* kNames[] = {"ok", "absent", "disabled", "refused"};
  return kNames[static_cast<std::size_t>(state)];
}

std::string device_json(const backend::DeviceState& device, const std::vector<std::string>& missing,
                        bool verbose) {
  const backend::Probe& probe = device.probe;
  const bool refused = probe.state == backend::State::kOk && !missing.empty();
  std::string out = "{";
  add_text(out, "device", device.device);
  out += ",";
  add_text(out, "state", refused ? "refused" : state_name(probe.state));
  out += ",";
  add_text(out, "reason", refused ? missing.front() : probe.reason);
  out += ",";
  add_text(out, "remedy",
           refused ? "choose a device that runs every step of this model" : probe.remedy);
  out += ",";
  add_text(out, "version", probe.version);
  out += ",";
  add_text(out, "isa", probe.isa);
  out += ",";
  add_list(out, "dtypes", probe.dtypes);
  out += ",";
  add_list(out, "missing_steps", missing);
  if (verbose) {
    out += ",";
    add_list(out, "notes", probe.notes);
  }
  // Verdicts come from measuring, which this version does not do: auto takes the CPU.
  out +=
      ",\"partitions\":1,\"fallback_ops\":0,\"padded_share\":0,\"tasks\":{},\"verdict\":null,"
      "\"recommend\":null}";
  return out;
}

}  // namespace

std::string status_json(std::string_view model_locator, std::string_view disable, bool verbose) {
  std::string out = "{\"machine\":{";
  add_text(out, "cpu", cpu_model_name());
  out += ",\"threads\":" + std::to_string(available_threads());
  out += ",\"memory_bytes\":" + std::to_string(machine_memory_bytes()) + "},\"model\":";
  std::optional<Program> program;
  if (model_locator.empty()) {
    out += "null";
  } else {
    const files::Located located = files::locate(model_locator, files::Ask::kNever);
    const files::ModelFiles model = files::ModelFiles::open(located.folder, located.name);
    const auto task = task::make_task(model, task::natural_task(model));
    if (task->reads()) program = engine::build_program(model, task.get());
    json_append_string(out, model.name());
  }
  out += ",\"devices\":[";
  bool first = true;
  for (const backend::DeviceState& device : backend::device_states(disable)) {
    std::vector<std::string> missing;
    const bool off = device.probe.state == backend::State::kDisabled;
    if (program && device.backend != nullptr && !off) {
      backend::CompileOptions options;
      options.unit = device.unit;
      missing = device.backend->supports(*program, options);
    }
    if (!first) out += ",";
    first = false;
    out += device_json(device, missing, verbose);
  }
  return out + "]}";
}

}  // namespace inlay
