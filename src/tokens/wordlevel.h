// WordLevel: a word is a token or unknown.
#pragma once

#include <string>

#include "tokens/model.h"

namespace inlay::tokens {

class WordLevel final : public Model {
 public:
  static std::unique_ptr<WordLevel> from_json(const JsonValue& json);
  void tokenize(std::string_view word, std::vector<TokenSpan>* out) const override;
  const Vocab& vocab() const override { return vocab_; }
  std::int32_t unk_id() const override { return unk_id_; }

 private:
  Vocab vocab_;
  std::string unk_token_, where_;
  std::int32_t unk_id_ = -1;
};

}  // namespace inlay::tokens
