// One text to tokens, before special tokens and the cut: added tokens are found, what lies between
// is normalized, pre-tokenized and given to the model.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string_view>
#include <vector>

#include "tokens/added_tokens.h"
#include "tokens/id_list.h"
#include "tokens/model.h"
#include "tokens/normalizers.h"
#include "tokens/pieces.h"
#include "tokens/pre_tokenizers.h"
#include "tokens/tokenizer.h"
#include "tokens/word_path.h"

namespace inlay::tokens {

// A text's tokens. With offsets, origins and blanks run beside ids.
struct TextTokens {
  struct Blanks {
    std::uint32_t leading,
        trailing;  // white space characters at the token's ends (byte-level's spelling included)
  };
  IdList ids;
  std::vector<Range> origins;
  std::vector<Blanks> blanks;
  void clear() {
    ids.clear();
    origins.clear();
    blanks.clear();
  }
};

struct TextOptions {
  bool offsets = false;
  // No piece is tokenized any more once there are this many tokens.
  std::size_t limit = std::numeric_limits<std::size_t>::max();
  TruncationDirection direction = TruncationDirection::kRight;
};

// The parts of a tokenizer that work on one text. Immutable once built; any thread may call
// encode().
struct TextPipeline {
  std::unique_ptr<Normalizer> normalizer;       // may be null
  std::unique_ptr<PreTokenizer> pre_tokenizer;  // may be null
  std::unique_ptr<Model> model;
  AddedTokens added;
  std::unique_ptr<WordPath> words;  // the quick way, where it gives the same ids; may be null

  void encode(std::string_view text, const TextOptions& options, TextTokens* out) const;

 private:
  struct Work;
  void cut(std::string_view text, bool track, Work* work) const;
  void tokenize_right(Work* work, const TextOptions& options, TextTokens* out) const;
  void tokenize_left(Work* work, const TextOptions& options, TextTokens* out) const;
  void tokenize_piece(Work* work, const Piece& piece) const;
  void append(const Work& work, const Piece& piece, std::size_t first, std::size_t last,
              bool offsets, TextTokens* out) const;
  void encode_words(std::string_view text, std::size_t limit, Work* work, TextTokens* out) const;
  void encode_normalized(std::string_view text, std::size_t limit, Work* work,
                         TextTokens* out) const;
};

}  // namespace inlay::tokens
