// Attention as ONNX nodes: [T, heads, rows, head_size] throughout. Grouped keys are not repeated:
// the queries of a group stand below each other in one product.
#include <utility>

#include "backend/onnxruntime/lowering.h"

namespace inlay::backend::onnxruntime {
namespace {

using Kind = GraphInput::Kind;

// x R is x with the halves of each pair exchanged and one of them negated, so that
// x cos + (x R) sin turns every pair; columns that are not turned give 0.
std::vector<float> exchange_matrix(const Rope& rope, std::int64_t head_size) {
  std::vector<float> matrix(static_cast<std::size_t>(head_size * head_size), 0.0F);
  const auto pairs = static_cast<std::int64_t>(rope.inv_freq.size());
  for (std::int64_t i = 0; i < pairs; ++i) {
    const std::int64_t a = rope.interleaved ? 2 * i : i;
    const std::int64_t b = rope.interleaved ? 2 * i + 1 : i + pairs;
    matrix[static_cast<std::size_t>(b * head_size + a)] = -1.0F;
    matrix[static_cast<std::size_t>(a * head_size + b)] = 1.0F;
  }
  return matrix;
}

}  // namespace

std::string Lowering::turned(const std::string& x, const AttentionStep& step, QueryRow row) {
  if (step.rope.inv_freq.empty()) return x;
  GraphInput cosines{Kind::kTurnCosines, ""};
  cosines.rope = step.rope;
  cosines.head_size = step.head_size;
  cosines.bias.row = row;
  GraphInput sines = cosines;
  sines.kind = Kind::kTurnSines;
  const std::string name = "exchange_" + std::to_string(step.head_size) + "_" +
                           std::to_string(step.rope.inv_freq.size()) +
                           (step.rope.interleaved ? "_i" : "");
  const WeightPiece& exchange = weights_.numbers(name, {step.head_size, step.head_size},
                                                 exchange_matrix(step.rope, step.head_size));
  const std::string other = binary("MatMul", x, constant(exchange));
  return binary("Add", binary("Mul", x, input(std::move(cosines))),
                binary("Mul", other, input(std::move(sines))));
}

std::string Lowering::heads(const AttentionStep& step, const Columns& columns, const HeadNorm& norm,
                            std::int64_t heads, QueryRow row) {
  const std::int64_t width = heads * step.head_size;
  std::string x = this->columns(columns, width);
  if (norm.weight.present() && norm.whole)
    x = normed(norm.kind, x, norm.weight, norm.bias, width, norm.eps);
  x = reshape(x, {texts(), row == QueryRow::kEvery ? length() : 1, heads, step.head_size});
  if (norm.weight.present() && !norm.whole)
    x = normed(norm.kind, x, norm.weight, norm.bias, step.head_size, norm.eps);
  return turned(transpose(x, {0, 2, 1, 3}), step, row);
}

// [T, heads, rows, S], scaled and with all that is added.
std::string Lowering::scores(const AttentionStep& step, const std::string& query, QueryRow row) {
  const std::int64_t group = step.heads / step.kv_heads;
  const std::int64_t rows = row == QueryRow::kEvery ? length() : 1;
  std::string q = scaled(query, step.scale);
  if (group != 1)
    q = reshape(q, {texts(), step.kv_heads, rows == 0 ? -1 : group * rows, step.head_size});
  const std::string keys = transpose(
      heads(step, step.key, step.key_norm, step.kv_heads, QueryRow::kEvery), {0, 1, 3, 2});
  std::string out = binary("MatMul", q, keys);
  if (group != 1) out = reshape(out, {texts(), step.heads, rows == 0 ? -1 : rows, length()});
  out = binary("Add", out, input({Kind::kKeyMask, ""}));
  ScoreBias bias = bias_of(step, row);
  if (adds_nothing(bias)) return out;
  GraphInput added{Kind::kScoreBias, ""};
  added.bias = std::move(bias);
  return binary("Add", out, input(std::move(added)));
}

// Rows of all heads side by side.
std::string Lowering::context(const AttentionStep& step, const std::string& shares, QueryRow row) {
  const std::int64_t group = step.heads / step.kv_heads;
  const std::int64_t rows = row == QueryRow::kEvery ? length() : 1;
  const std::int64_t width = step.heads * step.head_size;
  std::string x = columns(step.value, step.kv_heads * step.head_size);
  x = transpose(reshape(x, {texts(), length(), step.kv_heads, step.head_size}), {0, 2, 1, 3});
  std::string grouped = shares;
  if (group != 1)
    grouped = reshape(shares, {texts(), step.kv_heads, rows == 0 ? -1 : group * rows, length()});
  std::string out = binary("MatMul", grouped, x);
  if (group != 1) out = reshape(out, {texts(), step.heads, rows == 0 ? -1 : rows, step.head_size});
  if (step.window >= 0) {  // a window may hold none of the keys that are seen: then zero
    GraphInput sees{Kind::kSees, ""};
    sees.bias.window = step.window;
    sees.bias.row = row;
    out = binary("Mul", out, input(std::move(sees)));
  }
  out = transpose(out, {0, 2, 1, 3});
  if (row != QueryRow::kEvery) return reshape(out, {texts(), width});
  return reshape(out, {texts(), length(), width});
}

std::string Lowering::lower(const AttentionStep& step) {
  const QueryRow row = has_token_rows(step.query.value)       ? QueryRow::kEvery
                       : step.query_row == SelectKind::kFirst ? QueryRow::kFirst
                                                              : QueryRow::kLast;
  const std::string query = heads(step, step.query, step.query_norm, step.heads, row);
  const std::string shares =
      graph_.node("Softmax", {scores(step, query, row)}, {{"axis", std::int64_t{-1}}});
  if (!step.probabilities) return context(step, shares, row);
  const std::string mean =
      graph_.node("ReduceMean", {shares, graph_.integers({1})}, {{"keepdims", std::int64_t{0}}});
  return transpose(mean, {0, 2, 1});
}

}  // namespace inlay::backend::onnxruntime
