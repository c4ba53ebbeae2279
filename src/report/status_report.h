// `inlay status`: the machine, and each device with what it says, lacks and was measured at.
#pragma once

#include <string>

#include "report/measure.h"

namespace inlay::report {

struct StatusOptions {
  std::string model, disable;  // model empty: the tasks' default models that are on this machine
  bool measure = false;
  MeasureOptions measuring;
  bool verbose = false;
};

// The JSON object of the contract: {machine, model, devices: [...]}. With `measure` the verdicts
// are measured and kept, all of them within measuring.seconds. Throws kNotFound for a model that
// is not here.
std::string status_report(const StatusOptions& options);

}  // namespace inlay::report
