// Choosing a room: walks the list of backends and keeps every refusal, so that the choice can be
// told.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"

namespace inlay::backend {

// A device that was measured and found faster, as it was then.
struct Preferred {
  std::string device, dtype, version;  // "cuda:0", "fp16"; of the room, as its probe says
};

// What the caller asked for.
struct Wish {
  std::string device = "auto";  // auto, a room's name, or one with a unit: "cuda:1"
  std::string dtype = "auto";
  std::string disable;  // comma-separated; INLAY_DISABLE is added to it
  // What `auto` tries before the list, best first; one that is not as it was measured is refused.
  std::vector<Preferred> preferred{};
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
// The same one by one: the names in order, which asks no device anything, and one of them.
std::vector<std::string> device_names();
DeviceState device_state(const std::string& device, std::string_view disable);

}  // namespace inlay::backend
