// A Program as one graph or, for a provider that compiles, one for each size of group, ready to run
// batches.
#pragma once

#include <memory>

#include "backend/backend.h"
#include "backend/onnxruntime/library.h"
#include "backend/onnxruntime/providers.h"
#include "program/program.h"

namespace inlay::backend::onnxruntime {

MemoryPlan plan_memory(const Program& program, const CompileOptions& options,
                       const ProviderSetup& setup);

// The library must be usable. Throws kUnavailable when the provider refuses. The checkpoint behind
// the Program may go afterwards.
std::unique_ptr<Executable> make_executable(const Program& program, const CompileOptions& options,
                                            const Library& library, ProviderSetup setup);

}  // namespace inlay::backend::onnxruntime
