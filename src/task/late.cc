// Late interaction: a vector a token, projected and normalized; scores by MaxSim. What the folder
// says of its texts is late_form's.
#include <algorithm>

#include "base/error.h"
#include "task/embed.h"
#include "task/late_form.h"
#include "task/task.h"

namespace inlay::task {
namespace {

class Late final : public Task {
 public:
  explicit Late(const files::ModelFiles& model)
      : model_(model),
        form_(read_late_form(model, open_tokenizer(model.tokenizer(), model.do_lower_case()))) {}

  const LateForm& form() const { return form_; }

  std::optional<Reads> reads() const override {
    Reads reads;
    const std::int64_t query = form_.query.most_tokens;
    const std::int64_t document = form_.document.most_tokens;
    reads.least_tokens = std::max({query, document, form_.query.expansion.length});
    if (query != 0 && document != 0) reads.most_tokens = reads.least_tokens;
    return reads;
  }
  void append(Program* program, const Ending& ending) override {
    ValueId x = ending.hidden;
    if (form_.kind == LateKind::kStanford) x = append_stanford(program, ending);
    if (form_.kind == LateKind::kLinear) x = append_beside(program, x, model_, "colbert_linear");
    for (const files::Module& module : form_.dense) {
      const files::DenseConfig dense = model_.dense(module);
      const std::string name = module.folder.filename().string();
      if (dense.input == "sentence_embedding") {
        fail(ErrorCode::kUnsupported, model_.name() + ": " + name,
             "expected a Dense module of \"token_embeddings\", got one of \"sentence_embedding\".");
      }
      x = append_dense(program, x, dense, name);
    }
    if (form_.normalize) x = program->normalize("late.normalize", {x});
    program->set_output(x);
    dim_ = program->output_width();
  }
  std::int64_t dim() const override { return dim_; }

  // An embedder's folder has no sides: a text without a role gets what it would get elsewhere.
  Role default_role() const override {
    return form_.kind == LateKind::kLinear ? Role::kNone : Role::kDocument;
  }
  void begin(std::size_t items, Result* result) const override {
    result->late.assign(items, TokenVectors{dim_, {}});
  }
  std::optional<std::int64_t> own_limit(Role role) const override {
    const std::int64_t most = side(role).most_tokens;
    return most == 0 ? std::nullopt : std::optional(most);
  }
  void encode(const Source& source, const Shared* /*shared*/, std::size_t index,
              tokens::Encoding* out) const override {
    encode(side(source.request.role), source, source.prompt, source.request.texts[index], out);
  }
  bool read(const Computed& item, std::size_t index, Result* result) const override {
    return read(side(item.request.role), item, &result->late[index]);
  }

  const LateForm::Side& side(Role role) const {
    return role == Role::kQuery ? form_.query : form_.document;
  }
  // As ColBERT's tokenizers do it: the text, cut to leave room for the marker; the marker behind
  // the token that opens it; queries filled up.
  void encode(const LateForm::Side& side, const Source& source, std::string_view prompt,
              const std::string& text, tokens::Encoding* out) const {
    tokens::EncodeOptions options = source.options;
    int limit = options.max_length;
    const LateForm::Expansion& expansion = side.expansion;
    if (expansion.length != 0 && expansion.fixed)
      limit = static_cast<int>(std::min<std::int64_t>(limit, expansion.length));
    options.max_length = side.marker ? std::max(1, limit - 1) : limit;
    if (!side.prefix.empty() && prompt.starts_with(side.prefix))
      prompt.remove_prefix(side.prefix.size());
    std::string whole = side.opening;
    whole.append(prompt).append(text);
    source.tokenizer.encode(whole, options, out);
    if (side.marker) {
      const bool opened = !out->special.empty() && out->special.front() != 0;
      insert(opened ? 1 : 0, *side.marker, out);
    }
    const auto used = static_cast<std::int32_t>(out->ids.size());
    const auto length = static_cast<std::size_t>(std::min<std::int64_t>(limit, expansion.length));
    if (out->ids.size() >= length) return;
    out->ids.resize(length, expansion.token);
    out->type_ids.resize(length, 0);
    out->special.resize(length, 1);
    if (!expansion.attend) out->key_count = used;
  }
  bool read(const LateForm::Side& side, const Computed& item, TokenVectors* out) const {
    const std::span<const float> rows = item.outputs[0];
    if (!all_finite(rows)) return false;
    const auto width = static_cast<std::size_t>(dim_);
    for (auto t = static_cast<std::size_t>(form_.first_token); t < item.ids.size(); ++t) {
      if (!side.counts(item.ids[t])) continue;
      const std::span<const float> row = rows.subspan(t * width, width);
      out->values.insert(out->values.end(), row.begin(), row.end());
    }
    return true;
  }

