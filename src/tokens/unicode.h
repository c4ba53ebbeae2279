// What the reference takes characters to be. The wheel `tokenizers` mixes tables of several Unicode
// ages, so there is one function for each place that asks, and the tables (unicode_tables.inc) are
// recorded from the wheel's behaviour by tools/gen_unicode.py over every code point. Nothing here
// is what another library would answer.
//
// All functions take any value up to 10FFFF (surrogates answer "nothing"), never allocate and may
// be called from any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace inlay::tokens {

// -------------------------------------------------------------------------------------------------
// properties

struct CharRecord {
  std::uint32_t flags;           // CharFlag
  std::int32_t lower_delta;      // lower case minus the character; U+0130 apart, which has two
  std::uint8_t combining_class;  // Unicode 9, as the normalization forms see it
  std::uint8_t script;           // fixed_script()
  std::uint8_t grapheme;         // GraphemeClass, low 5 bits; GraphemeConjunct above
};

enum CharFlag : std::uint32_t {
  kWhitespace = 1U << 0,   // Rust char::is_whitespace: WhitespaceSplit, Strip, BertPreTokenizer
  kPunctuation = 1U << 1,  // Punctuation and BertPreTokenizer (Unicode 8 table plus ASCII)
  kNumeric = 1U << 2,      // Digits: Rust char::is_numeric (Nd, Nl, No)
  kBertRemoved = 1U << 3,  // dropped by BertNormalizer's clean_text: control, NUL, U+FFFD
  kCjk = 1U << 4,          // BertNormalizer's handle_chinese_chars
  kBertAccent = 1U << 5,   // Mn of Unicode 8: dropped by BertNormalizer's strip_accents
  kAccent = 1U << 6,       // Mn, Mc, Me of Unicode 9: dropped by StripAccents
  kWord = 1U << 7,         // \w of the Whitespace pre-tokenizer's \w+|[^\w\s]+ (Rust regex)
  kNfdSafe = 1U << 8,      // own canonical decomposition and a starter: nothing to do for NFD
  kNfkdSafe = 1U << 9,
  kNfcSafe = 1U << 10,  // unchanged by NFC and never joins or passes what is before it
  kNfkcSafe = 1U << 11,
  kComposes = 1U << 12,  // second of a pair that NFC composes (Hangul jamo included)
  // As Oniguruma sees them: regexes of Split and Replace.
  kLu = 1U << 13,
  kLl = 1U << 14,
  kLt = 1U << 15,
  kLm = 1U << 16,
  kLo = 1U << 17,
  kNd = 1U << 18,  // also \d
  kNl = 1U << 19,
  kNo = 1U << 20,
  kMark = 1U << 21,        // \p{M}
  kPunct = 1U << 22,       // \p{P}
  kSymbol = 1U << 23,      // \p{S}
  kSeparator = 1U << 24,   // \p{Z}
  kRegexSpace = 1U << 25,  // \s
  kRegexWord = 1U << 26,   // \w
};
inline constexpr std::uint32_t kLetter = kLu | kLl | kLt | kLm | kLo;  // \p{L}
inline constexpr std::uint32_t kNumber = kNd | kNl | kNo;              // \p{N}

const CharRecord& char_record(char32_t c) noexcept;

// The flags of the characters below U+10000 by themselves, for loops over text: two loads, the
// first from a table of which a language uses few lines, and no call.
struct CharFlags {
  static constexpr char32_t kEnd = 0x10000;
  static constexpr std::size_t kMostValues = 128;
  std::array<std::uint8_t, kEnd> index;
  std::array<std::uint32_t, kMostValues> values;
};
extern const CharFlags kCharFlags;
inline std::uint32_t char_flags(char32_t c) noexcept {
  return c < CharFlags::kEnd ? kCharFlags.values[kCharFlags.index[c]] : char_record(c).flags;
}
inline bool has(char32_t c, std::uint32_t flags) noexcept { return (char_flags(c) & flags) != 0; }

