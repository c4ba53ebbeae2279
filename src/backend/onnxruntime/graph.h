// A Program as an ONNX graph over padded texts: [texts, length, width] where the Program has rows
// of tokens, [texts, width] where it has rows of texts. Everything that depends on lengths,
// positions and masks comes in as a float input made by graph_inputs.h, so that the graph itself
// holds no shape arithmetic and no comparison, which accelerators do not take.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backend/onnxruntime/onnx_writer.h"
#include "backend/onnxruntime/weights.h"
#include "program/program.h"

namespace inlay::backend::onnxruntime {

// Added to the scores of keys that must not be seen: exp of it is 0 beside any score, and it is a
// number in fp16, too.
inline constexpr float kMasked = -3e4F;

struct GraphOptions {
  std::int64_t texts = 0, length = 0;  // of a run; 0: open
  // Rows of embeddings are an input, summed by the host: one gather less for an accelerator.
  bool host_embeddings = false;
};

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

// An input of the graph. T texts of S tokens.
struct GraphInput {
  enum class Kind {
    kIds,          // int32 [T, S]
    kTypes,        // int32 [T, S]
    kPositions,    // int32 [T, S], as the embed step numbers them
    kEmbeddings,   // [T, S, width]: the embed step's result
    kKeyMask,      // [T, 1, 1, S]: 0 or kMasked
    kScoreBias,    // [1, heads, S, S], or of one query row a text [T, heads, 1, S]
    kSees,         // [T, 1, S or 1, 1]: 0 for queries whose window holds no key, else 1
    kTurnCosines,  // [1, 1, S, head_size], or of one query row a text [T, 1, 1, head_size]
    kTurnSines,    // likewise; the sign is in graph's constant
    kTextMask,     // [T, S, 1]: 0 for the text's tokens, kMasked for padding
    kTextOnes,     // [T, 1, S]: 1 for the text's tokens
    kLastRow,      // [T, 1, S]: 1 for the last
    kPoolWeights,  // [T, modes, S]: what each token counts
    kPoolMask,     // [T, S, 1]: 0 or kMasked
    kPoolAny,      // [T, 1]: 0 when no token is left to pool, else 1
  };
  Kind kind = Kind::kIds;
  std::string name;
  const EmbedStep* embed = nullptr;  // kPositions, kEmbeddings: of the Program
  ScoreBias bias{};                  // kScoreBias; kSees: window and row
  Rope rope{};                       // kTurn*
  std::int64_t head_size = 0;        // kTurn*
  std::vector<PoolMode> modes{};     // kPoolWeights
};
bool is_integer(GraphInput::Kind kind);

struct GraphOutput {
  std::string name;
  Rows rows = Rows::kTokens;
  std::int64_t width = 0;
  // Done to the values that come out: the sparse head's log1p, which is monotonic.
  int log1p = 0;
};

struct Graph {
  std::string model;  // ModelProto
  WeightBlock weights;
  std::vector<GraphInput> inputs;
  std::vector<GraphOutput> outputs;
};

// Why a Program has no graph; one reason a line. Empty: it has one.
std::vector<std::string> graph_reasons(const Program& program);

// The graph of a Program without reasons. Weights are not read. `key`, when not empty, is stored in
// the model for providers that keep what they compile.
Graph make_graph(const Program& program, const GraphOptions& options, const std::string& key = {});

}  // namespace inlay::backend::onnxruntime
