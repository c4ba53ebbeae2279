// The doors of the mlx room: Programs run by MLX, on Apple's GPUs through Metal (gpu) or on the
// processor (cpu). The engine itself is a library of its own, opened when it is asked for.
#include "backend/backend.h"

#include <cstdlib>
#include <string_view>

#include "backend/mlx/library.h"
#include "backend/padded/executable.h"
#include "backend/padded/tape.h"
#include "base/error.h"

namespace inlay::backend {
namespace {

using mlx::Library;

constexpr const char* kGpu = "gpu";
constexpr const char* kCpu = "cpu";
// Freed memory that MLX keeps for the next run; its own default is all that there is. Values of the
// largest group of a base model take a third of it.
constexpr std::int64_t kCacheBytes = std::int64_t{256} << 20U;
constexpr const char* kKernelsVariable = "INLAY_MLX_KERNELS";  // off: MLX's own operations alone

bool has_unit(const Library& library, const char* unit) {
  padded::Message message{};
  return library.api != nullptr && library.api->probe(unit, &message);
}

// "gpu" where MLX has one, else "cpu".
std::string unit_of(std::string_view unit) {
  if (!unit.empty()) return std::string(unit);
  return has_unit(mlx::library(), kGpu) ? kGpu : kCpu;
}

std::string values_for(const Program& program, const std::string& unit) {
  return unit == kGpu ? padded::accelerator_dtype(program) : "fp32";
}

padded::Precision precision(const Program& program, const CompileOptions& options) {
  return padded::precision_of(options.dtype, values_for(program, unit_of(options.unit)));
}

Probe probe_unit_of(std::string_view unit) {
  Probe probe;
  probe.dtypes = {"fp32", "fp16", "bf16", "int8", "int4"};
  const Library& library = mlx::library();
  probe.notes = library.notes;
  if (library.api == nullptr) {
    probe.state = State::kAbsent;
    probe.reason = library.reason;
    probe.remedy = library.remedy;
    return probe;
  }
  probe.version = library.api->running();
  padded::Message message{};
  const std::string name = unit_of(unit);
  if (!library.api->probe(name.c_str(), &message)) {
    probe.state = State::kRefused;
    probe.reason = "MLX " + probe.version + " says: " + message.text;
    probe.remedy =
        "use it on a Mac with Apple silicon, with the Python package mlx-metal; elsewhere use "
        "--device mlx:cpu or --device cpu";
    return probe;
  }
  probe.notes.push_back("mlx:" + name + ": " + message.text);
  return probe;
}

class MlxBackend final : public Backend {
 public:
  std::string_view name() const override { return "mlx"; }
  Probe probe() const override { return probe_unit_of(""); }
  std::optional<Probe> probe_unit(std::string_view unit) const override {
    if (unit == kGpu || unit == kCpu) return probe_unit_of(unit);
    return std::nullopt;
  }
  std::vector<std::string> units() const override { return {kGpu, kCpu}; }
  // A verdict may take it; unmeasured, `auto` does not.
  bool only_by_name() const override { return true; }
  std::string default_dtype(const Program& program, std::string_view unit) const override {
    return values_for(program, unit_of(unit));
  }

  std::vector<std::string> supports(const Program& program,
                                    const CompileOptions& options) const override {
    std::vector<std::string> reasons;
    bool known = false;
    for (const char* dtype : {"fp32", "fp16", "bf16", "int8", "int4"})
      known = known || options.dtype == dtype;
    if (!known) {
      reasons.push_back(
          "dtype: mlx computes in fp32, fp16 or bf16, or with matrices in int8 or int4, not in " +
          options.dtype);
    }
    for (std::string& reason : padded::tape_reasons(program, "mlx"))
      reasons.push_back(std::move(reason));
    return reasons;
  }

  MemoryPlan plan(const Program& program, const CompileOptions& options) const override {
    MemoryPlan memory = padded::plan_memory(program, options, precision(program, options), false);
    memory.arena += kCacheBytes;
    return memory;
  }

  std::unique_ptr<Executable> compile(const Program& program,
                                      const CompileOptions& options) const override {
    if (options.threads < 1 || options.max_tokens < 1 || options.max_texts < 1 ||
        options.max_text_tokens < 1) {
      fail(ErrorCode::kInternal, "mlx", "expected positive limits and threads.");
    }
    const Library& library = mlx::library();
    if (library.api == nullptr) {
      fail(ErrorCode::kUnavailable, "mlx",
           "expected a usable MLX, got: " + library.reason + ". Remedy: " + library.remedy + ".");
    }
    const std::string unit = unit_of(options.unit);
    const char* kernels = std::getenv(kKernelsVariable);
    padded::RoomSetup setup;
    setup.room = "mlx";
    setup.api = library.api->tensors;
    setup.session.unit = unit.c_str();
    setup.session.threads = options.threads;
    setup.session.cache_bytes = kCacheBytes;
    setup.session.own_kernels = kernels == nullptr || std::string_view(kernels) != "off" ? 1 : 0;
    setup.round_lengths = true;
    setup.notes = {"MLX " + std::string(library.api->running()) + " on its " + unit + ", " +
                   library.path};
    return padded::make_executable(program, options, precision(program, options), std::move(setup));
  }
};

}  // namespace

const Backend& mlx_backend() {
  static const MlxBackend backend;
  return backend;
}

}  // namespace inlay::backend
