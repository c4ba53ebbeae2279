// What a late-interaction folder says of its texts, whatever form it has: Stanford's (artifact.
// metadata beside the checkpoint), PyLate's, sentence-transformers' MultiVectorEncoder, and
// bge-m3's colbert_linear.pt. How a text becomes tokens and which of them count.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "files/model_files.h"
#include "tokens/tokenizer.h"

namespace inlay::task {

enum class LateKind {
  kNone,      // another kind of model
  kStanford,  // colbert-ir/colbertv2.0, answerdotai/answerai-colbert-small-v1
  kModules,   // modules.json of PyLate or sentence-transformers
  kLinear,    // colbert_linear.pt beside an embedder: BAAI/bge-m3
};
LateKind late_kind(const files::ModelFiles& model);

// Whether late interaction is what the folder is for; not so bge-m3's.
bool made_for_late(const files::ModelFiles& model);

struct LateForm {
  // Queries are brought to `length` tokens with `token`, whose vectors count.
  struct Expansion {
    std::int64_t length = 0;  // 0: none
    std::int32_t token = 0;
    bool attend = false;  // whether other tokens see them
    bool fixed = true;    // longer queries are cut; false: left as they are
  };
  // Of queries, or of documents.
  struct Side {
    std::optional<std::int32_t> marker;  // put behind the token that opens a text
    std::string prefix;                  // text that a prompt may begin with, and does not repeat
    std::string opening;                 // text put before all else
    std::int64_t most_tokens = 0;        // 0: the model's limit
    Expansion expansion;
    std::vector<std::int32_t> skip;  // ids without a vector, ascending
    std::vector<std::int32_t> keep;  // not empty: only these have one; ascending
    bool counts(std::int32_t id) const;
  };
  LateKind kind = LateKind::kNone;
  Side query, document;
  std::vector<files::Module> dense;  // kModules: projections in order
  bool normalize = true;             // each token's vector
  bool mean = false;                 // scores are divided by the query's tokens (MeanMaxSim)
  std::int64_t first_token = 0;      // tokens before it have no vector
};

// Throws kUnsupported for a module or an option that Inlay does not have, kBadInput for a folder
// that contradicts itself or is no late-interaction model.
LateForm read_late_form(const files::ModelFiles& model, const tokens::Tokenizer& tokenizer);

}  // namespace inlay::task
