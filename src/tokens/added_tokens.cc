// See added_tokens.h.
#include "tokens/added_tokens.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/utf8.h"
#include "tokens/unicode.h"

namespace inlay::tokens {
namespace {

// The character that ends at `at` > 0.
CodePoint character_before(std::string_view text, std::size_t at) {
  std::size_t begin = at - 1;
  while (begin > 0 && utf8_continues(text[begin])) --begin;
  return utf8_decode(text, begin);
}

bool stands_alone(std::string_view text, std::uint32_t begin, std::uint32_t end) {
  return (begin == 0 || !is_word(character_before(text, begin).value)) &&
         (end == text.size() || !is_word(utf8_decode(text, end).value));
}

// Where the white space before `at` begins, looking back no further than `limit`.
std::uint32_t spaces_begin(std::string_view text, std::uint32_t at, std::uint32_t limit) {
  while (at > limit) {
    const CodePoint c = character_before(text, at);
    if (!is_whitespace(c.value)) break;
    at -= c.bytes;
  }
  return at;
}

std::uint32_t spaces_end(std::string_view text, std::uint32_t at) {
  while (at < text.size()) {
    const CodePoint c = utf8_decode(text, at);
    if (!is_whitespace(c.value)) break;
    at += c.bytes;
  }
  return at;
}

AddedTokens::Token read_token(const JsonValue& json) {
  const std::int64_t id = json.at("id").integer();
  if (id < 0 || id > std::numeric_limits<std::int32_t>::max()) {
    fail(ErrorCode::kBadInput, json.where() + "/id",
         "expected an id from 0 to 2147483647, got " + std::to_string(id) +
             ". The file is damaged; fetch it again.");
  }
  AddedTokens::Token token;
  token.content = json.at("content").string();
  token.single_word = json.at("single_word").boolean();
  token.lstrip = json.at("lstrip").boolean();
  token.rstrip = json.at("rstrip").boolean();
  token.normalized = json.at("normalized").boolean();
  token.special = json.at("special").boolean();
  if (token.content.size() > kMaxTokenBytes) {
    fail(ErrorCode::kBadInput, json.where() + "/content",
         "expected a token of at most " + std::to_string(kMaxTokenBytes) + " bytes, got " +
             std::to_string(token.content.size()) + ". The file is damaged; fetch it again.");
  }
  return token;
}

}  // namespace

void AddedTokens::read(const JsonValue& list, const Model& model, const Normalizer* normalizer) {
  std::vector<Token> tokens;
  for (const JsonValue& item : list.items()) tokens.push_back(read_token(item));
  add(tokens, model, normalizer);
}

void AddedTokens::add(const std::vector<Token>& tokens, const Model& model,
                      const Normalizer* normalizer) {
  auto next = static_cast<std::int32_t>(std::min<std::size_t>(
      model.vocab().size(), std::numeric_limits<std::int32_t>::max() - tokens.size()));
  if (!tokens_.empty()) next = std::max(next, tokens_.rbegin()->first + 1);
  for (const Token& token : tokens) {
    if (token.content.empty()) continue;
    std::int32_t id;
    if (const auto known = ids_.find(token.content); known != ids_.end()) {
      id = known->second;
      if (tokens_.at(id) == token) continue;
    } else {
      id = model.vocab().find(token.content);
      if (id < 0) id = next++;
    }
    if (token.normalized && normalizer != nullptr) {
      NormalizedString text(token.content, false);
      normalizer->normalize(text);
      if (text.text() != token.content) texts_[id] = text.text();
    }
    ids_[token.content] = id;
    if (token.special) special_[token.content] = true;
    tokens_[id] = token;
  }
  build_finder(false);
  build_finder(true);
}

void AddedTokens::build_finder(bool normalized) {
  Finder& target = normalized ? normalized_ : raw_;
  target = Finder();
  std::vector<std::pair<std::string_view, std::int32_t>> keys;
  for (const auto& [id, token] : tokens_) {
    if (token.normalized != normalized) continue;
    const auto changed = normalized ? texts_.find(id) : texts_.end();
    const std::string_view pattern = changed != texts_.end() ? changed->second : token.content;
    // A token that its normalizer makes empty stands nowhere. (The reference finds it between any
    // two bytes and stops with a panic inside the next character of more than one byte.)
    if (pattern.empty()) continue;
    keys.emplace_back(pattern, id);
    target.first_bytes.add(static_cast<unsigned char>(pattern[0]));
  }
  // Two tokens that the normalizer makes the same: the lower id. (The reference takes either, by
  // chance.)
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end(),
                         [](const auto& a, const auto& b) { return a.first == b.first; }),
             keys.end());
  target.trie.build(keys);
}

void AddedTokens::find(std::string_view text, bool normalized, std::vector<AddedMatch>* out) const {
  const Finder& finder = this->finder(normalized);
  const auto size = static_cast<std::uint32_t>(text.size());
  if (finder.trie.empty() || size == 0) {
    out->push_back({{0, size}, -1});
    return;
  }
  thread_local Marks marks;
  const std::uint64_t* firsts = marks.fill(finder.first_bytes, text);
  const TrieText walked(text);
  std::uint32_t covered = 0;  // end of the last stretch
  std::uint32_t spaces_known =
      0;  // white space was followed up to here, so that no run is walked twice
  for (std::uint32_t at = 0;;) {
    at = static_cast<std::uint32_t>(next_mark(firsts, at, size));
    if (at == size) break;
    std::uint32_t state = ByteTrie::kRoot, end = 0;
    std::int32_t id = -1;
    for (std::size_t next = at; next < size && finder.trie.step(walked, &state, &next);) {
      if (finder.trie.value(state) >= 0) {
        id = finder.trie.value(state);
        end = static_cast<std::uint32_t>(next);
      }
    }
    if (id < 0) {
      ++at;
      continue;
    }
    const Token& token = tokens_.at(id);
    std::uint32_t begin = at, stop = end;
    at = end;
    if (token.single_word && !stands_alone(text, begin, stop)) continue;
    if (token.lstrip)
      begin = std::max(spaces_begin(text, begin, std::min(begin, covered)), covered);
    if (token.rstrip) {
      if (stop >= spaces_known || (stop < size && !is_whitespace(utf8_decode(text, stop).value))) {
        spaces_known = spaces_end(text, stop);
        stop = spaces_known;
      } else {
        stop = spaces_known;
      }
    }
    stop = std::max(stop, begin);  // the reference panics here
    if (covered < begin) out->push_back({{covered, begin}, -1});
    out->push_back({{begin, stop}, id});
    covered = stop;
  }
  if (covered != size) out->push_back({{covered, size}, -1});
}

std::optional<std::int32_t> AddedTokens::id(std::string_view content) const {
  const auto found = ids_.find(content);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

const std::string* AddedTokens::text(std::int32_t id) const {
  const auto found = tokens_.find(id);
  if (found == tokens_.end()) return nullptr;
  const auto changed = texts_.find(id);
  return changed != texts_.end() ? &changed->second : &found->second.content;
}

std::int64_t AddedTokens::beyond(const Model& model) const {
  return std::count_if(ids_.begin(), ids_.end(),
                       [&](const auto& entry) { return model.vocab().find(entry.first) < 0; });
}

}  // namespace inlay::tokens
