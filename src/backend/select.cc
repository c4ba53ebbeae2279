// Walks the rooms in order of preference. A refusal is never silent: it is an error when the room
// was asked for by name, and a kept reason otherwise.
#include "backend/select.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/error.h"

namespace inlay::backend {
namespace {

// Rooms of the design that this version does not hold.
struct AbsentRoom {
  std::string_view name, engine;
};
constexpr std::array<AbsentRoom, 3> kAbsent{
    {{"onnxruntime", "ONNX Runtime"}, {"mlx", "MLX"}, {"torch", "LibTorch"}}};
constexpr std::string_view kAbsentRemedy = "use --device cpu";

std::string absent_reason(const AbsentRoom& room) {
  return std::string("version ") + version() + " of Inlay has no " + std::string(room.engine) +
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
const Backend& by_name(const std::string& device, const std::vector<std::string>& disabled) {
  const std::string room = device.substr(0, device.find(':'));
  if (contains(disabled, room) || contains(disabled, device)) {
    fail(
        ErrorCode::kUnavailable, "--device " + device,
        "expected a device that is enabled, got one that --disable or INLAY_DISABLE switches off.");
  }
  const Backend* backend = find_backend(room);
  std::optional<Probe> probe;
  if (backend != nullptr)
    probe = device == room ? backend->probe() : backend->probe_unit(device.substr(room.size() + 1));
  if (!probe) {
    if (const AbsentRoom* absent = find_absent(room)) {
      fail(ErrorCode::kUnavailable, "--device " + device,
           "expected a device of this build, got " + room + ": " + absent_reason(*absent) +
               ". Remedy: " + std::string(kAbsentRemedy) + ".");
    }
    fail(ErrorCode::kUsage, "--device",
         "expected auto, ref, cpu, cuda[:N], onnxruntime[:provider], mlx[:unit] or torch[:device], "
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
  static constexpr std::array<std::string_view, 6> kKnown{"auto", "fp32", "bf16",
                                                          "fp16", "int8", "fp8"};
  if (std::find(kKnown.begin(), kKnown.end(), wish) == kKnown.end()) {
    fail(ErrorCode::kUsage, "--dtype",
         "expected auto, fp32, bf16, fp16, int8 or fp8, got \"" + printable(wish) + "\".");
  }
}

// Puts what `auto` means to this room into the options.
void resolve_dtype(const Wish& wish, const Backend& backend, const Program& program,
                   CompileOptions* options) {
  options->dtype = wish.dtype == "auto" ? backend.default_dtype(program) : wish.dtype;
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
    choice.backend = &by_name(wish.device, disabled);
    choice.device = wish.device;
    if (const std::size_t colon = wish.device.find(':'); colon != std::string::npos)
      options->unit = wish.device.substr(colon + 1);
    resolve_dtype(wish, *choice.backend, program, options);
    choice.dtype = options->dtype;
    const std::vector<std::string> reasons = choice.backend->supports(program, *options);
    if (reasons.empty()) return choice;
    const bool dtype = reasons.front().starts_with("dtype:");
    fail(dtype ? ErrorCode::kUnavailable : ErrorCode::kUnsupported, "--device " + wish.device,
         "expected a device that runs this model, got: " + join(reasons) + ".");
  }
  for (const Backend* backend : all_backends()) {
    const std::string name(backend->name());
    if (name == "ref") {
      choice.refusals.push_back("ref: runs only when asked for by name");
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

std::vector<DeviceState> device_states(std::string_view disable) {
  const std::vector<std::string> disabled = all_disabled(disable);
  std::vector<DeviceState> states;
  for (const Backend* backend : all_backends()) {
    DeviceState state{std::string(backend->name()), backend->probe()};
    if (contains(disabled, state.device)) {
      state.probe.state = State::kDisabled;
      state.probe.reason = "switched off by --disable or INLAY_DISABLE";
      state.probe.remedy = "leave it out of that list";
    }
    states.push_back(std::move(state));
  }
  for (const AbsentRoom& room : kAbsent) {
    DeviceState state;
    state.device = room.name;
    state.probe.state = State::kAbsent;
    state.probe.reason = absent_reason(room);
    state.probe.remedy = kAbsentRemedy;
    states.push_back(std::move(state));
  }
  return states;
}

}  // namespace inlay::backend
