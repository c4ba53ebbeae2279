// Running a plan's operations over one chunk of texts, alone or as one of a team of threads.
#pragma once

#include "backend/cpu/plan.h"
#include "base/threads.h"
#include "batch/packed_batch.h"

namespace inlay::backend::cpu {

// Texts [text_begin, text_end) of a batch.
struct Chunk {
  Index text_begin = 0, text_end = 0;
  bool team = false;  // all threads work on it together
};

// One thread's part in a chunk. Threads of a team share everything but rank and scratch.
struct ChunkRun {
  const Plan& plan;
  const Kernels& kernels;
  const float* weights;  // the packed block
  const PackedBatch& batch;
  const std::int32_t* position_ids;  // [rules][position_stride], a batch's tokens each
  Index position_stride;
  const std::vector<std::vector<std::int32_t>>& distances;  // Plan::distances, tables of 2 P - 1
  Chunk chunk;
  float* slots;      // of the chunk
  Index token_rows;  // rows that the slots were laid out for
  Index text_rows;
  float* scratch;                          // this thread's
  std::span<const std::span<float>> outs;  // the whole batch's
  int rank = 0, team = 1;
  Barrier* barrier = nullptr;    // of the team; unused when alone
  double* op_seconds = nullptr;  // null, or a number an operation, to which its time is added
};

void run_ops(const ChunkRun& run);

}  // namespace inlay::backend::cpu
