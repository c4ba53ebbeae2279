// One graph made ready by the library, and runs of it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "backend/onnxruntime/library.h"
#include "backend/onnxruntime/providers.h"
#include "backend/padded/inputs.h"

namespace inlay::backend::onnxruntime {

struct SessionSpec {
  std::string_view model;    // ModelProto; read until the session is made
  std::string_view weights;  // the block that the model refers to; likewise
  int threads = 1;
  std::span<const WeightRef> files{};  // more of them, by the names that the model has; likewise
};

class Session {
 public:
  // Throws kUnavailable with the library's words when it refuses the provider, kInternal when it
  // refuses the graph.
  Session(const Library& library, const ProviderSetup& setup, const SessionSpec& spec);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Writes the outputs into their memory. One thread at a time. On a device with memory of its own
  // inputs and outputs are bound: copied as they are bound, and as the run ends.
  void run(std::span<const padded::HostTensor> inputs, std::span<const padded::HostTensor> outputs);
  const Placement& placement() const { return placement_; }

 private:
  const Library& library_;
  SessionHandle* handle_ = nullptr;
  IoBinding* binding_ = nullptr;  // null: runs are given their tensors
  Placement placement_;
};

}  // namespace inlay::backend::onnxruntime
