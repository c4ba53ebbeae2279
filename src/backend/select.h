// Choosing a room: walks the list of backends and keeps every refusal, so that the choice can be
// told.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"

namespace inlay::backend {

// What the caller asked for.
struct Wish {
  std::string device = "auto";  // auto, a room's name, or one with a unit: "cuda:1"
  std::string dtype = "auto";
  std::string disable;  // comma-separated; INLAY_DISABLE is added to it
};

struct Choice {
  const Backend* backend = nullptr;
  std::string device;  // "cpu", "cuda:1"
  std::string dtype;
  std::vector<std::string> refusals;  // "ref: only on request"
};

// The names in a --disable list. Throws kUsage for one that is no room, provider or accelerator of
// the contract.
std::vector<std::string> parse_disable(std::string_view list);

// Throws kUsage (unknown device), kUnavailable (disabled, absent, nothing left), kUnsupported (a
// step or dtype the room lacks), each with the reason and the remedy.
Choice select(const Wish& wish, const Program& program, CompileOptions* options);

// One line of `inlay status`: a room, or one of its parts, as it stands here. What is disabled is
// listed and not asked; what is not built in is listed, too.
struct DeviceState {
  std::string device;  // "cpu", "onnxruntime:coreml"
  Probe probe;
  const Backend* backend = nullptr;  // null: not built in
  std::string unit{};
};
std::vector<DeviceState> device_states(std::string_view disable);

}  // namespace inlay::backend
