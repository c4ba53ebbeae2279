// See bpe.h.
#include "tokens/bpe.h"

#include <algorithm>
#include <array>
#include <functional>

#include "base/error.h"
#include "base/json_raw.h"
#include "base/utf8.h"
#include "tokens/byte_alphabet.h"
#include "tokens/word_cache.h"

namespace inlay::tokens {
namespace {

constexpr char32_t kTableCharacters = 0x400;  // holds ASCII, Latin and the byte-level alphabet
// Up to here a scan over all pairs beats a heap (measured break-even between 40 and 80 symbols).
constexpr std::size_t kShortWord = 48;
constexpr std::uint32_t kNoRank = MergeTable::kNoRank;

std::string byte_token(unsigned byte) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  return {'<', '0', 'x', kHex[byte >> 4U], kHex[byte & 15U], '>'};
}

// Rust's split: every separator cuts, empty parts included.
bool split_at_one_space(std::string_view text, std::string_view* left, std::string_view* right) {
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos)
    return false;
  *left = text.substr(0, space);
  *right = text.substr(space + 1);
  return true;
}

std::string optional_text(const JsonValue& json, std::string_view key) {
  const auto value = json.find(key);
  return value ? std::string(value->string()) : std::string();
}

}  // namespace

struct Bpe::Scratch {
  struct Candidate {
    std::uint32_t rank, position;
    bool operator>(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };
  struct Link {
    std::int32_t previous, next;
  };
  std::string spelled;
  std::vector<Symbol> symbols;
  std::vector<Link> links;
  std::vector<Candidate> heap;
};

std::unique_ptr<Bpe> Bpe::from_json(const JsonValue& json) {
  if (const auto dropout = json.find("dropout"); dropout && dropout->number() != 0.0) {
    fail(ErrorCode::kUnsupported, dropout->where(),
         "expected no BPE dropout, got some: tokens would be random. Set it to null.");
  }
  auto model = std::make_unique<Bpe>();
  model->where_ = json.where();
  model->vocab_ = read_vocab(json.at("vocab"));
  if (const auto unk = json.find("unk_token")) {
    model->has_unk_ = true;
    model->unk_token_ = unk->string();
    model->unk_id_ = model->vocab_.find(model->unk_token_);
  }
  model->prefix_ = optional_text(json, "continuing_subword_prefix");
  model->suffix_ = optional_text(json, "end_of_word_suffix");
  model->fuse_unk_ = json.bool_or("fuse_unk", false);
  model->byte_fallback_ = json.bool_or("byte_fallback", false);
  model->ignore_merges_ = json.bool_or("ignore_merges", false);
  model->owner_ = WordCache::new_owner();
  model->read_merges(json.at("merges"));
  if (model->prefix_.empty() && model->suffix_.empty()) {
    model->character_ids_.resize(kTableCharacters);
    std::string character;
    for (char32_t c = 0; c < kTableCharacters; ++c) {
      character.clear();
      utf8_append(character, c);
      model->character_ids_[c] = model->vocab_.find(character);
    }
    model->prepare_bytes();
  }
  if (model->byte_fallback_) {
    for (unsigned byte = 0; byte < 256; ++byte)
      model->byte_ids_.push_back(model->vocab_.find(byte_token(byte)));
  }
  return model;
}

void Bpe::read_merges(const JsonValue& json) {
  simdjson::dom::array list;
  if (json_raw(json).get_array().get(list) != simdjson::SUCCESS) {
    fail(ErrorCode::kBadInput, json.where(),
         std::string("expected an array of merges, got ") + json.type_name() +
             ". The file is damaged; fetch it again.");
  }
  std::size_t count = 0;
  for ([[maybe_unused]] const auto item : list) ++count;
  if (count >= kNoRank / 4)
    fail(ErrorCode::kBadInput, json.where(), "expected fewer merges. Use a smaller file.");
  merges_.reset(count);
  std::uint32_t rank = 0;
  std::size_t index = 0;
  for (const auto item : list) {
    std::string_view left, right, line;
    simdjson::dom::array pair;
    bool good = false;
    if (item.get_string().get(line) == simdjson::SUCCESS) {
      if (line.starts_with("#version")) {
        ++index;
        continue;
      }
      good = split_at_one_space(line, &left, &right);
    } else if (item.get_array().get(pair) == simdjson::SUCCESS && pair.size() == 2) {
      good = pair.at(0).get_string().get(left) == simdjson::SUCCESS &&
             pair.at(1).get_string().get(right) == simdjson::SUCCESS;
    }
    if (!good) {
      fail(ErrorCode::kBadInput, json.where() + "/" + std::to_string(index),
           "expected two tokens as \"a b\" or [\"a\", \"b\"], got something else. The file is "
           "damaged; fetch it again.");
    }
    add_merge(left, right, rank++, json);
    ++index;
  }
}

void Bpe::add_merge(std::string_view left, std::string_view right, std::uint32_t rank,
                    const JsonValue& json) {
  const auto refuse = [&](const std::string& message) {
    fail(ErrorCode::kBadInput, json.where() + "/" + std::to_string(rank),
         message + " The file is damaged; fetch it again.");
  };
  const auto known = [&](std::string_view token) {
    const std::int32_t id = vocab_.find(token);
    if (id < 0)
      refuse("expected merges of tokens in the vocabulary, got \"" + printable(token) +
             "\", which is not.");
    return id;
  };
  const std::int32_t left_id = known(left), right_id = known(right);
  // The reference cuts the prefix's length off the right part, whatever stands there. What is left
  // must not be empty: a merge that does not grow would let a text cycle between two tokens.
  if (left.empty() || right.size() <= prefix_.size()) {
    refuse("expected a merge of two non-empty parts, got \"" + printable(left) + "\" and \"" +
           printable(right) + "\".");
  }
  std::string merged(left);
  merged += right.substr(prefix_.size());
  merges_.add(left_id, right_id, rank, known(merged));
}

void Bpe::prepare_bytes() {
  std::string spelled;
  for (const char32_t c : kByteCharacters) {
    spelled.clear();
    utf8_append(spelled, c);
    alphabet_ids_.push_back(vocab_.find(spelled));
    if (alphabet_ids_.back() < 0) return alphabet_ids_.clear();
  }
  alphabet_ranks_.reserve(kByteCharacters.size() * kByteCharacters.size());
  for (const std::int32_t left : alphabet_ids_) {
    for (const std::int32_t right : alphabet_ids_)
      alphabet_ranks_.push_back(merges_.rank(left, right));
  }
}

void Bpe::append_unknown(std::uint32_t bytes, std::optional<Symbol>* pending,
                         std::vector<Symbol>* symbols) const {
  if (unk_id_ < 0) {
    fail(ErrorCode::kBadInput, where_,
         "expected the unknown token \"" + printable(unk_token_) +
             "\" in the vocabulary, got none, and the text has a character that needs it. Add the "
             "token.");
  }
  if (*pending && fuse_unk_) {
    (*pending)->bytes += bytes;
    return;
  }
  if (*pending) symbols->push_back(**pending);
  *pending = Symbol{unk_id_, bytes};
}

// One symbol a character. An unknown character waits in `pending` so that the next can be fused to
// it; as in the reference, byte-fallback tokens do not flush it.
void Bpe::split_characters(std::string_view word, Scratch* scratch) const {
  std::vector<Symbol>& symbols = scratch->symbols;
  symbols.clear();
  std::optional<Symbol> pending;
  for (std::size_t at = 0; at < word.size();) {
    const CodePoint character = utf8_decode(word, at);
    std::string_view spelled = word.substr(at, character.bytes);
    const bool first = at == 0;
    at += character.bytes;
    std::int32_t id;
    if (!character_ids_.empty()) {
      id = character.value < kTableCharacters ? character_ids_[character.value]
                                              : vocab_.find(spelled);
    } else {
      scratch->spelled.assign(first ? std::string_view() : std::string_view(prefix_));
      scratch->spelled += spelled;
      if (at == word.size()) scratch->spelled += suffix_;
      spelled = scratch->spelled;
      id = vocab_.find(spelled);
    }
    if (id >= 0) {
      if (pending) symbols.push_back(*pending);
      pending.reset();
      symbols.push_back({id, character.bytes});
      continue;
    }
    if (byte_fallback_ && std::all_of(spelled.begin(), spelled.end(), [this](char byte) {
          return byte_ids_[static_cast<unsigned char>(byte)] >= 0;
        })) {
      for (const char byte : spelled)
        symbols.push_back({byte_ids_[static_cast<unsigned char>(byte)], 1});
    } else if (has_unk_) {
      append_unknown(character.bytes, &pending, &symbols);
    }
  }
  if (pending) symbols.push_back(*pending);
}

// `first_rank(i)` is the rank of symbols i and i + 1 as they are given.
template <typename Rank>
void Bpe::merge_short(std::vector<Symbol>* symbols, Rank&& first_rank) const {
  std::array<std::uint32_t, kShortWord> ranks;  // of symbol i with i + 1
  std::size_t count = symbols->size();
  Symbol* const symbol = symbols->data();
  for (std::size_t i = 0; i + 1 < count; ++i) ranks[i] = first_rank(i);
  while (count > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < count; ++i) best = ranks[i] < ranks[best] ? i : best;
    if (ranks[best] == kNoRank) break;
    symbol[best] = {merges_.merged(ranks[best]), symbol[best].bytes + symbol[best + 1].bytes};
    --count;
    for (std::size_t i = best + 1; i < count; ++i) {
      symbol[i] = symbol[i + 1];
      ranks[i - 1] = ranks[i];
    }
    if (best > 0) ranks[best - 1] = merges_.rank(symbol[best - 1].id, symbol[best].id);
    if (best + 1 < count) ranks[best] = merges_.rank(symbol[best].id, symbol[best + 1].id);
  }
  symbols->resize(count);
}

