// The table of models that Inlay knows by name: what their cards say, and which of them were run
// with their real weights. A model need not be here to be loaded, and what its folder says wins
// over what is written here.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace inlay::files {

struct KnownModel {
  const char* short_name;  // "minilm"; empty: none
  const char* id;          // "sentence-transformers/all-MiniLM-L6-v2"
  const char* task;        // "dense", "sparse", "rerank", "late"
  // The model_type of its config.json; where a repository's own code makes something else of that
  // type, the name under which arch/ builds it (jina_bert_v2, jina_embeddings_v3, static).
  const char* family;
  double millions;          // of parameters
  std::int64_t dimensions;  // of a vector, of a token's vector (late), labels (rerank)
  std::int64_t max_tokens;  // 0: no limit
  const char* query;        // prompts, put before a text; empty: none
  const char* document;
  const char* licence;  // as the card states it; empty: it states none
  bool real_weights;    // results were held against the reference with the real weights
  const char* remedy;   // how to obtain it without the Hub; empty: no other way
};

// The id on the Hub of a model that fastembed lists under a name of its own; else `id`.
std::string_view hub_id(std::string_view id);

std::span<const KnownModel> known_models();
const KnownModel& default_model();
// False for a model that is a formula, of which nothing must be here: BM25, whose lists of stop
// words are used where they are.
bool needs_files(const KnownModel& model);
// By org/name in any case of letters, as the Hub finds it; nullptr: not in the table.
const KnownModel* find_known_model(std::string_view id);

}  // namespace inlay::files
