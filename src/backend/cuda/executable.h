// A plan with its weights on a device, ready to run batches.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backend/cuda/plan.h"

namespace inlay::backend::cuda {

// Places the plan's weights on the device and sizes everything that runs need. Throws kUnavailable,
// kMemoryLimit (the device's memory is too small; `plan` may be made again for fewer tokens) and
// kInternal. The checkpoint behind the plan may go afterwards.
std::unique_ptr<Executable> make_executable(Plan plan, const CompileOptions& options,
                                            const Api& api, std::int32_t device);

// The same on each of `devices`, which then run batches side by side: a batch goes to whichever has
// the fewest. Named twice, a device has two sessions. Where memory is too small for submissions of
// kChunkTokens, half of that is tried, once.
std::unique_ptr<Executable> make_executable_on(const Program& program,
                                               const CompileOptions& options, const Api& api,
                                               const std::vector<std::int32_t>& devices);

// "1", "0,1": the numbers in it; nothing where it is no such list.
std::optional<std::vector<std::int32_t>> parse_numbers(std::string_view list);

// For benches: the last submission again, `repeats` times. What each operation is and its
// milliseconds, then "all" without pauses between operations.
struct OperationTime {
  std::string what;
  float milliseconds;
};
std::vector<OperationTime> profile(Executable* executable, int repeats);

}  // namespace inlay::backend::cuda
