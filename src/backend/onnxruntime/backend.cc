// The doors of the onnxruntime room: Programs as ONNX graphs, run by whatever ONNX Runtime is on
// this machine, through its providers cpu, cuda and coreml. Taken only when asked for by name.
#include "backend/backend.h"

#include "backend/onnxruntime/executable.h"
#include "backend/onnxruntime/graph.h"
#include "backend/onnxruntime/library.h"
#include "backend/onnxruntime/providers.h"
#include "base/error.h"

namespace inlay::backend {
namespace {

using onnxruntime::Library;
using onnxruntime::ProviderSetup;

constexpr std::size_t kMessage = 400;  // characters of the library's words

const char* remedy_of(const std::string& unit) {
  if (unit == onnxruntime::kCoremlUnit)
    return "on a Mac, install onnxruntime for macOS (pip install onnxruntime); elsewhere use "
           "--device onnxruntime:cpu or --device cpu";
  return "install onnxruntime-gpu with the CUDA and cuDNN that it names, or use --device cuda or "
         "--device cpu";
}

// What the library says to the provider's options, without a model.
std::string try_provider(const Library& library, const ProviderSetup& setup) {
  onnxruntime::Options* options = nullptr;
  std::string error = onnxruntime::take_error(library.api, library.api.create_options(&options));
  if (!error.empty()) return error;
  error = onnxruntime::append_provider(library, setup, options);
  library.api.release_options(options);
  return error;
}

Probe probe_provider(std::string_view unit, const RoomOptions& options) {
  Probe probe;
  probe.dtypes = {"fp32"};
  const Library& library = onnxruntime::library(options.library);
  probe.notes = library.notes;
  probe.version = library.version;
  if (!library.usable) {
    probe.state = State::kAbsent;
    probe.reason = library.reason;
    probe.remedy = library.remedy;
    return probe;
  }
  const ProviderSetup setup = onnxruntime::provider_setup(unit, options);
  const std::string refusal = try_provider(library, setup);
  if (!refusal.empty()) {
    probe.state = State::kRefused;
    probe.reason = "ONNX Runtime " + library.version + " (" + library.path +
                   ") says: " + printable(refusal, kMessage);
    probe.remedy = remedy_of(setup.unit);
  }
  return probe;
}

class OnnxruntimeBackend final : public Backend {
 public:
  std::string_view name() const override { return "onnxruntime"; }

  Probe probe() const override { return probe_provider(onnxruntime::kCpuUnit, {}); }

  std::optional<Probe> probe_unit(std::string_view unit) const override {
    return probe_with(unit, {});
  }

  std::optional<Probe> probe_with(std::string_view unit,
                                  const RoomOptions& options) const override {
    for (const std::string& known : units()) {
      if (unit.empty() || unit == known) return probe_provider(unit, options);
    }
    return std::nullopt;
  }

  std::vector<std::string> units() const override {
    return {onnxruntime::kCpuUnit, onnxruntime::kCudaUnit, onnxruntime::kCoremlUnit};
  }

  bool only_by_name() const override { return true; }

  bool compiles_sizes(std::string_view unit) const override {
    return unit == onnxruntime::kCoremlUnit;
  }

  std::string default_dtype(const Program& program, std::string_view) const override {
    const ExternalGraphStep* external = find_external_graph(program);
    return external == nullptr ? "fp32" : external->dtype;
  }

  std::vector<std::string> supports(const Program& program,
                                    const CompileOptions& options) const override {
    std::vector<std::string> reasons;
    const ExternalGraphStep* external = find_external_graph(program);
    if (external != nullptr && options.dtype != external->dtype) {
      reasons.push_back("dtype: " + external->graph.name + " is in " + external->dtype + ", not " +
                        options.dtype);
    } else if (external == nullptr && options.dtype != "fp32") {
      reasons.push_back("dtype: onnxruntime takes graphs in fp32 only, not " + options.dtype);
    }
    for (std::string& reason : onnxruntime::graph_reasons(program))
      reasons.push_back(std::move(reason));
    return reasons;
  }

  MemoryPlan plan(const Program& program, const CompileOptions& options) const override {
    return onnxruntime::plan_memory(program, options, setup_of(program, options));
  }

  std::unique_ptr<Executable> compile(const Program& program,
                                      const CompileOptions& options) const override {
    if (options.threads < 1 || options.max_tokens < 1 || options.max_texts < 1 ||
        options.max_text_tokens < 1) {
      fail(ErrorCode::kInternal, "onnxruntime", "expected positive limits and threads.");
    }
    const Library& library = onnxruntime::library(options.room.library);
    if (!library.usable) {
      fail(ErrorCode::kUnavailable, "onnxruntime",
           "expected a usable ONNX Runtime, got: " + library.reason +
               ". Remedy: " + library.remedy + ".");
    }
    return onnxruntime::make_executable(program, options, library, setup_of(program, options));
  }

 private:
  static ProviderSetup setup_of(const Program& program, const CompileOptions& options) {
    RoomOptions room = options.room;
    // What CoreML compiled is found again by a key that Inlay writes into its own graphs.
    if (find_external_graph(program) != nullptr) room.cache.clear();
    return onnxruntime::provider_setup(options.unit, room);
  }
};

}  // namespace

const Backend& onnxruntime_backend() {
  static const OnnxruntimeBackend backend;
  return backend;
}

}  // namespace inlay::backend
