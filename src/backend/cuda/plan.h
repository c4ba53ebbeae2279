// A Program as this room runs it: the operations of device.h in order, where each value lies in the
// slots' block, and what the weights' block holds. Made from shapes alone; executable.cc fills in
// the weights and runs it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/cuda/device.h"
#include "program/program.h"

namespace inlay::backend::cuda {

// Scores are exponents of two.
inline constexpr float kLog2E = 1.44269504F;

// A weight to be stored: how, and from what. Identical ones (a tied matrix) are stored once.
constexpr std::int64_t round_up(std::int64_t x, std::int64_t to) { return (x + to - 1) / to * to; }

struct WeightSpec {
  enum class Kind {
    kMatrix,   // [n, k], parts stacked by rows, times factor
    kVector,   // n values, parts one after the other, times factor; `fill` where a part is absent
    kColumns,  // one part [n, k] as k rows of n, times factor
    kTurns,    // n positions: k / 2 cosines, then k / 2 sines
    kNumbers,  // `numbers` times factor
    kWords,    // int32: the row of disentangled attention's tables for each distance
    kSpace,    // [n, k]: written by a setup operation
  };
  Kind kind = Kind::kMatrix;
  Type type = Type::kF32;
  std::vector<WeightRef> parts;
  std::int64_t n = 0, k = 0, ld = 0;
  float factor = 1, fill = 0;
  Rope rope;                                          // kTurns
  std::vector<float> numbers;                         // kNumbers
  std::int64_t span = 0, buckets = 0, positions = 0;  // kWords
  std::int64_t offset = 0;                            // bytes in the weights' block
  std::int64_t bytes() const;
};

// How an embed step numbers positions (program.h, EmbedStep).
struct PositionRule {
  std::int32_t offset = 0, pad_id = -1;
  bool operator==(const PositionRule&) const = default;
};

// What a submission holds at most.
struct Capacity {
  std::int64_t tokens = 0, texts = 0, text_tokens = 0;
};
// Tokens of a submission at most: enough to fill any GPU of today, few enough that the slots of a
// BERT-large stay under half a GiB.
inline constexpr std::int64_t kChunkTokens = 16384;
Capacity capacity_of(const CompileOptions& options, std::int64_t chunk_tokens = kChunkTokens);

struct Plan {
  Capacity capacity;
  Type type = Type::kF32;
  std::vector<Op> setup, ops;
  std::vector<WeightSpec> weights;
  std::vector<OutputSpec> outputs;
  std::vector<PositionRule> position_rules;
  bool row_positions = false;  // whether an operation asks for each row's place in its text
  std::int64_t weight_bytes = 0, slot_bytes = 0, output_bytes = 0;
  // What a batch may hold, over all embed steps; -1: any number.
  std::int64_t vocab_size = -1, type_count = -1, max_positions = -1;

  InputKinds inputs() const {
    return {static_cast<std::int32_t>(position_rules.size()), type_count >= 0, row_positions};
  }
  // Of one submission: what it holds at most, and the int32 that its arrays take then.
  BatchShape most() const;
  std::int64_t input_words() const { return input_layout(most(), inputs()).total; }
};

Type type_of_dtype(const std::string& dtype);  // "fp32", "fp16", "bf16"

Plan make_plan(const Program& program, const CompileOptions& options,
               std::int64_t chunk_tokens = kChunkTokens);

// Weights and slots lie in the device's memory; the process has what is copied to and from it.
MemoryPlan memory_of(const Plan& plan);

}  // namespace inlay::backend::cuda
