// How near a device's results are to the reference's, and the one table of what is near enough.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "inlay/inlay.hpp"

namespace inlay::report {

// What is let pass at a dtype. Numbers are held against the largest value of the reference's
// results (vectors of length 1 have none above 1), ties against the largest similarity of a query.
struct Tolerance {
  std::string_view dtype;
  double min_cosine;    // of any text
  double max_abs;       // times the reference's largest absolute value
  double same_nearest;  // share of the ten nearest that must be the same
  double tie;           // similarities of the reference closer than this are one rank
};
std::span<const Tolerance> tolerances();
const Tolerance& tolerance_of(std::string_view dtype);  // of an unknown one: fp32's

// Results in the order in which they were asked for. Of a search (queries > 0) the first `queries`
// texts are held against the rest; else every text against all others, at most 200 of them. Of
// reranking, `queries` times as many pairs as there are documents, query by query.
struct Answers {
  std::string task;  // "dense", "sparse", "late", "rerank"
  std::size_t queries = 0;
  Result result{};
  std::size_t size() const { return result.texts.size(); }
};

struct Agreement {
  double min_cosine = 1, mean_cosine = 1;  // rerank: of the scores of a query's documents
  double max_abs = 0;                      // largest difference of two values
  double scale = 0;                        // largest absolute value of the reference
  double same_nearest = 1;                 // share of the ten nearest that are the same
  std::int64_t nearest = 0;                // how many were compared: ten, or what there is
  std::int64_t worst = 0;                  // the text, or the query, of the least cosine
};

// Both hold the same task's results of the same texts; else throws kInternal. A text that one of
// them has no result for counts as cosine 0.
Agreement compare(const Answers& reference, const Answers& other, const Tolerance& tolerance);

// What of it is out of tolerance, a sentence each; empty: it agrees.
std::vector<std::string> disagreements(const Agreement& agreement, const Tolerance& tolerance);

}  // namespace inlay::report
