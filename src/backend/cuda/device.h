// The border between Inlay and libinlay_cuda.so: plain structs and a table of functions. The host's
// part of this room (plan*.cc, executable.cc) knows Programs and no CUDA; the library (device/)
// knows CUDA and no Program. Both are built from this header; kInterface tells other builds apart.
#pragma once

#include <cmath>
#include <cstdint>

#include "program/activation.h"

namespace inlay::backend::cuda {

inline constexpr std::uint32_t kInterface = 3;  // raised with every change of this file
inline constexpr const char* kEntry = "inlay_cuda_api";

// kE4M3: floats of 8 bits, 4 of exponent and 3 of mantissa, for the factors of products alone.
enum class Type : std::int32_t { kF32, kF16, kBF16, kE4M3 };
constexpr std::int64_t type_bytes(Type type) {
  return type == Type::kF32 ? 4 : type == Type::kE4M3 ? 1 : 2;
}
inline constexpr float kMostE4M3 = 448;  // the largest number in it
// What normed rows are multiplied by as kE4M3: no element of one is larger than the root of its
// width, and three bits of mantissa are three bits at any scale.
inline float e4m3_scale_of_norm(std::int64_t width) {
  return kMostE4M3 / std::sqrt(static_cast<float>(width));
}

enum class RowKind : std::int32_t { kTokens, kTexts, kSpans };

// The blocks of device memory that a session holds.
enum class Block : std::int32_t { kNone, kWeights, kSlots, kOutputs };

// A matrix [rows, width] of a session's memory. Zero: absent.
struct Place {
  std::int64_t offset;  // bytes from the block's start, to the first element
  std::int64_t ld;      // elements from row to row
  Block block;
  Type type;
  RowKind rows;
};
inline bool present(const Place& place) { return place.block != Block::kNone; }

// Query rows that one block of attention threads works on.
inline constexpr std::int32_t kQueryBlock = 64;

// Operations. `weight` and `bias` of norms are fp32, [width]; tables and matrices of products have
// the session's type; biases of products lie in both, since who adds them depends on the product.
// `quantized` of norms, if present: e4m3 rows as they are before weight and bias, times
// e4m3_scale_of_norm(); `out` may be absent then. Products that read them have weight and bias in
// their own.
struct EmbedOp {  // norm(scale * tokens[id] + types[type] + positions[position]); eps < 0: no norm
  Place tokens, positions, types, weight, bias, out, quantized;
  std::int64_t width;
  std::int32_t position_rule;
  float scale, eps;
  bool rms;
};
struct NormOp {  // norm(in + residual) * weight + bias; `sum`, if present, gets in + residual
  Place in, residual, sum, weight, bias, out, quantized;
  std::int64_t width;
  float eps;
  bool rms;
};
struct LinearOp {                         // activation(in W^T + b)
  Place in, weight, bias, bias_f32, out;  // weight: [n, k]
  Place scales;       // e4m3 factors: fp32 [n], what each column's sums are multiplied by
  Place out_scale;    // e4m3 results: fp32 [1], what they are multiplied by
  std::int64_t rows;  // 0: as many as `out` has
  std::int64_t n, k;
  Activation activation;
};
struct GateOp {  // activation(in[:, :width]) * in[:, width:]
  Place in, out;
  std::int64_t width;
  Activation activation;
};
struct PrepareOp {  // norms and turns heads of queries or keys, in place if in is out
  Place in, out, weight, bias, turns;  // turns: fp32 [positions][2 pairs], cosines before sines
  std::int64_t heads, head_size, pairs;
  float eps;
  bool rms, whole, interleaved, last_row;
};
struct AttentionOp {
  Place query, key, value, out;  // query rows: kTokens, or kTexts for one row a text
  Place out_scale;               // as of LinearOp
  Place relative_bias;           // fp32 [heads][2 reach + 1], times log2(e)
  Place alibi;                   // fp32 [heads], times log2(e)
  Place position_keys,
      position_queries;  // fp32 [positions, heads * head_size], times scale log2(e)
  Place distances;       // int32 [2 reach_distance + 1]: rows of those two
  std::int64_t heads, kv_heads, head_size, window, reach, reach_distance;
  float scale;  // times log2(e)
  bool causal, last_row, probabilities;
};
struct AddOp {
  Place a, b, out;
  std::int64_t width;
};
struct SelectOp {
  Place in, out;
  std::int64_t width;
  bool last;
};
struct PoolOp {  // one mode; PoolMode as a number (program.h)
  Place in, out;
  std::int64_t width;
  std::int32_t mode;
  bool spans;
};
struct RowOp {  // the first columns, normalised or not, of any type to any type
  Place in, out;
  std::int64_t width;
  bool normalize;
};
struct VocabularyOp {
  Place in, weight, bias, logits, out;  // logits: fp32, kVocabularyTile columns; bias: fp32
  std::int64_t n, k;
  bool sum, twice;
};
// Whether attention runs on the matrix units of 16-bit types; only that writes e4m3. `op.out`
// apart.
inline bool is_matrix_attention(const AttentionOp& op) {
  const auto aligned = [](const Place& place) {
    return place.offset % 16 == 0 && place.ld * type_bytes(place.type) % 16 == 0;
  };
  const bool size =
      op.head_size == 32 || op.head_size == 64 || op.head_size == 96 || op.head_size == 128;
  return op.query.type != Type::kF32 && size && op.query.rows == RowKind::kTokens &&
         !op.probabilities && !present(op.distances) && aligned(op.query) && aligned(op.key) &&
         aligned(op.value);
}
// Columns of the vocabulary whose logits exist at one time.
inline constexpr std::int64_t kVocabularyTile = 1024;

// In place: each expert's `hidden` columns of `middle` times what the row's router gives it, the
// softmax over all where the expert is among the row's top_k, else zero.
struct ExpertsOp {
  Place logits, middle;  // fp32 [rows, experts]; [rows, experts * hidden]
  std::int64_t experts, hidden, top_k;
};
inline constexpr std::int64_t kMostExperts = 64;

enum class OpKind : std::int32_t {
  kEmbed,
  kNorm,
  kLinear,
  kGate,
  kPrepare,
  kAttention,
  kAdd,
  kSelect,
  kPool,
  kRow,
  kVocabulary,
  kExperts
};
struct Op {
  OpKind kind;
  union {
    EmbedOp embed;
    NormOp norm;
    LinearOp linear;
    GateOp gate;
    PrepareOp prepare;
    AttentionOp attention;
    AddOp add;
    SelectOp select;
    PoolOp pool;
    RowOp row;
    VocabularyOp vocabulary;
    ExpertsOp experts;
  };
};

// What one submission holds.
struct BatchShape {
  std::int64_t tokens, texts, spans, items;
};

// Where the arrays of a batch lie in a staging block, in elements of int32. The same on both sides
// of the border and on the device.
struct InputLayout {
  std::int64_t ids, types, positions, row_positions, offsets, pool_begin, key_counts, spans, items;
  std::int64_t total;
};
struct InputKinds {
  std::int32_t position_rules;
  bool types, row_positions;
};
inline InputLayout input_layout(const BatchShape& shape, const InputKinds& kinds) {
  InputLayout at{};
  std::int64_t end = 0;
  const auto take = [&end](std::int64_t count) {
    const std::int64_t begin = end;
    end += (count + 3) / 4 * 4;  // 16-byte boundaries
    return begin;
  };
  at.ids = take(shape.tokens);
  at.types = take(kinds.types ? shape.tokens : 0);
  at.positions = take(shape.tokens * kinds.position_rules);  // rule after rule
  at.row_positions = take(kinds.row_positions ? shape.tokens : 0);
  at.offsets = take(shape.texts + 1);
  at.pool_begin = take(shape.texts);
  at.key_counts = take(shape.texts);
  at.spans = take(2 * shape.spans);  // begin, end
  at.items = take(4 * shape.items);  // kQueryBlock query rows each: the text's first row, its
                                     // length, the first query row in it, its keys
  at.total = end;
  return at;
}

struct OutputSpec {
  RowKind rows;
  std::int64_t width, offset;  // offset: bytes in Block::kOutputs
};

// One after the other in execution order; the session copies them.
struct SessionSpec {
  std::int32_t device;
  Type type;
  const Op* setup;  // run once, when the weights are there
  std::int64_t setup_count;
  const Op* ops;
  std::int64_t op_count;
  const OutputSpec* outputs;
  std::int64_t output_count;
  InputKinds inputs;
  BatchShape most;                                                   // of a submission
  std::int64_t weight_bytes, slot_bytes, output_bytes, input_words;  // input_words: a submission
};

inline constexpr std::int64_t kMessageBytes = 512;
struct Message {
  char text[kMessageBytes];
};

// What kind of failure a message tells.
enum class Status : std::int32_t { kOk, kUnavailable, kOutOfMemory, kFailed };

// One GPU of this machine.
struct DeviceFacts {
  char name[128];
  std::int32_t major, minor;
  std::int64_t memory_bytes;
};
struct ProbeReport {
  Status status;
  Message reason, remedy;  // when not kOk
  std::int32_t devices;
  std::int32_t driver_version, runtime_version;  // 13000: 13.0
  std::int64_t cublaslt_version;
};

// Page-locked memory that weights go through on their way to the device.
inline constexpr std::int64_t kBounceBytes = std::int64_t{16} << 20;

// Submissions that may be under way at a time: while one runs, the next is filled.
inline constexpr int kStages = 2;

struct Session;  // of one thread at a time, but for wait(), inputs(), outputs() and padded()

// Every function sets the device that it needs. None throws.
struct Api {
  std::uint32_t interface;
  const char* version;  // of Inlay
  void (*probe)(ProbeReport* report);
  Status (*device_facts)(std::int32_t device, DeviceFacts* facts, Message* message);
  // Allocates all memory that a session will use, page-locked staging included.
  Status (*create)(const SessionSpec* spec, Session** session, Message* message);
  // Weights: fp32 in, stored as `type` at `offset` of Block::kWeights, `columns` a row, rows `ld`
  // elements apart (what lies between is left). int32 words go in by upload_words.
  Status (*upload)(Session*, const float* values, std::int64_t rows, std::int64_t columns,
                   std::int64_t offset, std::int64_t ld, Type type, Message* message);
  // Whole rows as e4m3: row r of values, times `factors` column by column (null: 1), times
  // 1 / scales[r], rounded; the scale is the one of eleven whose squared error is least. Also of
  // each row: shares[r] = sum over columns of values * shifts (null: 0), lengths[r] the root of the
  // sum of squares after `factors`.
  Status (*upload_e4m3)(Session*, const float* values, std::int64_t rows, std::int64_t columns,
                        const float* factors, const float* shifts, std::int64_t offset,
                        std::int64_t ld, float* scales, float* shares, float* lengths,
                        Message* message);
  Status (*upload_words)(Session*, const std::int32_t* values, std::int64_t count,
                         std::int64_t offset, Message* message);
  // After the last upload: setup operations, algorithms of the products.
  Status (*prepare)(Session*, Message* message);
  std::int32_t* (*inputs)(Session*, int stage);  // page-locked, input_words
  const char* (*outputs)(Session*, int stage);   // page-locked, laid out as Block::kOutputs
  // The shape that `shape` runs as: itself, or that of a recorded graph, which is larger. Inputs
  // are laid out by it: ids and the rest 0 behind the batch's own, further texts of no tokens at
  // the end, items of no tokens.
  BatchShape (*padded)(Session*, const BatchShape* shape);
  Status (*submit)(Session*, int stage, const BatchShape* shape, const BatchShape* padded,
                   Message* message);
  Status (*wait)(Session*, int stage, Message* message);
  // The last submission `repeats` times more, without copies, for benches: milliseconds of each
  // operation, [op_count], and of all of them without pauses between; what does operation `op`.
  // Always operation by operation, also where the submission ran as one launch.
  Status (*time)(Session*, int repeats, float* operations, float* all, Message* message);
  Status (*describe)(Session*, std::int64_t op, Message* text);
  void (*destroy)(Session*);
};

}  // namespace inlay::backend::cuda
