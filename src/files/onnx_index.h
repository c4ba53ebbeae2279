// Finding one's way in an ONNX graph: which node makes a value and which take it, what a value is
// when it is constant, and which module of the model a node was exported from.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "files/onnx_graph.h"
#include "files/onnx_tensor.h"

namespace inlay::files::onnx {

// A constant value. `name` is the parameter's, where the file keeps it (else empty); under that
// name the tensor stands transposed when `name_transposed` says so, as `source` does for the value.
struct Constant {
  Source source;
  std::string_view name;
  bool name_transposed = false;

  // Floating point, or quantised with a scale.
  bool readable() const;
  std::size_t rank() const { return source.tensor->dims.size(); }
};

// Refers to the graph, which must outlive it and stay where it is. Immutable; thread-safe.
class Index {
 public:
  // Throws kBadInput when two nodes make one value.
  explicit Index(const Graph& graph);

  const Node* producer(std::string_view value) const;                       // null: none
  const std::vector<const Node*>& consumers(std::string_view value) const;  // at most 64 of them
  // What is constant, seen through Identity, Cast between floating-point types, Transpose of a
  // matrix and DequantizeLinear. Empty for any other value and for absent inputs.
  std::optional<Constant> constant(std::string_view value) const;

 private:
  std::optional<Constant> constant(std::string_view value, int depth) const;
  bool dequantise(const Node& node, Constant* constant, int depth) const;
  const Graph* graph_;
  std::map<std::string_view, const Node*> producers_;
  std::map<std::string_view, std::vector<const Node*>> consumers_;
};

// The name as the checkpoint has it when it looks like a parameter's ("a.b.weight", also with the
// suffix "_quantized"; what stands beside it is none), else empty ("onnx::MatMul_12",
// "/a/b/Constant_1_output_0").
std::string_view parameter_name(std::string_view name);
// "a.b" of "a.b.weight".
std::string_view module_of(std::string_view parameter);
// The module that the node was exported from, "encoder.layer.0.attention.self.query", as torch's
// exporters write it into metadata, node names and value names; empty when they say nothing.
std::string scope(const Node& node);
// Whether `module` lies inside `outer`.
bool is_inside(std::string_view module, std::string_view outer);

}  // namespace inlay::files::onnx
