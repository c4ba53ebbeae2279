// SentencePiece's precompiled character map: a double-array trie from byte strings to their
// replacements, as the Precompiled normalizer carries it in base64. The file is hostile until
// checked here. How a text is cut before it is looked up is charsmap_normalizer's affair, at the
// end of this file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokens/normalizers.h"

namespace inlay::tokens {

// Immutable; may be read from many threads.
class Charsmap {
 public:
  // Layout: u32 bytes of the trie, the trie's units (u32, little endian), then the replacements,
  // each ended by NUL. Throws kBadInput naming `where` for bad base64, a trie longer than the blob
  // or empty, replacements that are not UTF-8, and for units that can be reached from the root and
  // lead outside of the trie, outside of the replacements or back to themselves.
  static Charsmap from_base64(std::string_view base64, std::string_view where);
  static Charsmap from_bytes(std::string_view blob, std::string_view where);

  // The replacement of the *shortest* prefix of `key` that has one: so the reference does it. Stops
  // at a NUL.
  std::optional<std::string_view> find(std::string_view key) const noexcept;

 private:
  void check(std::string_view where) const;
  std::vector<std::uint32_t> units_;
  std::string replacements_;
};

// Strict RFC 4648 with padding, as the reference has it; nullopt otherwise.
std::optional<std::string> decode_base64(std::string_view text);

// The Precompiled normalizer: grapheme clusters of less than six bytes whole, else character by
// character.
std::unique_ptr<Normalizer> make_charsmap_normalizer(Charsmap map);

}  // namespace inlay::tokens
