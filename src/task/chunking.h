// Late chunking: which tokens of a text each chunk pools, and which windows of it go through the
// model. After Guenther et al. 2024 (arXiv:2409.04701, "late chunking" and "long late chunking")
// and its authors' code (github.com/jina-ai/late-chunking). Knows no model and no device.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "inlay/inlay.hpp"
#include "task/task.h"
#include "tokens/tokenizer.h"

namespace inlay::task {

// ChunkOptions with every default filled in.
struct ChunkPlan {
  ChunkBy by = ChunkBy::kTokens;
  std::int64_t tokens = 0, overlap = 0;         // of a chunk, without special tokens and prompt
  std::int64_t sentences = 0;                   // 0: as many as fit
  std::int64_t window = 0, window_overlap = 0;  // of what goes through the model at once
};

// `max_length`: the most tokens of a text; `special_tokens` of them are not the text's. Throws
// kUsage for what does not fit.
ChunkPlan plan_chunking(const ChunkOptions& options, std::int64_t max_length, int special_tokens);

// A text, uncut, with offsets.
struct ChunkedText {
  const tokens::Encoding& encoding;  // of prompt and text
  std::string_view text;             // without the prompt
  std::size_t prompt_bytes = 0;      // before it, where offsets begin
  std::int32_t pool_begin = 0;       // rows that are left out of pooling at the start
};

// A chunk and the rows [begin, end) of the encoding that it pools.
struct PlannedChunk {
  Chunk chunk;
  std::int32_t begin = 0, end = 0;
};

// A token belongs to the chunk that holds its last character. What stands before the text's first
// token (special tokens, prompt) is pooled with that, what stands behind its last with the last; a
// text without tokens is one chunk of all rows. `spans`: the caller's chunks, or null. Throws
// kBadInput, naming `where`, for spans outside the text and chunks longer than a window.
std::vector<PlannedChunk> plan_chunks(const ChunkedText& text, const ChunkPlan& plan,
                                      const std::vector<Span>* spans, const std::string& where);

// All rows, where they are no more than a window. Else windows of at most plan.window rows, each
// beginning plan.window_overlap rows before the first chunk that none before it holds whole. A
// chunk is pooled in the first window that holds it whole; one without rows in none.
std::vector<Window> plan_windows(const std::vector<PlannedChunk>& chunks, std::int64_t rows,
                                 const ChunkPlan& plan);

}  // namespace inlay::task
