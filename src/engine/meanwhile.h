// A device that takes long to compile, and one that computes until it has: --meanwhile.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "backend/backend.h"
#include "program/program.h"

namespace inlay::engine {

struct MeanwhileSetup {
  std::string device;  // the one to compile: "onnxruntime:coreml"
  const backend::Backend* room = nullptr;
  backend::CompileOptions limits{};
  std::string other = "cpu";  // the one that computes meanwhile
  // The caller named the device: when it cannot be compiled, or its results are wrong, the requests
  // that come after that fail. Otherwise `other` goes on, and notes() say why.
  bool named = true;
  // Run once on what was compiled before it serves, unless it compiles each size anew.
  std::function<void(backend::Executable*)> warm_up{};
};

// Starts to compile at once, in a thread of its own, which ends with what it returns: a compilation
// that has begun is waited for there. run() takes `device` for a batch of which everything is
// compiled, and `other` for any before; what that one lacked is compiled next.
std::unique_ptr<backend::Executable> compile_meanwhile(Program program,
                                                       std::unique_ptr<backend::Executable> other,
                                                       MeanwhileSetup setup);

}  // namespace inlay::engine
