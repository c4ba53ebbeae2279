// From an ONNX graph back to the checkpoint it was exported from: which constants are weights, what
// the checkpoint calls them, and how its tensors are made of the graph's.
#pragma once

#include <string>
#include <vector>

#include "files/onnx_graph.h"
#include "files/onnx_tensor.h"

namespace inlay::files::onnx {

struct NamedWeight {
  std::string name;  // the checkpoint's: "encoder.layer.0.attention.self.query.weight"
  Source source;     // laid out as the checkpoint has it: matrices of linear layers [out, in]
};

struct Recovered {
  std::vector<NamedWeight> weights;  // each name once
  // Weights whose names the graph does not tell and nodes that hold weights in a form that is not
  // read: "MatMulNBits \"/encoder/layer.0/attention/self/query/MatMul\" [384, 12, 16]".
  std::vector<std::string> unnamed;
};

// Understands what torch's exporters write, onnxruntime's transformer optimizer (fused embeddings,
// attention with packed queries, keys and values, biases moved into other nodes), its graph
// optimizer, and its dynamic and static int8 quantisers. Throws kBadInput for a damaged graph.
Recovered recover_names(const Graph& graph);

}  // namespace inlay::files::onnx
