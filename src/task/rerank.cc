// Relevance scores of cross-encoders: query and text as one pair, the classifier's logits, then the
// model's own activation. Follows sentence-transformers' CrossEncoder.
#include <cmath>

#include "base/error.h"
#include "task/task.h"

namespace inlay::task {
namespace {

enum class ScoreActivation { kIdentity, kSigmoid };

// A torch class path: its last segment counts.
ScoreActivation activation_from_class(const JsonValue& name) {
  const std::string_view path = name.string();
  const std::string_view last = path.substr(path.rfind('.') + 1);
  if (last == "Sigmoid") return ScoreActivation::kSigmoid;
  if (last == "Identity") return ScoreActivation::kIdentity;
  fail(ErrorCode::kUnsupported, name.where(),
       "expected Sigmoid or Identity, got \"" + printable(path) +
           "\". Ask for the logits with --raw-scores.");
}

ScoreActivation find_activation(const files::ModelFiles& model, std::int64_t labels) {
  const JsonValue config = model.config();
  if (const auto own = config.find("sentence_transformers")) {
    if (const auto name = own->find("activation_fn")) return activation_from_class(*name);
  }
  if (const auto name = config.find("sbert_ce_default_activation_function"))
    return activation_from_class(*name);
  return labels == 1 ? ScoreActivation::kSigmoid : ScoreActivation::kIdentity;
}

std::vector<std::string> label_names(const files::ModelFiles& model, std::int64_t labels) {
  std::vector<std::string> names;
  const auto table = model.config().find("id2label");
  for (std::int64_t i = 0; i < labels; ++i) {
    const auto name = table ? table->find(std::to_string(i)) : std::nullopt;
    names.push_back(name && name->is_string() ? std::string(name->string())
                                              : "LABEL_" + std::to_string(i));
  }
  return names;
}

class Rerank final : public Task {
 public:
  Rerank(const files::ModelFiles& model, const RerankOptions& options)
      : model_(model), options_(options) {}

  Reads reads() const override { return {Head::kClassifier, std::nullopt}; }
  void append(Program* program, const Ending& ending) override {
    program->set_output(ending.hidden);
    labels_ = program->output_width();
    activation_ =
        options_.raw_scores ? ScoreActivation::kIdentity : find_activation(model_, labels_);
    names_ = label_names(model_, labels_);
  }
  std::int64_t dim() const override { return labels_; }

  void check(const Request& request) const override {
    const std::size_t queries = request.queries.size();
    if (queries != request.texts.size() && queries != 1) {
      fail(ErrorCode::kUsage, "request",
           "expected one query, or one a text, got " + std::to_string(queries) + " for " +
               std::to_string(request.texts.size()) + " texts.");
    }
  }
  void begin(std::size_t texts, Result* result) const override {
    result->scores.resize(texts * static_cast<std::size_t>(labels_));
    result->labels = names_;
  }
  void encode(const tokens::Tokenizer& tokenizer, const Request& request, std::size_t index,
              const std::string& prompt, const tokens::EncodeOptions& options,
              tokens::Encoding* out) const override {
    const std::string& query = request.queries[request.queries.size() == 1 ? 0 : index];
    tokenizer.encode_pair(prompt.empty() ? query : prompt + query, request.texts[index], options,
                          out);
  }
  bool read(std::span<const std::span<const float>> outputs, std::size_t index,
            Result* result) const override {
    if (!all_finite(outputs[0])) return false;
    float* scores = result->scores.data() + index * outputs[0].size();
    for (std::size_t i = 0; i < outputs[0].size(); ++i) {
      const float logit = outputs[0][i];
      scores[i] = activation_ == ScoreActivation::kIdentity
                      ? logit
                      : static_cast<float>(1.0 / (1.0 + std::exp(-static_cast<double>(logit))));
    }
    return true;
  }

 private:
  const files::ModelFiles model_;
  const RerankOptions options_;
  std::int64_t labels_ = 0;
  ScoreActivation activation_ = ScoreActivation::kIdentity;
  std::vector<std::string> names_;
};

}  // namespace

std::unique_ptr<Task> make_rerank(const files::ModelFiles& model, const RerankOptions& options) {
  return std::make_unique<Rerank>(model, options);
}

}  // namespace inlay::task
