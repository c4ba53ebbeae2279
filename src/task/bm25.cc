// Words, stems, counts: see bm25.h.
#include "task/bm25.h"

#include <libstemmer.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
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

struct StemmerEnd {
  void operator()(sb_stemmer* stemmer) const noexcept { sb_stemmer_delete(stemmer); }
};
using Stemmer = std::unique_ptr<sb_stemmer, StemmerEnd>;

// A handle is one thread's alone; making one is an allocation or two, so each call has its own.
Stemmer make_stemmer(const std::string& language) {
  Stemmer stemmer(sb_stemmer_new(language.c_str(), "UTF_8"));
  if (!stemmer) {
    fail(ErrorCode::kInternal, "bm25.language",
         "expected a stemmer in libstemmer, got none for " + language);
  }
  return stemmer;
}

void require(bool good, std::string_view where, std::string_view expected, double got) {
  if (!good) {
    fail(ErrorCode::kUsage, where,
         "expected " + std::string(expected) + ", got " + std::to_string(got));
  }
}

void require_language(std::string_view language) {
  const auto& known = bm25_languages();
  if (std::find(known.begin(), known.end(), language) != known.end()) return;
  std::string names;
  for (const auto name : known) names += (names.empty() ? "" : ", ") + std::string(name);
  fail(ErrorCode::kUsage, "bm25.language",
       "expected one of " + names + ", got " + printable(language));
}

std::uint32_t index_of(std::string_view term) noexcept {
  const auto hash = static_cast<std::uint32_t>(murmur3(term));
  return (hash >> 31U) != 0 ? 0U - hash : hash;  // abs(), and 2^31 stays 2^31
}

}  // namespace

const std::vector<std::string_view>& bm25_languages() noexcept {
  static const std::vector<std::string_view> names{
      "arabic",   "danish",  "dutch",     "english", "finnish",   "french",
      "german",   "greek",   "hungarian", "italian", "norwegian", "portuguese",
      "romanian", "russian", "spanish",   "swedish", "tamil",     "turkish"};
  return names;
}

std::int32_t murmur3(std::string_view bytes) noexcept {
  const auto byte = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i]));
  };
  const auto mixed = [](std::uint32_t k) { return std::rotl(k * 0xCC9E2D51U, 15) * 0x1B873593U; };
  std::uint32_t h = 0;
  std::size_t at = 0;
  for (; at + 4 <= bytes.size(); at += 4) {
    h ^= mixed(byte(at) | byte(at + 1) << 8U | byte(at + 2) << 16U | byte(at + 3) << 24U);
    h = std::rotl(h, 13) * 5 + 0xE6546B64U;
  }
  std::uint32_t tail = 0;
  for (std::size_t i = bytes.size(); i > at; --i) tail = tail << 8U | byte(i - 1);
  h ^= mixed(tail);
  h ^= static_cast<std::uint32_t>(bytes.size());
  h = (h ^ h >> 16U) * 0x85EBCA6BU;
  h = (h ^ h >> 13U) * 0xC2B2AE35U;
  return static_cast<std::int32_t>(h ^ h >> 16U);
}

std::vector<std::string> read_stop_words(const std::string& folder, std::string_view language,
                                         bool* found) {
  require_language(language);
  const auto path = std::filesystem::path(folder) / (std::string(language) + ".txt");
  const bool exists = std::filesystem::exists(path);
  if (found != nullptr) *found = exists;
  std::vector<std::string> words;
  if (!exists) return words;
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file || !utf8_valid(text)) {
    fail(ErrorCode::kBadInput, path.string(), "expected readable UTF-8 text, got other bytes");
  }
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find_first_of("\r\n", at), text.size());
    if (end > at) words.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

Bm25::Bm25(Bm25Options options, std::vector<std::string> stop_words)
    : options_(std::move(options)) {
  require(std::isfinite(options_.k) && options_.k >= 0, "bm25.k", "a number of at least 0",
          options_.k);
  require(options_.b >= 0 && options_.b <= 1, "bm25.b", "a number from 0 to 1", options_.b);
  require(std::isfinite(options_.avg_len) && options_.avg_len > 0, "bm25.avg_len",
          "a number above 0", options_.avg_len);
  require_language(options_.language);
  if (options_.disable_stemmer) return;
  make_stemmer(options_.language);  // a library without the language is told now
  for (auto& word : stop_words) stop_words_.insert(std::move(word));
}

std::vector<std::string> Bm25::terms(std::string_view text) const {
  std::vector<std::string> out;
  const Stemmer stemmer = options_.disable_stemmer ? nullptr : make_stemmer(options_.language);
  // libstemmer 2.2 reads U+0451 as U+0435 in Russian, py_rust_stemmers takes it for a letter of no
  // group. U+E000 is in no group either, and no word has it.
  const bool hide_io = options_.language == "russian";
  std::string word;
  for (const auto& characters : words_of(text)) {
    if (characters == U"_" || characters.size() > options_.token_max_length) continue;
    word.clear();
    for (const char32_t c : characters) utf8_append(word, c);
    if (stop_words_.contains(word)) continue;
    if (stemmer) {
      if (hide_io) {
        word.clear();
        for (const char32_t c : characters) utf8_append(word, c == 0x451 ? char32_t{0xE000} : c);
      }
      const auto* stem =
          sb_stemmer_stem(stemmer.get(), reinterpret_cast<const sb_symbol*>(word.data()),
                          static_cast<int>(word.size()));
      if (stem == nullptr)
        fail(ErrorCode::kMemoryLimit, "bm25", "expected memory for a stem, got none");
      word.assign(reinterpret_cast<const char*>(stem),
                  static_cast<std::size_t>(sb_stemmer_length(stemmer.get())));
      if (hide_io) {
        for (std::size_t at = 0; (at = word.find("\xEE\x80\x80", at)) != std::string::npos;) {
          word.replace(at, 3, "\xD1\x91");
        }
      }
    }
    if (!word.empty()) out.push_back(word);
  }
  return out;
}

void Bm25::document(std::string_view text, Bm25Vector* out) const {
  const auto terms = this->terms(text);
  std::unordered_map<std::string_view, std::size_t> counts;
  std::vector<std::string_view> order;  // of first occurrence
  for (const auto& term : terms) {
    if (++counts[term] == 1) order.push_back(term);
  }
  const double length = static_cast<double>(terms.size());
  const double norm = options_.k * (1 - options_.b + options_.b * length / options_.avg_len);
  std::map<std::uint32_t, double> values;
  for (const auto term : order) {
    const auto n = static_cast<double>(counts[term]);
    values[index_of(term)] = n * (options_.k + 1) / (n + norm);
  }
  out->indices.clear();
  out->values.clear();
  for (const auto& [index, value] : values) {
    out->indices.push_back(index);
    out->values.push_back(static_cast<float>(value));
  }
}

void Bm25::query(std::string_view text, Bm25Vector* out) const {
  out->indices.clear();
  for (const auto& term : terms(text)) out->indices.push_back(index_of(term));
  std::sort(out->indices.begin(), out->indices.end());
  out->indices.erase(std::unique(out->indices.begin(), out->indices.end()), out->indices.end());
  out->values.assign(out->indices.size(), 1.0F);
}

}  // namespace inlay::task
