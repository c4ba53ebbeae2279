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
  Planner(const Program& program, const Kernels& kernels, Index positions, bool fuse,
          Element element)
      : program_(program),
        kernels_(kernels),
        positions_(positions),
        fuse_(fuse),
        element_(element) {}

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
  // Tables keep a file's 16 bits; those of fp32 are kept in half precision beside narrow products,
  // which round more than that: of a large vocabulary they are most of a model.
  WeightId table(const WeightRef& ref, bool large);
  WeightId vector(const WeightRef& ref, Index width, float fill);
  WeightId panels(const std::vector<WeightRef>& parts, Index n, Index k,
                  Element element = Element::kFp32);
  // What a product of this value's rows is made of, and where it finds them, made narrow once.
  Element element_of(ValueId value) const;
  Place rows_for(ValueId value);
  Place narrow_columns(const Columns& columns);
  // Who reads a value: products its narrow rows, anything else its floats.
  void find_readers();
  bool attends_bf16(const AttentionStep& step) const;
  bool read_narrow(ValueId value) const;
  bool read_as_floats(ValueId value) const;
  bool writes_bf16(ValueId value) const;
  Place narrow_place(ValueId value);
  template <typename NormLike>
  void copy_narrow(ValueId value, NormLike* op);
  WeightId panel_bias(const std::vector<WeightRef>& weights, const std::vector<WeightRef>& biases);
  WeightId turns(const Rope& rope);
  WeightId position_panels(const AttentionStep& step, const WeightRef& weight,
                           const WeightRef& bias);
  int distances(const Disentangled& disentangled);
  Place prepare(std::size_t i, const Columns& columns, const HeadNorm& norm,
                const AttentionStep& step, Index heads);

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
  const Kernels& kernels_;
  const Index positions_;
  const bool fuse_;
  const Element element_;
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
  struct Narrow {
    Place place;
    std::size_t last_read;  // its slot is free after this step
  };
  std::map<ValueId, Narrow> narrow_;
  std::vector<bool> product_reads_, other_reads_;  // of each value
  std::map<std::string, WeightId> known_;
};

}  // namespace inlay::backend::cpu
