// One pass over a Program that writes its tape. tape.cc has the steps on rows, tape_attention.cc
// attention.
#pragma once

#include <string>
#include <vector>

#include "backend/padded/tape.h"

namespace inlay::backend::padded {

class TapeWriter {
 public:
  explicit TapeWriter(const Program& program)
      : program_(program), values_(program.values().size(), kNone) {}
  Tape run();

 private:
  Register value(ValueId id) const { return values_[static_cast<std::size_t>(id)]; }
  bool has_token_rows(ValueId id) const { return program_.value(id).rows == Rows::kTokens; }
  // A call, or the register that an equal one before it wrote.
  Register call(Op op, std::vector<Register> inputs, std::vector<std::int64_t> integers = {},
                double real = 0);
  Register weight(std::vector<WeightRef> parts, std::vector<std::int64_t> sizes, Role role);
  Register vector(const WeightRef& part);  // kNone when absent
  Register input(HostInput input, Role role = Role::kNumbers, Needed needed = Needed::kAlways);
  Register slice(Register x, std::int64_t axis_from_end, std::int64_t begin, std::int64_t end) {
    return call(Op::kSlice, {x}, {axis_from_end, begin, end});
  }
  Register columns(const Columns& columns, std::int64_t width);
  Register normed(NormKind kind, Register x, Register residual, const WeightRef& weight,
                  const WeightRef& bias, float eps);
  Register product(Register x, const std::vector<WeightRef>& weights,
                   const std::vector<WeightRef>& biases, Activation activation);
  // The step that normalises a value and nothing else reads it; or null.
  const NormalizeStep* only_normalized(ValueId id) const;

  // tape_reasons() refuse it.
  static Register lower(const ExternalGraphStep&, ValueId) { return kNone; }
  Register lower(const EmbedStep& step, ValueId out);
  Register lower(const NormStep& step, ValueId out);
  Register lower(const LinearStep& step, ValueId out);
  Register lower(const GatedLinearStep& step, ValueId out);
  Register lower(const ExpertsStep& step, ValueId out);
  Register lower(const AttentionStep& step, ValueId out);
  Register lower(const ResidualStep& step, ValueId out);
  Register lower(const SelectRowsStep& step, ValueId out);
  Register lower(const PoolStep& step, ValueId out);
  Register lower(const VocabularyMaxStep& step, ValueId out);
  Register lower(const NormalizeStep& step, ValueId out);
  Register lower(const TruncateStep& step, ValueId out);

  // Queries or keys of one attention as [T, rows, heads D], normed and turned.
  Register heads(const AttentionStep& step, const Columns& columns, const HeadNorm& norm,
                 std::int64_t heads, QueryRow row);
  Register turned(Register x, const AttentionStep& step, std::int64_t heads, QueryRow row);

  void mark_dead();

  const Program& program_;
  Tape tape_;
  std::vector<Register> values_;  // by ValueId
  std::map<std::string, Register> known_;
};

}  // namespace inlay::backend::padded
