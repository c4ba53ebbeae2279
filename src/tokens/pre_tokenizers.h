// The pre-tokenizers of tokenizer.json: each cuts the pieces of a text further, some rewrite them.
// Splits by pattern are split.h; the word "piece" here is not the model's.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "base/json.h"
#include "tokens/pieces.h"
#include "tokens/regex_patterns.h"

namespace inlay::tokens {

// How a text is cut into words whose bytes are then spelled in the byte alphabet.
struct ByteWords {
  PatternMatcher matcher;  // its matches are the words
  bool add_prefix_space;   // a text that begins with no space gets one
};

// Immutable; any thread may call.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void apply(Pieces* pieces) const = 0;
  // Whether the result depends on where pieces lie in the original, so that origins must be tracked
  // even when no offsets are asked for.
  virtual bool needs_origins() const { return false; }
  // Where all it does is to cut as ByteWords says and to spell the words.
  virtual std::optional<ByteWords> byte_words() const { return std::nullopt; }
  // Whether what becomes of a text between two pieces of white space depends on nothing else.
  virtual bool words_at_spaces() const { return false; }
  // With words_at_spaces(): the character that every word gets put before that begins with neither
  // it nor white space, where white space and this character are all that cuts words or changes
  // them. Empty: otherwise.
  virtual std::string_view word_mark() const { return {}; }
  // BertPreTokenizer, which tokenizer.cc may do while it normalizes.
  virtual bool is_bert() const { return false; }
};

// From the "pre_tokenizer" member of tokenizer.json; nullptr when it is null. Throws kBadInput for
// a broken member, kUnsupported for another type, both naming the place.
std::unique_ptr<PreTokenizer> read_pre_tokenizer(const JsonValue& json);
std::unique_ptr<PreTokenizer> make_bert_pre_tokenizer();

}  // namespace inlay::tokens
