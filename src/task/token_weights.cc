// Sparse vectors of models that give every token a weight: relu of a projection of its hidden
// state, of a token's places the largest. bge-m3 (Chen et al. 2024, arXiv:2402.03216;
// FlagEmbedding's BGEM3FlagModel) keeps it in sparse_linear.pt, gte-multilingual-base
// (arXiv:2407.19669) as the classifier of its checkpoint. The tokens that open and close a text,
// padding and unknown ones do not count.
#include <algorithm>
#include <map>

#include "base/error.h"
#include "program/binder.h"
#include "task/sparse_cut.h"
#include "task/task.h"

namespace inlay::task {
namespace {

constexpr const char* kBeside = "sparse_linear";

class TokenWeights final : public Task {
 public:
  TokenWeights(const files::ModelFiles& model, const SparseOptions& options)
      : model_(model), options_(options) {
    const tokens::Tokenizer tokenizer = open_tokenizer(model.tokenizer(), model.do_lower_case());
    const tokens::SpecialIds& special = tokenizer.special_ids();
    for (const auto& id : {special.cls, special.eos, special.pad, special.unk}) {
      if (id) unused_.push_back(*id);
    }
  }

  std::optional<Reads> reads() const override { return Reads{}; }
  void append(Program* program, const Ending& ending) override {
    dim_ = program->vocab_size();
    ValueId weights = kNoValue;
    if (model_.has_file(std::string(kBeside) + ".pt")) {
      weights = append_beside(program, ending.hidden, model_, kBeside);
    } else {
      const std::int64_t width = program->value(ending.hidden).width;
      Binder binder(ending.checkpoint, "classifier.weight", model_.name());
      LinearStep linear{ending.hidden, {binder.take("classifier.weight", {-1, width})}, {}};
      linear.biases.push_back(binder.take_optional("classifier.bias", {-1}));
      binder.finish();
      weights = program->linear("classifier", std::move(linear));
    }
    if (program->value(weights).width != 1) {
      fail(ErrorCode::kBadInput, model_.name(),
           "expected one weight a token, got " + std::to_string(program->value(weights).width) +
               " labels.");
    }
    program->set_output(weights);
  }
  std::int64_t dim() const override { return dim_; }
  void begin(std::size_t items, Result* result) const override { result->sparse.resize(items); }

  bool read(const Computed& item, std::size_t index, Result* result) const override {
    const std::span<const float> weights = item.outputs[0];
    if (!all_finite(weights)) return false;
    std::map<std::int32_t, float> largest;
    for (std::size_t t = 0; t < weights.size(); ++t) {
      const std::int32_t id = item.ids[t];
      if (weights[t] <= 0 || std::find(unused_.begin(), unused_.end(), id) != unused_.end())
        continue;
      float& weight = largest[id];
      weight = std::max(weight, weights[t]);
    }
    SparseVector& sparse = result->sparse[index];
    for (const auto& [id, weight] : largest) {
      sparse.indices.push_back(id);
      sparse.values.push_back(weight);
    }
    cut_sparse(options_, &sparse);
    return true;
  }

 private:
  const files::ModelFiles model_;
  const SparseOptions options_;
  std::vector<std::int32_t> unused_;
  std::int64_t dim_ = 0;
};

}  // namespace

ValueId append_beside(Program* program, ValueId hidden, const files::ModelFiles& model,
                      const std::string& name) {
  const std::string file = name + ".pt";
  const std::shared_ptr<const Weights> weights = model.load_beside(file);
  const std::string where = (model.folder() / file).string();
  if (weights == nullptr)
    fail(ErrorCode::kNotFound, where, "expected the file, got none. Fetch the model again.");
  const auto take = [&](const char* tensor) -> WeightRef {
    const Weights::Entry* entry = weights->find(tensor);
    if (entry != nullptr) return {name + "." + tensor, entry->tensor, entry->file};
    fail(ErrorCode::kBadInput, where,
         std::string("expected tensors weight and bias, got no ") + tensor + ".");
  };
  program->hold(weights);
  return program->linear(name, {hidden, {take("weight")}, {take("bias")}});
}

bool has_token_weights(const files::ModelFiles& model) {
  const std::vector<std::string> names = model.architectures();
  const bool gte = std::any_of(names.begin(), names.end(), [](const std::string& name) {
    return name == "NewForTokenClassification" || name == "GteForTokenClassification";
  });
  return gte || model.has_file(std::string(kBeside) + ".pt");
}

std::unique_ptr<Task> make_token_weights(const files::ModelFiles& model,
                                         const SparseOptions& options) {
  if (!has_token_weights(model)) {
    fail(ErrorCode::kBadInput, model.name(),
         std::string("expected ") + kBeside +
             ".pt beside the checkpoint or a classifier of tokens, got a model without. Sparse "
             "vectors beside dense ones need a model such as BAAI/bge-m3.");
  }
  return std::make_unique<TokenWeights>(model, options);
}

}  // namespace inlay::task
