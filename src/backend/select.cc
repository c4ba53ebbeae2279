// Walks the rooms in order of preference. A refusal is never silent: it is an error when the room
// was asked for by name, and a kept reason otherwise.
#include "backend/select.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/error.h"

namespace inlay::backend {
namespace {

// Rooms of the design that this version does not hold, or this build leaves out.
struct AbsentRoom {
  std::string_view name, engine, remedy;
};
constexpr std::array<AbsentRoom, 3> kAbsent{
    {{"onnxruntime", "ONNX Runtime",
      "build Inlay with cmake -DINLAY_ONNXRUNTIME=ON, or use --device cpu"},
     {"mlx", "MLX", "build Inlay with cmake -DINLAY_MLX=ON, or use --device cpu"},
     {"torch", "LibTorch", "build Inlay with cmake -DINLAY_TORCH=ON, or use --device cpu"}}};

std::string absent_reason(const AbsentRoom& room) {
  return std::string("this build of Inlay ") + version() + " has no " + std::string(room.engine) +
         " room";
}

// Other words that --disable takes: providers, and accelerators by every route.
constexpr std::array<std::string_view, 10> kProviders{
    "coreml",  "mps",     "onnxruntime:cpu", "onnxruntime:cuda", "onnxruntime:coreml",
    "mlx:cpu", "mlx:gpu", "torch:cpu",       "torch:cuda",       "torch:mps"};

const Backend* find_backend(std::string_view name) {
  for (const Backend* backend : all_backends()) {
    if (backend->name() == name) return backend;
  }
  return nullptr;
}

const AbsentRoom* find_absent(std::string_view name) {
  for (const AbsentRoom& room : kAbsent) {
    if (room.name == name) return &room;
  }
  return nullptr;
}

bool contains(const std::vector<std::string>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

// Accelerators that a list names by themselves, whichever room they are reached through.
constexpr std::array<std::string_view, 3> kAccelerators{"coreml", "cuda", "mps"};

// "cuda:1" is the room "cuda" and its part "1".
struct Device {
  std::string room, unit;
  explicit Device(const std::string& name) : room(name.substr(0, name.find(':'))) {
    if (room.size() < name.size()) unit = name.substr(room.size() + 1);
  }
};

bool is_disabled(const std::vector<std::string>& list, const std::string& room,
                 const std::string& unit) {
  const bool accelerator =
      std::find(kAccelerators.begin(), kAccelerators.end(), unit) != kAccelerators.end();
  return contains(list, room) || (!unit.empty() && contains(list, room + ":" + unit)) ||
         (accelerator && contains(list, unit));
}

// The part that a room's bare name stands for; empty where it has none.
std::string first_unit(const Backend* backend) {
  const std::vector<std::string> units =
      backend == nullptr ? std::vector<std::string>() : backend->units();
  return units.empty() ? "" : units.front();
}

std::string join(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "; ") + line;
  return text;
}

std::vector<std::string> all_disabled(std::string_view list) {
  std::vector<std::string> names = parse_disable(list);
  if (const char* environment = std::getenv("INLAY_DISABLE")) {
    for (std::string& name : parse_disable(environment)) names.push_back(std::move(name));
  }
  return names;
}

// A room asked for by name: obeyed or refused, never replaced.
const Backend& by_name(const std::string& device, const std::vector<std::string>& disabled,
                       const RoomOptions& options) {
  const auto [room, unit] = Device(device);
  const Backend* backend = find_backend(room);
  if (is_disabled(disabled, room, unit.empty() ? first_unit(backend) : unit)) {
    fail(
        ErrorCode::kUnavailable, "--device " + device,
        "expected a device that is enabled, got one that --disable or INLAY_DISABLE switches off.");
  }
  std::optional<Probe> probe;
  if (backend != nullptr) probe = backend->probe_with(unit, options);
  if (!probe) {
    if (const AbsentRoom* absent = find_absent(room)) {
      fail(ErrorCode::kUnavailable, "--device " + device,
           "expected a device of this build, got " + room + ": " + absent_reason(*absent) +
               ". Remedy: " + std::string(absent->remedy) + ".");
    }
    fail(ErrorCode::kUsage, "--device",
         "expected auto, ref, cpu, cuda[:N,...], onnxruntime[:provider], mlx[:unit] or torch[:device], "
         "got \"" +
             printable(device) + "\".");
  }
  if (probe->state != State::kOk) {
    fail(ErrorCode::kUnavailable, "--device " + device,
         "expected the device to be usable, got: " + probe->reason + ". Remedy: " + probe->remedy +
             ".");
  }
  return *backend;
}

void check_dtype(const std::string& wish) {
  static constexpr std::array<std::string_view, 7> kKnown{"auto", "fp32", "bf16", "fp16",
                                                          "int8", "int4", "fp8"};
  if (std::find(kKnown.begin(), kKnown.end(), wish) == kKnown.end()) {
    fail(ErrorCode::kUsage, "--dtype",
         "expected auto, fp32, bf16, fp16, int8, int4 or fp8, got \"" + printable(wish) + "\".");
  }
}

// Puts what `auto` means to this room into the options.
void resolve_dtype(const Wish& wish, const Backend& backend, const Program& program,
                   CompileOptions* options) {
  options->dtype = wish.dtype == "auto" ? backend.default_dtype(program, options->unit)
                                         : wish.dtype;
}

// Why a device that a verdict prefers cannot be taken as it was measured; empty: it can, and the
// options are set for it.
std::string refusal_of(const Preferred& preferred, const Program& program,
                       const std::vector<std::string>& disabled, CompileOptions* options) {
  const auto [room, unit] = Device(preferred.device);
  const Backend* backend = find_backend(room);
  if (backend == nullptr) return "not in this build";
  if (is_disabled(disabled, room, unit.empty() ? first_unit(backend) : unit)) return "disabled";
  const std::optional<Probe> probe = backend->probe_with(unit, options->room);
  if (!probe) return "not in this build";
  if (probe->state != State::kOk) return probe->reason;
  if (probe->version != preferred.version)
    return "measured with version " + preferred.version + ", now " + probe->version;
  options->unit = unit;
  options->dtype = preferred.dtype;
  return join(backend->supports(program, *options));
}

}  // namespace

std::vector<std::string> parse_disable(std::string_view list) {
  std::vector<std::string> names;
  std::size_t begin = 0;
  while (begin < list.size()) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    const std::string name(list.substr(begin, end - begin));
    begin = end + 1;
    if (name.empty()) continue;
    const bool known = find_backend(name) != nullptr || find_absent(name) != nullptr ||
                       std::find(kProviders.begin(), kProviders.end(), name) != kProviders.end();
    if (!known) {
      fail(ErrorCode::kUsage, "--disable",
           "expected cpu, ref, cuda, onnxruntime[:cpu|:cuda|:coreml], mlx[:cpu|:gpu], "
           "torch[:cpu|:cuda|:mps], coreml or mps, got \"" +
               printable(name) + "\".");
    }
    names.push_back(name);
  }
  return names;
}

