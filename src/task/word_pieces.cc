// See word_pieces.h.
#include "task/word_pieces.h"

#include <utility>

#include "task/task.h"

namespace inlay::task {
namespace {

constexpr std::string_view kPrefix = "##";

}  // namespace

WordPieces::WordPieces(const files::ModelFiles& model) {
  const tokens::Tokenizer tokenizer = open_tokenizer(model.tokenizer(), model.do_lower_case());
  pieces_.resize(static_cast<std::size_t>(tokenizer.vocab_size()));
  for (std::size_t id = 0; id < pieces_.size(); ++id) {
    std::string token = tokenizer.id_to_token(static_cast<std::int32_t>(id)).value_or("");
    pieces_[id].continues = token.starts_with(kPrefix);
    if (pieces_[id].continues) token.erase(0, kPrefix.size());
    pieces_[id].text = std::move(token);
  }
  const tokens::SpecialIds& special = tokenizer.special_ids();
  for (const auto& id : {special.unk, special.cls, special.sep, special.pad, special.mask,
                         special.bos, special.eos}) {
    if (id && static_cast<std::size_t>(*id) < pieces_.size())
      pieces_[static_cast<std::size_t>(*id)].special = true;
  }
}

std::vector<Word> WordPieces::words(std::span<const std::int32_t> ids, bool skip_special) const {
  std::vector<Word> words;
  Word word;
  for (std::size_t at = 0; at < ids.size(); ++at) {
    const auto id = static_cast<std::size_t>(ids[at]);
    if (id >= pieces_.size()) continue;  // a row of the table that no token has
    const Piece& piece = pieces_[id];
    if (skip_special && piece.special) continue;
    if (!piece.continues && !word.text.empty()) words.push_back(std::exchange(word, {}));
    if (!piece.continues) word.text.clear();
    word.text += piece.text;
    word.tokens.push_back(at);
  }
  if (!word.text.empty()) words.push_back(std::move(word));
  return words;
}

}  // namespace inlay::task
