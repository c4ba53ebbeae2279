// See space_path.h.
#include "tokens/space_path.h"

#include "base/utf8.h"
#include "tokens/pieces.h"
#include "tokens/unicode.h"

namespace inlay::tokens {
namespace {

GraphemeClass grapheme_class(char32_t c) {
  return static_cast<GraphemeClass>(char_record(c).grapheme & 31U);
}

// Whether grapheme clusters end on both sides of the white space text[at], so that no normalizer
// sees it together with a neighbour. A tab or line feed is a control character, at which clusters
// always end, but for the line feed of a CR LF; a space joins a mark behind it and a Prepend
// before.
bool stands_alone(std::string_view text, std::size_t at) {
  if (text[at] != ' ') return text[at] != '\n' || at == 0 || text[at - 1] != '\r';
  if (at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) >= 0x80) {
    const GraphemeClass next = grapheme_class(utf8_decode(text, at + 1).value);
    if (next == GraphemeClass::kExtend || next == GraphemeClass::kZwj ||
        next == GraphemeClass::kSpacingMark) {
      return false;
    }
  }
  if (at == 0 || static_cast<unsigned char>(text[at - 1]) < 0x80) return true;
  return grapheme_class(utf8_decode(text, utf8_before(text, at)).value) != GraphemeClass::kPrepend;
}

}  // namespace

SpacePath::SpacePath(const Normalizer* normalizer, const PreTokenizer* pre_tokenizer,
                     const Model* model)
    : normalizer_(normalizer), pre_tokenizer_(pre_tokenizer), model_(model) {
  for (const char space : {' ', '\t', '\n'}) spaces_.add(static_cast<unsigned char>(space));
  const auto* unigram = dynamic_cast<const Unigram*>(model);
  if (unigram != nullptr && unigram->has_parts() && !pre_tokenizer->word_mark().empty())
    unigram_ = unigram;
}

const Pieces& SpacePath::cut(std::string_view word) const {
  thread_local NormalizedString normalized;
  thread_local Pieces pieces;
  normalized.reset(word, false);
  if (normalizer_ != nullptr) normalizer_->normalize(normalized);
  pieces.clear(false, word.size());
  pieces.append(normalized, {0, static_cast<std::uint32_t>(normalized.text().size())});
  pre_tokenizer_->apply(&pieces);
  return pieces;
}

// Whether all that becomes of the word is a mark before it.
bool SpacePath::is_plain(std::string_view word) const {
  if (!has_neighbours_.load(std::memory_order_acquire)) return false;
  for (std::size_t at = 0; at < word.size();) {
    const CodePoint c = utf8_decode(word, at);
    if (c.value >= plain_.size() || !plain_[c.value]) return false;
    at += c.bytes;
  }
  return true;
}

void SpacePath::compute(std::string_view word, std::vector<TokenSpan>* out) const {
  if (is_plain(word)) {
    thread_local std::string marked;
    marked.assign(pre_tokenizer_->word_mark());
    marked += word;
    return unigram_->compute(marked, out);
  }
  const Pieces& pieces = cut(word);
  for (const Piece& piece : pieces.list()) model_->compute(pieces.text(piece), out);
}

// ------------------------------------------------------------------------------ words in parts

// A part begins with a character that stays, and is cut as a word would be, which gets a mark. What
// is behind white space that the normalizers made is a word of its own.
bool SpacePath::compute_part(std::string_view part, std::vector<TokenSpan>* out) const {
  if (is_plain(part)) return unigram_->compute_part(part, out);
  const Pieces& pieces = cut(part);
  const std::string_view mark = pre_tokenizer_->word_mark();
  for (const Piece& piece : pieces.list()) {
    const std::string_view text = pieces.text(piece);
    if (&piece != pieces.list().data()) {
      unigram_->compute(text, out);
    } else if (!unigram_->compute_part(text.substr(mark.size()), out)) {
      return false;
    }
  }
  return true;
}

bool SpacePath::cuts() const {
  if (unigram_ == nullptr) return false;
  if (has_neighbours_.load(std::memory_order_acquire)) return true;
  // By then words have taken longer to compute than this takes.
  if (misses_.fetch_add(1, std::memory_order_relaxed) == unigram_->vocab().size() / 8) {
    find_neighbours();
    has_neighbours_.store(true, std::memory_order_release);
  }
  return false;
}

void SpacePath::find_neighbours() const {
  const Vocab& vocab = unigram_->vocab();
  for (std::size_t i = 0; i < vocab.size(); ++i) neighbours_.add(vocab.entry_token(i));
  neighbours_.seal();
  const char32_t mark = utf8_decode(pre_tokenizer_->word_mark(), 0).value;
  for (char32_t c = 0; c < Neighbours::kEnd; ++c) {
    const bool stays = normalizer_ == nullptr || normalizer_->keeps(c);
    plain_[c] = stays && c != mark && !is_whitespace(c);
    if (!plain_[c] || !unigram_->covers(c)) neighbours_.bind(c);
  }
}

// The end of the part of a word that begins at `at`.
std::size_t SpacePath::part_end(std::string_view word, std::size_t at) const {
  for (std::size_t end = at; end < word.size();) {
    end = neighbours_.part_end(word, end);
    // The last character must not be in a cluster that began before it.
    const std::size_t last = end > at ? utf8_before(word, end) : at;
    if (last == at || grapheme_class(utf8_decode(word, utf8_before(word, last)).value) !=
                          GraphemeClass::kPrepend) {
      return end;
    }
  }
  return word.size();
}

void SpacePath::absent(std::string_view text, std::size_t begin, std::size_t end, IdCache* cache,
                       IdList* out) const {
  const std::string_view word = text.substr(begin, end - begin);
  if (word.size() > Unigram::kMostBytesInParts || !cuts()) return miss(word, cache, out);
  std::size_t at = part_end(word, 0);
  if (at == word.size()) return miss(word, cache, out);
  const std::size_t first = out->size();
  this->word(text, begin, begin + at, cache, out);
  while (at < word.size()) {
    const std::size_t next = part_end(word, at);
    if (!part(text, begin + at, begin + next, cache, out)) {
      out->shrink(first);
      return miss(word, cache, out);
    }
    at = next;
  }
  keep(word, first, cache, *out);
}

void SpacePath::encode(std::string_view text, std::size_t limit, IdList* out) const {
  thread_local Marks marks;
  const std::uint64_t* spaces = marks.fill(spaces_, text);
  Batch batch(*this, text, limit, out);
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    at = next_mark(spaces, at, text.size());
    if (at < text.size() && !stands_alone(text, at)) continue;
    if (begin < at && !batch.add(begin, at)) return;
    begin = at + 1;
  }
  if (begin < text.size() && !batch.add(begin, text.size())) return;
  batch.flush();
}

}  // namespace inlay::tokens
