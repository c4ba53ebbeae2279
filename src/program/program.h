// The Program: what a model computes, as a straight line of coarse steps over packed rows. An
// architecture writes the body, a task the head, a backend compiles it. It knows neither text nor
// device.
//
// A value is a matrix [rows, width]. Its rows are one of:
//   kTokens  one row per token of the batch, texts one after the other
//   kTexts   one row per text
//   kSpans   one row per span of tokens that the batch asks for (PackedBatch::spans)
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

enum class Rows { kTokens, kTexts, kSpans };
const char* rows_name(Rows rows) noexcept;  // "tokens"

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

// Rows [begin, begin + count) of a checkpoint tensor as a weight of its own ("name[begin:end]"):
// fused projections taken apart, a few rows of a vocabulary. Absent stays absent; kBadInput
// outside.
WeightRef weight_rows(const WeightRef& weight, std::int64_t begin, std::int64_t count);

// The model as somebody else wrote it down: an ONNX file, run as it is in the place of all steps of
// the body. Only a room with an ONNX runtime has it. Out comes one of the graph's outputs, fp32.
struct ExternalGraphStep {
  // What a run gives the graph: [texts, length] each, int64 or int32 as it asks.
  enum class Input { kIds, kMask, kTypes, kPositions };
  struct Given {
    Input input = Input::kIds;
    std::string name;  // in the graph
    bool wide = true;  // int64
  };
  WeightRef graph;               // bytes of the file [n]; the name is its path in the folder
  std::vector<WeightRef> files;  // of external data, by the names that the graph has for them
  std::vector<Given> inputs;
  std::string output;         // in the graph
  bool half = false;          // it is float16 there
  Rows rows = Rows::kTokens;  // [texts, length, width], or [texts, width]
  std::int64_t width = 0;
  std::int64_t vocab_size = 0, type_count = 0;  // that ids and types lie below; 0 types: none
  std::int64_t max_tokens = 0;                  // of a text; 0: not known
  std::int32_t pad_id = 0;
  std::int64_t position_offset = 0;
  // What comes out for a text depends on what runs beside it (activations quantised by the largest
  // of all; no mask of padding): each runs alone.
  bool text_by_text = false;
  std::string dtype = "fp32";  // of the matrices: fp32, fp16, bf16, int8, int4
  std::string operators;       // for people: "Add x 12, com.microsoft.Attention x 6"
  std::int64_t bytes() const;  // of all files
};