template <typename Rank>
void Bpe::merge_long(Scratch* scratch, Rank&& first_rank) const {
  std::vector<Symbol>& symbols = scratch->symbols;
  std::vector<Scratch::Link>& links = scratch->links;
  std::vector<Scratch::Candidate>& heap = scratch->heap;
  const auto count = static_cast<std::int32_t>(symbols.size());
  links.resize(symbols.size());
  heap.clear();
  for (std::int32_t i = 0; i < count; ++i) {
    links[i] = {i - 1, i + 1 < count ? i + 1 : -1};
    const std::uint32_t rank = i + 1 < count ? first_rank(static_cast<std::size_t>(i)) : kNoRank;
    if (rank != kNoRank) heap.push_back({rank, static_cast<std::uint32_t>(i)});
  }
  std::make_heap(heap.begin(), heap.end(), std::greater<>{});
  const auto push = [&](std::int32_t left, std::int32_t right) {
    if (left < 0 || right < 0) return;
    const std::uint32_t rank = merges_.rank(symbols[left].id, symbols[right].id);
    if (rank == kNoRank) return;
    heap.push_back({rank, static_cast<std::uint32_t>(left)});
    std::push_heap(heap.begin(), heap.end(), std::greater<>{});
  };
  while (!heap.empty()) {
    const Scratch::Candidate top = heap.front();
    std::pop_heap(heap.begin(), heap.end(), std::greater<>{});
    heap.pop_back();
    const auto at = static_cast<std::int32_t>(top.position);
    const std::int32_t right = links[at].next;
    if (symbols[at].bytes == 0 || right < 0) continue;
    if (merges_.rank(symbols[at].id, symbols[right].id) != top.rank)
      continue;  // the pair has changed since it was queued
    symbols[at] = {merges_.merged(top.rank), symbols[at].bytes + symbols[right].bytes};
    symbols[right].bytes = 0;  // marks it merged away
    links[at].next = links[right].next;
    if (links[right].next >= 0) links[links[right].next].previous = at;
    push(links[at].previous, at);
    push(at, links[at].next);
  }
  std::erase_if(symbols, [](const Symbol& symbol) { return symbol.bytes == 0; });
}

