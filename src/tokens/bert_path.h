// The quick way of BERT's pipeline: BertNormalizer, BertPreTokenizer, WordPiece.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tokens/byte_marks.h"
#include "tokens/normalizers.h"
#include "tokens/word_path.h"
#include "tokens/wordpiece.h"

namespace inlay::tokens {

class BertPath final : public WordPath {
 public:
  // `normalizer` is the BertNormalizer with these options; both outlive this.
  BertPath(const BertNormalizerOptions& options, const Normalizer* normalizer,
           const WordPiece* model);

  void encode(std::string_view text, std::size_t limit, IdList* out) const override;

 private:
  void compute(std::string_view word, std::vector<TokenSpan>* out) const override;
  void absent(std::string_view text, std::size_t begin, std::size_t end, IdCache* cache,
              IdList* out) const override;
  bool add_stretch(std::string_view text, std::size_t begin, std::size_t end, Batch* batch) const;
  std::int32_t ideograph(std::string_view text, std::size_t at, char32_t c) const;
  std::uint32_t normalized(char32_t c) const;
  std::uint32_t normalize(char32_t c) const;
  bool is_ideograph(char32_t c) const { return c - kFirstIdeograph < ideographs_.size(); }

  ByteSet inside_;               // bytes of words: all that is neither white space nor punctuation
  ByteSet punctuation_;          // each a word of its own
  std::array<char, 128> lower_;  // what the normalizer makes of an ASCII character
  std::array<bool, 128> plain_;  // characters of words that it does not remove
  std::uint32_t breaks_;         // flags of characters beyond ASCII at which every word ends,
  std::uint32_t removed_;        // but for those with this flag, which vanish
  // Ids + 1 of the common ideographs, each a word of its own, where such a word has one id; 0: not
  // yet computed, kSeveral: it has not. Filled as texts bring them, by any thread, always with the
  // same value. Empty when ideographs are no words of their own.
  static constexpr char32_t kFirstIdeograph = 0x4E00, kIdeographs = 0x5200;
  static constexpr std::uint32_t kSeveral = 0xFFFFFFFF;
  mutable std::vector<std::atomic<std::uint32_t>> ideographs_;
  // What the normalizer makes of a character inside a word, by code point below kEnd: up to three
  // bytes of UTF-8 and above them their number + 1; kOther where it is more, or not as simple.
  // Filled as ideographs_ is.
  static constexpr char32_t kEnd = 0x10000;
  static constexpr std::uint32_t kOther = 0xFF000000;
  mutable std::vector<std::atomic<std::uint32_t>> normalized_ =
      std::vector<std::atomic<std::uint32_t>>(kEnd);
  ByteSet wide_;  // bytes with which characters from U+3000 on begin
  const Normalizer* normalizer_;
  const WordPiece* model_;
};

}  // namespace inlay::tokens
