// What tasks have in common, and the choice of one.
#include "task/task.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"

namespace inlay::task {
namespace {

struct Maker {
  const files::ModelFiles& model;
  std::unique_ptr<Task> operator()(const EmbedOptions& o) const { return make_embed(model, o); }
  std::unique_ptr<Task> operator()(const SparseOptions& o) const { return make_sparse(model, o); }
  std::unique_ptr<Task> operator()(const RerankOptions& o) const { return make_rerank(model, o); }
};

}  // namespace

void Task::check(const Request& request) const {
  if (!request.queries.empty())
    fail(ErrorCode::kUsage, "request",
         "expected texts alone, got queries: the model is not loaded for reranking.");
}

void Task::encode(const tokens::Tokenizer& tokenizer, const Request& request, std::size_t index,
                  const std::string& prompt, const tokens::EncodeOptions& options,
                  tokens::Encoding* out) const {
  const std::string& text = request.texts[index];
  if (prompt.empty()) {
    tokenizer.encode(text, options, out);
  } else {
    tokenizer.encode(prompt + text, options, out);
  }
}

std::span<const std::string_view> default_models(const TaskOptions& options) {
  static constexpr std::array<std::string_view, 1> kEmbed{"minilm"};
  static constexpr std::array<std::string_view, 2> kSparse{"prithivida/Splade_PP_en_v1",
                                                           "splade-tiny"};
  static constexpr std::array<std::string_view, 1> kRerank{"BAAI/bge-reranker-base"};
  if (std::holds_alternative<SparseOptions>(options)) return kSparse;
  if (std::holds_alternative<RerankOptions>(options)) return kRerank;
  return kEmbed;
}

TaskOptions natural_task(const files::ModelFiles& model) {
  for (const files::Module& module : model.modules()) {
    if (module.type == "SpladePooling") return SparseOptions{};
  }
  if (model.has_modules()) return EmbedOptions{};
  for (const std::string& name : model.architectures()) {
    if (name.ends_with("ForSequenceClassification")) return RerankOptions{};
  }
  return EmbedOptions{};
}

std::unique_ptr<Task> make_task(const files::ModelFiles& model, const TaskOptions& options) {
  return std::visit(Maker{model}, options);
}

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

}  // namespace inlay::task
