// Holds a batch against what was compiled, before anything is read by its indices.
#pragma once

#include <cstdint>

#include "batch/packed_batch.h"

namespace inlay {

struct BatchLimits {
  std::int64_t tokens = 0, texts = 0;  // of a batch at most
  std::int64_t text_tokens = 0;        // of one text at most
  std::int64_t vocab_size = -1;        // ids lie below; -1: whatever they are
  std::int64_t type_count = -1;        // types likewise
};

// Throws kInternal naming the room for a batch beyond the limits, or one whose ids, offsets, spans
// or counts would lead outside the arrays that they are read with, whoever made it.
void check_batch(const char* room, const PackedBatch& batch, const BatchLimits& limits);

}  // namespace inlay
