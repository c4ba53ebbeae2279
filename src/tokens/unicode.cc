// Look-ups in the generated tables. What is in them is unicode.h's and tools/gen_unicode.py's
// affair.
#include "tokens/unicode.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "base/utf8.h"

namespace inlay::tokens {
namespace {

struct Decomposition {
  std::uint16_t canonical, canonical_size, compatible, compatible_size;
};
struct Composition {
  char32_t first, second, composite;
};
struct FoldPartner {
  char32_t letter, partner;
};
struct ClassName {
  std::string_view name;
  std::uint32_t begin, size;
};

#include "tokens/unicode_tables.inc"

const Decomposition& decomposition(char32_t c) noexcept {
  if (c >= kDecompositionEnd) return kDecompositions[0];
  const std::uint32_t block = kDecompositionStage1[c >> kDecompositionBits];
  const std::uint32_t within = c & ((1U << kDecompositionBits) - 1);
  return kDecompositions[kDecompositionStage2[(block << kDecompositionBits) | within]];
}

std::span<const CodeRange> find_class(std::string_view name) noexcept {
  const auto* found = std::lower_bound(
      std::begin(kClassNames), std::end(kClassNames), name,
      [](const ClassName& entry, std::string_view wanted) { return entry.name < wanted; });
  if (found == std::end(kClassNames) || found->name != name) return {};
  return {kClassRanges + found->begin, found->size};
}

constexpr CharFlags make_char_flags() {
  CharFlags made{};
  std::array<std::uint8_t, std::size(kRecords)> index{};  // of a record's flags
  std::size_t count = 0;
  for (std::size_t i = 0; i < index.size(); ++i) {
    std::size_t at = 0;
    while (at < count && made.values[at] != kRecords[i].flags) ++at;
    if (at == count) made.values[count++] = kRecords[i].flags;  // no constant if they were too many
    index[i] = static_cast<std::uint8_t>(at);
  }
  constexpr std::size_t kBlock = std::size_t{1} << kRecordBits;
  for (std::size_t first = 0; first < CharFlags::kEnd; first += kBlock) {
    const std::uint16_t* records = kRecordStage2 + kRecordStage1[first / kBlock] * kBlock;
    std::uint8_t* to = made.index.data() + first;
    for (std::size_t i = 0; i < kBlock; ++i) to[i] = index[records[i]];
  }
  return made;
}

}  // namespace

constexpr CharFlags kCharFlags = make_char_flags();

const CharRecord& char_record(char32_t c) noexcept {
  if (c >= kRecordEnd) c = 0xD800;  // answers nothing
  const std::uint32_t block = kRecordStage1[c >> kRecordBits];
  const std::uint32_t within = c & ((1U << kRecordBits) - 1);
  return kRecords[kRecordStage2[(block << kRecordBits) | within]];
}

std::span<const CodeRange> unicode_class(std::string_view name) noexcept {
  if (name.size() == 1) return find_class(name);
  char plain[48];  // longer than any name in the table
  std::size_t size = 0;
  for (const char c : name) {
    if (c == '_' || c == '-' || c == ' ') continue;
    if (size == sizeof plain) return {};
    plain[size++] = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  const std::string_view key(plain, size);
  const auto exact = find_class(key);
  const bool bracket = size > 4 && key.substr(0, 2) == "[:" && key.substr(size - 2) == ":]";
  return exact.empty() && bracket ? find_class(key.substr(2, size - 4)) : exact;
}

char32_t fold_partner(char32_t ascii_letter) noexcept {
  const char32_t lower = ascii_letter | 0x20U;
  for (const auto& entry : kFoldPartners) {
    if (entry.letter == lower) return entry.partner;
  }
  return 0;
}

Lower to_lower(char32_t c) noexcept {
  if (c == 0x130) return {U'i', 0x307};  // the generator checks that it is the only one
  return {static_cast<char32_t>(static_cast<std::int32_t>(c) + char_record(c).lower_delta), 0};
}

std::u32string_view canonical_decomposition(char32_t c) noexcept {
  const Decomposition& found = decomposition(c);
  return {kDecompositionPool + found.canonical, found.canonical_size};
}

std::u32string_view compatibility_decomposition(char32_t c) noexcept {
  const Decomposition& found = decomposition(c);
  return {kDecompositionPool + found.compatible, found.compatible_size};
}

char32_t compose(char32_t first, char32_t second) noexcept {
  using hangul::kSyllable, hangul::kSyllables, hangul::kLead, hangul::kLeads, hangul::kVowel;
  using hangul::kVowels, hangul::kTrail, hangul::kTrails;
  if (!has(second, kComposes)) return 0;
  if (first - kLead < kLeads && second - kVowel < kVowels) {
    return kSyllable + ((first - kLead) * kVowels + (second - kVowel)) * kTrails;
  }
  if (first - kSyllable < kSyllables && (first - kSyllable) % kTrails == 0 && second > kTrail &&
      second - kTrail < kTrails) {
    return first + (second - kTrail);
  }
  const auto* found = std::lower_bound(
      std::begin(kCompositions), std::end(kCompositions), first,
      [](const Composition& entry, char32_t wanted) { return entry.first < wanted; });
  for (; found != std::end(kCompositions) && found->first == first; ++found) {
    if (found->second == second) return found->composite;
  }
  return 0;
}

std::size_t grapheme_end(std::string_view text, std::size_t at) noexcept {
  using G = GraphemeClass;
  using I = GraphemeConjunct;
  // What the rules of UAX 29 need to remember about the characters so far.
  bool pictographic = false;         // ExtPict Extend*
  bool joined_pictographic = false;  // ExtPict Extend* ZWJ
  bool consonant = false;            // consonant (extend or linker)*
  bool linked = false;               // ... with a linker among them
  G previous = G::kOther;
  for (bool first = true; at < text.size(); first = false) {
    const CodePoint c = utf8_decode(text, at);
    const std::uint8_t packed = char_record(c.value).grapheme;
    const G g = static_cast<G>(packed & 31U);
    const I conjunct = static_cast<I>(packed >> 5U);
    if (!first) {
      bool joins = g == G::kExtend || g == G::kZwj || g == G::kSpacingMark;
      switch (previous) {
        case G::kCr:
          joins = g == G::kLf;
          break;
        case G::kLf:
        case G::kControl:
          joins = false;
          break;
        case G::kPrepend:
          joins = joins || (g != G::kCr && g != G::kLf && g != G::kControl);
          break;
        case G::kL:
          joins = joins || g == G::kL || g == G::kV || g == G::kLv || g == G::kLvt;
          break;
        case G::kLv:
        case G::kV:
          joins = joins || g == G::kV || g == G::kT;
          break;
        case G::kLvt:
        case G::kT:
          joins = joins || g == G::kT;
          break;
        default:
          break;
      }
      joins = joins || (g == G::kPictographic && joined_pictographic) ||
              (conjunct == I::kConsonant && linked);
      if (!joins) return at;
    }
    joined_pictographic = pictographic && g == G::kZwj;
    pictographic = g == G::kPictographic || (pictographic && g == G::kExtend);
    if (conjunct == I::kConsonant) {
      consonant = true;
      linked = false;
    } else if (consonant && conjunct == I::kLinker) {
      linked = true;
    } else if (conjunct == I::kNone) {
      consonant = linked = false;
    }
    previous = g;
    at += c.bytes;
  }
  return at;
}

}  // namespace inlay::tokens
