// See wordlevel.h.
#include "tokens/wordlevel.h"

#include "base/error.h"

namespace inlay::tokens {

std::unique_ptr<WordLevel> WordLevel::from_json(const JsonValue& json) {
  auto model = std::make_unique<WordLevel>();
  model->vocab_ = read_vocab(json.at("vocab"));
  model->unk_token_ = json.at("unk_token").string();
  model->unk_id_ = model->vocab_.find(model->unk_token_);
  model->where_ = json.where();
  return model;
}

void WordLevel::tokenize(std::string_view word, std::vector<TokenSpan>* out) const {
  std::int32_t id = vocab_.find(word);
  if (id < 0) id = unk_id_;
  if (id < 0) {
    fail(ErrorCode::kBadInput, where_,
         "expected the unknown token \"" + printable(unk_token_) +
             "\" in the vocabulary, got none, and the text has a word that needs it. Add the "
             "token.");
  }
  out->push_back({id, 0, static_cast<std::uint32_t>(word.size())});
}

}  // namespace inlay::tokens
