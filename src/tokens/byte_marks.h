// Which bytes of a text are in a set, as bits: the step that finds where words begin and end, 32
// bytes at a time where the processor can.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace inlay::tokens {

// Any set of bytes. For a vector unit it is two tables of 16: bit (byte >> 4) & 7 of row byte & 15,
// one for the bytes below 0x80, one for the rest.
class ByteSet {
 public:
  void add(unsigned byte) {
    auto& row = (byte < 0x80 ? low_ : high_)[byte & 15U];
    row = static_cast<std::uint8_t>(row | (1U << ((byte >> 4U) & 7U)));
  }
  bool has(unsigned char byte) const {
    return (((byte < 0x80 ? low_ : high_)[byte & 15U] >> ((byte >> 4U) & 7U)) & 1U) != 0;
  }
  bool empty() const { return low_ == Rows{} && high_ == Rows{}; }
  using Rows = std::array<std::uint8_t, 16>;
  const Rows& low() const { return low_; }
  const Rows& high() const { return high_; }

 private:
  Rows low_{}, high_{};
};

// Words of 64 bits that cover `bytes` bytes and at least one bit more.
constexpr std::size_t mark_words(std::size_t bytes) { return bytes / 64 + 1; }

// Sets bit i % 64 of bits[i / 64] where text[i] is in the set; clears the others, those past the
// text's end included. Writes mark_words(text.size()) words.
using MarkBytes = void (*)(const ByteSet& set, std::string_view text, std::uint64_t* bits);

struct ByteMarker {
  std::string_view name;  // as INLAY_CPU_ISA names it
  MarkBytes mark;         // nullptr: not of this architecture
  bool (*available)();
};
// Best first; the last one runs anywhere.
std::span<const ByteMarker> byte_markers();
// The best that this processor has; INLAY_CPU_ISA=generic takes the last. Chosen once.
MarkBytes mark_bytes();

// The first set bit at `at` or after it; `size` when there is none before. `bits` cover `size`.
inline std::size_t next_mark(const std::uint64_t* bits, std::size_t at, std::size_t size) {
  std::size_t word = at / 64;
  std::uint64_t rest = bits[word] >> (at % 64);
  if (rest != 0) {
    at += static_cast<std::size_t>(std::countr_zero(rest));
    return at < size ? at : size;
  }
  for (const std::size_t words = mark_words(size); ++word < words;) {
    if (bits[word] != 0) {
      at = word * 64 + static_cast<std::size_t>(std::countr_zero(bits[word]));
      return at < size ? at : size;
    }
  }
  return size;
}

// Memory for marks that grows and stays.
class Marks {
 public:
  const std::uint64_t* fill(const ByteSet& set, std::string_view text) {
    if (bits_.size() < mark_words(text.size())) bits_.resize(mark_words(text.size()));
    mark_bytes()(set, text, bits_.data());
    return bits_.data();
  }

 private:
  std::vector<std::uint64_t> bits_;
};

}  // namespace inlay::tokens
