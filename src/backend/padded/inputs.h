// What a room that pads makes on the host for a group of texts: ids and positions, masks, and
// everything else that depends on lengths and places.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "batch/packed_batch.h"
#include "program/program.h"

namespace inlay::backend::padded {

// Element types as ONNX numbers them.
inline constexpr int kFloat = 1, kInt32 = 6, kInt64 = 7, kFloat16 = 10;

// Added to the scores of keys that must not be seen: exp of it is 0 beside any score, and it is a
// number in fp16, too.
inline constexpr float kMasked = -3e4F;

// Which row of its text a query is.
enum class QueryRow { kEvery, kFirst, kLast };

// What is added to an attention's scores beside the mask of unseen keys; depends on places alone.
struct ScoreBias {
  bool causal = false;
  std::int64_t window = -1;
  std::vector<float> alibi;  // [heads]
  WeightRef relative;        // [2 R + 1, heads]
  std::int64_t heads = 1;    // 1: the same for all
  QueryRow row = QueryRow::kEvery;
};
// What a step's scores get beside the mask of padding, for the rows that are read; and whether that
// is nothing.
ScoreBias bias_of(const AttentionStep& step, QueryRow row);
bool adds_nothing(const ScoreBias& bias);

// What the host makes for a group of T texts of S tokens.
struct HostInput {
  enum class Kind {
    kIds,          // int32 [T, S]
    kTypes,        // int32 [T, S]
    kPositions,    // int32 [T, S], as the embed step numbers them
    kEmbeddings,   // [T, S, width]: the embed step's result
    kKeyMask,      // [T, 1, 1, S]: 0 or kMasked
    kScoreBias,    // [1, heads, S, S], or of one query row a text [T, heads, 1, S]
    kSees,         // [T, 1, S or 1, 1]: 0 for queries whose window holds no key, else 1
    kTurnCosines,  // [1, 1, S, head_size], or of one query row a text [T, 1, 1, head_size]
    kTurnSines,    // likewise; the sign is the reader's
    kTextMask,     // [T, S, 1]: 0 for the text's tokens, kMasked for padding
    kTextOnes,     // [T, 1, S]: 1 for the text's tokens
    kLastRow,      // [T, 1, S]: 1 for the last
    kPoolWeights,  // [T, modes, S]: what each token counts
    kPoolMask,     // [T, S, 1]: 0 or kMasked
    kPoolAny,      // [T, 1]: 0 when no token is left to pool, else 1
    kKeyCounts,    // int32 [T]: tokens from the start that attention sees as keys
    kTextLengths,  // int32 [T]
    kPoolBegins,   // int32 [T]: tokens at the start that pooling leaves out
  };
  Kind kind = Kind::kIds;
  std::string name;
  const EmbedStep* embed = nullptr;  // kPositions, kEmbeddings: of the Program
  ScoreBias bias{};                  // kScoreBias; kSees: window and row
  Rope rope{};                       // kTurn*
  std::int64_t head_size = 0;        // kTurn*
  std::vector<PoolMode> modes{};     // kPoolWeights
};
bool is_integer(HostInput::Kind kind);
// Whether two are the same numbers, whatever they are called.
bool same_input(const HostInput& a, const HostInput& b);

// A tensor in the caller's memory.
struct HostTensor {
  const char* name = nullptr;
  int type = 0;  // kFloat, kInt32, kInt64 or kFloat16
  void* data = nullptr;
  std::vector<std::int64_t> shape;
  std::size_t bytes() const;
};

// Texts of a batch that run together, padded.
struct Group {
  std::span<const std::int32_t> members;  // indices of texts
  std::int64_t texts = 0;   // at least as many; those that are no member are one token long
  std::int64_t length = 0;  // at least that of the longest member
};

// Not thread-safe; a copy, which shares the tables, may be used by another thread.
class InputMaker {
 public:
  // Reads the tables that the host needs from the Program that `inputs` refer to, which must
  // outlive this; its weights may be released afterwards.
  explicit InputMaker(const std::vector<HostInput>& inputs);
  // Valid until the next call.
  std::span<const HostTensor> make(const PackedBatch& batch, const Group& group);

 private:
  struct Text {  // as a group holds it
    std::span<const std::int32_t> ids, types;
    std::int64_t length = 1, keys = 1, pool_begin = 0;
  };
  struct Slot {
    HostInput input;
    std::vector<float> reals;
    std::vector<std::int32_t> integers;
    std::int64_t made_for = -1;  // the length, of what depends on it alone
  };
  void fill(Slot* slot, std::int64_t length);
  void fill_positions(Slot* slot, std::int64_t length);
  void fill_embeddings(Slot* slot, std::int64_t length);
  void fill_bias(Slot* slot, std::int64_t length);
  void fill_turns(Slot* slot, std::int64_t length);
  void fill_pool_weights(Slot* slot, std::int64_t length);
  const std::vector<float>& table(const WeightRef& weight);

  std::vector<Slot> slots_;
  std::map<std::string, std::shared_ptr<const std::vector<float>>> tables_;
  std::vector<Text> texts_;  // of the group
  std::vector<HostTensor> tensors_;
};

}  // namespace inlay::backend::padded
