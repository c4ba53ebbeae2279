// See text_tokens.h.
#include "tokens/text_tokens.h"

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"
#include "tokens/byte_alphabet.h"
#include "tokens/unicode.h"
#include "tokens/unigram.h"

namespace inlay::tokens {
namespace {

bool is_blank(char32_t c) { return c == kByteCharacters[' '] || is_whitespace(c); }

TextTokens::Blanks count_blanks(std::string_view text) {
  TextTokens::Blanks blanks{0, 0};
  bool all = true;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = utf8_decode(text, at);
    if (is_blank(c.value)) {
      ++blanks.trailing;
      blanks.leading += all ? 1 : 0;
    } else {
      blanks.trailing = 0;
      all = false;
    }
    at += c.bytes;
  }
  return blanks;
}

}  // namespace

// Memory of one call, kept on the thread.
struct TextPipeline::Work {
  NormalizedString normalized;
  std::vector<AddedMatch> raw_matches, matches;
  Pieces pieces;
  std::vector<TokenSpan> spans;
  struct Block {
    std::size_t piece, first, last;  // spans [first, last) are that piece's
  };
  std::vector<Block> blocks;
};

void TextPipeline::encode(std::string_view text, const TextOptions& options,
                          TextTokens* out) const {
  thread_local Work work;
  out->clear();
  if (text.size() >= std::numeric_limits<std::uint32_t>::max()) {
    fail(ErrorCode::kBadInput, "text",
         "expected less than 4 GiB, got more. Cut the text into parts.");
  }
  if (words && !options.offsets &&
      (options.direction == TruncationDirection::kRight ||
       options.limit == std::numeric_limits<std::size_t>::max())) {
    return encode_words(text, options.limit, &work, out);
  }
  cut(text, options.offsets || (pre_tokenizer && pre_tokenizer->needs_origins()), &work);
  if (pre_tokenizer) pre_tokenizer->apply(&work.pieces);
  if (options.direction == TruncationDirection::kLeft) {
    tokenize_left(&work, options, out);
  } else {
    tokenize_right(&work, options, out);
  }
}

// Fills work->pieces: raw added tokens out of the text, then each rest normalized and the other
// added tokens out of it.
void TextPipeline::cut(std::string_view text, bool track, Work* work) const {
  work->pieces.clear(track, text.size());
  work->raw_matches.clear();
  added.find(text, false, &work->raw_matches);
  for (const AddedMatch& raw : work->raw_matches) {
    const std::string_view part = text.substr(raw.range.begin, raw.range.end - raw.range.begin);
    work->normalized.reset(part, track, raw.range.begin);
    if (raw.id >= 0) {
      work->pieces.append(work->normalized, {0, static_cast<std::uint32_t>(part.size())}, raw.id);
      continue;
    }
    if (part.empty()) continue;
    if (normalizer) normalizer->normalize(work->normalized);
    work->matches.clear();
    added.find(work->normalized.text(), true, &work->matches);
    for (const AddedMatch& match : work->matches)
      work->pieces.append(work->normalized, match.range, match.id);
  }
}

void TextPipeline::tokenize_piece(Work* work, const Piece& piece) const {
  const auto size = piece.end - piece.begin;
  if (piece.added_token >= 0) {
    work->spans.push_back({piece.added_token, 0, size});
  } else {
    model->tokenize(work->pieces.text(piece), &work->spans);
  }
}

void TextPipeline::append(const Work& work, const Piece& piece, std::size_t first, std::size_t last,
                          bool offsets, TextTokens* out) const {
  if (!offsets) {
    for (std::size_t i = first; i < last; ++i) out->ids.push_back(work.spans[i].id);
    return;
  }
  const std::string_view text = work.pieces.text(piece);
  const bool unigram = dynamic_cast<const Unigram*>(model.get()) != nullptr;
  for (std::size_t i = first; i < last; ++i) {
    const TokenSpan& span = work.spans[i];
    out->ids.push_back(span.id);
    out->origins.push_back(work.pieces.original(piece, span.begin, span.end));
    std::string_view spelled = model->vocab().token(span.id).value_or(std::string_view());
    if (piece.added_token >= 0) {
      spelled = text;
    } else if (unigram && span.id == model->unk_id()) {  // Unigram reports the unknown text itself
      spelled = text.substr(std::min<std::size_t>(span.begin, text.size()), span.end - span.begin);
    }
    out->blanks.push_back(count_blanks(spelled));
  }
}

void TextPipeline::tokenize_right(Work* work, const TextOptions& options, TextTokens* out) const {
  for (const Piece& piece : work->pieces.list()) {
    if (out->ids.size() >= options.limit) break;
    work->spans.clear();
    tokenize_piece(work, piece);
    append(*work, piece, 0, work->spans.size(), options.offsets, out);
  }
}

void TextPipeline::tokenize_left(Work* work, const TextOptions& options, TextTokens* out) const {
  const auto& pieces = work->pieces.list();
  work->spans.clear();
  work->blocks.clear();
  for (std::size_t i = pieces.size(); i-- > 0 && work->spans.size() < options.limit;) {
    const std::size_t first = work->spans.size();
    tokenize_piece(work, pieces[i]);
    work->blocks.push_back({i, first, work->spans.size()});
  }
  for (auto block = work->blocks.rbegin(); block != work->blocks.rend(); ++block) {
    append(*work, pieces[block->piece], block->first, block->last, options.offsets, out);
  }
}

void TextPipeline::encode_words(std::string_view text, std::size_t limit, Work* work,
                                TextTokens* out) const {
  work->raw_matches.clear();
  added.find(text, false, &work->raw_matches);
  for (const AddedMatch& raw : work->raw_matches) {
    if (out->ids.size() >= limit) break;
    std::string_view part = text.substr(raw.range.begin, raw.range.end - raw.range.begin);
    if (part.empty()) continue;
    if (raw.id >= 0) {
      out->ids.push_back(raw.id);
    } else if (words->reads_normalized()) {
      encode_normalized(part, limit, work, out);
    } else {
      words->encode(part, limit, &out->ids);
    }
  }
}

// What lies between raw added tokens: normalized whole, then the other added tokens out of it.
void TextPipeline::encode_normalized(std::string_view text, std::size_t limit, Work* work,
                                     TextTokens* out) const {
  if (normalizer) {
    work->normalized.reset(text, false);
    normalizer->normalize(work->normalized);
    text = work->normalized.text();
  }
  work->matches.clear();
  added.find(text, true, &work->matches);
  for (const AddedMatch& match : work->matches) {
    if (out->ids.size() >= limit) break;
    if (match.range.begin >= match.range.end) continue;
    if (match.id >= 0) {
      out->ids.push_back(match.id);
    } else {
      words->encode(text.substr(match.range.begin, match.range.end - match.range.begin), limit,
                    &out->ids);
    }
  }
}

}  // namespace inlay::tokens
