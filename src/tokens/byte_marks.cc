// See byte_marks.h: the plain way and the choice.
#include "tokens/byte_marks.h"

#include <algorithm>
#include <cstdlib>

#include "base/cpu_features.h"

namespace inlay::tokens {
namespace {

void mark_generic(const ByteSet& set, std::string_view text, std::uint64_t* bits) {
  for (std::size_t at = 0; at <= text.size(); at += 64) {
    const std::size_t count = std::min<std::size_t>(64, text.size() - at);
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < count; ++i) {
      word |= static_cast<std::uint64_t>(set.has(static_cast<unsigned char>(text[at + i]))) << i;
    }
    *bits++ = word;
  }
}

MarkBytes choose() {
  const char* wish = std::getenv("INLAY_CPU_ISA");
  if (wish != nullptr && std::string_view(wish) == "generic") return mark_generic;
  for (const ByteMarker& marker : byte_markers()) {
    if (marker.mark != nullptr && marker.available()) return marker.mark;
  }
  return mark_generic;
}

}  // namespace

#if defined(__x86_64__)
void mark_avx2(const ByteSet& set, std::string_view text, std::uint64_t* bits);
constexpr MarkBytes kAvx2 = mark_avx2;
#else
constexpr MarkBytes kAvx2 = nullptr;
#endif

std::span<const ByteMarker> byte_markers() {
  static constexpr std::array<ByteMarker, 2> kMarkers{{
      {"avx2", kAvx2, [] { return cpu_features().avx2_fma; }},
      {"generic", mark_generic, [] { return true; }},
  }};
  return kMarkers;
}

MarkBytes mark_bytes() {
  static const MarkBytes chosen = choose();
  return chosen;
}

}  // namespace inlay::tokens
