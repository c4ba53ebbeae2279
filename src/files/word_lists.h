// Lists of words in the folders of models that weigh words: stop words of Qdrant/bm25
// (LANGUAGE.txt) and of models for one language (stopwords.txt), and the names of the other files
// that fastembed publishes beside them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace inlay::files {

inline constexpr std::string_view kStopWords = "stopwords.txt";
inline constexpr std::string_view kMiniCoilHeads = "minicoil.triplet.model.npy";
inline constexpr std::string_view kMiniCoilVocab = "minicoil.triplet.model.vocab";

// The languages of Qdrant/bm25, in fastembed's order.
std::span<const std::string_view> stop_word_languages() noexcept;

// Whether a file at the top of a folder is one of the files named here.
bool is_word_file(std::string_view name) noexcept;

// The ones without which the model of that id is not the published one; none for other models.
std::vector<std::string> word_files(std::string_view id);

// One word a line; empty lines hold none. Throws kBadInput naming `where` for what is not UTF-8.
std::vector<std::string> parse_stop_words(std::string_view text, const std::string& where);

}  // namespace inlay::files
