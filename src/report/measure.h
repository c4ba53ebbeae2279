// Measuring the devices of this machine with a model: each in a child process, within one bound of
// time, against the CPU's fp32. engine/verdict keeps what comes out and `auto` acts on it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/verdict.h"
#include "report/device_child.h"

namespace inlay::report {

// Seconds for `inlay status --measure`, and with `all`: half a second less than what is promised,
// for what comes before and after.
inline constexpr double kMeasureSeconds = 9.5;
inline constexpr double kMeasureAllSeconds = 29.5;
// Of all the time, what asking the devices what they are may take: a driver that starts several
// GPUs needs seconds.
inline constexpr double kReportShare = 0.4;
// The same in seconds, where nothing is measured: a driver that takes longer has hung.
inline constexpr double kReportSeconds = 5;
// A job of more texts measures before it begins, where no verdict is known.
inline constexpr std::int64_t kLargeJob = 2000;

// What a device must reach beside the CPU's fp32 to be taken.
Tolerance verdict_tolerance();
// Slower is what does not save at least this share of the CPU's time: less is within the noise.
inline constexpr double kLeastGain = 0.05;

struct MeasureOptions {
  EngineKeys options;  // the caller's; device, dtype and model among them are not looked at
  std::string disable;
  bool all = false;  // torch and every provider of onnxruntime, too
  double seconds = kMeasureSeconds;
};

// Asks every device for its report: cpu and ref here, the others each in a child, side by side,
// within `limit_seconds`. Throws what the model's folder throws.
std::vector<engine::DeviceReport> report_devices(const std::string& model_locator,
                                                 const std::string& disable, double limit_seconds);

// Measures the devices among `devices` that are ok. `locator` is the model's. What `known` says of
// grids is kept. Never throws for what a device does.
engine::Verdict measure(const engine::ModelTasks& model, const std::string& locator,
                        const std::string& task, const std::vector<engine::DeviceReport>& devices,
                        const MeasureOptions& options,
                        const std::optional<engine::Verdict>& known = std::nullopt);

// What `auto` needs before a large job: a verdict, if there is none and something to choose from.
struct JobMeasured {
  std::string told;           // a sentence for people; empty: nothing was measured
  std::string device, dtype;  // to ask for by name where the verdict could not be kept; else empty
};
// `locator` empty: the task's default. What is wrong with the model is left to who loads it.
JobMeasured measure_for_job(const std::string& locator, const std::string& task,
                            const MeasureOptions& options);

// What one measurement says beside the CPU's. `cpu` null: it is the CPU's fp32 itself.
engine::DeviceVerdict judge(const std::string& device, const std::string& dtype,
                            const ChildOutcome& outcome, const ChildOutcome* cpu);

// The best of a child's timings in milliseconds an item; 0: none.
double ms_per_item(const ChildOutcome& outcome);

// The time as ISO 8601 in UTC.
std::string now_text();

}  // namespace inlay::report
