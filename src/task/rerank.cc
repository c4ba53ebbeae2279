// Relevance scores: of cross-encoders, query and text as one pair, the classifier's logits; of
// causal language models that judge pairs (judge.h), the logit of "yes" less that of "no". Then the
// model's own activation. Follows sentence-transformers' CrossEncoder.
#include <cmath>

#include "base/error.h"
#include "task/judge.h"
#include "task/late_form.h"
#include "task/task.h"

namespace inlay::task {
namespace {

enum class ScoreActivation { kIdentity, kSigmoid };

// A torch class path: its last segment counts.
ScoreActivation activation_from_class(std::string_view path, const std::string& where) {
  const std::string_view last = path.substr(path.rfind('.') + 1);
  if (last == "Sigmoid") return ScoreActivation::kSigmoid;
  if (last == "Identity") return ScoreActivation::kIdentity;
  fail(ErrorCode::kUnsupported, where,
       "expected Sigmoid or Identity, got \"" + printable(path) +
           "\". Ask for the logits with --raw-scores.");
}

ScoreActivation find_activation(const files::ModelFiles& model, std::int64_t labels) {
  if (const auto& name = model.activation_fn())
    return activation_from_class(*name, "config_sentence_transformers.json: /activation_fn");
  const JsonValue config = model.config();
  if (const auto own = config.find("sentence_transformers")) {
    if (const auto name = own->find("activation_fn"))
      return activation_from_class(name->string(), name->where());
  }
  if (const auto name = config.find("sbert_ce_default_activation_function"))
    return activation_from_class(name->string(), name->where());
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

const std::string& query_of(const Request& request, std::size_t index) {
  return request.queries[request.queries.size() == 1 ? 0 : index];
}

// What both kinds have in common.
class Rerank : public Task {
 public:
  Rerank(const files::ModelFiles& model, const RerankOptions& options)
      : model_(model), options_(options) {}

  std::int64_t dim() const override { return labels_; }
  void check(const Request& request) const override { check_queries(request); }
  void begin(std::size_t texts, Result* result) const override {
    result->scores.resize(texts * static_cast<std::size_t>(labels_));
    result->labels = names_;
  }

 protected:
  void set_labels(std::int64_t labels) {
    labels_ = labels;
    activation_ =
        options_.raw_scores ? ScoreActivation::kIdentity : find_activation(model_, labels);
    names_ = label_names(model_, labels);
  }
  float score(float logit) const {
    return activation_ == ScoreActivation::kIdentity
               ? logit
               : static_cast<float>(1.0 / (1.0 + std::exp(-static_cast<double>(logit))));
  }
  const files::ModelFiles& model() const { return model_; }

 private:
  const files::ModelFiles model_;
  const RerankOptions options_;
  std::int64_t labels_ = 0;
  ScoreActivation activation_ = ScoreActivation::kIdentity;
  std::vector<std::string> names_;
};

class CrossEncoder final : public Rerank {
 public:
  using Rerank::Rerank;

  std::optional<Reads> reads() const override { return Reads{Head::kClassifier}; }
  void append(Program* program, const Ending& ending) override {
    program->set_output(ending.hidden);
    set_labels(program->output_width());
  }
  void check(const Request& request) const override {
    Rerank::check(request);
    if (!request.instruction) return;
    fail(ErrorCode::kUsage, "--instruction",
         "expected a reranker that takes instructions, such as Qwen/Qwen3-Reranker-0.6B, got a "
         "cross-encoder.");
  }
  // The query is tokenized once where all texts share it.
  std::shared_ptr<const Shared> prepare(const Source& source) const override {
    if (source.request.queries.size() != 1) return nullptr;
    auto shared = std::make_shared<Query>();
    shared->first =
        source.tokenizer.prepare_first(source.prompt + source.request.queries[0], source.options);
    return shared;
  }
  void encode(const Source& source, const Shared* shared, std::size_t index,
              tokens::Encoding* out) const override {
    const std::string& text = source.request.texts[index];
    if (const auto* query = static_cast<const Query*>(shared)) {
      source.tokenizer.encode_pair(*query->first, text, out);
    } else {
      source.tokenizer.encode_pair(source.prompt + query_of(source.request, index), text,
                                   source.options, out);
    }
  }
  bool read(const Computed& item, std::size_t index, Result* result) const override {
    if (!all_finite(item.outputs[0])) return false;
    float* scores = result->scores.data() + index * item.outputs[0].size();
    for (std::size_t i = 0; i < item.outputs[0].size(); ++i) scores[i] = score(item.outputs[0][i]);
    return true;
  }

 private:
  struct Query final : Shared {
    std::shared_ptr<const tokens::Tokenizer::First> first;
  };
};

class CausalReranker final : public Rerank {
 public:
  CausalReranker(const files::ModelFiles& model, const RerankOptions& options,
                 const tokens::Tokenizer& tokenizer)
      : Rerank(model, options),
        text_(judge_template(model)),
        judge_(text_, tokenizer, tokenizer_name()) {
    for (const files::Module& module : model.modules()) {
      if (module.type == "LogitScore") {
        read_logit_score(model.module_config(module).root());
        return;
      }
      if (module.type.ends_with("Transformer")) continue;
      fail(ErrorCode::kUnsupported, model.name() + ": modules.json",
           "expected a language model and LogitScore, got a module \"" + printable(module.type) +
               "\".");
    }
    yes_ = id_of(tokenizer, text_.yes);
    no_ = id_of(tokenizer, text_.no);
  }

  std::optional<Reads> reads() const override {
    return Reads{Head::kCausalLm, SelectKind::kLast, judge_.most_tokens()};
  }
  // The decoder's rows of the two tokens alone.
  void append(Program* program, const Ending& ending) override {
    LinearStep linear;
    linear.input = ending.hidden;
    for (const std::int64_t id : {yes_, no_}) {
      if (id < 0) continue;
      linear.weights.push_back(weight_rows(ending.decoder, id, 1));
      if (ending.decoder_bias.present())
        linear.biases.push_back(weight_rows(ending.decoder_bias, id, 1));
    }
    program->set_output(program->linear("judgement", std::move(linear)));
    set_labels(1);
  }
  std::shared_ptr<const Shared> prepare(const Source& source) const override {
    if (source.request.queries.size() != 1) return nullptr;
    auto shared = std::make_shared<Asked>();
    shared->text = ask(source, 0);
    return shared;
  }
  void encode(const Source& source, const Shared* shared, std::size_t index,
              tokens::Encoding* out) const override {
    const auto* asked = static_cast<const Asked*>(shared);
    judge_.encode(source.tokenizer, asked != nullptr ? asked->text : ask(source, index),
                  source.request.texts[index], source.options, out);
  }
  bool read(const Computed& item, std::size_t index, Result* result) const override {
    const std::span<const float> logits = item.outputs[0];
    if (!all_finite(logits)) return false;
    result->scores[index] = score(logits.size() == 1 ? logits[0] : logits[0] - logits[1]);
    return true;
  }

 private:
  struct Asked final : Shared {
    std::string text;
  };
  // A prompt of the folder is an instruction to such models.
  std::string ask(const Source& source, std::size_t index) const {
    return judge_.ask(source.request.instruction.value_or(source.prompt),
                      query_of(source.request, index));
  }
  void read_logit_score(const JsonValue& config) {
    const std::string input = config.string_or("module_input_name", "causal_logits");
    if (input != "causal_logits") {
      fail(ErrorCode::kUnsupported, config.where() + "module_input_name",
           "expected causal_logits, got \"" + printable(input) + "\".");
    }
    yes_ = config.at("true_token_id").integer();
    if (const auto no = config.find("false_token_id")) no_ = no->integer();
    if (yes_ >= 0 && (no_ >= 0 || !config.find("false_token_id"))) return;
    fail(ErrorCode::kBadInput, config.where() + "true_token_id",
         "expected token ids, got a negative number. Fetch the model again.");
  }
  std::string tokenizer_name() const { return model().name() + ": tokenizer"; }
  std::int64_t id_of(const tokens::Tokenizer& tokenizer, const char* token) const {
    if (const auto id = tokenizer.token_to_id(token)) return *id;
    fail(ErrorCode::kBadInput, tokenizer_name(),
         std::string("expected the token \"") + token +
             "\" that the model answers with, got a vocabulary without it. Reranking needs a model "
             "such as Qwen/Qwen3-Reranker-0.6B.");
  }

  const JudgeTemplate& text_;
  const Judge judge_;
  std::int64_t yes_ = -1, no_ = -1;
};

bool is_causal(const files::ModelFiles& model) {
  for (const files::Module& module : model.modules()) {
    if (module.type == "LogitScore") return true;
  }
  const std::vector<std::string> names = model.architectures();
  return !names.empty() && names[0].ends_with("ForCausalLM");
}

}  // namespace

std::unique_ptr<Task> make_rerank(const files::ModelFiles& model, const RerankOptions& options) {
  if (late_kind(model) != LateKind::kNone) return make_late_rerank(model);
  if (!is_causal(model)) return std::make_unique<CrossEncoder>(model, options);
  return std::make_unique<CausalReranker>(model, options,
                                          open_tokenizer(model.tokenizer(), model.do_lower_case()));
}

}  // namespace inlay::task
