// A text on its way to tokens: what it was, what the normalizers have made of it so far, and, when
// asked for, which bytes of the one came from which bytes of the other. The changes themselves are
// normalizers.h; cutting the text into pieces is pre_tokenizers.h.
//
// Texts and offsets equal those of the reference's NormalizedString (wheel `tokenizers` 0.23.3),
// oddities included: every byte of the normalized text is aligned to one byte range of the
// original, and a byte that was inserted shares the range of the byte before it. All offsets are
// bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/utf8.h"
#include "tokens/regex.h"  // Range

namespace inlay::tokens {

// Not safe to use from two threads at once. Reused through reset(), it stops allocating once its
// buffers have grown.
class NormalizedString {
 public:
  NormalizedString() = default;
  explicit NormalizedString(std::string_view original, bool track = true) {
    reset(original, track);
  }
  NormalizedString(const NormalizedString&) = delete;
  NormalizedString& operator=(const NormalizedString&) = delete;
  NormalizedString(NormalizedString&&) = default;
  NormalizedString& operator=(NormalizedString&&) = default;

  // Starts over with `original`, valid UTF-8 that outlives this object's use of it (it is not
  // copied). Without `track` no alignment is kept: text() is the same, to_original() must not be
  // called. `shift` is where `original` lies in a longer text; reports of offsets in that text add
  // it. Throws kBadInput for 4 GiB and more.
  void reset(std::string_view original, bool track, std::uint32_t shift = 0);

  // Valid until the next change.
  std::string_view text() const noexcept { return owned_ ? std::string_view(buffer_) : original_; }
  std::string_view original() const noexcept { return original_; }
  bool tracking() const noexcept { return tracking_; }
  bool empty() const noexcept { return text().empty(); }
  // True when bytes stand before the original's first one (Replace with an empty match). Every
  // transformation then writes the whole new text behind them, as the reference does, so that even
  // one that changes nothing must be made.
  bool has_prefix() const noexcept { return prefix_ > 0; }
  // Where original() begins in the longest text that this one was cut from.
  std::uint32_t shift() const noexcept { return shift_; }
  // The original's bytes in that longest text: the reference's offsets_original.
  Range original_range() const noexcept {
    return {shift_, shift_ + static_cast<std::uint32_t>(original_.size())};
  }

  // The bytes of original() (without shift) that the bytes [begin, end) of text() came from: the
  // reference's convert_offsets. An empty range comes back as it is (a normalized offset, then, as
  // in the reference); nullopt for a reversed range or one past the end. Needs tracking.
  std::optional<Range> to_original(Range range) const noexcept;

  // Makes `out` the piece [range.begin, range.end) of this text, both on character boundaries, with
  // the part of original() that it came from and its shift. Reuses out's memory; `out` must not be
  // this object. `out` reads original() in place but holds its own text.
  void slice(Range range, NormalizedString* out) const;

  // The reference's operations. None of them looks at anything but text(); all are linear in its
  // length.
  void prepend(std::string_view content);  // nothing on an empty text
  void append(std::string_view content);
  void strip(bool left, bool right);  // white space, Rust's char::is_whitespace
  void lowercase();                   // each character alone (no final sigma), Unicode 17
  void clear();
  // `matches` are in order and do not overlap; each is replaced by `content`.
  void replace(std::span<const Range> matches, std::string_view content);
  // Every occurrence of the literal, leftmost first; an empty literal matches before each character
  // and at the end.
  void replace(std::string_view literal, std::string_view content);

  // Keeps the characters for which keep(c) is true.
  template <typename Keep>
  void filter(Keep&& keep);
  // Puts map(c) in the place of each character c.
  template <typename Map>
  void map(Map&& map);
  // The same by table for a text that is all ASCII and has no prefix: alignments stay as they are.
  void map_ascii(const char (&table)[128]);

  // Rewrites the text character by character. The new text is given as (character, change):
  //   0: takes the place of the next old character;  1: is inserted;  -n: takes the place of the
  //   next old character and swallows n more.
  // `removed_first` old characters vanish before the first. finish() puts the new text in place;
  // old characters not accounted for by then are dropped.
  class Transform {
   public:
    explicit Transform(NormalizedString& target, std::size_t removed_first = 0);
    void emit(char32_t c, std::ptrdiff_t change) {
      const std::size_t before = target_.next_.size();
      utf8_append(target_.next_, c);
      if (target_.tracking_) align(target_.next_.size() - before, change);
    }
    // Old text [begin, end), every character with change 0; quick where the transformation has come
    // to `begin`.
    void keep(std::size_t begin, std::size_t end);
    void finish();
    // Without tracking: the new text so far, to write to directly.
    std::string& raw() noexcept { return target_.next_; }

   private:
    void align(std::size_t bytes, std::ptrdiff_t change);
    void skip(std::size_t characters);
    NormalizedString& target_;
    std::string_view old_;
    std::size_t cursor_;  // in the old text: the next old character
  };

  // Memory for normalizers that must look ahead, so that they allocate nothing per call. Contents
  // mean nothing between calls.
  struct Pending {
    char32_t c;
    std::int32_t change;
    std::uint32_t order;  // combining class
  };
  struct Scratch {
    std::vector<Pending> pending, sorted, blocked;
    std::vector<Range> matches;
  };
  Scratch& scratch() noexcept { return scratch_; }

 private:
  friend class Transform;
  struct Align {
    std::uint32_t begin, end;
  };
  void take_next();     // next_ and next_aligns_ become the text
  std::string& edit();  // the text as something to write to

  std::string_view original_;
  bool owned_ = false;  // the text is buffer_; otherwise still original_
  std::string buffer_, next_;
  std::vector<Align> aligns_;  // one a byte of text_, when tracking
  std::vector<Align> next_aligns_;
  // Bytes at the start of the text that stand for nothing in the original, because they were
  // inserted before its first byte (Replace with an empty match). The reference's transform leaves
  // them alone and writes the whole new text behind them; so do we.
  std::size_t prefix_ = 0;
  std::uint32_t shift_ = 0;
  bool tracking_ = false;
  Scratch scratch_;
};

template <typename Keep>
void NormalizedString::filter(Keep&& keep) {
  // A kept character swallows the dropped ones that follow it; those before the first are dropped
  // at the start.
  const std::string_view old = text();
  std::size_t removed_first = 0;
  std::size_t at = 0;
  while (at < old.size()) {
    const CodePoint c = utf8_decode(old, at);
    if (keep(c.value)) break;
    ++removed_first;
    at += c.bytes;
  }
  if (at == old.size()) removed_first = 0;
  Transform transform(*this, removed_first);
  while (at < old.size()) {
    const CodePoint kept = utf8_decode(old, at);
    at += kept.bytes;
    std::ptrdiff_t removed = 0;
    while (at < old.size()) {
      const CodePoint c = utf8_decode(old, at);
      if (keep(c.value)) break;
      ++removed;
      at += c.bytes;
    }
    transform.emit(kept.value, -removed);
  }
  transform.finish();
}

template <typename Map>
void NormalizedString::map(Map&& map) {
  const std::string_view old = text();
  Transform transform(*this);
  for (std::size_t at = 0; at < old.size();) {
    const CodePoint c = utf8_decode(old, at);
    at += c.bytes;
    transform.emit(map(c.value), 0);
  }
  transform.finish();
}

}  // namespace inlay::tokens
