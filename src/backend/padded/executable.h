// A Program run by a library of tensors over padded groups of texts.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/padded/tensor_api.h"

namespace inlay::backend::padded {

// How a room gives its library work.
struct RoomSetup {
  std::string room;  // for messages: "mlx"
  const TensorApi* api = nullptr;
  SessionOptions session{};
  // Lengths are rounded up to multiples of an eighth of the next power of two, 16 at least: a
  // library that keeps memory or machine code by shape then sees few shapes.
  bool round_lengths = false;
  bool own_memory = false;  // weights and values are in a device's memory
  std::vector<std::string> notes{};
};

// Group lengths that a room with round_lengths uses.
std::int64_t rounded_length(std::int64_t length, std::int64_t most);

// dtype and bits of matrices that a name of --dtype means: "int8" is 8-bit matrices with values of
// `values`.
struct Precision {
  std::string dtype;
  int bits = 0;
};
// What values are on an accelerator: bf16 for a Program with RMS norms or gated layers, whose
// activations leave fp16's range, else fp16.
std::string accelerator_dtype(const Program& program);
Precision precision_of(const std::string& dtype, const std::string& values);

MemoryPlan plan_memory(const Program& program, const CompileOptions& options,
                       const Precision& precision, bool own_memory);

// Uploads the weights; the Program may release its own afterwards. Throws kUnavailable with the
// library's words when it refuses the device.
std::unique_ptr<Executable> make_executable(const Program& program, const CompileOptions& options,
                                            const Precision& precision, RoomSetup setup);

}  // namespace inlay::backend::padded
