// What tasks have in common, and the choice of one.
#include "task/task.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "task/late_form.h"

namespace inlay::task {
namespace {

struct Maker {
  const files::ModelFiles& model;
  std::unique_ptr<Task> operator()(const EmbedOptions& o) const { return make_embed(model, o); }
  std::unique_ptr<Task> operator()(const SparseOptions& o) const { return make_sparse(model, o); }
  std::unique_ptr<Task> operator()(const RerankOptions& o) const { return make_rerank(model, o); }
  std::unique_ptr<Task> operator()(const LateOptions& o) const { return make_late(model, o); }
  std::unique_ptr<Task> operator()(const JointOptions& o) const { return make_joint(model, o); }
};

}  // namespace

void Task::check(const Request& request) const {
  if (!request.queries.empty())
    fail(ErrorCode::kUsage, "request",
         "expected texts alone, got queries: the model is not loaded for reranking.");
}

std::shared_ptr<const Task::Shared> Task::prepare(const Source& /*source*/) const { return {}; }

void Task::encode(const Source& source, const Shared* /*shared*/, std::size_t index,
                  tokens::Encoding* out) const {
  const std::string& text = source.request.texts[index];
  if (source.prompt.empty()) {
    source.tokenizer.encode(text, source.options, out);
  } else {
    source.tokenizer.encode(source.prompt + text, source.options, out);
  }
}

std::optional<std::int64_t> Task::own_limit(Role /*role*/) const { return std::nullopt; }

bool Task::look_up(const Source& /*source*/, std::size_t /*index*/, tokens::Encoding* /*encoding*/,
                   Result* /*result*/) const {
  return false;
}

std::span<const std::string_view> default_models(const TaskOptions& options) {
  static constexpr std::array<std::string_view, 1> kEmbed{"minilm"};
  static constexpr std::array<std::string_view, 2> kSparse{"prithivida/Splade_PP_en_v1",
                                                           "splade-tiny"};
  static constexpr std::array<std::string_view, 1> kRerank{"BAAI/bge-reranker-base"};
  static constexpr std::array<std::string_view, 1> kLate{"answerdotai/answerai-colbert-small-v1"};
  static constexpr std::array<std::string_view, 1> kJoint{"BAAI/bge-m3"};
  if (std::holds_alternative<JointOptions>(options)) return kJoint;
  if (std::holds_alternative<SparseOptions>(options)) return kSparse;
  if (std::holds_alternative<RerankOptions>(options)) return kRerank;
  if (std::holds_alternative<LateOptions>(options)) return kLate;
  return kEmbed;
}

TaskOptions natural_task(const files::ModelFiles& model) {
  if (model.is_formula() || is_bm42(model) || is_minicoil(model)) return SparseOptions{};
  if (model.collection_type() == "SparseEncoder") return SparseOptions{};
  if (model.collection_type() == "CrossEncoder") return RerankOptions{};
  if (made_for_late(model)) return LateOptions{};
  for (const files::Module& module : model.modules()) {
    if (module.type == "SpladePooling" || module.type == "SparseStaticEmbedding")
      return SparseOptions{};
    if (module.type == "LogitScore") return RerankOptions{};
  }
  if (model.has_modules()) return EmbedOptions{};
  if (known_splade(model)) return SparseOptions{};
  const std::vector<std::string> names = model.architectures();
  const bool classifier = std::all_of(names.begin(), names.end(), [](const std::string& name) {
    return name.ends_with("ForSequenceClassification");
  });
  if (classifier && !names.empty()) return RerankOptions{};
  return EmbedOptions{};
}

const char* task_name(const TaskOptions& options) {
  static constexpr const char* kNames[] = {"dense", "sparse", "rerank", "late", "dense"};
  return kNames[options.index()];
}

tokens::Tokenizer open_tokenizer(const files::TokenizerFiles& files, bool lowercase) {
  tokens::LoadOptions options;
  options.lowercase = lowercase;
  if (!files.json.empty())
    return tokens::Tokenizer::from_json(files.json, files.json_path, files.config, options);
  return tokens::Tokenizer::from_vocab_txt(files.vocab, files.vocab_path, files.config, options);
}

std::unique_ptr<Task> make_task(const files::ModelFiles& model, const TaskOptions& options) {
  if (model.is_formula() && !std::holds_alternative<SparseOptions>(options)) {
    fail(ErrorCode::kBadInput, model.name(),
         "expected a model that computes, got BM25, which gives sparse vectors alone. Take inlay "
         "sparse, or another model.");
  }
  return std::visit(Maker{model}, options);
}

void check_queries(const Request& request) {
  const std::size_t queries = request.queries.size();
  if (queries == request.texts.size() || queries == 1) return;
  fail(ErrorCode::kUsage, "request",
       "expected one query, or one a text, got " + std::to_string(queries) + " for " +
           std::to_string(request.texts.size()) + " texts.");
}

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

}  // namespace inlay::task
