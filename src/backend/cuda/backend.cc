// The doors of the cuda room: Inlay's own engine on NVIDIA GPUs. The engine itself is a library of
// its own, opened when it is asked for, so one build of Inlay runs with and without a GPU.
#include "backend/backend.h"

#include <algorithm>
#include <cstring>

#include "backend/cuda/executable.h"
#include "backend/cuda/library.h"
#include "backend/cuda/plan.h"
#include "base/error.h"

namespace inlay::backend {
namespace {

using cuda::Library;

constexpr std::int64_t kMostHeadSize = 256;
constexpr std::int32_t kE4M3Major = 9;   // Hopper: Inlay's products of 8-bit floats are made for it
constexpr std::int32_t kLeastMajor = 8;  // Ampere: 16-bit matrix units with bf16, cp.async

std::string version_text(std::int32_t version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

Probe refused(Probe probe, State state, std::string reason, std::string remedy) {
  probe.state = state;
  probe.reason = std::move(reason);
  probe.remedy = std::move(remedy);
  return probe;
}

// What the library says of the machine, asked once: devices and drivers do not come and go.
const cuda::ProbeReport& report_of(const cuda::Api& api) {
  static const cuda::ProbeReport report = [&] {
    cuda::ProbeReport asked{};
    api.probe(&asked);
    return asked;
  }();
  return report;
}

Probe probe_device(std::int32_t number) {
  Probe probe;
  probe.dtypes = {"fp32", "fp16", "bf16"};  // fp8 where the GPU has it
  const Library& library = cuda::library();
  probe.notes = library.notes;
  if (library.api == nullptr)
    return refused(std::move(probe), State::kAbsent, library.reason, library.remedy);
  const cuda::ProbeReport& report = report_of(*library.api);
  if (report.runtime_version > 0) probe.version = version_text(report.runtime_version);
  if (report.status != cuda::Status::kOk) {
    return refused(std::move(probe), State::kAbsent, report.reason.text, report.remedy.text);
  }
  if (number >= report.devices) {
    return refused(std::move(probe), State::kAbsent,
                   "this machine has " + std::to_string(report.devices) +
                       " GPUs for CUDA, numbered from 0, and no number " + std::to_string(number),
                   "name one of them, or look at CUDA_VISIBLE_DEVICES");
  }
  for (std::int32_t device = 0; device < report.devices; ++device) {
    cuda::DeviceFacts facts{};
    cuda::Message message{};
    if (library.api->device_facts(device, &facts, &message) != cuda::Status::kOk) {
      if (device == number) {
        return refused(std::move(probe), State::kRefused, message.text,
                       "see whether nvidia-smi shows this GPU, or use --device cpu");
      }
      continue;
    }
    const std::string isa = "sm_" + std::to_string(facts.major) + std::to_string(facts.minor);
    probe.notes.push_back("cuda:" + std::to_string(device) + ": " + facts.name + ", " + isa + ", " +
                          std::to_string(facts.memory_bytes >> 20) + " MiB");
    if (device != number) continue;
    probe.isa = isa;
    if (facts.major == kE4M3Major) probe.dtypes.emplace_back("fp8");
    if (facts.major < kLeastMajor) {
      return refused(std::move(probe), State::kRefused,
                     std::string(facts.name) + " is of architecture " + isa +
                         ", and Inlay's kernels need sm_80 (Ampere) or newer",
                     "use a GPU of sm_80 or newer, or --device cpu");
    }
  }
  return probe;
}

// The GPUs that a unit stands for, the first of them the one to ask: those it names, or all that
// are like number 0, since results of different GPUs may differ in their last bits.
std::vector<std::int32_t> devices_of(std::string_view unit) {
  if (!unit.empty()) return cuda::parse_numbers(unit).value_or(std::vector<std::int32_t>{0});
  std::vector<std::int32_t> devices{0};
  const Library& library = cuda::library();
  if (library.api == nullptr) return devices;
  cuda::DeviceFacts first{};
  cuda::Message message{};
  if (library.api->device_facts(0, &first, &message) != cuda::Status::kOk) return devices;
  for (std::int32_t device = 1; device < report_of(*library.api).devices; ++device) {
    cuda::DeviceFacts facts{};
    if (library.api->device_facts(device, &facts, &message) == cuda::Status::kOk &&
        std::strcmp(facts.name, first.name) == 0)
      devices.push_back(device);
  }
  return devices;
}

// The architecture of a GPU that has no fp8 here; empty: it has, or there is none to ask.
std::string isa_without_e4m3(std::string_view unit) {
  const Library& library = cuda::library();
  cuda::DeviceFacts facts{};
  cuda::Message message{};
  if (library.api == nullptr || report_of(*library.api).status != cuda::Status::kOk ||
      library.api->device_facts(devices_of(unit)[0], &facts, &message) != cuda::Status::kOk ||
      facts.major == kE4M3Major)
    return "";
  return "sm_" + std::to_string(facts.major) + std::to_string(facts.minor);
}

class CudaBackend final : public Backend {
 public:
  std::string_view name() const override { return "cuda"; }

  Probe probe() const override { return probe_device(0); }

  std::optional<Probe> probe_unit(std::string_view unit) const override {
    const auto numbers = cuda::parse_numbers(unit);
    if (!numbers) return std::nullopt;
    Probe probe = probe_device(numbers->front());
    for (const std::int32_t number : *numbers) {
      if (probe.state == State::kOk) probe = probe_device(number);
    }
    return probe;
  }

  std::int64_t batch_tokens() const override { return cuda::kChunkTokens; }

  std::string default_dtype(const Program& program, std::string_view) const override {
    return cuda::narrow_type(program) == cuda::Type::kBF16 ? "bf16" : "fp16";
  }

  std::vector<std::string> supports(const Program& program,
                                    const CompileOptions& options) const override {
    std::vector<std::string> reasons;
    if (options.dtype == "fp8") {
      if (const std::string isa = isa_without_e4m3(options.unit); !isa.empty())
        reasons.push_back("dtype: cuda computes fp8 on GPUs of sm_90 (Hopper), and this is " + isa);
    } else if (options.dtype != "fp32" && options.dtype != "fp16" && options.dtype != "bf16") {
      reasons.push_back("dtype: cuda computes in fp32, fp16, bf16 or fp8, not " + options.dtype);
    }
    if (program.steps().empty()) reasons.emplace_back("program: it has no steps");
    if (std::string reason = external_graph_reason(program); !reason.empty())
      reasons.push_back(std::move(reason));
    for (const Step& step : program.steps()) {
      const auto* experts = std::get_if<ExpertsStep>(&step.args);
      if (experts != nullptr && experts->router.tensor.shape[0] > cuda::kMostExperts) {
        reasons.push_back("step " + step.name + ": " +
                          std::to_string(experts->router.tensor.shape[0]) + " experts, more than " +
                          std::to_string(cuda::kMostExperts));
      }
      const auto* attention = std::get_if<AttentionStep>(&step.args);
      if (attention != nullptr && attention->head_size > kMostHeadSize) {
        reasons.push_back("step " + step.name + ": heads of " +
                          std::to_string(attention->head_size) + ", more than " +
                          std::to_string(kMostHeadSize));
      }
      const auto* embed = std::get_if<EmbedStep>(&step.args);
      if (embed == nullptr || !embed->positions.present()) continue;
      const std::int64_t rows = embed->positions.tensor.shape[0];
      if (embed->position_offset < 0 || embed->position_pad_id >= rows) {
        reasons.push_back("step " + step.name + ": positions outside the table of " +
                          std::to_string(rows) + " rows");
      }
    }
    return reasons;
  }

  MemoryPlan plan(const Program& program, const CompileOptions& options) const override {
    MemoryPlan memory = cuda::memory_of(cuda::make_plan(program, options));
    const auto count = static_cast<std::int64_t>(devices_of(options.unit).size());
    memory.arena *= count;
    memory.device *= count;
    return memory;
  }

  std::unique_ptr<Executable> compile(const Program& program,
                                      const CompileOptions& options) const override {
    if (options.max_tokens < 1 || options.max_texts < 1 || options.max_text_tokens < 1)
      fail(ErrorCode::kInternal, "cuda", "expected positive limits.");
    const Library& library = cuda::library();
    if (library.api == nullptr) {
      fail(ErrorCode::kUnavailable, "cuda",
           "expected a usable GPU, got: " + library.reason + ". Remedy: " + library.remedy + ".");
    }
    return cuda::make_executable_on(program, options, *library.api, devices_of(options.unit));
  }
};

}  // namespace

const Backend& cuda_backend() {
  static const CudaBackend backend;
  return backend;
}

}  // namespace inlay::backend
