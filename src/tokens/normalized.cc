// Alignment bookkeeping of a text under change. Which changes are made is normalizers.cc's affair.
#include "tokens/normalized.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/utf8.h"
#include "tokens/unicode.h"

namespace inlay::tokens {
void NormalizedString::reset(std::string_view original, bool track, std::uint32_t shift) {
  if (original.size() > std::numeric_limits<std::uint32_t>::max() - shift) {
    fail(ErrorCode::kBadInput, "text",
         "expected less than 4 GiB, got " + std::to_string(original.size()) +
             " bytes. Cut the text into several.");
  }
  original_ = original;
  owned_ = false;
  prefix_ = 0;
  shift_ = shift;
  tracking_ = track;
  if (!track) return;
  aligns_.resize(original.size());
  for (std::size_t at = 0; at < original.size();) {
    const std::uint32_t bytes = utf8_decode(original, at).bytes;
    const Align align{static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at + bytes)};
    for (const std::size_t end = at + bytes; at < end; ++at) aligns_[at] = align;
  }
}

std::optional<Range> NormalizedString::to_original(Range range) const noexcept {
  if (range.begin == range.end) return range;
  if (range.begin > range.end || range.end > aligns_.size()) return std::nullopt;
  return Range{aligns_[range.begin].begin, aligns_[range.end - 1].end};
}

void NormalizedString::slice(Range range, NormalizedString* out) const {
  const std::string_view piece = text().substr(range.begin, range.end - range.begin);
  out->tracking_ = tracking_;
  out->prefix_ = std::min(piece.size(), prefix_ - std::min<std::size_t>(prefix_, range.begin));
  out->owned_ = owned_;
  if (owned_) out->buffer_.assign(piece);
  if (!tracking_) {
    out->original_ = owned_ ? std::string_view() : piece;
    out->shift_ = shift_ + (owned_ ? 0 : range.begin);
    return;
  }
  const Range from = to_original(range).value_or(Range{0, 0});
  // The reference takes an empty range for one of the original, whatever became of the text;
  // outside, it has no text.
  const bool inside = from.begin <= from.end && from.end <= original_.size();
  out->original_ =
      inside ? original_.substr(from.begin, from.end - from.begin) : std::string_view();
  out->shift_ = shift_ + from.begin;
  out->aligns_.resize(piece.size());
  for (std::size_t i = 0; i < piece.size(); ++i) {
    const Align align = aligns_[range.begin + i];
    out->aligns_[i] = {align.begin - from.begin, align.end - from.begin};
  }
}

void NormalizedString::take_next() {
  buffer_.swap(next_);
  owned_ = true;
  if (tracking_) aligns_.swap(next_aligns_);
}

std::string& NormalizedString::edit() {
  if (!owned_) {
    buffer_.assign(original_);
    owned_ = true;
  }
  return buffer_;
}

NormalizedString::Transform::Transform(NormalizedString& target, std::size_t removed_first)
    : target_(target), old_(target.text()), cursor_(target.prefix_) {
  target_.next_.assign(old_.substr(0, cursor_));
  target_.next_.reserve(old_.size());
  if (!target_.tracking_) return;
  const auto prefix = target_.aligns_.begin();
  target_.next_aligns_.assign(prefix, prefix + static_cast<std::ptrdiff_t>(cursor_));
  target_.next_aligns_.reserve(target_.aligns_.size());
  skip(removed_first);
}

void NormalizedString::Transform::skip(std::size_t characters) {
  for (; characters > 0 && cursor_ < old_.size(); --characters) {
    cursor_ += utf8_decode(old_, cursor_).bytes;
  }
}

void NormalizedString::Transform::align(std::size_t bytes, std::ptrdiff_t change) {
  const auto& old = target_.aligns_;
  Align align{0, 0};
  if (change > 0) {
    if (cursor_ > 0) align = old[cursor_ - 1];
  } else if (cursor_ < old.size()) {
    align = old[cursor_];
  } else if (!old.empty()) {
    // More replacements than old characters. The reference gives up here; it happens behind a
    // prefix_ only.
    align = {old.back().end, old.back().end};
  }
  for (; bytes > 0; --bytes) target_.next_aligns_.push_back(align);
  if (change <= 0) skip(1 + static_cast<std::size_t>(-change));
}

void NormalizedString::Transform::keep(std::size_t begin, std::size_t end) {
  const std::string_view kept = old_.substr(begin, end - begin);
  if (!target_.tracking_) {
    target_.next_ += kept;
  } else if (cursor_ == begin) {
    target_.next_ += kept;
    const auto from = target_.aligns_.begin();
    target_.next_aligns_.insert(target_.next_aligns_.end(),
                                from + static_cast<std::ptrdiff_t>(begin),
                                from + static_cast<std::ptrdiff_t>(end));
    cursor_ = end;
  } else {
    for (std::size_t at = begin; at < end;) {
      const CodePoint c = utf8_decode(old_, at);
      at += c.bytes;
      emit(c.value, 0);
    }
  }
}

