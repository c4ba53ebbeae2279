// Sparse vectors out, a jsonl line a text.
#pragma once

#include <cstdint>
#include <string>

#include "inlay/inlay.hpp"
#include "io/output_file.h"

namespace inlay::io {

// {"index":0,"indices":[...],"values":[...],"tokens":7,"truncated":false,"prompt":null}; with
// `words` also "words":[...], the vocabulary's tokens. A text without a result:
// {"index":0,"error":"...",...}. Not thread-safe. Throws kCannotWrite.
class SparseWriter {
 public:
  SparseWriter(OutputFile& out, const Engine& engine, bool words)
      : out_(out), engine_(engine), words_(words) {}
  void write(const Result& result, std::int64_t first_index);

 private:
  OutputFile& out_;
  const Engine& engine_;
  const bool words_;
  std::string line_;
};

// `,"indices":[...],"values":[...]`.
void append_sparse(std::string& line, const SparseVector& vector);

}  // namespace inlay::io