Choice select(const Wish& wish, const Program& program, CompileOptions* options) {
  const std::vector<std::string> disabled = all_disabled(wish.disable);
  Choice choice;
  check_dtype(wish.dtype);
  options->unit.clear();
  if (wish.device != "auto") {
    choice.backend = &by_name(wish.device, disabled, options->room);
    choice.device = wish.device;
    options->unit = Device(wish.device).unit;
    resolve_dtype(wish, *choice.backend, program, options);
    choice.dtype = options->dtype;
    const std::vector<std::string> reasons = choice.backend->supports(program, *options);
    if (reasons.empty()) return choice;
    const bool dtype = reasons.front().starts_with("dtype:");
    fail(dtype ? ErrorCode::kUnavailable : ErrorCode::kUnsupported, "--device " + wish.device,
         "expected a device that runs this model, got: " + join(reasons) + ".");
  }
  for (const Preferred& preferred : wish.preferred) {
    const std::string refusal = refusal_of(preferred, program, disabled, options);
    if (!refusal.empty()) {
      choice.refusals.push_back(preferred.device + ": " + refusal);
      continue;
    }
    choice.backend = find_backend(Device(preferred.device).room);
    choice.device = preferred.device;
    choice.dtype = options->dtype;
    return choice;
  }
  options->unit.clear();
  for (const Backend* backend : all_backends()) {
    const std::string name(backend->name());
    if (backend->only_by_name()) {
      choice.refusals.push_back(name + ": runs only when asked for by name");
      continue;
    }
    if (contains(disabled, name)) {
      choice.refusals.push_back(name + ": disabled");
      continue;
    }
    const Probe probe = backend->probe();
    if (probe.state != State::kOk) {
      choice.refusals.push_back(name + ": " + probe.reason);
      continue;
    }
    resolve_dtype(wish, *backend, program, options);
    const std::vector<std::string> reasons = backend->supports(program, *options);
    if (!reasons.empty()) {
      choice.refusals.push_back(name + ": " + join(reasons));
      continue;
    }
    choice.backend = backend;
    choice.device = name;
    choice.dtype = options->dtype;
    return choice;
  }
  fail(ErrorCode::kUnavailable, "--device auto",
       "expected a usable device, got: " + join(choice.refusals) + ".");
}

namespace {

// One row of status.
DeviceState state_of(const Backend& backend, const std::string& unit,
                     const std::vector<std::string>& disabled) {
  const std::string room(backend.name());
  DeviceState state{unit.empty() ? room : room + ":" + unit, {}, &backend, unit};
  if (is_disabled(disabled, room, unit)) {
    state.probe.state = State::kDisabled;
    state.probe.reason = "switched off by --disable or INLAY_DISABLE";
    state.probe.remedy = "leave it out of that list";
  } else {
    state.probe = backend.probe_with(unit, {}).value_or(Probe());
  }
  return state;
}

}  // namespace

std::vector<std::string> device_names() {
  std::vector<std::string> names;
  for (const Backend* backend : all_backends()) {
    const std::string room(backend->name());
    const std::vector<std::string> units = backend->units();
    if (units.empty()) names.push_back(room);
    for (const std::string& unit : units) names.push_back(room + ":" + unit);
  }
  for (const AbsentRoom& room : kAbsent)
    if (find_backend(room.name) == nullptr) names.emplace_back(room.name);
  return names;
}

DeviceState device_state(const std::string& device, std::string_view disable) {
  const auto [room, unit] = Device(device);
  if (const Backend* backend = find_backend(room))
    return state_of(*backend, unit, all_disabled(disable));
  const AbsentRoom* absent = find_absent(room);
  if (absent == nullptr) {
    fail(ErrorCode::kInternal, "device_state",
         "expected a device of this build, got \"" + printable(device) + "\".");
  }
  DeviceState state;
  state.device = device;
  state.probe.state = State::kAbsent;
  state.probe.reason = absent_reason(*absent);
  state.probe.remedy = absent->remedy;
  return state;
}

std::vector<DeviceState> device_states(std::string_view disable) {
  std::vector<DeviceState> states;
  for (const std::string& name : device_names()) states.push_back(device_state(name, disable));
  return states;
}

}  // namespace inlay::backend
