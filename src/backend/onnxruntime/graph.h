// A Program as an ONNX graph over padded texts: [texts, length, width] where the Program has rows
// of tokens, [texts, width] where it has rows of texts. Everything that depends on lengths,
// positions and masks comes in as a float input made by padded/inputs.h, so that the graph itself
// holds no shape arithmetic and no comparison, which accelerators do not take.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backend/onnxruntime/onnx_writer.h"
#include "backend/onnxruntime/weights.h"
#include "backend/padded/inputs.h"
#include "program/program.h"

namespace inlay::backend::onnxruntime {

using padded::kMasked;
using padded::QueryRow;
using padded::ScoreBias;
using GraphInput = padded::HostInput;

// The input that has the values of an external graph, float32.
inline constexpr const char* kExternalInput = "external";

struct GraphOptions {
  std::int64_t texts = 0, length = 0;  // of a run; 0: open
  // Rows of embeddings are an input, summed by the host: one gather less for an accelerator.
  bool host_embeddings = false;
};

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

// Why a Program has no graph, or, behind an external graph, its rest; one reason a line. Empty: it
// has one.
std::vector<std::string> graph_reasons(const Program& program);

// The graph of a Program without reasons; of one with an external graph, what comes behind that.
// Weights are not read. `key`, when not empty, is stored in the model for providers that keep what
// they compile.
Graph make_graph(const Program& program, const GraphOptions& options, const std::string& key = {});

}  // namespace inlay::backend::onnxruntime
