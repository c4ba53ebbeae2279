// BertNormalizer. The reference makes five passes (drop, map, space, decompose and drop, lower),
// and so does general() below, leaving out those with nothing to do. Most texts need less: ASCII is
// one table look-up a byte, and without tracking all passes are one, unless a mark stays that could
// change places with another.
#include "tokens/normalization_forms.h"
#include "tokens/normalizers.h"
#include "tokens/unicode.h"

namespace inlay::tokens {
namespace {

class BertNormalizer final : public Normalizer {
 public:
  explicit BertNormalizer(const BertNormalizerOptions& options)
      : clean_(options.clean_text),
        chinese_(options.handle_chinese_chars),
        strip_(options.strip_accents.value_or(options.lowercase)),
        lower_(options.lowercase) {
    for (unsigned i = 0; i < 128; ++i) {
      drop_[i] = clean_ && has(i, kBertRemoved);
      char32_t c = clean_ && is_whitespace(i) ? U' ' : static_cast<char32_t>(i);
      if (lower_) c = to_lower(c).first;
      ascii_[i] = static_cast<char>(c);
    }
  }

  void normalize(NormalizedString& text) const override {
    if (text.has_prefix() || (text.tracking() && !is_ascii(text.text()))) return general(text);
    if (text.tracking()) return tracked_ascii(text);
    NormalizedString::Transform out(text);
    if (fused(text.text(), out.raw())) {
      out.finish();
    } else {
      general(text);
    }
  }

 private:
  static bool is_ascii(std::string_view text) {
    unsigned char all = 0;
    for (const char byte : text)
      all = static_cast<unsigned char>(all | static_cast<unsigned char>(byte));
    return all < 0x80;
  }

  void tracked_ascii(NormalizedString& text) const {
    const std::string_view old = text.text();
    bool drops = false;
    for (const char byte : old) drops = drops || drop_[static_cast<unsigned char>(byte)];
    if (drops) text.filter([&](char32_t c) { return !drop_[c]; });
    text.map_ascii(ascii_);
  }

  // Appends the ASCII bytes [begin, end).
  void append_ascii(const char* begin, const char* end, std::string& out) const {
    std::size_t size = out.size();
    out.append(begin, end);
    char* to = out.data() + size;
    for (; begin != end; ++begin) {
      const auto byte = static_cast<unsigned char>(*begin);
      *to = ascii_[byte];
      to += drop_[byte] ? 0 : 1;
    }
    out.resize(static_cast<std::size_t>(to - out.data()));
  }

  void append_lower(char32_t c, std::string& out) const {
    if (!lower_) return utf8_append(out, c);
    const Lower lower = to_lower(c);
    utf8_append(out, lower.first);
    if (lower.second != 0) utf8_append(out, lower.second);
  }

  // All at once, character by character. False, with `out` half done, at a mark that stays and has
  // a combining class.
  bool fused(std::string_view text, std::string& out) const {
    const char* const end = text.data() + text.size();
    for (const char* at = text.data(); at != end;) {
      const char* ascii_end = at;
      while (ascii_end != end && static_cast<unsigned char>(*ascii_end) < 0x80) ++ascii_end;
      append_ascii(at, ascii_end, out);
      for (at = ascii_end; at != end && static_cast<unsigned char>(*at) >= 0x80;) {
        const CodePoint c = utf8_decode({at, static_cast<std::size_t>(end - at)}, 0);
        at += c.bytes;
        const CharRecord& record = char_record(c.value);
        if (clean_ && (record.flags & (kBertRemoved | kWhitespace)) != 0) {
          if ((record.flags & kBertRemoved) == 0) out += ' ';
          continue;
        }
        const bool spaced = chinese_ && (record.flags & kCjk) != 0;
        if (spaced) out += ' ';
        if (!strip_ || ((record.flags & kNfdSafe) != 0 && (record.flags & kBertAccent) == 0)) {
          append_lower(c.value, out);
        } else {
          const Decomposed parts = decompose_canonical(c.value);
          for (std::uint32_t i = 0; i < parts.size; ++i) {
            const CharRecord& part = char_record(parts.c[i]);
            if ((part.flags & kBertAccent) != 0) continue;
            if (part.combining_class != 0) return false;
            append_lower(parts.c[i], out);
          }
        }
        if (spaced) out += ' ';
      }
    }
    return true;
  }

  void general(NormalizedString& text) const {
    std::uint32_t seen = text.has_prefix() ? ~0U : 0U;
    for (std::size_t at = 0; at < text.text().size();) {
      const CodePoint c = utf8_decode(text.text(), at);
      at += c.bytes;
      seen |= char_flags(c.value);
    }
    if (clean_) {
      if ((seen & kBertRemoved) != 0) text.filter([](char32_t c) { return !has(c, kBertRemoved); });
      if ((seen & kWhitespace) != 0) {
        text.map([](char32_t c) { return is_whitespace(c) ? U' ' : c; });
      }
    }
    if (chinese_ && (seen & kCjk) != 0) space_ideographs(text);
    if (strip_) {
      normalize_form(NormalizationForm::kNfd, text);
      text.filter([](char32_t c) { return !has(c, kBertAccent); });
    }
    if (lower_) text.lowercase();
  }

  static void space_ideographs(NormalizedString& text) {
    const std::string_view old = text.text();
    NormalizedString::Transform out(text);
    for (std::size_t at = 0; at < old.size();) {
      const CodePoint c = utf8_decode(old, at);
      at += c.bytes;
      if (is_cjk(c.value)) {
        out.emit(U' ', 0);
        out.emit(c.value, 1);
        out.emit(U' ', 1);
      } else {
        out.emit(c.value, 0);
      }
    }
    out.finish();
  }

  const bool clean_, chinese_, strip_, lower_;
  bool drop_[128];
  char ascii_[128];
};

}  // namespace

std::unique_ptr<Normalizer> make_bert_normalizer(const BertNormalizerOptions& options) {
  return std::make_unique<BertNormalizer>(options);
}

}  // namespace inlay::tokens
