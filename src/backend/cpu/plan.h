// A Program as this room runs it: fused operations in order, buffer slots for the values between
// them, packed weights by number. The plan is made from the Program's shapes alone; packing fills
// in the weights (pack.h), running is executable.cc's.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/kernels.h"
#include "program/program.h"

namespace inlay::backend::cpu {

using WeightId = std::int32_t;
inline constexpr WeightId kNoWeight = -1;

// Where a value lies: a slot of the arena, or (negative) one of the caller's outputs: -1 is the
// first.
inline constexpr int kNoSlot = -(1 << 30);
inline int output_slot(std::size_t output) { return -1 - static_cast<int>(output); }
struct Place {
  Rows rows = Rows::kTokens;
  int slot = kNoSlot;
  Index ld = 0;      // floats from row to row
  Index column = 0;  // first column
};

struct EmbedOp {
  WeightId tokens = kNoWeight, positions = kNoWeight, types = kNoWeight;
  int position_rule = 0;  // of Plan::position_rules; unused without positions
  WeightId norm_weight = kNoWeight, norm_bias = kNoWeight;  // none: no norm
  float eps = 0;
  bool rms = false;
  float scale = 1;
  Index width = 0;
  Place out;
  Element copy_element = Element::kFp32;  // kFp32: no copy in narrow rows
  Place copy;
};
struct NormOp {
  Place in, residual, out;
  Element copy_element = Element::kFp32;
  Place copy;
  bool has_residual = false;
  WeightId weight = kNoWeight, bias = kNoWeight;
  float eps = 0;
  bool rms = false;
  Index width = 0;
};
struct GemmOp {  // activation(in W^T + b) + residual; gated: activation(in G^T + g) * (in U^T + u)
  Place in, residual, out;
  bool has_residual = false;
  WeightId weights = kNoWeight, bias = kNoWeight;
  Activation activation = Activation::kNone;
  bool gated = false;
  Element element = Element::kFp32;  // of `in` and the weights
  bool narrow_out = false;           // out: bf16 rows
  Index n = 0, k = 0;
};
struct NarrowOp {  // rows to bf16 or int8 (kernels.h)
  Place in, out;
  Element element = Element::kInt8;
  Index width = 0;
};
// Norms and turns the heads of a query or key, in place where nothing else reads it.
struct PrepareOp {
  Place in, out;
  Index heads = 0, head_size = 0;
  WeightId norm_weight = kNoWeight, norm_bias = kNoWeight;
  float eps = 0;
  bool rms = false, whole = false;
  WeightId turns = kNoWeight;  // [positions][2 * pairs]
  Index pairs = 0;
  bool interleaved = false;
  SelectKind row = SelectKind::kFirst;  // where a kTexts row stands
};
struct AttentionOp {
  Place query, key, value, out;
  Index heads = 0, kv_heads = 0, head_size = 0;
  float scale = 0;
  bool causal = false;
  SelectKind query_row = SelectKind::kFirst;
  Index window = -1;
  std::vector<float> alibi;            // [heads], in units of log 2; or empty
  WeightId relative_bias = kNoWeight;  // [heads][2 * reach + 1]
  Index reach = 0;
  WeightId position_keys = kNoWeight, position_queries = kNoWeight;  // panels, head after head
  Index positions = 0;
  int distances = -1;                // of Plan::distances
  bool probabilities = false;        // out: [tokens, 1]
  Element element = Element::kFp32;  // of both products; rows of q, k and v are fp32
  bool narrow_in = false;            // or bf16 as the element
  bool narrow_out = false;           // out: bf16 rows
};
struct AddOp {
  Place a, b, out;
  Index width = 0;
};
struct SelectOp {
  Place in, out;
  SelectKind select = SelectKind::kFirst;
  Index width = 0;
};
// What may follow on a row in place: normalise it, or (`keep` > 0) keep its first columns.
struct RowAction {
  Index keep = 0;
};
struct PoolOp {
  Place in, out;
  std::vector<PoolMode> modes;
  bool spans = false;
  Index width = 0;                 // of the input
  std::vector<RowAction> actions;  // the first row buffer has width * modes columns
  int work_slot = kNoSlot;         // a row wider than the result is built there
  Index work_ld = 0;
};
struct RowOp {  // copies the first columns of a row, then normalises
  Place in, out;
  Index width = 0;  // of the result
  bool normalize = false;
};
struct VocabularyOp {
  Place in, out;
  WeightId weights = kNoWeight, bias = kNoWeight;
  Index n = 0, k = 0;
  bool sum = false, twice = false;
  Element element = Element::kFp32;  // of `in` and the weights
};
// Each row with each of its experts is a pair; pairs stand expert after expert, in row order within
// one. The work slots hold, for each row: its router logits, then its routes; and top_k pairs each
// of gathered rows (later of results) and of what lies between up and down.
struct ExpertsOp {
  Place in, out;
  WeightId router = kNoWeight, router_bias = kNoWeight;
  std::vector<WeightId> up, down;  // of each expert
  WeightId up_bias = kNoWeight;    // zeros
  WeightId down_bias = kNoWeight;  // zeros
  WeightId bias = kNoWeight;
  Activation activation = Activation::kNone;
  Index experts = 0, hidden = 0, width = 0, top_k = 0;
  int route_slot = kNoSlot, pair_slot = kNoSlot, middle_slot = kNoSlot;
  Index route_ld = 0, pair_ld = 0, middle_ld = 0;  // floats a row, a pair, a pair
};
// Experts of a step at most: a thread counts its pairs on the stack.
inline constexpr Index kMostExperts = 256;
// A route: the expert, the number of the pair (both as the bits of a float), the expert's share.
inline constexpr Index kRouteFloats = 3;
using Op = std::variant<EmbedOp, NormOp, GemmOp, PrepareOp, AttentionOp, AddOp, SelectOp, PoolOp,
                        VocabularyOp, RowOp, ExpertsOp, NarrowOp>;

// A weight to be stored: how, and from what. Identical ones (a tied matrix) are stored once.
struct WeightSpec {
  enum class Kind {
    kPanels,          // [n, k], parts stacked by rows
    kTurnedPanels,    // one part [k, n], turned into panels of [n, k]
    kPairs,           // two parts [n, k]: a panel of the first, then one of the second
    kPadded,          // n values, parts one after the other
    kTable,           // [n, k]
    kColumns,         // [n, k] as k columns of n, times factor
    kTurns,           // cosines and sines of n positions, k / 2 of each
    kPositionPanels,  // parts E [n, hidden], W [heads * k, hidden], bias: E W^T + b times factor,
                      // for each head panels of n columns
  };
  Kind kind = Kind::kTable;
  std::vector<WeightRef> parts;
  Index n = 0, k = 0;
  Element element = Element::kFp32;          // of kPanels and kPairs
  TableElement table = TableElement::kFp32;  // of kTable
  bool halves = false;  // kTable in fp32: of values that half precision holds, rounded to it
  float factor = 1;
  Rope rope;         // kTurns
  float fill = 0;    // kPadded: where a part is absent
  Index floats = 0;  // stored size
  Index offset = 0;  // of the block of all weights, in floats
};

// How an embed step numbers positions (program.h, EmbedStep).
struct PositionRule {
  std::int32_t offset = 0, pad_id = -1;
  bool operator==(const PositionRule&) const = default;
};

// The row of disentangled attention's tables for each distance from 1 - positions to positions - 1.
struct Distances {
  std::int64_t buckets = 0, max_positions = 0, span = 0;
  bool operator==(const Distances&) const = default;
};

struct Slot {
  Rows rows = Rows::kTokens;
  Index width = 0;  // floats a row
};

struct Plan {
  std::vector<Op> ops;
  std::vector<WeightSpec> weights;
  std::vector<Slot> slots;
  Index weight_floats = 0;
  Index scratch_floats = 0;  // a thread
  std::vector<Slot> outputs;
  std::vector<PositionRule> position_rules;
  std::vector<Distances> distances;
  // What a batch may hold, over all embed steps; -1: any number.
  std::int64_t vocab_size = -1, type_count = -1, max_positions = -1;

  Index token_width = 0;  // floats of all kTokens slots, a row; kSpans, which are fewer, likewise
  Index text_width = 0;   // of all kTexts slots
};

// `positions`: tokens of a text at most. `fuse` false keeps every step an operation of its own: the
// plain twin that tests compare with. `element`: of matrix products over a text's tokens, and, for
// bf16, of attention's; what works on one row a text (heads, the last layer where one row is read),
// experts and all else stay in fp32.
Plan make_plan(const Program& program, const Kernels& kernels, Index positions, bool fuse = true,
               Element element = Element::kFp32);

// A leading dimension: whole 64-byte lines, and never a multiple of 4096 bytes, at which all rows
// of a tile would fall into the same few lines of an L1 cache (3072 columns: 86 % of peak instead
// of 91 %).
Index leading_dimension(Index width);

}  // namespace inlay::backend::cpu
