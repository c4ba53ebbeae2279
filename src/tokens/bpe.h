// Byte-pair encoding: a word's characters are merged pair by pair, the pair of lowest rank first,
// leftmost first. Byte-level spelling (GPT-2's alphabet) is a pre-tokenizer's affair; byte fallback
// ("<0x0A>") is done here.
#pragma once

#include <atomic>
#include <optional>
#include <string>

#include "tokens/matched_bpe.h"
#include "tokens/merge_table.h"
#include "tokens/model.h"

namespace inlay::tokens {

class Bpe final : public Model {
 public:
  // Throws kBadInput naming the place for merges of unknown or empty tokens, kUnsupported for
  // dropout.
  static std::unique_ptr<Bpe> from_json(const JsonValue& json);

  void tokenize(std::string_view word, std::vector<TokenSpan>* out) const override;
  void compute(std::string_view word, std::vector<TokenSpan>* out) const override;  // O(n log n)
  // compute() of a word's spelling in the byte alphabet, given the bytes; only the ids count.
  // `part`: of a word that was cut where neighbours() allows, which is no word by itself.
  void compute_bytes(std::string_view bytes, bool part, std::vector<TokenSpan>* out) const;
  // Where a word in bytes may be cut so that its parts' tokens are its tokens; nullptr: nowhere, or
  // not yet known.
  const Neighbours* neighbours() const {
    return is_matched_.load(std::memory_order_acquire) && matched_.neighbours().sealed()
               ? &matched_.neighbours()
               : nullptr;
  }
  const Vocab& vocab() const override { return vocab_; }
  std::int32_t unk_id() const override { return unk_id_; }

 private:
  struct Symbol {
    std::int32_t id;
    std::uint32_t bytes;
  };
  struct Scratch;
  void read_merges(const JsonValue& json);
  void add_merge(std::string_view left, std::string_view right, std::uint32_t rank,
                 const JsonValue& json);
  void split_characters(std::string_view word, Scratch* scratch) const;
  void append_unknown(std::uint32_t bytes, std::optional<Symbol>* pending,
                      std::vector<Symbol>* symbols) const;
  void prepare_bytes();
  bool match(std::string_view bytes, bool whole_first, std::vector<TokenSpan>* out) const;
  static void append(const std::vector<Symbol>& symbols, std::vector<TokenSpan>* out);
  template <typename Rank>
  void merge_short(std::vector<Symbol>* symbols, Rank&& first_rank) const;
  template <typename Rank>
  void merge_long(Scratch* scratch, Rank&& first_rank) const;
  template <typename Rank>
  void merge(Scratch* scratch, Rank&& first_rank) const;

  Vocab vocab_;
  MergeTable merges_;
  std::vector<std::int32_t>
      character_ids_;  // of code points below 0x400, when there is no prefix and no suffix
  // Where every byte's character of the byte alphabet is a token: its id, and the ranks of all
  // pairs of two of them (256 KiB, of which text uses little). Empty otherwise.
  std::vector<std::int32_t> alphabet_ids_;
  std::vector<std::uint32_t> alphabet_ranks_;
  // Built by the thread that computes one word more than there are merges: by then merging has
  // taken longer than building does, and a start for a few texts does without.
  mutable MatchedBpe matched_;
  mutable std::atomic<bool> is_matched_{false};
  mutable std::atomic<std::uint32_t> words_{0};
  std::vector<std::int32_t> byte_ids_;  // 256 ids of "<0xNN>" when byte_fallback; -1: absent
  std::string unk_token_, prefix_, suffix_, where_;
  bool has_unk_ = false, fuse_unk_ = false, byte_fallback_ = false, ignore_merges_ = false;
  std::int32_t unk_id_ = -1;
  std::uint32_t owner_ = 0;
};

}  // namespace inlay::tokens
