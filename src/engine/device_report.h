// One device of this machine as `inlay status` tells it: what the room says of itself, what it
// lacks for a model, and what was measured.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/verdict.h"

namespace inlay::engine {

struct TaskFigures {
  double ms_per_text = 0, ratio_to_cpu = 0, min_cosine = 0;
};

struct DeviceReport {
  std::string device;
  std::string state;  // "ok", "absent", "disabled", "refused"
  std::string reason, remedy, version, isa;
  std::vector<std::string> dtypes;
  std::vector<std::string> missing_steps;  // of the model; a reason each
  std::vector<std::string> notes;          // every candidate passed over, and why
  // Measured.
  std::int64_t partitions = 1, fallback_ops = 0;
  double padded_share = 0;
  std::map<std::string, TaskFigures> tasks;  // by "dense", "sparse", ...
  std::string verdict;                       // a sentence; empty: never measured
  std::optional<Recommend> recommend;
};

// The devices in order, without asking any of them anything.
std::vector<std::string> device_names();
// Asks the device, in this process: a library that it opens may take the process down. Throws
// kNotFound and the like for the model; empty: none.
DeviceReport report_device(const std::string& device, std::string_view model_locator,
                           std::string_view disable);
// Adds what a verdict says of it. `alone`: the verdict's task need not be named.
void add_verdict(const Verdict& verdict, bool alone, DeviceReport* report);

// As an object of the contract's "devices"; notes only if `verbose`.
std::string device_report_json(const DeviceReport& report, bool verbose);
DeviceReport parse_device_report(std::string_view json);  // throws kBadInput

// "machine" of the contract: cpu, isa, threads, memory_bytes, system.
std::string machine_json();

}  // namespace inlay::engine
