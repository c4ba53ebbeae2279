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

// What belongs to a matrix of e4m3. Where its input is a norm's, the norm's weight is multiplied
// into the columns and its bias into the product's. Offsets are bytes in the weights' block, of
// what is computed with the matrix: see Api::upload_e4m3.
struct E4M3Matrix {
  WeightRef factor, shift;            // the norm's weight and bias, each may be absent
  std::vector<WeightRef> biases;      // of the parts; empty: none
  std::int64_t input_scale = -1;      // where what its input is multiplied by lies; -1: a norm's
  std::int64_t scales = 0, bias = 0;  // fp32, [n] each
  // fp32 [1], what results in columns [bound_begin, bound_end) can be multiplied by as e4m3: no
  // input of unit variance makes a larger one. -1: not asked for.
  std::int64_t out_scale = -1, bound_begin = 0, bound_end = 0;
};

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
  E4M3Matrix e4m3;                                    // kMatrix of Type::kE4M3
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
// Tokens of a submission at most: on an H200's 66 pairs of multiprocessors products of the common
// widths come out in whole rounds of tiles, and the slots of a BERT-large stay under a GiB.
inline constexpr std::int64_t kChunkTokens = 33792;
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
// The 16-bit type that a Program's values fit: RMS norms and gated layers go with activations that
// leave fp16's range.
Type narrow_type(const Program& program);

Plan make_plan(const Program& program, const CompileOptions& options,
               std::int64_t chunk_tokens = kChunkTokens);

// Weights and slots lie in the device's memory; the process has what is copied to and from it.
MemoryPlan memory_of(const Plan& plan);

}  // namespace inlay::backend::cuda
