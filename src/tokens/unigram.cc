// See unigram.h.
#include "tokens/unigram.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/json_raw.h"
#include "base/number.h"
#include "base/utf8.h"
#include "tokens/word_cache.h"

namespace inlay::tokens {
namespace {

constexpr double kUnknownPenalty = 10.0;  // below the lowest score, as SentencePiece has it
constexpr char32_t kFirstStates = 0x10000;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::uint32_t kNowhere = std::numeric_limits<std::uint32_t>::max();

double power_of_ten(int exponent) {
  char text[16] = {'1', 'e'};
  const char* end = std::to_chars(text + 2, text + sizeof(text), exponent).ptr;
  double value = 0;
  parse_double(text, end, &value);
  return value;
}

// A score as the reference has it. Its JSON reader rounds twice, first the digits as one integer,
// then that times or over a power of ten, so that a number of 17 digits may come out one bit beside
// the nearest double; where two paths tie but for that bit, tokens differ. The digits are those of
// the shortest form, in which every writer of such files puts them.
double read_as_reference(double value) {
  if (value == 0 || !std::isfinite(value)) return value;
  char text[32];
  const char* end =
      std::to_chars(text, text + sizeof(text), std::abs(value), std::chars_format::scientific).ptr;
  std::uint64_t digits = 0;
  int exponent = 0;
  for (const char* at = text; at != end; ++at) {
    if (*at == 'e') {
      int written = 0;
      std::from_chars(at + (at[1] == '+' ? 2 : 1), end, written);
      exponent += written;
      break;
    }
    if (*at == '.') continue;
    digits = digits * 10 + static_cast<std::uint64_t>(*at - '0');  // at most 17 of them
    exponent -= at != text ? 1 : 0;
  }
  constexpr int kMost = 308;  // powers beyond are no doubles
  auto read = static_cast<double>(digits);
  for (; exponent < -kMost; exponent += kMost) read /= power_of_ten(kMost);
  read = exponent < 0 ? read / power_of_ten(-exponent) : read * power_of_ten(exponent);
  return std::copysign(read, value);
}

}  // namespace

struct Unigram::Scratch {
  struct Node {
    double score;         // of the best path that ends here
    std::uint32_t start;  // where its last piece begins; kNowhere: no path yet
    std::int32_t id;
  };
  std::vector<Node> nodes;
  double least_gap;  // between two paths to one place
  std::string text;  // padded
  std::vector<TokenSpan> pieces;
};

std::unique_ptr<Unigram> Unigram::from_json(const JsonValue& json) {
  const JsonValue list = json.at("vocab");
  simdjson::dom::array entries;
  if (json_raw(list).get_array().get(entries) != simdjson::SUCCESS) {
    fail(ErrorCode::kBadInput, list.where(),
         std::string("expected an array of [piece, score], got ") + list.type_name() +
             ". The file is damaged; fetch it again.");
  }
  auto model = std::make_unique<Unigram>();
  model->where_ = json.where();
  model->owner_ = WordCache::new_owner();
  double lowest = std::numeric_limits<double>::infinity();
  for (const auto entry : entries) {
    const std::size_t id = model->scores_.size();
    simdjson::dom::array pair;
    std::string_view piece;
    double score = 0;
    if (id > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()) ||
        entry.get_array().get(pair) != simdjson::SUCCESS || pair.size() != 2 ||
        pair.at(0).get_string().get(piece) != simdjson::SUCCESS ||
        pair.at(1).get_double().get(score) != simdjson::SUCCESS || piece.size() > kMaxTokenBytes) {
      fail(ErrorCode::kBadInput, list.where() + "/" + std::to_string(id),
           "expected [piece of at most " + std::to_string(kMaxTokenBytes) +
               " bytes, score], got something else. The file is damaged; fetch it again.");
    }
    model->vocab_.add(piece, static_cast<std::int32_t>(id));
    score = read_as_reference(score);
    model->scores_.push_back(score);
    lowest = std::min(lowest, score);
  }
  if (model->scores_.empty()) {
    fail(ErrorCode::kBadInput, list.where(),
         "expected at least one piece, got an empty vocabulary. The file is damaged; fetch it "
         "again.");
  }
  model->vocab_.seal();  // pieces listed twice are allowed: the later one counts
  model->unk_score_ = lowest - kUnknownPenalty;
  model->most_score_ = std::abs(model->unk_score_);
  for (const double score : model->scores_)
    model->most_score_ = std::max(model->most_score_, std::abs(score));
  if (const auto unk = json.find("unk_id")) {
    const std::int64_t id = unk->integer();
    if (id < 0 || static_cast<std::size_t>(id) >= model->scores_.size()) {
      fail(ErrorCode::kBadInput, unk->where(),
           "expected the id of a piece, got " + std::to_string(id) +
               ". The file is damaged; fetch it again.");
    }
    model->unk_id_ = static_cast<std::int32_t>(id);
  }
  if (json.bool_or("byte_fallback", false)) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    for (unsigned byte = 0; byte < 256; ++byte) {
      const char spelled[] = {'<', '0', 'x', kHex[byte >> 4U], kHex[byte & 15U], '>'};
      model->byte_ids_.push_back(model->vocab_.find({spelled, sizeof(spelled)}));
    }
  }
  std::vector<std::pair<std::string_view, std::int32_t>> keys;
  for (std::size_t i = 0; i < model->vocab_.size(); ++i) {
    const std::string_view piece = model->vocab_.entry_token(i);
    const std::int32_t id = model->vocab_.find(piece);
    if (!piece.empty() && id == model->vocab_.entry_id(i)) keys.emplace_back(piece, id);
  }
  std::sort(keys.begin(), keys.end());
  model->trie_.build(keys);
  model->prepare_first_states();
  return model;
}

