// byte_marks.h with AVX2: a byte is in the set where its row, looked up by the low half, has the
// bit of its high half. Opens its own target region, as the cpu room's files do.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

#include "tokens/byte_marks.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif

namespace inlay::tokens {
namespace {

struct Rows {
  __m256i low, high, bit;
};

inline __m256i both_halves(const ByteSet::Rows& rows) {
  return _mm256_broadcastsi128_si256(
      _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows.data())));
}

inline std::uint32_t mark32(const Rows& rows, const char* text) {
  const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(text));
  const __m256i nibble = _mm256_set1_epi8(15);
  const __m256i at = _mm256_and_si256(bytes, nibble);
  const __m256i which = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), nibble);
  const __m256i row = _mm256_blendv_epi8(_mm256_shuffle_epi8(rows.low, at),
                                         _mm256_shuffle_epi8(rows.high, at), bytes);
  const __m256i hit = _mm256_and_si256(row, _mm256_shuffle_epi8(rows.bit, which));
  return ~static_cast<std::uint32_t>(
      _mm256_movemask_epi8(_mm256_cmpeq_epi8(hit, _mm256_setzero_si256())));
}

inline std::uint64_t mark64(const Rows& rows, const char* text) {
  return mark32(rows, text) | (static_cast<std::uint64_t>(mark32(rows, text + 32)) << 32U);
}

}  // namespace

void mark_avx2(const ByteSet& set, std::string_view text, std::uint64_t* bits) {
  constexpr ByteSet::Rows kBits{1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const Rows rows{both_halves(set.low()), both_halves(set.high()), both_halves(kBits)};
  std::size_t at = 0;
  for (; at + 64 <= text.size(); at += 64) *bits++ = mark64(rows, text.data() + at);
  char last[64] = {};
  const std::size_t rest = text.size() - at;  // below 64
  if (rest > 0) std::memcpy(last, text.data() + at, rest);
  *bits = mark64(rows, last) & ((std::uint64_t{1} << rest) - 1);
}

}  // namespace inlay::tokens

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
