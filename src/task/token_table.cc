// See token_table.h.
#include "task/token_table.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "task/task.h"

namespace inlay::task {
namespace {

std::vector<float> read_tensor(const Weights& weights, const files::Module& module) {
  const Weights::Entry* entry = weights.find("weight");
  if (entry == nullptr || entry->tensor.shape.size() != 1) {
    fail(ErrorCode::kBadInput, entry == nullptr ? module.folder.string() : entry->file,
         std::string("expected a tensor weight of shape [vocabulary], got ") +
             (entry == nullptr ? "none" : shape_text(entry->tensor.shape)) +
             ". Fetch the model again.");
  }
  return to_float(entry->tensor, entry->file + ": weight");
}

// {"token": weight}; a token that the vocabulary lacks counts as the unknown one, as in the
// reference.
std::vector<float> read_json(const files::ModelFiles::TokenWeights& table,
                             const tokens::Tokenizer& tokenizer) {
  std::vector<float> weights(static_cast<std::size_t>(tokenizer.vocab_size()));
  const JsonDocument document = JsonDocument::parse(table.json, table.json_path);
  for (const auto& [token, weight] : document.root().members()) {
    auto id = tokenizer.token_to_id(token);
    if (!id) id = tokenizer.special_ids().unk;
    if (!id || static_cast<std::size_t>(*id) >= weights.size()) {
      fail(ErrorCode::kBadInput, weight.where(),
           "expected a token of the vocabulary, got another. Table and tokenizer do not belong "
           "together; fetch the model again.");
    }
    weights[static_cast<std::size_t>(*id)] = static_cast<float>(weight.number());
  }
  return weights;
}

}  // namespace

TokenTable::TokenTable(const files::ModelFiles& model, const files::Module& module)
    : tokenizer_(open_tokenizer(model.tokenizer(module), false)),
      limit_(model.tokenizer(module).model_max_length.value_or(0)) {
  const files::ModelFiles::TokenWeights table = model.token_weights(module);
  weights_ =
      table.weights != nullptr ? read_tensor(*table.weights, module) : read_json(table, tokenizer_);
  if (weights_.empty() || !all_finite(weights_)) {
    fail(ErrorCode::kBadInput, module.folder.string(),
         std::string("expected finite token weights, got ") +
             (weights_.empty() ? "none" : "NaN or infinity") + ". Fetch the model again.");
  }
}

void TokenTable::encode(std::string_view text, tokens::EncodeOptions options,
                        tokens::Encoding* out) const {
  options.add_special_tokens = false;
  tokenizer_.encode(text, options, out);
  for (const std::int32_t id : out->ids) {
    if (id >= 0 && id < dim()) continue;
    fail(ErrorCode::kBadInput, "text",
         "expected token ids below " + std::to_string(dim()) + " as the table has weights, got " +
             std::to_string(id) + ". The tokenizer and the table do not belong together.");
  }
}

SparseVector TokenTable::look_up(const tokens::Encoding& encoding) const {
  SparseVector out;
  out.indices = encoding.ids;
  std::sort(out.indices.begin(), out.indices.end());
  out.indices.erase(std::unique(out.indices.begin(), out.indices.end()), out.indices.end());
  std::erase_if(out.indices,
                [&](std::int32_t id) { return weights_[static_cast<std::size_t>(id)] == 0; });
  for (const std::int32_t id : out.indices)
    out.values.push_back(weights_[static_cast<std::size_t>(id)]);
  return out;
}

}  // namespace inlay::task
