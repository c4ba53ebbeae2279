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
  std::size_t before = at - 1;
  while ((static_cast<unsigned char>(text[before]) & 0xC0U) == 0x80U) --before;
  return grapheme_class(utf8_decode(text, before).value) != GraphemeClass::kPrepend;
}

}  // namespace

SpacePath::SpacePath(const Normalizer* normalizer, const PreTokenizer* pre_tokenizer,
                     const Model* model)
    : normalizer_(normalizer), pre_tokenizer_(pre_tokenizer), model_(model) {
  for (const char space : {' ', '\t', '\n'}) spaces_.add(static_cast<unsigned char>(space));
}

void SpacePath::compute(std::string_view word, std::vector<TokenSpan>* out) const {
  thread_local NormalizedString normalized;
  thread_local Pieces pieces;
  normalized.reset(word, false);
  if (normalizer_ != nullptr) normalizer_->normalize(normalized);
  pieces.clear(false, word.size());
  pieces.append(normalized, {0, static_cast<std::uint32_t>(normalized.text().size())});
  pre_tokenizer_->apply(&pieces);
  for (const Piece& piece : pieces.list()) model_->compute(pieces.text(piece), out);
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