void Unigram::prepare_first_states() {
  first_states_.assign(kFirstStates, ByteTrie::kRoot);
  std::string character;
  for (char32_t c = 0; c < kFirstStates; ++c) {
    character.clear();
    utf8_append(character, c);
    const TrieText text(character);
    std::uint32_t state = ByteTrie::kRoot;
    std::size_t at = 0;
    while (at < character.size() && trie_.step(text, &state, &at)) {
    }
    if (at == character.size()) first_states_[c] = state;
  }
}

void Unigram::refuse_unknown() const {
  fail(ErrorCode::kBadInput, where_,
       "expected an unk_id, got none, and the text has a character that no piece covers. Add the "
       "token.");
}

// Fills scratch->pieces, last piece first.
void Unigram::best_path(std::string_view word, Scratch* scratch) const {
  const auto size = static_cast<std::uint32_t>(word.size());
  std::vector<Scratch::Node>& nodes = scratch->nodes;
  nodes.assign(size + 1, {-kInfinity, kNowhere, 0});
  nodes[0].score = 0;
  scratch->text.assign(word);
  scratch->text.append(PaddedText::kPadding, '\0');
  const PaddedText text(scratch->text.data(), size);
  double least_gap = kInfinity;
  const auto offer = [&](std::size_t end, double score, std::uint32_t begin, std::int32_t id) {
    Scratch::Node& node = nodes[end];
    least_gap = std::min(least_gap, std::abs(score - node.score));
    if (node.start == kNowhere || score > node.score) node = {score, begin, id};
  };
  for (std::uint32_t begin = 0; begin < size;) {
    const double score_here = nodes[begin].score;
    const CodePoint c = utf8_decode(word, begin);
    const std::uint32_t next = begin + c.bytes;
    bool covered = false;
    std::uint32_t state = ByteTrie::kRoot;
    std::size_t end = begin;
    bool goes_on = true;
    const auto arrive = [&] {
      const std::int32_t id = trie_.value(state);
      if (id < 0) return;
      offer(end, scores_[static_cast<std::size_t>(id)] + score_here, begin, id);
      covered = covered || end == next;
    };
    if (c.value < kFirstStates) {
      state = first_states_[c.value];
      end = next;
      goes_on = state != ByteTrie::kRoot;
      if (goes_on) arrive();
    }
    while (goes_on && end < size && trie_.step(text, &state, &end)) arrive();
    if (!covered) {
      const double score = unk_score_ + score_here;
      if (unk_id_ < 0 && (nodes[next].start == kNowhere || score > nodes[next].score))
        refuse_unknown();
      offer(next, score, begin, unk_id_);
    }
    begin = next;
  }
  scratch->least_gap = least_gap;
  scratch->pieces.clear();
  for (std::uint32_t end = size; end > 0;) {
    const Scratch::Node& node = nodes[end];
    TokenSpan* last = scratch->pieces.empty() ? nullptr : &scratch->pieces.back();
    if (node.id == unk_id_ && last != nullptr && last->id == unk_id_) {
      last->begin = node.start;  // fused
    } else {
      scratch->pieces.push_back({node.id, node.start, end});
    }
    end = node.start;
  }
}

// A fused stretch may spell a piece after all; then bytes; then the unknown token.
void Unigram::append_unknown(std::string_view word, std::uint32_t begin, std::uint32_t end,
                             std::vector<TokenSpan>* out) const {
  const std::string_view text = word.substr(begin, end - begin);
  if (const std::int32_t id = vocab_.find(text); id >= 0) {
    out->push_back({id, begin, end});
    return;
  }
  if (!byte_ids_.empty() && std::all_of(text.begin(), text.end(), [this](char byte) {
        return byte_ids_[static_cast<unsigned char>(byte)] >= 0;
      })) {
    for (const char byte : text)
      out->push_back({byte_ids_[static_cast<unsigned char>(byte)], begin, end});
    return;
  }
  out->push_back({unk_id_, begin, end});
}

void Unigram::tokenize(std::string_view word, std::vector<TokenSpan>* out) const {
  const bool cached = word.size() <= WordCache::kKeyBytes;
  const std::uint64_t hash = cached ? hash_bytes(word.data(), word.size()) : 0;
  if (cached && WordCache::of_thread().find(owner_, word, hash, out)) return;
  const std::size_t first = out->size();
  compute(word, out);
  if (cached)
    WordCache::of_thread().insert(owner_, word, hash, out->data() + first, out->size() - first);
}

Unigram::Scratch& Unigram::scratch_of_thread() {
  thread_local Scratch scratch;
  return scratch;
}

void Unigram::compute(std::string_view word, std::vector<TokenSpan>* out) const {
  Scratch& scratch = scratch_of_thread();
  best_path(word, &scratch);
  append(scratch, word, out);
}

bool Unigram::compute_part(std::string_view part, std::vector<TokenSpan>* out) const {
  Scratch& scratch = scratch_of_thread();
  best_path(part, &scratch);
  if (!(scratch.least_gap > kClose)) return false;
  append(scratch, part, out);
  return true;
}

void Unigram::append(const Scratch& scratch, std::string_view word,
                     std::vector<TokenSpan>* out) const {
  for (auto piece = scratch.pieces.rbegin(); piece != scratch.pieces.rend(); ++piece) {
    if (piece->id == unk_id_) {
      append_unknown(word, piece->begin, piece->end, out);
    } else {
      out->push_back(*piece);
    }
  }
}

}  // namespace inlay::tokens
