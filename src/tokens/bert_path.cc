// See bert_path.h.
#include "tokens/bert_path.h"

#include <bit>
#include <cstring>
#include <string>

#include "base/utf8.h"
#include "tokens/normalized.h"
#include "tokens/unicode.h"

namespace inlay::tokens {

BertPath::BertPath(const BertNormalizerOptions& options, const Normalizer* normalizer,
                   const WordPiece* model)
    : breaks_(kWhitespace | kPunctuation | (options.handle_chinese_chars ? kCjk : 0U)),
      removed_(options.clean_text ? kBertRemoved : 0U),
      ideographs_(options.handle_chinese_chars ? kIdeographs : 0),
      normalizer_(normalizer),
      model_(model) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char32_t c = byte;
    if (byte >= 0x80) {
      inside_.add(byte);
      continue;
    }
    lower_[byte] = static_cast<char>(options.lowercase ? to_lower(c).first : c);
    const bool removed = options.clean_text && is_bert_removed(c);
    plain_[byte] = false;
    if (removed) {
      inside_.add(byte);
    } else if (is_bert_punctuation(c)) {
      punctuation_.add(byte);
    } else if (!is_whitespace(c)) {
      inside_.add(byte);
      plain_[byte] = true;
    }
  }
  for (unsigned byte = 0xE3; byte < 0xF0; ++byte) wide_.add(byte);
}

// See normalized_. The passes of the normalizer look at one character each but for the order of
// combining marks that stay, and what it makes must not cut words.
std::uint32_t BertPath::normalize(char32_t c) const {
  thread_local NormalizedString alone;
  thread_local std::string character;
  character.clear();
  utf8_append(character, c);
  alone.reset(character, false);
  normalizer_->normalize(alone);
  const std::string_view text = alone.text();
  if (text.size() > 3) return kOther;
  std::uint32_t bytes = 0;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint made = utf8_decode(text, at);
    const CharRecord& record = char_record(made.value);
    if ((record.flags & (kWhitespace | kPunctuation)) != 0 || record.combining_class != 0)
      return kOther;
    for (const std::size_t end = at + made.bytes; at < end; ++at)
      bytes |= static_cast<std::uint32_t>(static_cast<unsigned char>(text[at])) << (8 * at);
  }
  return bytes | static_cast<std::uint32_t>(text.size() + 1) << 24U;
}

std::uint32_t BertPath::normalized(char32_t c) const {
  std::uint32_t known = normalized_[c].load(std::memory_order_relaxed);
  if (known == 0) {
    known = normalize(c);
    normalized_[c].store(known, std::memory_order_relaxed);
  }
  return known;
}

// Tokens of a stretch that no word crosses.
void BertPath::compute(std::string_view stretch, std::vector<TokenSpan>* out) const {
  constexpr std::size_t kMost = 128;
  char word[2 * kMost];  // a character of two bytes may become one of three
  if (stretch.size() <= kMost) {
    std::size_t at = 0, size = 0;
    while (at < stretch.size()) {
      const auto byte = static_cast<unsigned char>(stretch[at]);
      if (byte < 0x80) {
        if (!plain_[byte]) break;
        word[size++] = lower_[byte];
        ++at;
        continue;
      }
      const CodePoint c = utf8_decode(stretch, at);
      const std::uint32_t made = c.value < kEnd ? normalized(c.value) : kOther;
      if (made == kOther) break;
      std::memcpy(word + size, &made, sizeof(made));
      size += (made >> 24U) - 1;
      at += c.bytes;
    }
    if (at == stretch.size()) {
      if (size > 0) model_->tokenize({word, size}, out);
      return;
    }
  }
  thread_local NormalizedString normalized;
  normalized.reset(stretch, false);
  normalizer_->normalize(normalized);
  const std::string_view text = normalized.text();
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = utf8_decode(text, at);
    const std::uint32_t flags = char_flags(c.value);
    if ((flags & (kWhitespace | kPunctuation)) != 0) {
      if (begin < at) model_->tokenize(text.substr(begin, at - begin), out);
      begin = at + c.bytes;
      if ((flags & kWhitespace) == 0) model_->tokenize(text.substr(at, c.bytes), out);
    }
    at += c.bytes;
  }
  if (begin < text.size()) model_->tokenize(text.substr(begin), out);
}

