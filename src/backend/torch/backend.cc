// The doors of the torch room: Programs run by whatever LibTorch is on this machine, on its devices
// cpu, cuda and mps. Taken only when asked for by name, or by a verdict.
#include "backend/backend.h"

#include "backend/padded/executable.h"
#include "backend/padded/tape.h"
#include "backend/torch/library.h"
#include "backend/torch/tensors.h"
#include "base/error.h"

namespace inlay::backend {
namespace {

using torch::Library;

constexpr bool on_device(std::string_view unit) { return unit != torch::kCpuUnit; }

std::string remedy_of(const std::string& unit) {
  if (unit == torch::kMpsUnit)
    return "on a Mac with Apple silicon, install torch for macOS (pip install torch); elsewhere "
           "use "
           "--device torch:cpu or --device cpu";
  return "install a torch with CUDA and a driver that it takes, or use --device cuda or --device "
         "cpu";
}

Probe probe_device(std::string_view unit) {
  Probe probe;
  probe.dtypes = {"fp32", "fp16", "bf16"};
  const Library& library = torch::library();
  probe.notes = library.notes;
  probe.version = library.version;
  if (!library.usable) {
    probe.state = State::kAbsent;
    probe.reason = library.reason;
    probe.remedy = library.remedy;
    return probe;
  }
  const std::string refusal = torch::device_refusal(library, unit);
  if (!refusal.empty()) {
    probe.state = State::kRefused;
    probe.reason = "LibTorch " + library.version + " (" + library.path + ") says: " + refusal;
    probe.remedy = remedy_of(std::string(unit));
  }
  return probe;
}

std::string unit_of(std::string_view unit) {
  return unit.empty() ? torch::kCpuUnit : std::string(unit);
}

class TorchBackend final : public Backend {
 public:
  std::string_view name() const override { return "torch"; }
  Probe probe() const override { return probe_device(torch::kCpuUnit); }
  std::optional<Probe> probe_unit(std::string_view unit) const override {
    for (const std::string& known : units()) {
      if (unit == known) return probe_device(unit);
    }
    return std::nullopt;
  }
  std::vector<std::string> units() const override {
    return {torch::kCpuUnit, torch::kCudaUnit, torch::kMpsUnit};
  }
  bool only_by_name() const override { return true; }
  std::string default_dtype(const Program& program, std::string_view unit) const override {
    return on_device(unit_of(unit)) ? padded::accelerator_dtype(program) : "fp32";
  }

  std::vector<std::string> supports(const Program& program,
                                    const CompileOptions& options) const override {
    std::vector<std::string> reasons;
    if (options.dtype != "fp32" && options.dtype != "fp16" && options.dtype != "bf16")
      reasons.push_back("dtype: torch computes in fp32, fp16 or bf16, not " + options.dtype);
    for (std::string& reason : padded::tape_reasons(program, "torch"))
      reasons.push_back(std::move(reason));
    return reasons;
  }

  MemoryPlan plan(const Program& program, const CompileOptions& options) const override {
    return padded::plan_memory(program, options, {options.dtype, 0},
                               on_device(unit_of(options.unit)));
  }

  std::unique_ptr<Executable> compile(const Program& program,
                                      const CompileOptions& options) const override {
    if (options.threads < 1 || options.max_tokens < 1 || options.max_texts < 1 ||
        options.max_text_tokens < 1) {
      fail(ErrorCode::kInternal, "torch", "expected positive limits and threads.");
    }
    const Library& library = torch::library();
    if (!library.usable) {
      fail(ErrorCode::kUnavailable, "torch",
           "expected a usable LibTorch, got: " + library.reason + ". Remedy: " + library.remedy +
               ".");
    }
    const std::string unit = unit_of(options.unit);
    padded::RoomSetup setup;
    setup.room = "torch";
    setup.api = &torch::tensor_api();
    setup.session.unit = unit.c_str();
    setup.session.threads = options.threads;
    // MPS keeps a compiled graph for each shape.
    setup.round_lengths = unit == torch::kMpsUnit;
    setup.own_memory = on_device(unit);
    setup.notes = {"LibTorch " + library.version + ", " + library.path};
    return padded::make_executable(program, options, {options.dtype, 0}, std::move(setup));
  }
};

}  // namespace

const Backend& torch_backend() {
  static const TorchBackend backend;
  return backend;
}

}  // namespace inlay::backend
