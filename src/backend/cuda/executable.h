// A plan with its weights on a device, ready to run batches.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/cuda/plan.h"

namespace inlay::backend::cuda {

// Places the plan's weights on the device and sizes everything that runs need. Throws kUnavailable,
// kMemoryLimit (the device's memory is too small; `plan` may be made again for fewer tokens) and
// kInternal. The checkpoint behind the plan may go afterwards.
std::unique_ptr<Executable> make_executable(Plan plan, const CompileOptions& options,
                                            const Api& api, std::int32_t device);

// For benches: the last submission again, `repeats` times. What each operation is and its
// milliseconds, then "all" without pauses between operations.
struct OperationTime {
  std::string what;
  float milliseconds;
};
std::vector<OperationTime> profile(Executable* executable, int repeats);

}  // namespace inlay::backend::cuda
