// Relevance scores out, a jsonl line a text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "inlay/inlay.hpp"
#include "io/output_file.h"

namespace inlay::io {

// In input order: {"index":0,"score":0.98,"tokens":7,"truncated":false,"prompt":null}; with several
// labels "scores":[...],"labels":[...]; a pair without a result has "error" in their place. Throws
// kCannotWrite.
void write_scores(OutputFile& out, const Result& result, std::int64_t first_index);

// Gathers the scores of one query's texts, then writes them best first, ties by index, errors last,
// with "text". Not thread-safe.
class Ranking {
 public:
  // `result` has one label.
  void add(const Result& result);
  // The best `top` of them (0: all); texts[i] is the text of index i.
  void write(OutputFile& out, const std::vector<std::string>& texts, std::size_t top) const;

 private:
  struct Entry {
    float score;
    TextInfo info;
  };
  std::vector<Entry> entries_;  // by index
};

}  // namespace inlay::io
