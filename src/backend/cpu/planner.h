// How a plan is made: the state of one pass over a Program. plan.cc decides what is fused and where
// values lie; plan_steps.cc turns each step into its operation and its weights.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "backend/cpu/plan.h"

namespace inlay::backend::cpu {

inline constexpr std::size_t kNone = static_cast<std::size_t>(-1);

class Planner {
 public:
  Planner(const Program& program, const Kernels& kernels, Index positions, bool fuse, bool int8)
      : program_(program), kernels_(kernels), positions_(positions), fuse_(fuse), int8_(int8) {}

  Plan make();

 private:
  using Values = std::vector<ValueId>;

  void find_uses();
  void fuse_steps();
  void fuse_residual(std::size_t step, ValueId a, ValueId b);
  const Step& step_of(ValueId value) const {
    return program_.steps()[static_cast<std::size_t>(program_.value(value).step)];
  }
  std::size_t index_of(ValueId value) const {
    return static_cast<std::size_t>(program_.value(value).step);
  }
  bool used_once(ValueId value) const {
    return !program_.is_output(value) && uses_[static_cast<std::size_t>(value)] == 1;
  }

  // The value that step i's operation leaves, after what was fused behind it.
  ValueId result_of(std::size_t i) const { return result_[i]; }
  Values inputs_of(std::size_t i) const;

  Place place(ValueId value, Index column = 0) const;
  int take_slot(Rows rows, Index width);
  Place place_result(ValueId value, const Values& overwritable, std::size_t op);
  void release_inputs(std::size_t op);

  WeightId weight(WeightSpec spec);
  WeightId table(const WeightRef& ref);
  WeightId vector(const WeightRef& ref, Index width, float fill);
  WeightId panels(const std::vector<WeightRef>& parts, Index n, Index k, bool int8 = false);
  // Whether a product of this value's rows goes in int8, and its quantised rows, made once.
  bool goes_in_int8(ValueId value) const;
  Place quantized(ValueId value);
  WeightId panel_bias(const std::vector<WeightRef>& weights, const std::vector<WeightRef>& biases);
  WeightId turns(const Rope& rope);
  WeightId position_panels(const AttentionStep& step, const WeightRef& weight,
                           const WeightRef& bias);
  int distances(const Disentangled& disentangled);
  Place prepare(std::size_t i, const Columns& columns, const HeadNorm& norm,
                const AttentionStep& step, Index heads);

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
  const Kernels& kernels_;
  const Index positions_;
  const bool fuse_, int8_;
  Plan plan_;
  std::vector<int> uses_;               // of each value, by live steps
  std::vector<bool> live_, swallowed_;  // of each step; swallowed: another step does its work
  std::vector<ValueId> residual_;       // of each step: a value its epilogue adds
  std::vector<ValueId> result_;         // of each step
  std::vector<std::size_t> tail_;       // embed: its norm's step; pool: unused
  std::vector<std::vector<std::size_t>> actions_;  // pool: the row steps behind it
  std::vector<std::size_t> last_read_;             // of each value: the last step that reads it
  std::vector<Place> places_;
  std::vector<bool> busy_;  // of each slot
  struct Quantized {
    Place place;
    std::size_t last_read;  // its slot is free after this step
  };
  std::map<ValueId, Quantized> quantized_;
  std::map<std::string, WeightId> known_;
};

}  // namespace inlay::backend::cpu
