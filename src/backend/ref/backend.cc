// The reference room: plain loops over one text at a time, values in float, every sum in double. It
// is the oracle that other rooms are tested against; it runs only when asked for by name.
#include "backend/backend.h"

#include <algorithm>
#include <map>
#include <string>
#include <variant>

#include "backend/ref/steps.h"
#include "base/error.h"

namespace inlay::backend {
namespace {

using ref::Matrix;

// Bytes of the Program's weights as float.
std::int64_t weight_bytes(const Program& program) {
  std::int64_t elements = 0;
  for (const Step& step : program.steps()) {
    for (const WeightRef* weight : ref::step_weights(step.args))
      elements += weight->tensor.elements();
  }
  return elements * static_cast<std::int64_t>(sizeof(float));
}

class RefExecutable final : public Executable {
 public:
  RefExecutable(const Program& program, const CompileOptions& options, MemoryPlan memory)
      : program_(program), options_(options), memory_(memory), values_(program.values().size()) {
    for (const Step& step : program.steps()) {
      for (const WeightRef* weight : ref::step_weights(step.args)) {
        weights_.try_emplace(weight->name, to_float(weight->tensor, weight->name));
      }
      ref::add_position_tables(step, &weights_);
    }
    program_.release_weights();
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const Value& value = program.values()[i];
      const std::int64_t rows = value.rows == Rows::kTexts ? 1 : options.max_text_tokens;
      values_[i].data.reserve(static_cast<std::size_t>(rows * value.width));
      values_[i].width = value.width;
    }
  }

  using Executable::run;
  void run(const PackedBatch& batch, std::span<const std::span<float>> outs) override {
    check_outputs(batch, outs);
    for (std::int64_t t = 0; t < batch.texts(); ++t) {
      run_text(ref::text_of(batch, t));
      for (std::size_t i = 0; i < outs.size(); ++i) {
        const ValueId id = program_.outputs()[i];
        const Matrix& result = values_[static_cast<std::size_t>(id)];
        const Rows rows = program_.value(id).rows;
        const auto text = static_cast<std::size_t>(t);
        const std::int64_t row = rows == Rows::kTexts    ? t
                                 : rows == Rows::kTokens ? batch.offsets[text]
                                 : batch.spans.empty()   ? 0
                                                         : batch.span_offsets[text];
        std::copy(result.data.begin(), result.data.end(), outs[i].begin() + row * result.width);
      }
    }
  }

  MemoryPlan memory() const override { return memory_; }
  std::string_view isa() const override { return "generic"; }

 private:
  void check_outputs(const PackedBatch& batch, std::span<const std::span<float>> outs) const {
    bool fits = outs.size() == program_.outputs().size();
    for (std::size_t i = 0; fits && i < outs.size(); ++i) {
      const Value& value = program_.value(program_.outputs()[i]);
      const std::int64_t rows = value.rows == Rows::kTokens  ? batch.tokens()
                                : value.rows == Rows::kTexts ? batch.texts()
                                                             : batch.span_count();
      fits = static_cast<std::int64_t>(outs[i].size()) == rows * value.width;
    }
    if (!fits)
      fail(ErrorCode::kInternal, "ref", "expected outputs of [texts, tokens or spans, width].");
  }

  void run_text(const ref::Text& text) {
    if (static_cast<std::int64_t>(text.ids.size()) > options_.max_text_tokens) {
      fail(ErrorCode::kInternal, "ref",
           "expected at most " + std::to_string(options_.max_text_tokens) + " tokens in a text.");
    }
    for (const Step& step : program_.steps()) {
      Matrix& result = values_[static_cast<std::size_t>(step.output)];
      const Rows rows = program_.value(step.output).rows;
      result.rows = rows == Rows::kTokens  ? static_cast<std::int64_t>(text.ids.size())
                    : rows == Rows::kTexts ? 1
                                           : static_cast<std::int64_t>(text.spans.size());
      result.data.assign(static_cast<std::size_t>(result.rows * result.width), 0.0F);
      const ref::Context context{text, program_, weights_, values_, step.name};
      std::visit([&](const auto& args) { ref::run_step(context, args, &result); }, step.args);
    }
  }

  Program program_;
  CompileOptions options_;
  MemoryPlan memory_;
  ref::WeightMap weights_;
  std::vector<Matrix> values_;
};

class RefBackend final : public Backend {
 public:
  std::string_view name() const override { return "ref"; }
  bool only_by_name() const override { return true; }

  Probe probe() const override {
    Probe probe;
    probe.isa = "generic";
    probe.version = version();
    probe.dtypes = {"fp32"};
    probe.notes = {"plain loops; the oracle, never chosen by auto"};
    return probe;
  }

  std::vector<std::string> supports(const Program& program,
                                    const CompileOptions& options) const override {
    if (options.dtype != "fp32") return {"dtype: ref computes in fp32 only, not " + options.dtype};
    if (std::string reason = external_graph_reason(program); !reason.empty()) return {reason};
    return {};
  }

  MemoryPlan plan(const Program& program, const CompileOptions& options) const override {
    MemoryPlan memory;
    memory.packed = weight_bytes(program);
    for (const Value& value : program.values()) {
      const std::int64_t rows = value.rows == Rows::kTexts ? 1 : options.max_text_tokens;
      memory.arena += rows * value.width * static_cast<std::int64_t>(sizeof(float));
    }
    return memory;
  }

  std::unique_ptr<Executable> compile(const Program& program,
                                      const CompileOptions& options) const override {
    return std::make_unique<RefExecutable>(program, options, plan(program, options));
  }
};

}  // namespace

const Backend& ref_backend() {
  static const RefBackend backend;
  return backend;
}

}  // namespace inlay::backend