// scale * token + position + type rows. positions count from `position_offset`; with
// `position_pad_id` >= 0 a token with that id keeps position `position_pad_id` and does not advance
// the count (RoBERTa's rule).
struct EmbedStep {
  WeightRef tokens;     // [vocab, hidden]
  WeightRef positions;  // [max_positions, hidden], may be absent
  WeightRef types;      // [types, hidden], may be absent
  std::int64_t position_offset = 0;
  std::int32_t position_pad_id = -1;
  float scale = 1;  // of the token row (Gemma: sqrt(hidden_size))
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

// out = activation(input * G^T + g) * (input * U^T + u): GEGLU, SwiGLU and their like (Shazeer
// 2020, arXiv:2002.05202). `width` columns: gate and up are [width, in].
struct GatedLinearStep {
  ValueId input = kNoValue;
  WeightRef gate, up;
  WeightRef gate_bias, up_bias;  // [width], each may be absent
  Activation activation = Activation::kSilu;
};

// Mixture of experts: each row goes through the `top_k` experts that the router's softmax likes
// best, out = bias + sum over them of p_e * (activation(x * U_e^T) * D_e). p_e is the softmax over
// all experts, not renormalised. Ties go to the lower expert. (MegaBlocks as nomic-embed-text-v2
// uses it.)
struct ExpertsStep {
  ValueId input = kNoValue;
  WeightRef router;    // [experts, in]
  WeightRef up, down;  // [experts * hidden, in] each, expert after expert
  WeightRef bias;      // [in], may be absent
  std::int64_t top_k = 0;
  Activation activation = Activation::kGelu;
};

// A block of columns of a value.
struct Columns {
  ValueId value = kNoValue;
  std::int64_t begin = 0;
};

// A norm of a query or key before anything else is done with it: of each head's columns (weight
// [head_size], Qwen3), or of all heads together (weight [heads * head_size], `whole`).
struct HeadNorm {
  NormKind kind = NormKind::kRms;
  WeightRef weight, bias;  // weight absent: no norm
  float eps = 0;
  bool whole = false;
};

// Rotary positions (Su et al. 2021, arXiv:2104.09864). The first 2 * inv_freq.size() columns of
// each head turn by the angle position * inv_freq[i], rounded to float as transformers does; the
// pair i is columns (i, i + inv_freq.size()), or (2 i, 2 i + 1) when interleaved. A position counts
// tokens from the text's first.
struct Rope {
  std::vector<float> inv_freq;  // empty: none
  float factor = 1;             // of cosine and sine (YaRN's attention factor)
  bool interleaved = false;
};

// Content-to-position and position-to-content scores of DeBERTa-v2 (He et al. 2020,
// arXiv:2006.03654; transformers' DisentangledSelfAttention): with r = relative_row(i - j),
//   score(i, j) += scale * (q_i . K[r] + k_j . Q[r]),  K = E Wk^T + bk,  Q = E Wq^T + bq.
struct Disentangled {
  WeightRef embeddings;            // E [2 * span, hidden]; absent: none
  WeightRef key, key_bias;         // Wk [heads * head_size, hidden]; absent: no content-to-position
  WeightRef query, query_bias;     // Wq, likewise; absent: no position-to-content
  std::int64_t buckets = 0;        // 0: distances are not bucketed
  std::int64_t max_positions = 0;  // at which buckets end
  std::int64_t span() const { return embeddings.tensor.shape[0] / 2; }
};
// The row of E for the distance query - key.
std::int64_t relative_row(std::int64_t span, std::int64_t buckets, std::int64_t max_positions,
                          std::int64_t distance);

// softmax(scale * Q K^T + bias) V per text and head. Q: [rows, heads * head_size]; K and V:
// [tokens, kv_heads * head_size]. Q may have kTexts rows: one query row a text, standing at
// `query_row` of its text. A text sees itself alone; query i sees key j if j <= i (causal) and |i -
// j| <= window. With `probabilities` the softmax itself is what comes out: [tokens, 1], how much
// the text's one query row heeds each of its tokens, the mean over heads; there is no value then,
// and nothing is added to the scores or left out of them.
enum class SelectKind { kFirst, kLast };
struct AttentionStep {
  Columns query, key, value;
  std::int64_t heads = 0, kv_heads = 0, head_size = 0;
  float scale = 0;
  bool causal = false;
  SelectKind query_row = SelectKind::kFirst;  // used only when the query has kTexts rows
  std::int64_t window = -1;                   // < 0: none
  HeadNorm query_norm, key_norm;              // then rope
  Rope rope;
  std::vector<float> alibi;  // [heads] slopes: the score loses slope * |i - j|; empty: none
  WeightRef relative_bias;  // [2 R + 1, heads]: row clamp(j - i, -R, R) + R is added; may be absent
  Disentangled disentangled;
  bool probabilities = false;
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
// Formulas: sentence-transformers, modules/pooling.py. With `spans`: tokens -> spans, each pooled
// as if its rows were a text (Guenther et al. 2024, arXiv:2409.04701); pool_begin has no say then.
enum class PoolMode { kCls, kMax, kMean, kMeanSqrtLen, kWeightedMean, kLastToken };
struct PoolStep {
  ValueId input = kNoValue;
  std::vector<PoolMode> modes;
  bool spans = false;
};

// The SPLADE head: tokens -> texts [vocabulary] without a [tokens, vocabulary] buffer. With l the
// logits input * W^T + b and f(l) = log1p(relu(l)) (kLog1pRelu), or log1p of that once more: the
// maximum of f over a text's tokens, or their sum. (Formal et al. 2021, arXiv:2109.10086;
// sentence-transformers' SpladePooling.)
enum class SparseActivation { kLog1pRelu, kLog1pLog1pRelu };
struct VocabularyMaxStep {
  ValueId input = kNoValue;
  WeightRef weight;  // [vocabulary, in]; absent: the input is the logits (of an external graph)
  WeightRef bias;    // [vocabulary], may be absent
  SparseActivation activation = SparseActivation::kLog1pRelu;
  bool sum = false;
};

struct NormalizeStep {  // x / max(|x|, 1e-12) per row
  ValueId input = kNoValue;
};
struct TruncateStep {  // the first `width` columns
  ValueId input = kNoValue;
  std::int64_t width = 0;
};

using StepArgs = std::variant<ExternalGraphStep, EmbedStep, NormStep, LinearStep, GatedLinearStep,
                              ExpertsStep, AttentionStep, ResidualStep, SelectRowsStep, PoolStep,
                              VocabularyMaxStep, NormalizeStep, TruncateStep>;

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
  ValueId external_graph(std::string name, ExternalGraphStep args);
  ValueId embed(std::string name, EmbedStep args);
  ValueId norm(std::string name, NormStep args);
  ValueId linear(std::string name, LinearStep args);
  ValueId gated_linear(std::string name, GatedLinearStep args);
  ValueId experts(std::string name, ExpertsStep args);
  ValueId attention(std::string name, AttentionStep args);
  ValueId residual(std::string name, ResidualStep args);
  ValueId select_rows(std::string name, SelectRowsStep args);
  ValueId pool(std::string name, PoolStep args);
  ValueId vocabulary_max(std::string name, VocabularyMaxStep args);
  ValueId normalize(std::string name, NormalizeStep args);
  ValueId truncate(std::string name, TruncateStep args);

