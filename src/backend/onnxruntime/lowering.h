// One pass over a Program that writes its graph. graph_steps.cc has the steps on rows,
// graph_attention.cc attention.
#pragma once

#include <string>
#include <vector>

#include "backend/onnxruntime/graph.h"

namespace inlay::backend::onnxruntime {

class Lowering {
 public:
  Lowering(const Program& program, const GraphOptions& options)
      : program_(program), options_(options), values_(program.values().size()) {}
  Graph run(const std::string& key);

 private:
  const std::string& value(ValueId id) const { return values_[static_cast<std::size_t>(id)]; }
  bool has_token_rows(ValueId id) const { return program_.value(id).rows == Rows::kTokens; }

  // Target shapes of Reshape: an open dimension is written 0, "as it was", and must stand where it
  // stood.
  std::int64_t texts() const { return options_.texts; }
  std::int64_t length() const { return options_.length; }
  Dimensions dimensions(Rows rows, std::int64_t width) const;

  std::string input(GraphInput input);  // the name of that input, made if there is none yet
  std::string constant(const WeightPiece& piece);
  std::string binary(const char* op, const std::string& a, const std::string& b) {
    return graph_.node(op, {a, b});
  }
  std::string scaled(const std::string& x, float factor) {
    return binary("Mul", x, graph_.scalar(factor));
  }
  std::string slice(const std::string& x, std::int64_t axis, std::int64_t begin, std::int64_t end);
  std::string reshape(const std::string& x, std::initializer_list<std::int64_t> shape);
  std::string transpose(const std::string& x, std::vector<std::int64_t> order);
  std::string columns(const Columns& columns, std::int64_t width);
  std::string activate(Activation activation, const std::string& x);
  // Over the last axis, `width` long.
  std::string normed(NormKind kind, const std::string& x, const WeightRef& weight,
                     const WeightRef& bias, std::int64_t width, float eps);
  std::string product(const std::string& x, const std::vector<WeightRef>& weights,
                      const std::vector<WeightRef>& biases);
  std::string sparse_weight(const VocabularyMaxStep& step, const std::string& x);
  bool is_read(ValueId id) const;                                     // by a step
  std::string row_sum(const std::string& row, const std::string& x);  // [T, k, S] x [T, S, w]

  std::string lower(const ExternalGraphStep& step);
  std::string lower(const EmbedStep& step);
  std::string lower(const NormStep& step);
  std::string lower(const LinearStep& step);
  std::string lower(const GatedLinearStep& step);
  std::string lower(const ExpertsStep& step);
  std::string lower(const AttentionStep& step);
  std::string lower(const ResidualStep& step);
  std::string lower(const SelectRowsStep& step);
  std::string lower(const PoolStep& step);
  std::string lower(const VocabularyMaxStep& step);
  std::string lower(const NormalizeStep& step);
  std::string lower(const TruncateStep& step);

  // Queries or keys of one attention as [T, heads, rows, head_size], normed and turned.
  std::string heads(const AttentionStep& step, const Columns& columns, const HeadNorm& norm,
                    std::int64_t heads, QueryRow row);
  std::string turned(const std::string& x, const AttentionStep& step, QueryRow row);
  std::string scores(const AttentionStep& step, const std::string& query, QueryRow row);
  std::string context(const AttentionStep& step, const std::string& shares, QueryRow row);

  const Program& program_;
  const GraphOptions options_;
  OnnxWriter graph_;
  WeightBlock weights_;
  std::vector<GraphInput> inputs_;
  std::vector<std::string> values_;  // by ValueId: the name in the graph
};

}  // namespace inlay::backend::onnxruntime