// A stretch that is not in the cache as a whole. Every step of the normalizer but the reordering of
// combining marks looks at one character, and no mark moves past a character at which words end
// (none of those is a mark): what lies between such characters can be taken by itself.
void BertPath::absent(std::string_view text, std::size_t begin, std::size_t end, IdCache* cache,
                      IdList* out) const {
  std::size_t done = begin;
  for (std::size_t at = begin; at < end;) {
    const CodePoint c = utf8_decode(text, at);
    const std::size_t next = at + c.bytes;
    const std::uint32_t flags = c.bytes > 1 ? char_flags(c.value) : 0;
    if ((flags & breaks_) != 0 && (flags & removed_) == 0) {
      if (done < at) word(text, done, at, cache, out);
      word(text, at, next, cache, out);
      done = next;
    }
    at = next;
  }
  if (done == begin) {
    miss(text.substr(begin, end - begin), cache, out);
  } else if (done < end) {
    word(text, done, end, cache, out);
  }
}

// The same before anything is looked up, for a stretch with characters of scripts that write no
// spaces: it is hardly ever in the cache as a whole. False when there are enough ids.
bool BertPath::add_stretch(std::string_view text, std::size_t begin, std::size_t end,
                           Batch* batch) const {
  std::size_t done = begin;
  for (std::size_t at = begin; at < end;) {
    const CodePoint c = utf8_decode(text, at);
    const std::size_t next = at + c.bytes;
    const bool alone = is_ideograph(c.value);
    const std::uint32_t flags = !alone && c.bytes > 1 ? char_flags(c.value) : 0;
    if (alone || ((flags & breaks_) != 0 && (flags & removed_) == 0)) {
      if (done < at && !batch->add(done, at)) return false;
      const std::int32_t id = alone ? ideograph(text, at, c.value) : -1;
      if (!(id >= 0 ? batch->add_id(id) : batch->add(at, next))) return false;
      done = next;
    }
    at = next;
  }
  return done == end || batch->add(done, end);
}

// -1: not one id.
std::int32_t BertPath::ideograph(std::string_view text, std::size_t at, char32_t c) const {
  std::atomic<std::uint32_t>& known = ideographs_[c - kFirstIdeograph];
  std::uint32_t value = known.load(std::memory_order_relaxed);
  if (value == 0) {
    thread_local std::vector<TokenSpan> spans;
    spans.clear();
    compute(text.substr(at, 3), &spans);
    value = spans.size() == 1 ? static_cast<std::uint32_t>(spans[0].id) + 1 : kSeveral;
    known.store(value, std::memory_order_relaxed);
  }
  return value == kSeveral ? -1 : static_cast<std::int32_t>(value - 1);
}

void BertPath::encode(std::string_view text, std::size_t limit, IdList* out) const {
  thread_local Marks inside_marks, punctuation_marks, wide_marks;
  const std::uint64_t* inside = inside_marks.fill(inside_, text);
  const std::uint64_t* punctuation = punctuation_marks.fill(punctuation_, text);
  const std::uint64_t* wide = wide_marks.fill(wide_, text);
  std::size_t next_wide = next_mark(wide, 0, text.size());
  Batch batch(*this, text, limit, out);
  std::uint64_t before = 0;  // whether the byte before this block is inside a word
  for (std::size_t block = 0; block * 64 < text.size(); ++block) {
    const std::uint64_t word_bytes = inside[block];
    std::uint64_t starts = (word_bytes & ~((word_bytes << 1U) | before)) | punctuation[block];
    before = word_bytes >> 63U;
    for (; starts != 0; starts &= starts - 1) {
      const auto bit = static_cast<unsigned>(std::countr_zero(starts));
      const std::size_t begin = block * 64 + bit;
      // The end: one byte for punctuation, else where the run of word bytes ends.
      const std::uint64_t run = ~(word_bytes >> bit);
      std::size_t length = run == 0 ? 64 : static_cast<std::size_t>(std::countr_zero(run));
      if (length + bit >= 64) {  // it may go on in the next block
        length = 64 - bit;
        for (std::size_t next = block + 1; next * 64 < text.size(); ++next) {
          const auto more = static_cast<std::size_t>(std::countr_one(inside[next]));
          length += more;
          if (more < 64) break;
        }
      }
      length += length == 0 ? 1 : 0;
      const std::size_t end = begin + length;
      if (next_wide < begin) next_wide = next_mark(wide, begin, text.size());
      if (!(next_wide < end ? add_stretch(text, begin, end, &batch) : batch.add(begin, end)))
        return;
    }
  }
  batch.flush();
}

}  // namespace inlay::tokens
