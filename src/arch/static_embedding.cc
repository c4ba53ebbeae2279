// Tables of token vectors without a transformer: sentence-transformers' StaticEmbedding and
// model2vec's folders. The body is the table's rows; the task averages them.
#include <cstring>

#include "arch/arch.h"
#include "arch/config.h"
#include "base/error.h"
#include "program/binder.h"

namespace inlay::arch {
namespace {

bool match(const files::ModelFiles& model) { return model.is_static_table(); }

// model2vec's `mapping` [tokens]: the row of each token. Its values are checked against the table.
std::vector<std::int64_t> read_mapping(const WeightRef& mapping, std::int64_t rows) {
  const TensorView& tensor = mapping.tensor;
  std::vector<std::int64_t> out(static_cast<std::size_t>(tensor.elements()));
  const auto copy = [&]<typename T>(T) {
    const auto* at = static_cast<const char*>(tensor.data);
    for (std::int64_t& value : out) {
      T element;
      std::memcpy(&element, at, sizeof(T));
      value = element;
      at += sizeof(T);
    }
  };
  if (tensor.dtype == DType::kI64) {
    copy(std::int64_t{});
  } else if (tensor.dtype == DType::kI32) {
    copy(std::int32_t{});
  } else {
    fail(ErrorCode::kUnsupported, mapping.file + ": " + mapping.name,
         std::string("expected I32 or I64, got ") + dtype_name(tensor.dtype) + ".");
  }
  for (const std::int64_t row : out) {
    if (row >= 0 && row < rows) continue;
    fail(ErrorCode::kBadInput, mapping.file + ": " + mapping.name,
         "expected rows below " + std::to_string(rows) + " of the embeddings, got " +
             std::to_string(row) + ".");
  }
  return out;
}

// A row for each token: embeddings[mapping[token]] * weights[token].
WeightRef fold(Program* program, const WeightRef& table, const WeightRef& mapping,
               const WeightRef& weights) {
  const std::int64_t rows = table.tensor.shape[0];
  const auto width = static_cast<std::size_t>(table.tensor.shape[1]);
  const std::vector<float> vectors = to_float(table.tensor, table.name);
  std::vector<std::int64_t> row_of;
  if (mapping.present()) row_of = read_mapping(mapping, rows);
  std::vector<float> factors;
  if (weights.present()) factors = to_float(weights.tensor, weights.name);
  const std::size_t tokens = mapping.present() ? row_of.size() : static_cast<std::size_t>(rows);
  if (weights.present() && factors.size() != tokens) {
    fail(ErrorCode::kBadInput, weights.file + ": " + weights.name,
         "expected a weight for each of " + std::to_string(tokens) + " tokens, got " +
             std::to_string(factors.size()) + ".");
  }
  std::vector<float> folded(tokens * width);
  for (std::size_t i = 0; i < tokens; ++i) {
    const std::size_t row = row_of.empty() ? i : static_cast<std::size_t>(row_of[i]);
    const float factor = factors.empty() ? 1.0F : factors[i];
    for (std::size_t k = 0; k < width; ++k)
      folded[i * width + k] = vectors[row * width + k] * factor;
  }
  return program->own(table.name + " folded",
                      {static_cast<std::int64_t>(tokens), table.tensor.shape[1]},
                      std::move(folded));
}

Body build(const files::ModelFiles& model, std::shared_ptr<const Weights> weights,
           const BuildOptions& options) {
  if (options.head != Head::kHidden) no_head(model, options.head, "a transformer");
  const char* name =
      weights->find("embedding.weight") != nullptr ? "embedding.weight" : "embeddings";
  Binder binder(weights, name, model.name());
  EmbedStep embed;
  embed.tokens = binder.take(name, {-1, -1});
  WeightRef mapping;  // of integers, which the binder does not take
  if (const Weights::Entry* entry = weights->find("mapping"))
    mapping = {"mapping", entry->tensor, entry->file};
  const WeightRef factors = binder.take_optional("weights", {-1});
  binder.finish();

  Body body;
  body.program.hold(binder.weights());
  if (mapping.present() || factors.present())
    embed.tokens = fold(&body.program, embed.tokens, mapping, factors);
  body.hidden = body.program.embed("embeddings", embed);
  return body;
}

}  // namespace

extern const Architecture kStaticEmbedding;
const Architecture kStaticEmbedding{"static_embedding",
                                    "model2vec, static (StaticEmbedding modules)", match, build};

}  // namespace inlay::arch
