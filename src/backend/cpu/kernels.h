// The border between the plan and the instruction sets: what each kernel takes, and the table of
// them that one instruction set fills. Kernels compute; they allocate nothing, throw nothing and
// know no Program. All matrices are row-major with a leading dimension in floats.
//
// Every kernel gives a row the same bits whatever other rows, ranges or threads share its call.
#pragma once

#include <cstdint>

#include "base/mix.h"
#include "program/activation.h"
#include "program/program.h"

namespace inlay::backend::cpu {

using Index = std::int64_t;
constexpr Index round_up(Index x, Index to) { return (x + to - 1) / to * to; }

// Vectors of a row are taken 16 floats at a time on every instruction set, so that sums over a row
// have one order: 16 partial sums, then lanes i and i + 8, i + 4, i + 2, i + 1.
inline constexpr Index kLanes = 16;

// What the rows and weights of a matrix product are made of. Narrow rows (bf16, int8) are words of
// 4 bytes, 2 or 4 elements of consecutive columns each, and zeros up to a whole 64-byte line (what
// a row of an AMX tile holds); panels of narrow weights have a word of each column in turn.
//
// bf16: rounded to nearest even; products and sums are fp32.
// int8, activations: the row is mixed (base/mix.h), has a scale of its own (its largest size / 127)
// and bytes round(x / scale) in [-127, 127], plus Kernels::int8_offset; the scale, a float, stands
// behind the words. Weights: each output column is mixed likewise and has a scale; behind a panel's
// words stand its columns' scales, then the 32-bit sums to start from, which take the offset's
// share off. A sum of kInt8Most products stays within 32 bits.
enum class Element : std::uint8_t { kFp32, kBf16, kInt8 };
inline constexpr Index kInt8Most = 65536;
constexpr Index element_words(Element element, Index width) {
  if (element == Element::kFp32) return width;
  const Index in_line = element == Element::kBf16 ? 32 : 64;
  return (width + in_line - 1) / in_line * 16;
}
// Floats that a row takes, and lines of `panel` words that a weight panel takes.
constexpr Index row_floats(Element element, Index width) {
  return element_words(element, width) + (element == Element::kInt8 ? 1 : 0);
}
constexpr Index panel_lines(Element element, Index k) {
  return element_words(element, k) + (element == Element::kInt8 ? 2 : 0);
}

// The same of a weight's panel in the tables that add two words' products in 16 bits
// (Kernels::int8_pairs), where the words' order follows.
constexpr Index weight_lines(Element element, Index k, Index panel, bool pairs) {
  const Index lines = panel_lines(element, k);
  if (!pairs || element != Element::kInt8) return lines;
  return lines + (element_words(element, k) / 2 + panel) / panel;  // 16 bits a word, and one number
}

// A weight matrix [n, k] as panels of `panel` output columns: [panels][Kernels::weight_lines(k)]
// [panel], zero in the columns past n. `panel` is the instruction set's.
struct GemmArgs {
  const float* a = nullptr;  // [m, k] in `element`
  Index lda = 0;
  Index m = 0, n = 0, k = 0;
  const float* weights = nullptr;  // panels
  const float* bias = nullptr;     // [n] and zeros up to whole panels
  Activation activation = Activation::kNone;
  const float* residual = nullptr;  // [m, n] or null; may be c itself
  Index ldr = 0;
  float* c = nullptr;  // [m, n] = activation(a weights^T + bias) + residual, fp32 or bf16
  Index ldc = 0;
  bool narrow_out = false;  // c: rows of bf16
  // Panels come in pairs, a gate's and its partner's, bias likewise; c = activation(gate) * partner
  // of n columns, without a residual.
  bool gated = false;
  Element element = Element::kFp32;
  Index row_block = 0;  // rows that one unit of work covers, at least 1
  Index panels(Index panel) const { return (n + panel - 1) / panel; }
  Index units(Index panel) const { return (m + row_block - 1) / row_block * panels(panel); }
};

// out = norm(input + residual) * weight + bias over `width`; weight and bias always present. `copy`
// gets the result once more, in narrow rows.
struct NormArgs {
  const float* input = nullptr;
  Index ldi = 0;
  const float* residual = nullptr;  // or null
  Index ldr = 0;
  const float* weight = nullptr;
  const float* bias = nullptr;
  float* out = nullptr;  // may be input
  Index ldo = 0;
  Index width = 0;
  float eps = 0;
  bool rms = false;
  Element copy_element = Element::kFp32;  // kFp32: no copy
  float* copy = nullptr;
  Index ldcopy = 0;
  float* scratch = nullptr;  // for a copy in int8: width floats, rounded up to kLanes
};

// A table of rows, looked up. Rows of 16 bits widen to fp32 without rounding.
enum class TableElement : std::uint8_t { kFp32, kFp16, kBf16 };
struct Table {
  const void* rows = nullptr;
  TableElement element = TableElement::kFp32;
};

// out = scale * tokens[id] + types[type] + positions[position], then the norm when it has a weight.
struct EmbedArgs {
  Table tokens;                      // [vocab, width]
  const float* positions = nullptr;  // [most positions, width], or null
  const float* types = nullptr;      // likewise
  const std::int32_t* ids = nullptr;
  const std::int32_t* type_ids = nullptr;  // or null: all zero
  const std::int32_t* position_ids = nullptr;
  float scale = 1;
  NormArgs norm;  // input unused; out, ldo and width always set; weight null: no norm
};

// Queries or keys of consecutive rows of one text: each head's columns normed (or all of them
// together), then turned by their position.
struct PrepareArgs {
  const float* input = nullptr;
  Index ldi = 0;
  float* out = nullptr;  // may be input
  Index ldo = 0;
  Index rows = 0, heads = 0, head_size = 0;
  const float* norm_weight = nullptr;  // null: no norm
  const float* norm_bias = nullptr;
  float eps = 0;
  bool rms = false, whole = false;
  const float* turns = nullptr;  // of the first row: [pairs] cosines, [pairs] sines; null: no turn
  Index pairs = 0;
  bool interleaved = false;
};

// out[t] = the SPLADE head over the rows [offsets[t], offsets[t + 1]) of a, for weight panels
// [begin, end).
struct VocabularyArgs {
  const float* a = nullptr;  // row 0 is token offsets[0]
  Index lda = 0;
  Index n = 0, k = 0;
  const float* weights = nullptr;
  const float* bias = nullptr;
  const std::int32_t* offsets = nullptr;
  Index texts = 0;
  bool sum = false, twice = false;  // log1p taken twice
  Element element = Element::kFp32;
  float* out = nullptr;  // [texts, n]
  Index ldo = 0;
};

// One text, one head, the query rows [query_begin, query_end). Queries stand at position
// `first_position` + row in their text (for causal).
struct AttentionArgs {
  const float* q = nullptr;  // row 0 of the text, at the head's first column
  Index ldq = 0;
  const float* k = nullptr;
  Index ldk = 0;
  const float* v = nullptr;
  Index ldv = 0;
  float* out = nullptr;  // row 0 of the text; fp32, or (narrow_out) bf16 rows
  Index ldo = 0;
  Index out_column = 0;  // the head's first column of `out`
  // What queries, keys, values and probabilities are rounded to before they are multiplied:
  // attention_pack.inl says how.
  Element element = Element::kFp32;
  // q, k and v are rows of bf16, `element` too; head_size is a multiple of 32, and nothing is added
  // to scores.
  bool narrow_in = false;
  bool narrow_out = false;
  Index keys = 0;
  Index query_begin = 0, query_end = 0;
  Index first_position = 0;
  Index head_size = 0;
  float scale = 0;
  bool causal = false;
  Index window = -1;  // keys farther than this are not seen; < 0: none
  // Added to the scores, all in units of log 2.
  float alibi = 0;                       // times |i - j|, taken off
  const float* relative_bias = nullptr;  // [2 * reach + 1] by key - query, or null
  Index reach = 0;
  // Disentangled scores: panels [positions] x head_size, scale within, or null.
  const float* position_keys = nullptr;
  const float* position_queries = nullptr;
  Index positions = 0;
  const std::int32_t* distances = nullptr;  // distances[i - j] is the position of query - key
  float* scratch = nullptr;                 // attention_scratch() floats, at a 64-byte boundary
};

// tokens [rows, width] of one text or span to one row: rows before `begin` are left out.
struct PoolArgs {
  const float* input = nullptr;
  Index ldi = 0;
  Index rows = 0, begin = 0, width = 0;
  PoolMode mode = PoolMode::kMean;
  float* out = nullptr;
};

struct Kernels {
  const char* name;  // "avx512"
  Index tile_rows;   // rows of a GEMM tile
  Index int8_rows;   // the same in int8
  Index panel;       // columns of a GEMM tile and of a weight panel
  // Units [begin, end) of args.units(panel).
  void (*gemm)(const GemmArgs& args, Index begin, Index end);
  void (*norm)(const NormArgs& args, Index row_begin, Index row_end);
  void (*embed)(const EmbedArgs& args, Index row_begin, Index row_end);
  void (*prepare)(const PrepareArgs& args);
  void (*attention)(const AttentionArgs& args);
  void (*vocabulary_max)(const VocabularyArgs& args, Index panel_begin, Index panel_end);
  void (*pool)(const PoolArgs& args);
  void (*normalize)(float* row, Index width);  // row / max(|row|, 1e-12)
  void (*add)(const float* a, const float* b, float* out, Index count);
  void (*activate)(Activation activation, float* values, Index count);
  // A row of `width` floats to bf16 or int8 (above); `out` takes row_floats(). An int8 row with an
  // element that is not finite gets the scale NaN, and needs `scratch` of width floats, rounded up
  // to kLanes.
  void (*narrow)(Element element, const float* row, Index width, float* out, float* scratch);
  int int8_offset;
  // A negative weight w meets -x - 1 instead of x: sums start with the sizes of those weights.
  bool int8_complements;
  // A weight panel's words stand in an order of its own, pairs first: the sizes of the four weights
  // whose products with a row share 16 bits are then at most 255 together. Behind the sums to start
  // from: the number of pairs, then the words' numbers in k, 16 bits each.
  bool int8_pairs;
  // Narrow products go fastest tile of rows by tile of rows, each through all the weights that stay
  // in the L2 cache meanwhile; else panel by panel, each through many rows.
  bool keeps_weights;
  // Fused multiply-adds on registers alone, `rounds` of them (one more if odd) in a row of
  // independent ones; returns the floating-point operations done. The ceiling that benchmarks
  // compare with. `values`: 64 random floats in [-1, 1], of which some are overwritten.
  double (*peak)(Index rounds, float* values);

