// The texts around query and document for rerankers that are causal language models: they are asked
// whether the document answers, and the score is the logit of one token less that of another.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "files/model_files.h"
#include "tokens/tokenizer.h"

namespace inlay::task {

struct JudgeTemplate {
  const char* model_type;   // of config.json
  const char* marker;       // a chat template with roles of its own must hold it
  const char* prefix;       // tokenized alone, as are `between` and each of `suffix`
  const char* instruction;  // what stands when none is given; null: nothing then
  // The text before the document, {instruction} before {query}; `plain` has no instruction.
  const char* asked;
  const char* plain;
  const char* between;   // null: asked text and document are tokenized as one text
  const char* document;  // before the document's own text
  const char* suffix[3];
  const char* yes;  // tokens, when the folder does not name them
  const char* no;
  // At which the published usage cuts: the whole list, or, where `between` is set, the asked text,
  // `between` and the document.
  std::int64_t most_tokens;
};

// The template of a folder's family. Throws kUnsupported when Inlay knows none, when the folder has
// another of its own, or when nothing there says that the model is a reranker.
const JudgeTemplate& judge_template(const files::ModelFiles& model);

// Builds the token lists of pairs. Immutable; thread-safe.
class Judge {
 public:
  // Throws kBadInput for a tokenizer that lacks the template's special tokens;
  // `where` is what messages call it.
  Judge(const JudgeTemplate& text, const tokens::Tokenizer& tokenizer, const std::string& where);

  // The longest list that the published usage makes.
  std::int64_t most_tokens() const;
  // The query's side of a pair; an empty instruction means the template's own.
  std::string ask(std::string_view instruction, std::string_view query) const;
  // The whole list. Where it is longer than options.max_length (0: no limit) the document gives
  // way, then the query, the template never; where query and document are tokenized apart, the
  // query has three quarters at most. Throws kUsage when the template alone does not fit.
  void encode(const tokens::Tokenizer& tokenizer, const std::string& asked,
              std::string_view document, const tokens::EncodeOptions& options,
              tokens::Encoding* out) const;

 private:
  const JudgeTemplate& text_;
  std::vector<std::int32_t> prefix_, between_, suffix_;
};

}  // namespace inlay::task
