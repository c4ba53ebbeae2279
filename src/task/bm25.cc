// Words, stems, counts: see bm25.h.
#include "task/bm25.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "files/word_lists.h"
#include "task/stemmer.h"
#include "task/word_vector.h"
#include "tokens/unicode.h"

namespace inlay::task {
namespace {

// \w of Python's re: str.isalnum() or '_'. Marks are not in it, so neither is U+0307 of U+0130's
// lower case.
bool is_word(char32_t c) noexcept {
  return c == U'_' || tokens::has(c, tokens::kLetter | tokens::kNumber);
}

// Cased and case-ignorable of the Unicode standard, 3.13, among word characters.
bool is_cased(char32_t c) noexcept {
  return tokens::has(c, tokens::kLu | tokens::kLl | tokens::kLt) || c == 0xAA || c == 0xBA ||
         (c >= 0x2160 && c <= 0x217F);
}
bool is_case_ignorable(char32_t c) noexcept { return tokens::has(c, tokens::kLm); }

// str.lower()'s context for the capital sigma: final after a cased character and before none.
bool is_final_sigma(std::u32string_view word, std::size_t at) noexcept {
  std::size_t before = at;
  while (before > 0 && is_case_ignorable(word[before - 1])) --before;
  if (before == 0 || !is_cased(word[before - 1])) return false;
  std::size_t after = at + 1;
  while (after < word.size() && is_case_ignorable(word[after])) ++after;
  return after == word.size() || !is_cased(word[after]);
}

// Appends the words of one run of word characters in lower case: one, but for U+0130 inside.
void add_words(std::u32string_view run, std::vector<std::u32string>* out) {
  std::u32string word;
  const auto end = [&] {
    if (!word.empty()) out->push_back(std::move(word));
    word.clear();
  };
  for (std::size_t i = 0; i < run.size(); ++i) {
    if (run[i] == 0x3A3) {
      word += is_final_sigma(run, i) ? char32_t{0x3C2} : char32_t{0x3C3};
      continue;
    }
    const auto lower = tokens::to_lower(run[i]);
    for (const char32_t c : {lower.first, lower.second}) {
      if (c == 0) continue;
      if (is_word(c)) {
        word += c;
      } else {
        end();
      }
    }
  }
  end();
}

std::vector<std::u32string> words_of(std::string_view text) {
  std::vector<std::u32string> words;
  std::u32string run;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = utf8_decode(text, at);
    at += c.bytes;
    if (is_word(c.value)) {
      run += c.value;
    } else if (!run.empty()) {
      add_words(run, &words);
      run.clear();
    }
  }
  add_words(run, &words);
  return words;
}

void require(bool good, std::string_view where, std::string_view expected, double got) {
  if (good) return;
  fail(ErrorCode::kUsage, where,
       "expected " + std::string(expected) + ", got " + std::to_string(got) + ".");
}

void require_language(std::string_view language) {
  const auto known = files::stop_word_languages();
  if (std::find(known.begin(), known.end(), language) != known.end()) return;
  std::string names;
  for (const auto name : known) names += (names.empty() ? "" : ", ") + std::string(name);
  fail(ErrorCode::kUsage, "--language",
       "expected one of " + names + ", got \"" + printable(language) + "\".");
}

}  // namespace

void check_bm25(const Bm25Options& options) {
  require(std::isfinite(options.k) && options.k >= 0, "--bm25-k", "a number of at least 0",
          options.k);
  require(options.b >= 0 && options.b <= 1, "--bm25-b", "a number from 0 to 1", options.b);
  require(std::isfinite(options.avg_len) && options.avg_len > 0, "--bm25-avg-len",
          "a number above 0", options.avg_len);
  require_language(options.language);
}

double bm25_weight(const Bm25Options& options, double n, double length) noexcept {
  return n * (options.k + 1) /
         (n + options.k * (1 - options.b + options.b * length / options.avg_len));
}

Bm25::Bm25(Bm25Options options, std::vector<std::string> stop_words)
    : options_(std::move(options)) {
  check_bm25(options_);
  if (options_.disable_stemmer) return;
  const Stemmer here(options_.language);  // a library without the language is told now
  for (auto& word : stop_words) stop_words_.insert(std::move(word));
}

std::vector<std::string> Bm25::terms(std::string_view text) const {
  std::vector<std::string> out;
  std::optional<Stemmer> stemmer;
  if (!options_.disable_stemmer) stemmer.emplace(options_.language);
  std::string word;
  for (const auto& characters : words_of(text)) {
    if (characters == U"_" || characters.size() > options_.token_max_length) continue;
    word.clear();
    for (const char32_t c : characters) utf8_append(word, c);
    if (stop_words_.contains(word)) continue;
    if (stemmer) stemmer->stem(&word);
    if (!word.empty()) out.push_back(word);
  }
  return out;
}

SparseVector Bm25::document(const std::vector<std::string>& terms, bool words) const {
  std::unordered_map<std::string_view, std::size_t> counts;
  std::vector<std::string_view> order;  // of first occurrence
  for (const auto& term : terms) {
    if (++counts[term] == 1) order.push_back(term);
  }
  const auto length = static_cast<double>(terms.size());
  WordVector vector;
  for (const auto term : order) {
    vector.set(word_index(term), bm25_weight(options_, static_cast<double>(counts[term]), length),
               term);
  }
  return std::move(vector).take(words);
}

SparseVector Bm25::query(const std::vector<std::string>& terms, bool words) const {
  WordVector vector;
  for (const auto& term : terms) vector.set(word_index(term), 1, term);
  return std::move(vector).take(words);
}

}  // namespace inlay::task
