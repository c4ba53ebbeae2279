// NFD, NFKD, NFC and NFKC of a text with its alignment, as the reference computes them (Unicode 9).
#pragma once

#include "tokens/normalized.h"

namespace inlay::tokens {

enum class NormalizationForm { kNfd, kNfkd, kNfc, kNfkc };

// Linear in the text, long runs of combining marks included. Allocates nothing once the text's
// buffers have grown.
void normalize_form(NormalizationForm form, NormalizedString& text);

// Appends the canonical decomposition of c to `out`: at most four characters, c itself when it has
// none.
struct Decomposed {
  char32_t c[4];
  std::uint32_t size;
};
Decomposed decompose_canonical(char32_t c) noexcept;

}  // namespace inlay::tokens
