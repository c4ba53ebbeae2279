// The door of tokens/: text to ids and back, equal to the Hugging Face `tokenizers` wheel's. Built
// from tokenizer.json, or from vocab.txt alone. Where the files come from is the caller's affair.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace inlay::tokens {

struct Encoding {
  std::vector<std::int32_t> ids;
  std::vector<std::int32_t> type_ids;  // same length
  std::vector<std::uint8_t> special;   // 1 where the post-processor added the token; same length
  std::vector<std::pair<std::uint32_t, std::uint32_t>>
      offsets;             // byte range in the text; only when asked for
  bool truncated = false;  // something was cut
  // Tokens from the start that attention sees, where a task adds some behind them that it does not
  // (PackedBatch::key_counts); 0: all.
  std::int32_t key_count = 0;
  void clear() {
    ids.clear();
    type_ids.clear();
    special.clear();
    offsets.clear();
    truncated = false;
    key_count = 0;
  }
};

enum class TruncationDirection { kRight, kLeft };
enum class TruncationStrategy { kLongestFirst, kOnlyFirst, kOnlySecond };

struct EncodeOptions {
  bool add_special_tokens = true;
  bool offsets = false;  // tracking costs time
  // Tokens, special tokens included; 0: no cut. Special tokens stay even where they alone are more.
  int max_length = 0;
  TruncationStrategy strategy = TruncationStrategy::kLongestFirst;
  TruncationDirection direction = TruncationDirection::kRight;
};

// What the post-processor and the files say about special tokens; nullopt where the files say
// nothing.
struct SpecialIds {
  std::optional<std::int32_t> unk, cls, sep, pad, mask, bos, eos;
};

// What the model's other files ask of the pipeline.
struct LoadOptions {
  // sentence_bert_config.json's do_lower_case: a Lowercase normalizer goes first, unless the
  // pipeline lower-cases already (a Lowercase, or a BertNormalizer with lowercase, anywhere in it).
  bool lowercase = false;
};

struct TextTokens;

// Immutable; every member may be called from many threads at once.
class Tokenizer {
 public:
  // The first text of many pairs, tokenized once. Immutable; thread-safe.
  class First {
   public:
    ~First();

   private:
    friend class Tokenizer;
    First(std::string_view text, const EncodeOptions& options);
    const std::string text_;
    const EncodeOptions options_;
    std::unique_ptr<TextTokens> tokens_;
  };

  // `tokenizer_json` is the whole file; `config_json` is tokenizer_config.json or empty (names of
  // special tokens). `where` names the file in errors. Padding and truncation inside the file are
  // ignored. Throws kBadInput for a broken file, kUnsupported for a component that Inlay does not
  // have (BPE dropout).
  static Tokenizer from_json(std::string_view tokenizer_json, std::string_view where,
                             std::string_view config_json = {}, const LoadOptions& options = {});
  // A BERT vocabulary, one token a line, with the pipeline that transformers' BertTokenizer builds
  // (do_lower_case, strip_accents, tokenize_chinese_chars and special tokens from config_json).
  static Tokenizer from_vocab_txt(std::string_view vocab, std::string_view where,
                                  std::string_view config_json = {},
                                  const LoadOptions& options = {});
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  // `text` must be valid UTF-8 (checked at the edges). Fills `out`, reusing its memory.
  void encode(std::string_view text, const EncodeOptions& options, Encoding* out) const;
  void encode_pair(std::string_view first, std::string_view second, const EncodeOptions& options,
                   Encoding* out) const;
  Encoding encode(std::string_view text, const EncodeOptions& options = {}) const;
  Encoding encode_pair(std::string_view first, std::string_view second,
                       const EncodeOptions& options = {}) const;

  // encode_pair(first, second, options) for one first text and many second ones.
  std::shared_ptr<const First> prepare_first(std::string_view first,
                                             const EncodeOptions& options) const;
  void encode_pair(const First& first, std::string_view second, Encoding* out) const;

  // Ids outside the vocabulary are skipped, as the reference does.
  std::string decode(std::span<const std::int32_t> ids, bool skip_special_tokens) const;

  std::optional<std::int32_t> token_to_id(std::string_view token) const;
  std::optional<std::string> id_to_token(std::int32_t id) const;
  std::int64_t vocab_size() const;            // added tokens included
  int special_tokens_added(bool pair) const;  // how many the post-processor adds
  const SpecialIds& special_ids() const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace inlay::tokens
