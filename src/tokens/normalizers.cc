// The factory of normalizers and those that take a few lines. Bert, the normalization forms and the
// character map have files of their own; regular expressions are regex.h's.
#include "tokens/normalizers.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "tokens/byte_alphabet.h"
#include "tokens/charsmap.h"
#include "tokens/normalization_forms.h"
#include "tokens/regex.h"
#include "tokens/unicode.h"

namespace inlay::tokens {
namespace {

// A normalizer that is one function call with some settings. `local`: only spaces are of any
// concern to it, as local_at_spaces() says.
template <typename Apply>
class Simple final : public Normalizer {
 public:
  explicit Simple(Apply apply, bool local = false) : apply_(std::move(apply)), local_(local) {}
  bool local_at_spaces() const override { return local_; }
  bool keeps(char32_t c) const override { return local_ && c != U' '; }
  void normalize(NormalizedString& text) const override { apply_(text); }

 private:
  Apply apply_;
  bool local_;
};

template <typename Apply>
std::unique_ptr<Normalizer> simple(Apply apply, bool local = false) {
  return std::make_unique<Simple<Apply>>(std::move(apply), local);
}

std::unique_ptr<Normalizer> form(NormalizationForm form) {
  return simple([form](NormalizedString& text) { normalize_form(form, text); });
}

class SequenceNormalizer final : public Normalizer {
 public:
  explicit SequenceNormalizer(std::vector<std::unique_ptr<Normalizer>> parts)
      : parts_(std::move(parts)) {}
  bool local_at_spaces() const override {
    return std::all_of(parts_.begin(), parts_.end(),
                       [](const auto& part) { return part->local_at_spaces(); });
  }
  bool keeps(char32_t c) const override {
    return std::all_of(parts_.begin(), parts_.end(),
                       [c](const auto& part) { return part->keeps(c); });
  }
  void normalize(NormalizedString& text) const override {
    for (const auto& part : parts_) part->normalize(text);
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> parts_;
};

// True when some character has one of the flags, or when even a transformation without effect must
// be made.
bool any(const NormalizedString& text, std::uint32_t flags) {
  if (text.has_prefix()) return true;
  const std::string_view all = text.text();
  for (std::size_t at = 0; at < all.size();) {
    const CodePoint c = utf8_decode(all, at);
    if (has(c.value, flags)) return true;
    at += c.bytes;
  }
  return false;
}

void strip_accents(NormalizedString& text) {
  if (any(text, kAccent)) text.filter([](char32_t c) { return !has(c, kAccent); });
}

// What SentencePiece's nmt rules drop and blank, as the reference restates them.
bool nmt_drops(char32_t c) {
  return (c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F ||
         c == 0x8F || c == 0x9F;
}

char32_t nmt_map(char32_t c) {
  switch (c) {
    case 0x09:
    case 0x0A:
    case 0x0C:
    case 0x0D:
    case 0x1680:
    case 0x200B:
    case 0x200C:
    case 0x200D:
    case 0x200E:
    case 0x200F:
    case 0x2028:
    case 0x2029:
    case 0x2581:
    case 0xFEFF:
    case 0xFFFD:
      return U' ';
    default:
      return c;
  }
}

void nmt(NormalizedString& text) {
  bool drops = text.has_prefix();
  bool maps = drops;
  for (std::size_t at = 0; at < text.text().size();) {
    const CodePoint c = utf8_decode(text.text(), at);
    at += c.bytes;
    drops = drops || nmt_drops(c.value);
    maps = maps || nmt_map(c.value) != c.value;
  }
  if (drops) text.filter([](char32_t c) { return !nmt_drops(c); });
  if (maps) text.map(nmt_map);
}

void byte_level(NormalizedString& text) {
  if (text.empty()) return;
  const std::string_view old = text.text();
  NormalizedString::Transform out(text);
  for (const char c : old) {
    const auto byte = static_cast<std::uint8_t>(c);
    out.emit(kByteCharacters[byte], (byte & 0xC0U) == 0x80U ? 1 : 0);
  }
  out.finish();
}

// Runs of two spaces and more.
void find_spaces(std::string_view text, std::vector<Range>* matches) {
  matches->clear();
  for (std::size_t at = text.find("  "); at != std::string_view::npos; at = text.find("  ", at)) {
    const std::size_t end = std::min(text.find_first_not_of(' ', at), text.size());
    matches->push_back({static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(end)});
    at = end;
  }
}

std::unique_ptr<Normalizer> replace(const JsonValue& json) {
  std::string content(json.at("content").string());
  const JsonValue pattern = json.at("pattern");
  if (const auto literal = pattern.find("String")) {
    return simple([literal = std::string(literal->string()), content](NormalizedString& text) {
      text.replace(literal, content);
    });
  }
  const JsonValue source = pattern.at("Regex");
  if (source.string() == " {2,}") {
    // In most of SentencePiece's pipelines, so it is done without the engine. A space put in the
    // place of spaces is white space as they are; other characters it does not see.
    return simple(
        [content](NormalizedString& text) {
          auto& matches = text.scratch().matches;
          find_spaces(text.text(), &matches);
          text.replace(matches, content);
        },
        content == " ");
  }
  auto regex = std::make_shared<const Regex>(source.string(), source.where());
  return simple([regex, content](NormalizedString& text) {
    if (text.empty()) return;
    auto& matches = text.scratch().matches;
    regex->find_all(text.text(), &matches);
    text.replace(matches, content);
  });
}

std::unique_ptr<Normalizer> bert(const JsonValue& json) {
  BertNormalizerOptions options;
  options.clean_text = json.at("clean_text").boolean();
  options.handle_chinese_chars = json.at("handle_chinese_chars").boolean();
  if (const auto strip = json.find("strip_accents")) options.strip_accents = strip->boolean();
  options.lowercase = json.at("lowercase").boolean();
  return make_bert_normalizer(options);
}

std::unique_ptr<Normalizer> sequence(const JsonValue& json) {
  std::vector<std::unique_ptr<Normalizer>> parts;
  for (const JsonValue& item : json.at("normalizers").items()) {
    auto part = Normalizer::from_json(item);
    if (part == nullptr)
      fail(ErrorCode::kBadInput, item.where(), "expected a normalizer, got null.");
    parts.push_back(std::move(part));
  }
  return std::make_unique<SequenceNormalizer>(std::move(parts));
}

// Files of the first versions name no type; their members do.
std::string type_of(const JsonValue& json) {
  if (const auto type = json.find("type")) return std::string(type->string());
  for (const auto& [member, type] : {std::pair{"clean_text", "BertNormalizer"},
                                     {"strip_left", "Strip"},
                                     {"normalizers", "Sequence"},
                                     {"precompiled_charsmap", "Precompiled"},
                                     {"pattern", "Replace"},
                                     {"prepend", "Prepend"}}) {
    if (json.contains(member)) return type;
  }
  fail(ErrorCode::kBadInput, json.where(), "expected a normalizer with a \"type\", got none.");
}

}  // namespace

std::unique_ptr<Normalizer> Normalizer::from_json(const JsonValue& json) {
  if (json.is_null()) return nullptr;
  const std::string type = type_of(json);
  if (type == "Sequence") return sequence(json);
  if (type == "BertNormalizer" || type == "Bert") return bert(json);
  if (type == "NFC") return form(NormalizationForm::kNfc);
  if (type == "NFD") return form(NormalizationForm::kNfd);
  if (type == "NFKC") return form(NormalizationForm::kNfkc);
  if (type == "NFKD") return form(NormalizationForm::kNfkd);
  if (type == "Lowercase") return simple([](NormalizedString& text) { text.lowercase(); });
  if (type == "StripAccents") return simple(strip_accents);
  if (type == "Nmt") return simple(nmt);
  if (type == "ByteLevel") return simple(byte_level);
  if (type == "Replace") return replace(json);
  if (type == "Strip") {
    const bool left = json.at("strip_left").boolean();
    const bool right = json.at("strip_right").boolean();
    return simple([left, right](NormalizedString& text) { text.strip(left, right); });
  }
  if (type == "Prepend") {
    return simple([content = std::string(json.at("prepend").string())](NormalizedString& text) {
      text.prepend(content);
    });
  }
  if (type == "Precompiled") {
    const JsonValue map = json.at("precompiled_charsmap");
    return make_charsmap_normalizer(Charsmap::from_base64(map.string(), map.where()));
  }
  fail(ErrorCode::kUnsupported, json.where(),
       "expected a normalizer that Inlay knows, got \"" + printable(type) +
           "\". Use a model with another tokenizer.");
}

}  // namespace inlay::tokens
