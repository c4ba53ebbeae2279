// The Program: what a model computes, as a straight line of coarse steps over packed rows. An
// architecture writes the body, a task the head, a backend compiles it. It knows neither text nor
// device.
//
// A value is a matrix [rows, width]. Its rows are one of:
//   kTokens  one row per token of the batch, texts one after the other
//   kTexts   one row per text
// A step reads earlier values and weights and defines one new value. Widths and weight shapes are
// checked when a step is added, so a Program that exists is well-formed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/tensor.h"
#include "base/weights.h"
#include "program/activation.h"

namespace inlay {

enum class Rows { kTokens, kTexts };
using ValueId = std::int32_t;
inline constexpr ValueId kNoValue = -1;

// A tensor of the checkpoint bound to a place in the Program. `tensor` stays valid while the
// Program does.
struct WeightRef {
  std::string name;  // the checkpoint's spelling; empty: absent (a linear without bias)
  TensorView tensor;
  std::string file{};  // where it lies, for messages
  bool present() const { return !name.empty(); }
};

// Token + position + type rows. positions count from `position_offset`; with `position_pad_id` >= 0
// a token with that id keeps position `position_pad_id` and does not advance the count (RoBERTa's
// rule).
struct EmbedStep {
  WeightRef tokens;     // [vocab, hidden]
  WeightRef positions;  // [max_positions, hidden], may be absent
  WeightRef types;      // [types, hidden], may be absent
  std::int64_t position_offset = 0;
  std::int32_t position_pad_id = -1;
};

enum class NormKind { kLayer, kRms };
// out = norm(input + residual) * weight + bias, over the last dimension; eps inside the square
// root.
struct NormStep {
  NormKind kind = NormKind::kLayer;
  ValueId input = kNoValue;
  ValueId residual = kNoValue;  // optional, same shape
  WeightRef weight, bias;       // [width], each may be absent
  float eps = 0;
};

// out = activation(input * W^T + b). Several weights [n_i, in] stack along the output: width = sum
// of n_i.
struct LinearStep {
  ValueId input = kNoValue;
  std::vector<WeightRef> weights;
  std::vector<WeightRef> biases;  // as many as weights (absent ones are zero), or none at all
  Activation activation = Activation::kNone;
};

// A block of columns of a value.
struct Columns {
  ValueId value = kNoValue;
  std::int64_t begin = 0;
};

// softmax(scale * Q K^T) V per text and head. Q: [rows, heads * head_size]; K and V: [tokens,
// kv_heads * head_size]. Q may have kTexts rows: one query row a text, standing at `query_row` of
// its text. No mask: a text sees itself.
enum class SelectKind { kFirst, kLast };
struct AttentionStep {
  Columns query, key, value;
  std::int64_t heads = 0, kv_heads = 0, head_size = 0;
  float scale = 0;
  bool causal = false;
  SelectKind query_row = SelectKind::kFirst;  // used only when the query has kTexts rows
};

// out = a + b, same shape.
struct ResidualStep {
  ValueId a = kNoValue, b = kNoValue;
};

// tokens -> texts: the first or the last row of each text.
struct SelectRowsStep {
  ValueId input = kNoValue;
  SelectKind select = SelectKind::kFirst;
};

// tokens -> texts. Modes are concatenated in the order given. Rows before the batch's
// pool_begin[text] are left out of every mode (kCls takes the first row that remains; kWeightedMean
// still counts positions from the text's first row); a text with no row left pools to zeros.
// Formulas: sentence-transformers, modules/pooling.py.
enum class PoolMode { kCls, kMax, kMean, kMeanSqrtLen, kWeightedMean, kLastToken };
struct PoolStep {
  ValueId input = kNoValue;
  std::vector<PoolMode> modes;
};

struct NormalizeStep {  // x / max(|x|, 1e-12) per row
  ValueId input = kNoValue;
};
struct TruncateStep {  // the first `width` columns
  ValueId input = kNoValue;
  std::int64_t width = 0;
};

using StepArgs = std::variant<EmbedStep, NormStep, LinearStep, AttentionStep, ResidualStep,
                              SelectRowsStep, PoolStep, NormalizeStep, TruncateStep>;

struct Step {
  std::string name;  // "layer.0.attention": unique, for messages and printing
  StepArgs args;
  ValueId output = kNoValue;
};
const char* step_kind_name(const StepArgs& args) noexcept;  // "linear"
std::vector<ValueId> step_inputs(const StepArgs& args);     // every value that a step reads

struct Value {
  Rows rows = Rows::kTokens;
  std::int64_t width = 0;
  std::int32_t step = 0;  // index of the step that defines it
};

// Immutable once the task has finished it, then free to share between threads.
class Program {
 public:
  // Each adds a step, checks it against the values and weights so far, and returns the new value. A
  // wrong shape throws kBadInput naming step and weight with both shapes.
  ValueId embed(std::string name, EmbedStep args);
  ValueId norm(std::string name, NormStep args);
  ValueId linear(std::string name, LinearStep args);
  ValueId attention(std::string name, AttentionStep args);
  ValueId residual(std::string name, ResidualStep args);
  ValueId select_rows(std::string name, SelectRowsStep args);
  ValueId pool(std::string name, PoolStep args);
  ValueId normalize(std::string name, NormalizeStep args);
  ValueId truncate(std::string name, TruncateStep args);

  void set_output(ValueId value);  // what run() writes; the last step by default
  ValueId output() const { return output_; }

  const std::vector<Step>& steps() const { return steps_; }
  const std::vector<Value>& values() const { return values_; }
  const Value& value(ValueId id) const { return values_[static_cast<std::size_t>(id)]; }
  std::int64_t output_width() const { return value(output_).width; }

  // Limits that the embed step sets.
  std::int64_t vocab_size() const { return vocab_size_; }
  std::int64_t type_count() const { return type_count_; }  // 0: no type table
  std::int64_t max_tokens() const {
    return max_tokens_;
  }  // rows of the position table less its offset; 0: no table

  // Keeps a checkpoint alive for as long as its tensors are read.
  void hold(std::shared_ptr<const Weights> weights) { weights_.push_back(std::move(weights)); }
  // Lets go of the checkpoint (after a backend has packed it); every WeightRef's data then reads as
  // null.
  void release_weights();

  std::string text() const;  // one step a line, for people

 private:
  ValueId add(std::string name, StepArgs args, Rows rows, std::int64_t width);
  std::vector<Step> steps_;
  std::vector<Value> values_;
  std::vector<std::shared_ptr<const Weights>> weights_;
  ValueId output_ = kNoValue;
  std::int64_t vocab_size_ = 0, type_count_ = 0, max_tokens_ = 0;
};

// Args may be const or not; f gets each WeightRef in the order of the struct.
template <typename Args, typename F>
void visit_weights(Args& args, const F& f) {
  std::visit(
      [&](auto& step) {
        using S = std::decay_t<decltype(step)>;
        if constexpr (std::is_same_v<S, EmbedStep>) {
          f(step.tokens);
          f(step.positions);
          f(step.types);
        } else if constexpr (std::is_same_v<S, NormStep>) {
          f(step.weight);
          f(step.bias);
        } else if constexpr (std::is_same_v<S, LinearStep>) {
          for (auto& weight : step.weights) f(weight);
          for (auto& bias : step.biases) f(bias);
        }
      },
      args);
}

}  // namespace inlay
