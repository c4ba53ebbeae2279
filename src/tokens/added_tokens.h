// Tokens added on top of a model's vocabulary ("added_tokens"): found in the text before anything
// else happens to it, or, the normalized ones, after the normalizers. Cutting the text at them is
// the caller's affair.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "tokens/byte_marks.h"
#include "tokens/byte_trie.h"
#include "tokens/model.h"
#include "tokens/normalizers.h"
#include "tokens/regex.h"

namespace inlay::tokens {

// A stretch of text: an added token (id >= 0), with the white space that it takes along, or what
// lies between.
struct AddedMatch {
  Range range;
  std::int32_t id;
};

// Immutable after read() or add(); any thread may call.
class AddedTokens {
 public:
  struct Token {
    std::string content;
    bool single_word = false, lstrip = false, rstrip = false, normalized = true, special = false;
    bool operator==(const Token&) const = default;
  };

  // The array at /added_tokens. As in the reference, a token's id is the vocabulary's where it is
  // there, else the next free one: the file's own "id" is not used. Throws kBadInput naming the
  // place.
  void read(const JsonValue& list, const Model& model, const Normalizer* normalizer);
  void add(const std::vector<Token>& tokens, const Model& model, const Normalizer* normalizer);

  // Whether there are tokens to find in raw (false) or normalized (true) text.
  bool any(bool normalized) const { return !finder(normalized).trie.empty(); }
  // Appends stretches that cover `text` in order: leftmost longest tokens and what lies between.
  // Where a token's white space reaches into the next token, stretches overlap, as in the
  // reference.
  void find(std::string_view text, bool normalized, std::vector<AddedMatch>* out) const;

  std::optional<std::int32_t> id(std::string_view content) const;
  // The token as decoders get it: what the normalizers make of it, where it is normalized.
  const std::string* text(std::int32_t id) const;
  bool is_special(std::string_view token_text) const { return special_.contains(token_text); }
  // Contents that are not in the model's vocabulary.
  std::int64_t beyond(const Model& model) const;

 private:
  struct Finder {
    ByteTrie trie;
    ByteSet first_bytes;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return hash_bytes(text.data(), text.size());
    }
  };
  const Finder& finder(bool normalized) const { return normalized ? normalized_ : raw_; }
  void build_finder(bool normalized);

  std::unordered_map<std::string, std::int32_t, Hash, std::equal_to<>> ids_;
  std::map<std::int32_t, Token> tokens_;
  std::unordered_map<std::int32_t, std::string> texts_;
  std::unordered_map<std::string, bool, Hash, std::equal_to<>> special_;
  Finder raw_, normalized_;
};

}  // namespace inlay::tokens
