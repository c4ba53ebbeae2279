// See bert_path.h.
#include "tokens/bert_path.h"

#include "base/utf8.h"
#include "tokens/normalized.h"
#include "tokens/unicode.h"

namespace inlay::tokens {

BertPath::BertPath(const BertNormalizerOptions& options, const Normalizer* normalizer,
                   const WordPiece* model)
    : normalizer_(normalizer), model_(model) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char32_t c = byte;
    lower_[byte] = static_cast<char>(byte);
    if (byte >= 0x80) {
      kinds_[byte] = Kind::kWide;
      continue;
    }
    if (options.lowercase) lower_[byte] = static_cast<char>(to_lower(c).first);
    if (options.clean_text && is_bert_removed(c)) {
      kinds_[byte] = Kind::kRemoved;
    } else if (is_whitespace(c)) {
      kinds_[byte] = Kind::kSpace;
    } else {
      kinds_[byte] = is_bert_punctuation(c) ? Kind::kPunctuation : Kind::kWord;
    }
  }
}

// One call's state.
struct BertPath::Run {
  const BertPath& path;
  const std::size_t limit;
  std::vector<TokenSpan>* out;

  // False: there are enough.
  bool word(std::string_view word) {
    if (word.empty()) return true;
    path.model_->tokenize(word, out);
    return out->size() < limit;
  }
  // A stretch with characters beyond ASCII, in which no word goes on past its ends.
  bool wide(std::string_view stretch) {
    thread_local NormalizedString normalized;
    normalized.reset(stretch, false);
    path.normalizer_->normalize(normalized);
    const std::string_view text = normalized.text();
    std::size_t begin = 0;
    for (std::size_t at = 0; at < text.size();) {
      const CodePoint c = utf8_decode(text, at);
      const std::uint32_t flags = char_record(c.value).flags;
      if ((flags & (kWhitespace | kPunctuation)) != 0) {
        if (!word(text.substr(begin, at - begin))) return false;
        begin = at + c.bytes;
        if ((flags & kWhitespace) == 0 && !word(text.substr(at, c.bytes))) return false;
      }
      at += c.bytes;
    }
    return word(text.substr(begin));
  }
};

void BertPath::encode(std::string_view text, std::size_t limit, std::vector<TokenSpan>* out) const {
  thread_local std::string lowered;
  Run run{*this, limit, out};
  const auto kind = [&](std::size_t at) { return kinds_[static_cast<unsigned char>(text[at])]; };
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t begin = at;
    lowered.clear();
    Kind stop = Kind::kSpace;
    for (; at < text.size(); ++at) {  // one word
      stop = kind(at);
      if (stop == Kind::kWord) {
        lowered += lower_[static_cast<unsigned char>(text[at])];
      } else if (stop != Kind::kRemoved) {
        break;
      }
    }
    if (at < text.size() && stop == Kind::kWide) {
      // Every step of the normalizer but the reordering of combining marks looks at one character,
      // and no mark moves past an ASCII character: up to the next ASCII space or punctuation the
      // stretch can be taken by itself.
      while (at < text.size() && kind(at) != Kind::kSpace && kind(at) != Kind::kPunctuation) ++at;
      if (!run.wide(text.substr(begin, at - begin))) return;
      continue;
    }
    if (!run.word(lowered)) return;
    if (at == text.size()) break;
    if (stop == Kind::kPunctuation && !run.word(text.substr(at, 1))) return;
    ++at;
  }
}

}  // namespace inlay::tokens
