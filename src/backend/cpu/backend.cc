// The doors of the cpu room: Inlay's own engine, fp32, bf16 and int8, on whatever instruction set
// the machine has.
#include "backend/backend.h"

#include <optional>
#include <utility>

#include "backend/cpu/executable.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/pack_cache.h"
#include "backend/cpu/plan.h"
#include "base/error.h"

namespace inlay::backend {
namespace {

// The element that a dtype's products are made of; none for a dtype that this room lacks.
std::optional<cpu::Element> element_of(std::string_view dtype) {
  if (dtype == "fp32") return cpu::Element::kFp32;
  if (dtype == "bf16") return cpu::Element::kBf16;
  if (dtype == "int8") return cpu::Element::kInt8;
  return std::nullopt;
}

struct Planned {
  const cpu::Kernels& kernels;
  cpu::Plan plan;
};
Planned make(const Program& program, const CompileOptions& options) {
  const cpu::Element element = element_of(options.dtype).value_or(cpu::Element::kFp32);
  const cpu::Kernels& kernels = cpu::choose_isa(element);
  return {kernels, cpu::make_plan(program, kernels, options.max_text_tokens, true, element)};
}

class CpuBackend final : public Backend {
 public:
  std::string_view name() const override { return "cpu"; }

  Probe probe() const override {
    Probe probe;
    probe.version = version();
    probe.dtypes = {"fp32", "bf16", "int8"};
    try {
      probe.isa = cpu::choose_isa().name;
    } catch (const Error& error) {
      probe.state = State::kRefused;
      probe.reason = error.what();
      probe.remedy = "unset INLAY_CPU_ISA, or name an instruction set of this machine";
    }
    probe.notes = cpu::isa_notes(probe.isa);
    return probe;
  }

  std::vector<std::string> supports(const Program& program,
                                    const CompileOptions& options) const override {
    std::vector<std::string> reasons;
    if (!element_of(options.dtype))
      reasons.push_back("dtype: cpu computes in fp32, bf16 or int8, not " + options.dtype);
    if (program.steps().empty()) reasons.emplace_back("program: it has no steps");
    if (std::string reason = external_graph_reason(program); !reason.empty())
      reasons.push_back(std::move(reason));
    for (const Step& step : program.steps()) {
      const auto* experts = std::get_if<ExpertsStep>(&step.args);
      if (experts != nullptr && experts->router.tensor.shape[0] > cpu::kMostExperts) {
        reasons.push_back("step " + step.name + ": " +
                          std::to_string(experts->router.tensor.shape[0]) + " experts, more than " +
                          std::to_string(cpu::kMostExperts));
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
    return cpu::plan_sizes(make(program, options).plan, options).memory;
  }

  bool knows_weights(const Program& program, const CompileOptions& options) const override {
    const Planned planned = make(program, options);
    return cpu::knows_weights(planned.plan, planned.kernels, options.packed_cache);
  }

  std::unique_ptr<Executable> compile(const Program& program,
                                      const CompileOptions& options) const override {
    if (options.threads < 1 || options.max_tokens < 1 || options.max_texts < 1 ||
        options.max_text_tokens < 1) {
      fail(ErrorCode::kInternal, "cpu", "expected positive limits and threads.");
    }
    Planned planned = make(program, options);
    return cpu::make_executable(std::move(planned.plan), planned.kernels, options);
  }
};

}  // namespace

const Backend& cpu_backend() {
  static const CpuBackend backend;
  return backend;
}

}  // namespace inlay::backend
