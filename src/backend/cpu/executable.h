// A plan with its weights, ready to run: memory, schedules, and the loop over the operations.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/plan.h"
#include "base/tensor.h"
#include "base/threads.h"

namespace inlay::backend::cpu {

// How large chunks are and what memory that takes. Known from the plan and the options alone.
struct Sizes {
  Index chunk_tokens = 0;  // of one chunk of several texts
  Index chunk_texts = 0;
  Index team_tokens = 0;     // of the one chunk that all threads share
  Index slice_floats = 0;    // a thread's slots for one chunk
  Index slots_floats = 0;    // all slices, or the shared chunk, whichever is more
  Index scratch_floats = 0;  // a thread's
  MemoryPlan memory;
};
Sizes plan_sizes(const Plan& plan, const CompileOptions& options);

// Where time goes, for benchmarks: seconds of each thread in each operation of the plan, waiting
// for a team included, added up over runs. Read and reset between runs alone.
struct OpTimes {
  std::vector<std::vector<double>> seconds;  // [threads][operations]
};

// `times`: null, or filled by every run and outliving the executable.
std::unique_ptr<Executable> make_executable(Plan plan, const Kernels& kernels,
                                            const CompileOptions& options,
                                            OpTimes* times = nullptr);

}  // namespace inlay::backend::cpu
