// The normalizers of tokenizer.json: each rewrites a NormalizedString as the reference's does.
// Which pieces of a text are normalized (between added tokens) is tokenizer.cc's affair.
#pragma once

#include <memory>
#include <optional>

#include "base/json.h"
#include "tokens/normalized.h"

namespace inlay::tokens {

struct BertNormalizerOptions {
  bool clean_text = true;             // drops control characters, makes all white space U+0020
  bool handle_chinese_chars = true;   // puts spaces around CJK ideographs
  std::optional<bool> strip_accents;  // nullopt: as `lowercase`
  bool lowercase = true;
};

// Immutable; normalize() may be called from many threads at once, each with its own
// NormalizedString.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual void normalize(NormalizedString& text) const = 0;
  // Whether a text may be cut at a space, tab or line feed around which grapheme clusters end: what
  // becomes of the parts, joined by some white space, is what becomes of the text, but for how much
  // white space stands there.
  virtual bool local_at_spaces() const { return false; }
  // Whether c stays as it is, whatever is beside it, and a text may be cut between c and another
  // such character as well; but not behind a c that follows a Prepend of grapheme clusters.
  virtual bool keeps(char32_t c) const {
    static_cast<void>(c);
    return false;
  }

  // From the "normalizer" member of tokenizer.json; nullptr when it is null. Knows BertNormalizer
  // (also spelled Bert), NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Replace, Prepend,
  // Nmt, Precompiled, ByteLevel and Sequence. Throws kBadInput for a broken member, kUnsupported
  // for another type, both naming the place.
  static std::unique_ptr<Normalizer> from_json(const JsonValue& json);
};

// For vocab.txt, where no JSON says what to do.
std::unique_ptr<Normalizer> make_bert_normalizer(const BertNormalizerOptions& options);

}  // namespace inlay::tokens
