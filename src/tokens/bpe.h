// Byte-pair encoding: a word's characters are merged pair by pair, the pair of lowest rank first,
// leftmost first. Byte-level spelling (GPT-2's alphabet) is a pre-tokenizer's affair; byte fallback
// ("<0x0A>") is done here.
#pragma once

#include <optional>
#include <string>

#include "tokens/model.h"

namespace inlay::tokens {

class Bpe final : public Model {
 public:
  // Throws kBadInput naming the place for merges of unknown or empty tokens, kUnsupported for
  // dropout.
  static std::unique_ptr<Bpe> from_json(const JsonValue& json);

  void tokenize(std::string_view word, std::vector<TokenSpan>* out) const override;
  void compute(std::string_view word, std::vector<TokenSpan>* out) const override;  // O(n log n)
  const Vocab& vocab() const override { return vocab_; }
  std::int32_t unk_id() const override { return unk_id_; }

 private:
  struct Merge {
    std::uint32_t rank;
    std::int32_t id;
  };
  struct MergeSlot {
    std::uint64_t pair = kNoPair;
    Merge merge{};
  };
  struct Symbol {
    std::int32_t id;
    std::uint32_t bytes;
  };
  struct Scratch;
  static constexpr std::uint64_t kNoPair = ~0ULL;  // ids are below 2^31, so no pair looks like this

  static std::uint64_t pair_of(std::int32_t left, std::int32_t right) {
    return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32U) |
           static_cast<std::uint32_t>(right);
  }
  const Merge* find_merge(std::int32_t left, std::int32_t right) const;
  void read_merges(const JsonValue& json);
  void add_merge(std::string_view left, std::string_view right, std::uint32_t rank,
                 const JsonValue& json);
  void split_characters(std::string_view word, Scratch* scratch) const;
  void append_unknown(std::uint32_t bytes, std::optional<Symbol>* pending,
                      std::vector<Symbol>* symbols) const;
  void merge_short(std::vector<Symbol>* symbols) const;
  void merge_long(Scratch* scratch) const;

  Vocab vocab_;
  std::vector<MergeSlot> merges_;
  std::size_t merge_mask_ = 0;
  std::vector<std::int32_t>
      character_ids_;  // of code points below 0x400, when there is no prefix and no suffix
  std::vector<std::int32_t> byte_ids_;  // 256 ids of "<0xNN>" when byte_fallback; -1: absent
  std::string unk_token_, prefix_, suffix_, where_;
  bool has_unk_ = false, fuse_unk_ = false, byte_fallback_ = false, ignore_merges_ = false;
  std::int32_t unk_id_ = -1;
  std::uint32_t owner_ = 0;
};

}  // namespace inlay::tokens
