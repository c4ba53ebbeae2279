// See wordpiece.h.
#include "tokens/wordpiece.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "tokens/word_cache.h"

namespace inlay::tokens {
namespace {

bool continues_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U; }

// Whether the word has more than `limit` characters; counts only when bytes do not settle it.
bool longer_than(std::string_view word, std::size_t limit) {
  if (word.size() <= limit) return false;
  return static_cast<std::size_t>(std::count_if(word.begin(), word.end(), [](char byte) {
           return !continues_character(byte);
         })) > limit;
}

}  // namespace

WordPiece::WordPiece(Vocab vocab, std::string unk_token,
                     const std::string& continuing_subword_prefix,
                     std::size_t max_input_chars_per_word, std::string where)
    : vocab_(std::move(vocab)),
      unk_token_(std::move(unk_token)),
      where_(std::move(where)),
      unk_id_(vocab_.find(unk_token_)),
      max_input_chars_per_word_(max_input_chars_per_word),
      owner_(WordCache::new_owner()) {
  for (std::size_t i = 0; i < vocab_.size(); ++i) {
    const std::string_view token = vocab_.entry_token(i);
    if (token.size() > continuing_subword_prefix.size() &&
        token.starts_with(continuing_subword_prefix)) {
      continuing_.add(token.substr(continuing_subword_prefix.size()), vocab_.find(token));
    }
  }
  continuing_.seal();
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
  const std::uint64_t hash = hash_bytes(word.data(), word.size());
  const auto size = static_cast<std::uint32_t>(word.size());
  // A word that is one piece by itself needs no cache; the character limit cannot cut it below its
  // own length unless the file sets it that low, so that is looked at first.
  const bool too_long = longer_than(word, max_input_chars_per_word_);
  if (!too_long) {
    if (const std::int32_t whole = vocab_.find(word, hash); whole >= 0) {
      out->push_back({whole, 0, size});
      return;
    }
  }
  if (too_long) return append_unknown(word, out);
  const bool cached = size <= WordCache::kKeyBytes;
  if (cached && WordCache::of_thread().find(owner_, word, hash, out)) return;

  const std::size_t first = out->size();
  for (std::uint32_t start = 0; start < size;) {
    const Vocab& pieces = start == 0 ? vocab_ : continuing_;
    std::uint32_t end = start + static_cast<std::uint32_t>(
                                    std::min<std::size_t>(size - start, pieces.max_token_bytes()));
    std::int32_t id = -1;
    for (; end > start; --end) {
      if (end < size && continues_character(word[end])) continue;
      id = pieces.find(word.substr(start, end - start));
      if (id >= 0) break;
    }
    if (id < 0) {
      out->resize(first);
      append_unknown(word, out);
      break;
    }
    out->push_back({id, start, end});
    start = end;
  }
  if (cached)
    WordCache::of_thread().insert(owner_, word, hash, out->data() + first, out->size() - first);
}

}  // namespace inlay::tokens