void NormalizedString::Transform::finish() { target_.take_next(); }

void NormalizedString::prepend(std::string_view content) {
  if (empty() || content.empty()) return;
  edit().insert(0, content);
  if (prefix_ > 0) prefix_ += content.size();
  if (!tracking_) return;
  // The first new character takes the place of the old first, the others and that old first follow
  // it: all share its range.
  aligns_.insert(aligns_.begin(), content.size(), aligns_.front());
}

void NormalizedString::append(std::string_view content) {
  if (content.empty()) return;
  if (prefix_ == text().size()) prefix_ += content.size();
  edit().append(content);
  if (tracking_) {
    const Align last = aligns_.empty() ? Align{0, 0} : aligns_.back();
    aligns_.insert(aligns_.end(), content.size(), last);
  }
}

void NormalizedString::strip(bool left, bool right) {
  const std::string_view old = text();
  std::size_t begin = 0;
  std::size_t end = old.size();
  while (left && begin < end) {
    const CodePoint c = utf8_decode(old, begin);
    if (!is_whitespace(c.value)) break;
    begin += c.bytes;
  }
  while (right && end > begin) {
    const std::size_t start = utf8_before(old, end);
    if (!is_whitespace(utf8_decode(old, start).value)) break;
    end = start;
  }
  if (begin == 0 && end == old.size()) return;
  if (prefix_ > 0) {
    std::size_t removed_first = 0;
    for (std::size_t i = 0; i < begin; ++i) {
      removed_first += (static_cast<unsigned char>(old[i]) & 0xC0U) != 0x80U ? 1 : 0;
    }
    Transform transform(*this, removed_first);
    transform.keep(begin, end);
    transform.finish();
    return;
  }
  std::string& buffer = edit();
  buffer.erase(end);
  buffer.erase(0, begin);
  if (tracking_) {
    aligns_.resize(end);
    aligns_.erase(aligns_.begin(), aligns_.begin() + static_cast<std::ptrdiff_t>(begin));
  }
}

void NormalizedString::lowercase() {
  const std::string_view old = text();
  if (prefix_ == 0 && utf8_ascii_end(old, 0) == old.size()) {
    // Same lengths, so the same alignments.
    for (char& c : edit()) c = static_cast<char>(c + (c >= 'A' && c <= 'Z' ? 'a' - 'A' : 0));
    return;
  }
  Transform transform(*this);
  for (std::size_t at = 0; at < old.size();) {
    const CodePoint c = utf8_decode(old, at);
    at += c.bytes;
    const Lower lower = to_lower(c.value);
    transform.emit(lower.first, 0);
    if (lower.second != 0) transform.emit(lower.second, 1);
  }
  transform.finish();
}

void NormalizedString::map_ascii(const char (&table)[128]) {
  for (char& c : edit()) c = table[static_cast<unsigned char>(c) & 0x7FU];
}

void NormalizedString::clear() {
  // A prefix stays, as in every transformation.
  Transform(*this).finish();
}

void NormalizedString::replace(std::span<const Range> matches, std::string_view content) {
  if (matches.empty()) return;
  const std::string_view old = text();
  next_.clear();
  next_aligns_.clear();
  std::size_t prefix = prefix_;
  std::size_t done = 0;
  const auto copy = [&](std::size_t end) {
    next_ += old.substr(done, end - done);
    if (tracking_) {
      next_aligns_.insert(next_aligns_.end(), aligns_.begin() + static_cast<std::ptrdiff_t>(done),
                          aligns_.begin() + static_cast<std::ptrdiff_t>(end));
    }
  };
  for (const Range& match : matches) {
    copy(match.begin);
    next_ += content;
    // Inserted behind the match: shares the range of the byte before, which is nothing at the
    // text's start.
    const Align align = tracking_ && match.end > 0 ? aligns_[match.end - 1] : Align{0, 0};
    if (tracking_) next_aligns_.insert(next_aligns_.end(), content.size(), align);
    if (match.end <= prefix_) prefix += content.size() - (match.end - match.begin);
    done = match.end;
  }
  copy(old.size());
  take_next();
  prefix_ = prefix;
}

void NormalizedString::replace(std::string_view literal, std::string_view content) {
  auto& matches = scratch_.matches;
  matches.clear();
  const std::string_view old = text();
  const auto add = [&](std::size_t begin, std::size_t end) {
    matches.push_back({static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)});
  };
  if (literal.empty()) {
    if (old.empty()) return;
    for (std::size_t at = 0; at < old.size(); at += utf8_decode(old, at).bytes) add(at, at);
    add(old.size(), old.size());
  } else {
    for (std::size_t at = old.find(literal); at != std::string_view::npos;
         at = old.find(literal, at + literal.size())) {
      add(at, at + literal.size());
    }
  }
  replace(matches, content);
}

}  // namespace inlay::tokens