inline bool is_whitespace(char32_t c) noexcept { return has(c, kWhitespace); }
inline bool is_bert_punctuation(char32_t c) noexcept { return has(c, kPunctuation); }
inline bool is_punctuation(char32_t c) noexcept { return has(c, kPunctuation); }
inline bool is_numeric(char32_t c) noexcept { return has(c, kNumeric); }
inline bool is_bert_removed(char32_t c) noexcept { return has(c, kBertRemoved); }
inline bool is_cjk(char32_t c) noexcept { return has(c, kCjk); }
inline bool is_word(char32_t c) noexcept { return has(c, kWord); }

// The UnicodeScripts pre-tokenizer's script of a character, with its rule already applied
// (Hiragana, Katakana and U+30FC are Han; U+0020 and characters without a script are kScriptAny).
// Ids tell scripts apart and mean no more.
inline constexpr std::uint8_t kScriptAny = 0;
inline std::uint8_t fixed_script(char32_t c) noexcept { return char_record(c).script; }

// ----------------------------------------------------------------------------------------------
// regex classes

struct CodeRange {
  char32_t first, last;  // both included
};

// The code points of a class as Oniguruma in the wheel sees it, in ascending ranges that neither
// touch nor hold surrogates. Names:
//   \p{...}     general categories ("L", "Lu", ... "Cn", "LC"), POSIX names ("alpha", "punct",
//   ...),
//               scripts ("Han", "Hiragana", ...), a few properties ("Alphabetic", "Emoji", ...);
//   [[:...:]]   "[:alpha:]": two of them are wider than the \p of the name ("[:punct:]",
//   "[:word:]"); \s \d \w \h  "s", "d", "w", "h": the one-letter names in lower case.
// As in Oniguruma, case, '_', '-' and spaces in names of more than one letter mean nothing. Empty
// span: no such name.
//
// Case-insensitive groups such as (?i:'s|'t): see fold_partner().
std::span<const CodeRange> unicode_class(std::string_view name) noexcept;

// What else (?i:x) matches for an ASCII letter x, beside its other ASCII case: U+017F for s, U+212A
// for k, nothing for the rest (recorded over every code point). 0: nothing.
char32_t fold_partner(char32_t ascii_letter) noexcept;

// ------------------------------------------------------------------------- case and the
// normalization forms

// Lower case of one character as the Lowercase normalizer has it: first character, and the second
// or 0.
struct Lower {
  char32_t first, second;
};
Lower to_lower(char32_t c) noexcept;

// Full decomposition (canonical, or compatibility); empty where the character stays as it is.
// Hangul syllables are arithmetic and answer empty here.
std::u32string_view canonical_decomposition(char32_t c) noexcept;
std::u32string_view compatibility_decomposition(char32_t c) noexcept;
// Hangul syllables by arithmetic: Unicode standard, section 3.12.
namespace hangul {
inline constexpr char32_t kSyllable = 0xAC00, kLead = 0x1100, kVowel = 0x1161, kTrail = 0x11A7;
inline constexpr char32_t kLeads = 19, kVowels = 21, kTrails = 28;
inline constexpr char32_t kSyllables = kLeads * kVowels * kTrails;
}  // namespace hangul

// The primary composite of a pair, Hangul included; 0 when there is none.
char32_t compose(char32_t first, char32_t second) noexcept;

// ------------------------------------------------------------------------------------------------
// graphemes

enum class GraphemeClass : std::uint8_t {
  kOther,
  kCr,
  kLf,
  kControl,
  kExtend,
  kZwj,
  kPrepend,
  kSpacingMark,
  kL,
  kV,
  kT,
  kLv,
  kLvt,
  kPictographic,
};
enum class GraphemeConjunct : std::uint8_t { kNone, kConsonant, kLinker, kExtend };

// End of the grapheme cluster that begins at text[at], as the Precompiled normalizer cuts them.
// Regional indicators are not paired: no cluster with one is shorter than the six bytes below which
// a cluster counts.
std::size_t grapheme_end(std::string_view text, std::size_t at) noexcept;

}  // namespace inlay::tokens
