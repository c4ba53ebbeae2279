// Walks the generated list of families.
#include "arch/arch.h"

#include "base/error.h"

namespace inlay::arch {

const Architecture& find(const files::ModelFiles& model) {
  std::string families;
  for (const Architecture* architecture : all()) {
    if (architecture->match(model)) return *architecture;
    families += (families.empty() ? "" : ", ") + std::string(architecture->families);
  }
  const std::string type = model.model_type();
  fail(ErrorCode::kUnsupported, model.config().where() + "model_type",
       "expected one of " + families + ", got " +
           (type.empty() ? "no model_type" : "\"" + printable(type) + "\"") +
           ". This family is not built in yet; docs/add-a-model.md says how to add it.");
}

void no_head(const files::ModelFiles& model, Head head, std::string_view looked_for) {
  std::string found;
  for (const std::string& name : model.architectures())
    found += (found.empty() ? "" : ", ") + printable(name);
  if (found.empty()) found = "a model that does not name its class";
  const char* expected = "a model with its last hidden state";
  const char* remedy = "";
  if (head == Head::kMaskedLm) {
    expected = "a masked language model's head";
    remedy = "Sparse vectors need a SPLADE model, such as prithivida/Splade_PP_en_v1.";
  } else if (head == Head::kClassifier) {
    expected = "a sequence classifier's head";
    remedy = "Reranking needs a cross-encoder, such as BAAI/bge-reranker-base.";
  } else if (head == Head::kCausalLm) {
    expected = "a causal language model's head";
    remedy = "Scoring by yes and no needs a model such as Qwen/Qwen3-Reranker-0.6B.";
  }
  fail(ErrorCode::kBadInput, model.config().where() + "architectures",
       std::string("expected ") + expected +
           (looked_for.empty() ? "" : " (" + std::string(looked_for) + " in the checkpoint)") +
           ", got " + found + ". " + remedy);
}

}  // namespace inlay::arch