 private:
  static void insert(std::ptrdiff_t at, std::int32_t id, tokens::Encoding* out) {
    out->ids.insert(out->ids.begin() + at, id);
    out->type_ids.insert(out->type_ids.begin() + at, 0);
    out->special.insert(out->special.begin() + at, 1);
  }

  // HF_ColBERT's projection stands beside the body's tensors.
  ValueId append_stanford(Program* program, const Ending& ending) const {
    constexpr const char* kName = "linear.weight";
    const Weights::Entry* entry = ending.checkpoint->find(kName);
    if (entry == nullptr) {
      fail(ErrorCode::kBadInput, model_.name() + ": " + model_.weight_file(),
           std::string("expected a tensor ") + kName + " as HF_ColBERT has, got none.");
    }
    const ValueId x =
        program->linear("late.linear", {ending.hidden, {{kName, entry->tensor, entry->file}}, {}});
    if (const auto metadata = model_.find_json("artifact.metadata")) {
      const std::int64_t width = program->value(x).width;
      const std::int64_t dim = metadata->root().integer_or("dim", width);
      if (dim != width) {
        fail(ErrorCode::kBadInput, metadata->root().where() + "dim",
             "expected " + std::to_string(width) + " as " + kName + " has rows, got " +
                 std::to_string(dim) + ". The files do not belong together.");
      }
    }
    return x;
  }

  const files::ModelFiles model_;
  const LateForm form_;
  std::int64_t dim_ = 0;
};

// The texts are documents; behind them the queries stand as items of their own.
class LateRerank final : public Task {
 public:
  explicit LateRerank(const files::ModelFiles& model)
      : late_(model), prompt_(choose_prompt(model, std::nullopt, Role::kQuery).text) {}

  std::optional<Reads> reads() const override { return late_.reads(); }
  void append(Program* program, const Ending& ending) override { late_.append(program, ending); }
  std::int64_t dim() const override { return 1; }

  void check(const Request& request) const override {
    check_queries(request);
    const char* refused = request.prompt                ? "--prompt"
                          : request.role != Role::kNone ? "--as"
                          : request.instruction         ? "--instruction"
                                                        : nullptr;
    if (refused == nullptr) return;
    fail(ErrorCode::kUsage, refused,
         "expected none beside a late-interaction model, which has its own ways of queries and of "
         "documents.");
  }
  Role default_role() const override { return Role::kDocument; }
  std::size_t items(const Request& request) const override {
    return request.texts.empty() ? 0 : request.texts.size() + request.queries.size();
  }
  void begin(std::size_t items, Result* result) const override {
    late_.begin(items, result);
    result->labels = {"maxsim"};
  }
  std::optional<std::int64_t> own_limit(Role role) const override { return late_.own_limit(role); }
  void encode(const Source& source, const Shared* shared, std::size_t index,
              tokens::Encoding* out) const override {
    const Request& request = source.request;
    if (index < request.texts.size()) {
      late_.encode(source, shared, index, out);
    } else {
      late_.encode(late_.form().query, source, prompt_,
                   request.queries[index - request.texts.size()], out);
    }
  }
  bool read(const Computed& item, std::size_t index, Result* result) const override {
    const LateForm& form = late_.form();
    const bool query = index >= item.request.texts.size();
    return late_.read(query ? form.query : form.document, item, &result->late[index]);
  }
  void finish(const Request& request, Result* result) const override {
    const std::size_t texts = request.texts.size();
    result->scores.assign(texts, 0.0F);
    for (std::size_t t = 0; t < texts; ++t) {
      const std::size_t q = texts + (request.queries.size() == 1 ? 0 : t);
      if (result->texts[t].error.empty()) result->texts[t].error = result->texts[q].error;
      if (!result->texts[t].error.empty()) continue;
      const TokenVectors& query = result->late[q];
      double score = max_sim(query.values, result->late[t].values, query.dim);
      if (late_.form().mean && query.tokens() != 0) score /= static_cast<double>(query.tokens());
      result->scores[t] = static_cast<float>(score);
    }
    result->texts.resize(texts);
    result->late.clear();
  }

 private:
  Late late_;
  const std::string prompt_;  // of queries
};

}  // namespace

std::unique_ptr<Task> make_late(const files::ModelFiles& model, const LateOptions& /*options*/) {
  return std::make_unique<Late>(model);
}

std::unique_ptr<Task> make_late_rerank(const files::ModelFiles& model) {
  return std::make_unique<LateRerank>(model);
}

}  // namespace inlay::task
