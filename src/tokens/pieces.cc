// See pieces.h.
#include "tokens/pieces.h"

#include "base/error.h"

namespace inlay::tokens {
namespace {

// The byte alphabet doubles a text, a wide replacement character for spaces makes four bytes of
// one: honest files do each once or twice. A chain of them would grow a text exponentially.
constexpr std::size_t kMostGrowth = 32, kFreeBytes = 1 << 20;

}  // namespace

void Pieces::refuse_growth() {
  fail(ErrorCode::kBadInput, "pre_tokenizer",
       "expected pre-tokenizers that make a text at most 32 times longer, got more. Use another "
       "tokenizer file.");
}

void Pieces::clear(bool track, std::size_t text_bytes) {
  most_bytes_ = kFreeBytes + text_bytes * kMostGrowth;
  text_.clear();
  origins_.clear();
  pieces_.clear();
  tracking_ = track;
}

void Pieces::append(const NormalizedString& from, Range range, std::int32_t added_token) {
  if (range.begin >= range.end) return;
  Piece piece{static_cast<std::uint32_t>(text_.size()), 0, 0, added_token};
  text_ += from.text().substr(range.begin, range.end - range.begin);
  piece.end = static_cast<std::uint32_t>(text_.size());
  if (tracking_) {
    for (std::uint32_t byte = range.begin; byte < range.end; ++byte) {
      const Range origin = from.to_original({byte, byte + 1}).value_or(Range{0, 0});
      origins_.push_back({origin.begin + from.shift(), origin.end + from.shift()});
    }
    piece.origin = origins_[piece.begin].begin;
  }
  pieces_.push_back(piece);
}

Range Pieces::original(const Piece& piece, std::uint32_t begin, std::uint32_t end) const {
  if (begin == end) return {piece.origin + begin, piece.origin + end};
  if (begin > end || end > piece.end - piece.begin) return {begin, end};
  return {origins_[piece.begin + begin].begin, origins_[piece.begin + end - 1].end};
}

}  // namespace inlay::tokens
