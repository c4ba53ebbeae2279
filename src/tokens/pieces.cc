// See pieces.h.
#include "tokens/pieces.h"

#include "base/error.h"

namespace inlay::tokens {
namespace {

// Honest files make a text a few times longer: the byte alphabet doubles it, a wide character for
// spaces makes four bytes of one. A chain of them would grow it exponentially, and added tokens of
// white space that take more white space along would overlap without end.
constexpr std::size_t kMostGrowth = 32, kFreeBytes = 1 << 20;

}  // namespace

void Pieces::refuse_growth() {
  fail(ErrorCode::kBadInput, "tokenizer",
       "expected a text that grows at most 32 times on its way to tokens, got more. Use another "
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
  if (text_.size() > most_bytes_) refuse_growth();
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