template <typename Rank>
void Bpe::merge(Scratch* scratch, Rank&& first_rank) const {
  if (scratch->symbols.size() > kShortWord) {
    merge_long(scratch, first_rank);
  } else if (scratch->symbols.size() > 1) {
    merge_short(&scratch->symbols, first_rank);
  }
}

void Bpe::tokenize(std::string_view word, std::vector<TokenSpan>* out) const {
  const bool cached = word.size() <= WordCache::kKeyBytes;
  const std::uint64_t hash = cached ? hash_bytes(word.data(), word.size()) : 0;
  if (cached && WordCache::of_thread().find(owner_, word, hash, out)) return;
  const std::size_t first = out->size();
  compute(word, out);
  if (cached)
    WordCache::of_thread().insert(owner_, word, hash, out->data() + first, out->size() - first);
}

void Bpe::compute(std::string_view word, std::vector<TokenSpan>* out) const {
  if (ignore_merges_) {
    if (const std::int32_t whole = vocab_.find(word); whole >= 0) {
      out->push_back({whole, 0, static_cast<std::uint32_t>(word.size())});
      return;
    }
  }
  thread_local Scratch scratch;
  split_characters(word, &scratch);
  const std::vector<Symbol>& symbols = scratch.symbols;
  merge(&scratch, [&](std::size_t i) { return merges_.rank(symbols[i].id, symbols[i + 1].id); });
  append(symbols, out);
}

