// What every tokenizer model offers: a word in, tokens out. The words are cut by pre_tokenizers.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "tokens/vocab.h"

namespace inlay::tokens {

// An id and the bytes of the word that it stands for. As in the reference, byte-fallback tokens may
// overlap and a token's end may lie past the word (BPE with a suffix); only offsets see that.
struct TokenSpan {
  std::int32_t id;
  std::uint32_t begin, end;
};

// Immutable; any thread may call.
class Model {
 public:
  virtual ~Model() = default;
  // Appends the tokens of a non-empty word. Throws kBadInput when the word needs an unknown token
  // that the vocabulary lacks.
  virtual void tokenize(std::string_view word, std::vector<TokenSpan>* out) const = 0;
  // The same without the thread's cache of words, for callers that have one.
  virtual void compute(std::string_view word, std::vector<TokenSpan>* out) const {
    tokenize(word, out);
  }
  virtual const Vocab& vocab() const = 0;
  virtual std::int32_t unk_id() const = 0;  // -1: none
};

// Reads the object at /model of tokenizer.json.
std::unique_ptr<Model> read_model(const JsonValue& json);

}  // namespace inlay::tokens
