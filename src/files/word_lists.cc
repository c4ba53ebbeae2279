// See word_lists.h.
#include "files/word_lists.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/utf8.h"
#include "files/known_models.h"

namespace inlay::files {
namespace {

constexpr std::array<std::string_view, 18> kLanguages{
    "arabic",   "danish",  "dutch",     "english", "finnish",   "french",
    "german",   "greek",   "hungarian", "italian", "norwegian", "portuguese",
    "romanian", "russian", "spanish",   "swedish", "tamil",     "turkish"};
constexpr std::string_view kNoList = "tamil";  // has a stemmer, but no stop words in Qdrant/bm25

}  // namespace

std::span<const std::string_view> stop_word_languages() noexcept { return kLanguages; }

bool is_word_file(std::string_view name) noexcept {
  if (name == kStopWords || name == kMiniCoilHeads || name == kMiniCoilVocab) return true;
  return std::any_of(kLanguages.begin(), kLanguages.end(), [&](std::string_view language) {
    return name.starts_with(language) && name.substr(language.size()) == ".txt";
  });
}

std::vector<std::string> word_files(std::string_view id) {
  const KnownModel* known = find_known_model(id);
  if (known == nullptr) return {};
  const std::string_view name = known->short_name;
  if (name == "bm42") return {std::string(kStopWords)};
  if (name == "minicoil")
    return {std::string(kStopWords), std::string(kMiniCoilHeads), std::string(kMiniCoilVocab)};
  std::vector<std::string> files;
  if (!needs_files(*known)) {
    for (const std::string_view language : kLanguages) {
      if (language != kNoList) files.push_back(std::string(language) + ".txt");
    }
  }
  return files;
}

std::vector<std::string> parse_stop_words(std::string_view text, const std::string& where) {
  const std::size_t valid = utf8_valid_prefix(text);
  if (valid != text.size()) {
    fail(ErrorCode::kBadInput, where,
         "expected words in UTF-8, got another byte at offset " + std::to_string(valid) +
             ". Fetch the model again.");
  }
  std::vector<std::string> words;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find_first_of("\r\n", at), text.size());
    if (end > at) words.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

}  // namespace inlay::files
