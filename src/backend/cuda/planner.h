// How a plan is made: the state of one pass over a Program. plan.cc decides what is fused and where
// values lie; plan_steps.cc turns each step into its operations and its weights.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "backend/cuda/plan.h"

namespace inlay::backend::cuda {

// Addresses of one block of memory while values come and go: first fit, neighbours joined.
class Addresses {
 public:
  std::int64_t take(std::int64_t bytes);
  void give(std::int64_t offset);
  std::int64_t most() const { return most_; }

 private:
  std::map<std::int64_t, std::int64_t> taken_;  // offset: bytes
  std::int64_t most_ = 0;
};

class Planner {
 public:
  Planner(const Program& program, const CompileOptions& options, std::int64_t chunk_tokens);
  Plan make();

 private:
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  void find_uses();
  void fuse_steps();
  std::size_t index_of(ValueId value) const {
    return static_cast<std::size_t>(program_.value(value).step);
  }
  bool used_once(ValueId value) const {
    return !program_.is_output(value) && uses_[static_cast<std::size_t>(value)] == 1;
  }
  // Whether the step that makes this value writes fp32, and straight into the outputs' block.
  bool is_fp32(ValueId value) const;
  bool goes_out(ValueId value) const;

  Place place(ValueId value, std::int64_t column = 0) const;
  Place place_typed(ValueId value);  // in the plan's type: cast into a slot of its own if need be
  Place take_slot(RowKind rows, std::int64_t width, Type type);
  Place take_temporary(RowKind rows, std::int64_t width, Type type);  // given back with this step
  Place place_result(ValueId value);
  void copy_outputs();

  Place weight(WeightSpec spec);
  Place matrix(const std::vector<WeightRef>& parts, Type type, float factor = 1);
  Place vector(const std::vector<WeightRef>& parts, Type type, float fill, float factor = 1);
  Place biases(const std::vector<WeightRef>& weights, const std::vector<WeightRef>& biases,
               Type type);
  Place turns(const Rope& rope);
  Place position_table(const AttentionStep& step, const WeightRef& weight, const WeightRef& bias);
  Place prepare(std::size_t i, const Columns& columns, const HeadNorm& norm,
                const AttentionStep& step, std::int64_t heads);
  // plan_e4m3.cc: which products take factors of 8 bits, and from where.
  bool takes_e4m3(std::size_t i) const;       // whether a step is a product that can
  bool feeds_e4m3(ValueId value) const;       // whether one that can reads the value
  bool feeds_only_e4m3(ValueId value) const;  // and nothing else does
  void place_norm(ValueId value, Place* out, Place* quantized);
  Place place_e4m3(ValueId value, const Place& scale);
  // The product of an input that is there as e4m3; false where it is not.
  bool e4m3_linear(std::size_t i, ValueId input, const std::vector<WeightRef>& weights,
                   const std::vector<WeightRef>& bias, Activation activation, const Place* out);
  void linear(const Place& in, const std::vector<WeightRef>& weights,
              const std::vector<WeightRef>& bias, Activation activation, const Place& out);

  static void emit(std::size_t, const ExternalGraphStep&) {}  // supports() refuses it
  void emit(std::size_t i, const EmbedStep& step);
  void emit(std::size_t i, const NormStep& step);
  void emit(std::size_t i, const LinearStep& step);
  void emit(std::size_t i, const GatedLinearStep& step);
  void emit(std::size_t i, const ExpertsStep& step);
  void emit(std::size_t i, const AttentionStep& step);
  void emit(std::size_t i, const ResidualStep& step);
  void emit(std::size_t i, const SelectRowsStep& step);
  void emit(std::size_t i, const PoolStep& step);
  void emit(std::size_t i, const VocabularyMaxStep& step);
  void emit(std::size_t i, const NormalizeStep& step);
  void emit(std::size_t i, const TruncateStep& step);

  const Program& program_;
  Plan plan_;
  std::vector<int> uses_;               // of each value, by live steps
  std::vector<bool> live_, swallowed_;  // of each step; swallowed: another step does its work
  std::vector<std::size_t> tail_;       // embed: its norm's step; norm: the sum's step before it
  std::vector<std::size_t> last_read_;  // of each value: the last step that reads it
  std::vector<Place> places_;
  bool e4m3_ = false;               // whether products may take factors of 8 bits
  std::vector<Place> e4m3_places_;  // of each value; norms have both
  std::vector<Place> e4m3_scales_;  // what attention over a product's values may multiply by
  std::vector<Place> temporaries_;  // of the step being emitted
  Addresses slots_;
  std::map<std::string, std::size_t> known_;
};

}  // namespace inlay::backend::cuda
