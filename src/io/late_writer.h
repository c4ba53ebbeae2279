// Token vectors out, alone or beside the other outputs of a pass; a jsonl line a text.
#pragma once

#include <cstdint>

#include "inlay/inlay.hpp"
#include "io/output_file.h"

namespace inlay::io {

// {"index":0,"vectors":[[...],...],"tokens":7,"truncated":false,"prompt":null}. A text without a
// result: {"index":0,"error":"...",...}. Throws kCannotWrite.
void write_late(OutputFile& out, const Result& result, std::int64_t first_index);

// Likewise: "embedding", then "indices" and "values" when the result has sparse vectors, then
// "vectors" when it has token vectors.
void write_joint(OutputFile& out, const Result& result, std::int64_t first_index);

}  // namespace inlay::io
