// A fast 128-bit hash of bytes, to tell contents apart and to find damage. Not for secrets: whoever
// chooses the bytes can make two that are equal here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace inlay {

struct Hash128 {
  std::uint64_t low = 0, high = 0;
  bool operator==(const Hash128&) const = default;
  std::string hex() const;  // 32 digits, lower case
};

// Of the bytes and their number; the same on every machine of the same byte order. Large inputs are
// cut into blocks, which `threads` threads take in turn: the result does not depend on their
// number.
Hash128 hash_bytes(std::string_view bytes, int threads = 1);

}  // namespace inlay
