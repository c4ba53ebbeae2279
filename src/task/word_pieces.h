// Words out of WordPiece tokens, as fastembed's _reconstruct_bpe puts them together again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "files/model_files.h"

namespace inlay::task {

struct Word {
  std::string text;                 // as the tokenizer normalizes it
  std::vector<std::size_t> tokens;  // places of its tokens
};

// Immutable; thread-safe.
class WordPieces {
 public:
  // Reads the model's tokenizer. Throws as Tokenizer does.
  explicit WordPieces(const files::ModelFiles& model);

  // The words of a text's tokens, in order. With `skip_special` what is special has no word.
  std::vector<Word> words(std::span<const std::int32_t> ids, bool skip_special) const;

 private:
  struct Piece {
    std::string text;  // without its prefix
    bool continues = false, special = false;
  };
  std::vector<Piece> pieces_;  // by id
};

}  // namespace inlay::task