  Index weight_lines(Element element, Index k) const {
    return cpu::weight_lines(element, k, panel, int8_pairs);
  }
  Index rows_at_once(Element element) const {
    return element == Element::kInt8 ? int8_rows : tile_rows;
  }
};

// Keys of one block of the softmax. Up to this many, a row's softmax is one pass over its scores in
// cache; beyond, blocks are joined by the running maximum. It depends on the head size alone, so
// that a text's bits do not depend on how its rows are split. Bound: the block's keys and values
// stay within half of a 1 MiB L2 cache.
inline Index attention_key_block(Index head_size) { return head_size <= 64 ? 512 : 256; }
// Lines of a panel of keys, in the element that takes most.
constexpr Index attention_key_lines(Index head_size) {
  const Index floats = (head_size + kLanes - 1) / kLanes * kLanes;
  const Index bytes = panel_lines(Element::kInt8, head_size);
  return floats > bytes ? floats : bytes;
}
// Query rows of one unit of work when a text has more keys than a block: bounds the scratch, and
// lets a long text spread over threads. Some 18 tiles, so that packing the keys again for each unit
// costs under 1 %.
inline constexpr Index kQueryBlock = 252;
// Floats of scratch that attention needs for a head size, and for so many relative positions of
// disentangled attention.
Index attention_scratch(const Kernels& kernels, Index head_size, Index positions = 0);

// The rare activations, one element at a time in double: not worth a vector form.
void activate_scalar(Activation activation, float* values, Index count);
// log1p of what is above zero, zero for the rest, NaN for NaN; `twice`: log1p of that again.
void log1p_relu(float* values, Index count, bool twice);

}  // namespace inlay::backend::cpu
