// What differs, found by running both over random words of each language's letters and endings:
//   French   2.2 reads ë and ï as e and i with an h before; formerly they were vowels of no rule,
//            but for an ë behind gu, which goes
//   Russian  2.2 reads ё as е; formerly it was a letter of no group
//   Danish, Finnish  what stands at the end was tidied behind all that is no vowel ("1999" became
//            "199"), and is behind consonants now. Not turned back: the Finnish ending a behind a
//            vowel behind a digit or a foreign letter ("6ia")
#include "task/stemmer.h"

#include <libstemmer.h>

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/utf8.h"

namespace inlay::task {
namespace {

constexpr std::u32string_view kConsonants = U"bcdfghjklmnpqrstvwxz";
constexpr std::u32string_view kDanishVowels = U"aeiouyæåø";
constexpr std::u32string_view kFinnishVowels = U"aeiouyäö";

bool one_of(char32_t c, std::u32string_view set) {
  return set.find(c) != std::u32string_view::npos;
}

std::u32string decode(std::string_view text) {
  std::u32string out;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = utf8_decode(text, at);
    at += c.bytes;
    out += c.value;
  }
  return out;
}

std::string encode(std::u32string_view text) {
  std::string out;
  for (const char32_t c : text) utf8_append(out, c);
  return out;
}

// Stand-ins: a vowel that no French rule names, and a character that no word has.
std::u32string hide_french(std::u32string word) {
  for (char32_t& c : word) {
    if (c == U'ë' || c == U'ï') c = U'ù';
  }
  return word;
}
// Whether a letter is a vowel where French looks for the region of verbs' endings (RV).
bool is_french_vowel(std::u32string_view word, std::size_t at) {
  constexpr std::u32string_view kVowels = U"aeiouyâàëéêèïîôûù";
  const auto vowel = [&](std::size_t i) { return i < word.size() && one_of(word[i], kVowels); };
  if (word[at] == U'u' && at > 0 && word[at - 1] == U'q') return false;
  if (word[at] == U'y' && (vowel(at + 1) || (at > 0 && vowel(at - 1)))) return false;
  return vowel(at);
}
std::size_t french_region(std::u32string_view word) {
  const bool open = word.size() > 2 && is_french_vowel(word, 0) && is_french_vowel(word, 1);
  if (open || word.starts_with(U"par") || word.starts_with(U"col") || word.starts_with(U"tap"))
    return 3;
  for (std::size_t at = 1; at < word.size(); ++at) {
    if (is_french_vowel(word, at)) return at + 1;
  }
  return word.size();
}
// guë and guës lose their ë as if it were an e.
void show_ending(std::u32string_view word, std::u32string* hidden) {
  const std::size_t end = word.size() - (word.ends_with(U's') ? 1 : 0);
  if (word.substr(0, end).ends_with(U"guë") && french_region(word) + 3 <= end)
    (*hidden)[end - 1] = U'e';
}
std::u32string hide_russian(std::u32string word) {
  std::replace(word.begin(), word.end(), U'ё', char32_t{0xE000});
  return word;
}

// Where suffixes begin: behind the first vowel and the non-vowel after it (p1).
std::size_t suffix_region(std::u32string_view word, std::u32string_view vowels) {
  const std::size_t vowel = word.find_first_of(vowels);
  if (vowel == std::u32string_view::npos) return word.size();
  const std::size_t other = word.find_first_not_of(vowels, vowel);
  return other == std::u32string_view::npos ? word.size() : other + 1;
}

bool is_foreign(char32_t c, std::u32string_view vowels) {
  return !one_of(c, vowels) && !one_of(c, kConsonants);
}

// A foreign character before `end` goes when the one before it is the same.
void undouble(std::u32string* stem, std::size_t end, std::u32string_view vowels) {
  if (end < 2) return;
  const char32_t c = (*stem)[end - 1];
  if (is_foreign(c, vowels) && (*stem)[end - 2] == c) stem->erase(end - 1, 1);
}

// A last a, ä, e or i goes behind a foreign character, as it does behind a consonant; then doubles.
void tidy_finnish(std::u32string_view word, std::u32string* stem) {
  const std::size_t size = stem->size();
  if (size > suffix_region(word, kFinnishVowels) + 1 && one_of(stem->back(), U"aäei") &&
      is_foreign((*stem)[size - 2], kFinnishVowels))
    stem->pop_back();
  undouble(stem, stem->find_last_not_of(kFinnishVowels) + 1, kFinnishVowels);
}

}  // namespace

void Stemmer::End::operator()(sb_stemmer* stemmer) const noexcept { sb_stemmer_delete(stemmer); }

Stemmer::Stemmer(const std::string& language)
    : stemmer_(sb_stemmer_new(language.c_str(), "UTF_8")) {
  if (!stemmer_) {
    fail(ErrorCode::kInternal, "stemmer",
         "expected libstemmer to know " + printable(language) + ", got none.");
  }
  if (language == "danish") kind_ = Kind::kDanish;
  if (language == "finnish") kind_ = Kind::kFinnish;
  if (language == "french") kind_ = Kind::kFrench;
  if (language == "russian") kind_ = Kind::kRussian;
}

void Stemmer::snowball(std::string* word) const {
  const auto* stem =
      sb_stemmer_stem(stemmer_.get(), reinterpret_cast<const sb_symbol*>(word->data()),
                      static_cast<int>(word->size()));
  if (stem == nullptr)
    fail(ErrorCode::kMemoryLimit, "stemmer", "expected memory for a stem, got none.");
  word->assign(reinterpret_cast<const char*>(stem),
               static_cast<std::size_t>(sb_stemmer_length(stemmer_.get())));
}

void Stemmer::stem(std::string* word) const {
  if (kind_ == Kind::kAsItIs) return snowball(word);
  const std::u32string before = decode(*word);
  std::u32string hidden = before;
  if (kind_ == Kind::kFrench) {
    hidden = hide_french(hidden);
    show_ending(before, &hidden);
  } else if (kind_ == Kind::kRussian) {
    hidden = hide_russian(hidden);
  }
  *word = encode(hidden);
  snowball(word);
  std::u32string stem = decode(*word);
  for (std::size_t i = 0; i < std::min(stem.size(), before.size()); ++i) {
    if (stem[i] == hidden[i]) stem[i] = before[i];  // suffixes alone are rewritten
  }
  if (kind_ == Kind::kDanish &&
      stem.size() > std::max<std::size_t>(suffix_region(before, kDanishVowels), 3))
    undouble(&stem, stem.size(), kDanishVowels);
  if (kind_ == Kind::kFinnish) tidy_finnish(before, &stem);
  *word = encode(stem);
}

}  // namespace inlay::task
