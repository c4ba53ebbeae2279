// A device at work in a child process: what crashes or hangs there ends as a sentence here. Both
// ends of the conversation are in this file's .cc: an order as JSON on the child's standard input,
// events as lines of JSON on its standard output.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/device_report.h"
#include "inlay/inlay.hpp"
#include "report/agreement.h"
#include "report/workload.h"

namespace inlay::report {

// The word with which the program is called as a child.
inline constexpr std::string_view kChildWord = "--device-child";

// Engine options by their names in the option table: {"device", "cuda"}.
using EngineKeys = std::vector<std::pair<std::string, std::string>>;

struct ChildOrder {
  EngineKeys options;  // device and dtype among them
  Workload load;
  // Items a request of one pass over the load each, after a first pass of `batches`[0]; 0: all.
  std::vector<std::size_t> batches{0};
  double seconds = 1;    // for all passes after the first; each batch size has one at least
  int most_passes = 20;  // of a batch size
  // Less than the load when time is short: a beginning of it that can be done in `seconds`, and at
  // least kLeastItems.
  bool adaptive = false;
  bool results = false;  // send the first pass's results back
  // Not 0: the first pass is over so many texts only, since nobody wants its time.
  std::size_t warm_items = 0;
};
inline constexpr std::size_t kLeastItems = 12;

struct BatchTiming {
  std::size_t batch = 0, items = 0;
  int passes = 0;
  double seconds = 0, fastest = 0, slowest = 0;  // of a pass: the median, and the two ends
};

struct ChildOutcome {
  std::string failure;   // a sentence; empty: it did what it was asked
  bool refused = false;  // by the device or the model, in order; else it crashed, hung or broke off
  Stats stats;           // since loading; of all passes
  double start_seconds = 0;                      // from the call until the model was loaded
  double first_seconds = 0;                      // of the first pass
  std::int64_t first_tokens = 0, truncated = 0;  // in the first pass
  std::vector<BatchTiming> timings;
  Answers answers;  // with `results`
};

// Waits at most `limit_seconds`, process start and loading included.
ChildOutcome run_in_child(const ChildOrder& order, double limit_seconds);

// A device's report, asked in a child, which has at most `limit_seconds`. What ends badly is
// "refused" with the reason.
engine::DeviceReport report_in_child(const std::string& device, const std::string& model_locator,
                                     const std::string& disable, double limit_seconds);

// The child: reads the order, does it, writes events. Returns the exit code.
int serve_child();

}  // namespace inlay::report
