// Texts that ship with Inlay, for verify, bench and measuring: made of some 140 sentences on twelve
// subjects, so that of any text others are near and most are far. The same on every machine.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace inlay::report {

// Blocks divided by an empty line, a subject each: two questions, statements in English, and last
// two in other languages.
std::string_view text_bank();

struct TextSet {
  std::vector<std::string> queries, documents;
};

// For `inlay verify`: 24 questions and 38 documents of nine languages, of 4 to some 200 tokens.
TextSet verify_texts();
// A part of it for models that read question and document together: 3 questions, 14 documents.
TextSet verify_pairs();

// `count` texts of one to eight sentences on one subject, no two of the first 10,000 alike; the
// first 100 have 400 characters on average. The shorter list is the beginning of the longer.
std::vector<std::string> bench_texts(std::size_t count);

}  // namespace inlay::report
