// See bert_path.h.
#include "tokens/bert_path.h"

#include <bit>

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
}

// Tokens of a stretch that no word crosses.
void BertPath::compute(std::string_view stretch, std::vector<TokenSpan>* out) const {
  constexpr std::size_t kMost = 128;
  char lowered[kMost];
  if (stretch.size() <= kMost) {
    std::size_t at = 0;
    for (; at < stretch.size(); ++at) {
      const auto byte = static_cast<unsigned char>(stretch[at]);
      if (byte >= 0x80 || !plain_[byte]) break;
      lowered[at] = lower_[byte];
    }
    if (at == stretch.size()) return model_->tokenize({lowered, at}, out);
  }
  thread_local NormalizedString normalized;
  normalized.reset(stretch, false);
  normalizer_->normalize(normalized);
  const std::string_view text = normalized.text();
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = utf8_decode(text, at);
    const std::uint32_t flags = char_record(c.value).flags;
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
    if (is_ideograph(c.value)) {
      if (done < at) word(text, done, at, cache, out);
      ideograph(text, at, c.value, out);
      done = at = next;
      continue;
    }
    const std::uint32_t flags = c.bytes > 1 ? char_record(c.value).flags : 0;
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

void BertPath::ideograph(std::string_view text, std::size_t at, char32_t c, IdList* out) const {
  std::atomic<std::uint32_t>& known = ideographs_[c - kFirstIdeograph];
  if (const std::uint32_t value = known.load(std::memory_order_relaxed); value != 0)
    return out->push_back(static_cast<std::int32_t>(value - 1));
  thread_local std::vector<TokenSpan> spans;
  spans.clear();
  compute(text.substr(at, 3), &spans);
  for (const TokenSpan& span : spans) out->push_back(span.id);
  if (spans.size() == 1)
    known.store(static_cast<std::uint32_t>(spans[0].id) + 1, std::memory_order_relaxed);
}

void BertPath::encode(std::string_view text, std::size_t limit, IdList* out) const {
  thread_local Marks inside_marks, punctuation_marks;
  const std::uint64_t* inside = inside_marks.fill(inside_, text);
  const std::uint64_t* punctuation = punctuation_marks.fill(punctuation_, text);
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
      // A stretch that begins with an ideograph is several words, or one that has its own table.
      const auto lead = static_cast<unsigned char>(text[begin]);
      const bool ideographs =
          lead >= 0xE4 && lead <= 0xE9 && is_ideograph(utf8_decode(text, begin).value);
      if (!(ideographs ? batch.add_absent(begin, begin + length)
                       : batch.add(begin, begin + length))) {
        return;
      }
    }
  }
  batch.flush();
}

}  // namespace inlay::tokens