bool Bpe::match(std::string_view bytes, bool whole_first, std::vector<TokenSpan>* out) const {
  if (!is_matched_.load(std::memory_order_acquire)) {
    if (words_.fetch_add(1, std::memory_order_relaxed) != merges_.size()) return false;
    matched_.build(vocab_, merges_, alphabet_ids_);
    is_matched_.store(true, std::memory_order_release);
  }
  return matched_.encode(bytes, whole_first, out);
}

void Bpe::compute_bytes(std::string_view bytes, bool part, std::vector<TokenSpan>* out) const {
  const bool whole_first = ignore_merges_ && !part;
  if (!alphabet_ids_.empty() && match(bytes, whole_first, out)) return;
  thread_local Scratch scratch;
  if (whole_first || alphabet_ids_.empty()) {
    scratch.spelled.clear();
    for (const char byte : bytes) {
      utf8_append(scratch.spelled, kByteCharacters[static_cast<unsigned char>(byte)]);
    }
    if (alphabet_ids_.empty()) return compute(scratch.spelled, out);
    if (const std::int32_t whole = vocab_.find(scratch.spelled); whole >= 0) {
      out->push_back({whole, 0, static_cast<std::uint32_t>(bytes.size())});
      return;
    }
  }
  std::vector<Symbol>& symbols = scratch.symbols;
  symbols.clear();
  for (const char byte : bytes) {
    symbols.push_back({alphabet_ids_[static_cast<unsigned char>(byte)], 1});
  }
  merge(&scratch, [&](std::size_t i) {
    return alphabet_ranks_[static_cast<unsigned char>(bytes[i]) * kByteCharacters.size() +
                           static_cast<unsigned char>(bytes[i + 1])];
  });
  append(symbols, out);
}

void Bpe::append(const std::vector<Symbol>& symbols, std::vector<TokenSpan>* out) {
  std::uint32_t begin = 0;
  for (const Symbol& symbol : symbols) {
    out->push_back({symbol.id, begin, begin + symbol.bytes});
    begin += symbol.bytes;
  }
}

}  // namespace inlay::tokens
