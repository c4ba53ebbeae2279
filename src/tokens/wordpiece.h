// WordPiece: the longest piece first, from left to right; one unknown stretch makes the whole word
// unknown.
#pragma once

#include <string>

#include "tokens/byte_trie.h"
#include "tokens/model.h"

namespace inlay::tokens {

class WordPiece final : public Model {
 public:
  // `vocab` is sealed. `where` names file and place in later errors.
  WordPiece(Vocab vocab, std::string unk_token, const std::string& continuing_subword_prefix,
            std::size_t max_input_chars_per_word, std::string where);
  static std::unique_ptr<WordPiece> from_json(const JsonValue& json);

  void tokenize(std::string_view word, std::vector<TokenSpan>* out) const override;
  const Vocab& vocab() const override { return vocab_; }
  std::int32_t unk_id() const override { return unk_id_; }

 private:
  void append_unknown(std::string_view word, std::vector<TokenSpan>* out) const;

  Vocab vocab_;
  ByteTrie words_, continuing_;  // all pieces; those that begin with the prefix, without it
  std::string unk_token_, where_;
  std::int32_t unk_id_;
  std::size_t max_input_chars_per_word_;
};

}  // namespace inlay::tokens
