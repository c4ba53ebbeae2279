// See wordpiece.h.
#include "tokens/wordpiece.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"

namespace inlay::tokens {
namespace {

// Whether the word has more than `limit` characters; counts only when bytes do not settle it.
bool longer_than(std::string_view word, std::size_t limit) {
  if (word.size() <= limit) return false;
  return static_cast<std::size_t>(std::count_if(
             word.begin(), word.end(), [](char byte) { return !utf8_continues(byte); })) > limit;
}

}  // namespace

WordPiece::WordPiece(Vocab vocab, std::string unk_token,
                     const std::string& continuing_subword_prefix,
                     std::size_t max_input_chars_per_word, std::string where)
    : vocab_(std::move(vocab)),
      unk_token_(std::move(unk_token)),
      where_(std::move(where)),
      unk_id_(vocab_.find(unk_token_)),
      max_input_chars_per_word_(max_input_chars_per_word) {
  std::vector<std::pair<std::string_view, std::int32_t>> words, continuing;
  words.reserve(vocab_.size());
  for (std::size_t i = 0; i < vocab_.size(); ++i) {
    const std::string_view token = vocab_.entry_token(i);
    const std::int32_t id = vocab_.find(token);
    if (token.empty() || id != vocab_.entry_id(i)) continue;
    words.emplace_back(token, id);
    if (token.size() > continuing_subword_prefix.size() &&
        token.starts_with(continuing_subword_prefix)) {
      continuing.emplace_back(token.substr(continuing_subword_prefix.size()), id);
    }
  }
  for (auto* keys : {&words, &continuing}) ByteTrie::sort(keys);
  words_.build(words);
  continuing_.build(continuing);
}

std::unique_ptr<WordPiece> WordPiece::from_json(const JsonValue& json) {
  const JsonValue limit = json.at("max_input_chars_per_word");
  if (limit.integer() < 0) {
    fail(ErrorCode::kBadInput, limit.where(),
         "expected a number of characters, got a negative number. The file is damaged; fetch it "
         "again.");
  }
  return std::make_unique<WordPiece>(read_vocab(json.at("vocab")),
                                     std::string(json.at("unk_token").string()),
                                     std::string(json.at("continuing_subword_prefix").string()),
                                     static_cast<std::size_t>(limit.integer()), json.where());
}

void WordPiece::append_unknown(std::string_view word, std::vector<TokenSpan>* out) const {
  if (unk_id_ < 0) {
    fail(ErrorCode::kBadInput, where_,
         "expected the unknown token \"" + printable(unk_token_) +
             "\" in the vocabulary, got none, and the text has a word that needs it. Add the "
             "token.");
  }
  out->push_back({unk_id_, 0, static_cast<std::uint32_t>(word.size())});
}

void WordPiece::tokenize(std::string_view word, std::vector<TokenSpan>* out) const {
  if (longer_than(word, max_input_chars_per_word_)) return append_unknown(word, out);
  const auto size = static_cast<std::uint32_t>(word.size());
  const std::size_t first = out->size();
  const TrieText text(word);
  for (std::uint32_t start = 0; start < size;) {
    // The longest piece from here. Pieces are UTF-8, so they end where characters end.
    const ByteTrie& pieces = start == 0 ? words_ : continuing_;
    std::uint32_t end = start;
    std::int32_t id = -1;
    std::uint32_t state = ByteTrie::kRoot;
    for (std::size_t at = start; at < size && pieces.step(text, &state, &at);) {
      if (const std::int32_t value = pieces.value(state); value >= 0) {
        id = value;
        end = static_cast<std::uint32_t>(at);
      }
    }
    if (id < 0) {
      out->resize(first);
      return append_unknown(word, out);
    }
    out->push_back({id, start, end});
    start = end;
  }
}

}  // namespace inlay::tokens