  // What run() writes, in this order; the last step alone by default. No value twice.
  void set_outputs(std::vector<ValueId> values);
  void set_output(ValueId value) { set_outputs({value}); }
  const std::vector<ValueId>& outputs() const { return outputs_; }
  ValueId output() const { return outputs_.empty() ? kNoValue : outputs_[0]; }
  bool is_output(ValueId value) const;

  const std::vector<Step>& steps() const { return steps_; }
  const std::vector<Value>& values() const { return values_; }
  const Value& value(ValueId id) const { return values_[static_cast<std::size_t>(id)]; }
  std::int64_t output_width() const { return value(output()).width; }

  // Tokens of a text at most where no position table says it (rotary models); the least one holds.
  void limit_tokens(std::int64_t tokens);

  // Limits that the embed step, or an external graph, sets.
  std::int64_t vocab_size() const { return vocab_size_; }
  std::int64_t type_count() const { return type_count_; }  // 0: no type table
  std::int64_t max_tokens() const {
    return max_tokens_;
  }  // rows of the position table less its offset, or limit_tokens(); 0: neither

  // A weight made while building (merged adapters, bias tables): the Program owns it.
  WeightRef own(std::string name, Shape shape, std::vector<float> values);

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
  std::vector<ValueId> outputs_;
  std::int64_t vocab_size_ = 0, type_count_ = 0, max_tokens_ = 0;
};

// The step that stands for the whole body; null: the body is Inlay's own.
const ExternalGraphStep* find_external_graph(const Program& program);
// Why a room that has only steps of Inlay's own cannot run the Program; empty: it has no other.
std::string external_graph_reason(const Program& program);

// Args may be const or not; f gets each WeightRef in the order of the struct.
template <typename Args, typename F>
void visit_weights(Args& args, const F& f) {
  std::visit(
      [&](auto& step) {
        using S = std::decay_t<decltype(step)>;
        if constexpr (std::is_same_v<S, ExternalGraphStep>) {
          f(step.graph);
          for (auto& file : step.files) f(file);
        } else if constexpr (std::is_same_v<S, EmbedStep>) {
          f(step.tokens);
          f(step.positions);
          f(step.types);
        } else if constexpr (std::is_same_v<S, NormStep>) {
          f(step.weight);
          f(step.bias);
        } else if constexpr (std::is_same_v<S, LinearStep>) {
          for (auto& weight : step.weights) f(weight);
          for (auto& bias : step.biases) f(bias);
        } else if constexpr (std::is_same_v<S, GatedLinearStep>) {
          f(step.gate);
          f(step.up);
          f(step.gate_bias);
          f(step.up_bias);
        } else if constexpr (std::is_same_v<S, ExpertsStep>) {
          f(step.router);
          f(step.up);
          f(step.down);
          f(step.bias);
        } else if constexpr (std::is_same_v<S, AttentionStep>) {
          f(step.query_norm.weight);
          f(step.query_norm.bias);
          f(step.key_norm.weight);
          f(step.key_norm.bias);
          f(step.relative_bias);
          f(step.disentangled.embeddings);
          f(step.disentangled.key);
          f(step.disentangled.key_bias);
          f(step.disentangled.query);
          f(step.disentangled.query_bias);
        } else if constexpr (std::is_same_v<S, VocabularyMaxStep>) {
          f(step.weight);
          f(step.bias);
        }
      },
      args);
}

}  // namespace inlay
