// A text cut into pieces: what the normalizers leave and the pre-tokenizers cut further. Each piece
// is a range of one buffer; when offsets are wanted, every byte of the buffer knows the bytes of
// the original that it came from.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/utf8.h"
#include "tokens/normalized.h"
#include "tokens/regex.h"

namespace inlay::tokens {

struct Piece {
  std::uint32_t begin, end;       // in Pieces::text()
  std::uint32_t origin = 0;       // where in the original the piece begins; kept only when tracking
  std::int32_t added_token = -1;  // the id of an added token: cut no further
};

// Not for two threads at once; clear() keeps the memory.
class Pieces {
 public:
  // `text_bytes` is the size of the text to come: rewriting may make it longer, but not without
  // bound.
  void clear(bool track, std::size_t text_bytes);
  bool tracking() const { return tracking_; }
  std::string_view text() const { return text_; }
  std::string_view text(const Piece& piece) const {
    return std::string_view(text_).substr(piece.begin, piece.end - piece.begin);
  }
  const std::vector<Piece>& list() const { return pieces_; }

  // Appends the bytes `range` of `from` as a piece (nothing when empty). With tracking, `from`
  // tracks too.
  void append(const NormalizedString& from, Range range, std::int32_t added_token = -1);

  // Where in the original the bytes [begin, end) of a piece came from, with the reference's rules
  // for empty ranges and ranges past the piece's end. Needs tracking.
  Range original(const Piece& piece, std::uint32_t begin, std::uint32_t end) const;

  // Calls cut(piece text, emit) for each piece that is no added token; emit(Range) keeps that part
  // of the piece. Parts need not cover the piece; empty ones vanish.
  template <typename Cut>
  void split(Cut&& cut);

  // Rewrites the buffer: calls rewrite(piece, writer) for each piece that is no added token, which
  // writes the piece's new text, character by character, and says where the new pieces are.
  class Writer;
  template <typename Rewrite>
  void rewrite(Rewrite&& rewrite);

 private:
  void keep(const Piece& whole, Range part);
  [[noreturn]] static void refuse_growth();

  std::string text_, next_text_;
  std::vector<Range> origins_, next_origins_;  // one a byte
  std::vector<Piece> pieces_, next_pieces_;
  std::size_t most_bytes_ = 0;
  bool tracking_ = false;
};

// What rewrite() hands out. Old positions are in the piece, which is the text at old().
class Pieces::Writer {
 public:
  Writer(Pieces& owner, const Piece& piece)
      : owner_(owner), piece_(piece), start_(static_cast<std::uint32_t>(owner.next_text_.size())) {}
  std::string_view old() const { return owner_.text(piece_); }
  std::uint32_t origin() const { return piece_.origin; }
  std::string_view written() const { return std::string_view(owner_.next_text_).substr(start_); }
  // Appends text whose every byte came from where the byte at `from` came from.
  void put(std::string_view text, std::size_t from) {
    owner_.next_text_ += text;
    if (owner_.tracking_) {
      owner_.next_origins_.insert(owner_.next_origins_.end(), text.size(),
                                  owner_.origins_[piece_.begin + from]);
    }
  }
  void put_character(char32_t c, std::size_t from) {
    const std::size_t before = owner_.next_text_.size();
    utf8_append(owner_.next_text_, c);
    if (owner_.tracking_) {
      owner_.next_origins_.insert(owner_.next_origins_.end(), owner_.next_text_.size() - before,
                                  owner_.origins_[piece_.begin + from]);
    }
  }
  // Appends old bytes [begin, end) as they are.
  void copy(std::size_t begin, std::size_t end) {
    owner_.next_text_.append(owner_.text_, piece_.begin + begin, end - begin);
    if (owner_.tracking_) {
      const auto first = owner_.origins_.begin() + piece_.begin;
      owner_.next_origins_.insert(owner_.next_origins_.end(),
                                  first + static_cast<std::ptrdiff_t>(begin),
                                  first + static_cast<std::ptrdiff_t>(end));
    }
  }
  // All that was written is one piece, in the place of the old one.
  void finish_whole() {
    owner_.next_pieces_.push_back(
        {start_, static_cast<std::uint32_t>(owner_.next_text_.size()), piece_.origin, -1});
  }
  // A part of what was written is a piece; empty parts vanish.
  void finish_part(Range part) {
    if (part.begin == part.end) return;
    Piece piece{start_ + part.begin, start_ + part.end, 0, -1};
    if (owner_.tracking_) piece.origin = owner_.next_origins_[piece.begin].begin;
    owner_.next_pieces_.push_back(piece);
  }

 private:
  Pieces& owner_;
  const Piece piece_;
  const std::uint32_t start_;
};

template <typename Cut>
void Pieces::split(Cut&& cut) {
  next_pieces_.clear();
  for (const Piece& piece : pieces_) {
    if (piece.added_token >= 0) {
      next_pieces_.push_back(piece);
    } else {
      cut(text(piece), [&](Range part) { keep(piece, part); });
    }
  }
  pieces_.swap(next_pieces_);
}

inline void Pieces::keep(const Piece& whole, Range part) {
  if (part.begin == part.end) return;
  Piece piece{whole.begin + part.begin, whole.begin + part.end, 0, -1};
  if (tracking_) piece.origin = origins_[piece.begin].begin;
  next_pieces_.push_back(piece);
}

template <typename Rewrite>
void Pieces::rewrite(Rewrite&& rewrite) {
  next_pieces_.clear();
  next_text_.clear();
  next_origins_.clear();
  for (const Piece& piece : pieces_) {
    Writer writer(*this, piece);
    if (piece.added_token >= 0) {
      writer.copy(0, piece.end - piece.begin);
      writer.finish_whole();
      next_pieces_.back().added_token = piece.added_token;
    } else {
      rewrite(writer);
    }
    if (next_text_.size() > most_bytes_) refuse_growth();
  }
  text_.swap(next_text_);
  origins_.swap(next_origins_);
  pieces_.swap(next_pieces_);
}

}  // namespace inlay::tokens
