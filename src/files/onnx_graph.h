// An ONNX file as it lies there (https://onnx.ai/onnx/repo-docs/IR.html, onnx.proto3): nodes and
// constant tensors as views into the bytes. What the nodes compute is for onnx_names.h; the values
// of tensors are for onnx_tensor.h.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/protobuf_wire.h"
#include "base/tensor.h"

namespace inlay::files::onnx {

// TensorProto.DataType, those that are read.
inline constexpr std::int64_t kFloat = 1, kUint8 = 2, kInt8 = 3, kInt32 = 6, kInt64 = 7,
                              kFloat16 = 10, kDouble = 11, kBfloat16 = 16;

// A TensorProto. `raw` holds the elements where they lie in one piece (raw_data, or typed data that
// was written packed); typed data in another form is decoded from `message` when it is asked for.
struct Tensor {
  std::string_view name;
  std::int64_t data_type = 0;
  Shape dims;
  std::string_view message;
  std::optional<std::string_view> raw;
  bool external = false;  // in another file:
  std::string_view location;
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> length;
};

struct Node {
  std::string_view op_type, name, domain;
  std::string_view scopes;  // metadata "pkg.torch.onnx.name_scopes": a Python list
  std::vector<std::string_view> inputs, outputs;  // empty: an optional one that is absent
  std::vector<std::string_view> attributes;       // AttributeProto, unread

  std::string_view input(std::size_t index) const {
    return index < inputs.size() ? inputs[index] : std::string_view();
  }
  std::string_view output() const { return outputs.empty() ? std::string_view() : outputs[0]; }
};

// An input or output of the graph.
struct ValueInfo {
  std::string_view name;
  std::int64_t type = 0;           // of its elements; 0: it is no tensor
  std::vector<std::int64_t> dims;  // -1: open
  bool has_shape = false;
};

struct Graph {
  WireFile file;
  std::vector<ValueInfo> inputs, outputs;
  std::vector<Node> nodes;
  // Initialisers and the values of Constant nodes, by the name under which nodes take them.
  std::map<std::string_view, Tensor> constants;

  // An attribute of a node; the fallback where it is absent. Throws kBadInput when the attribute is
  // of another type.
  std::int64_t integer(const Node& node, std::string_view name, std::int64_t fallback) const;
  float real(const Node& node, std::string_view name, float fallback) const;
  std::vector<std::int64_t> integers(const Node& node, std::string_view name) const;
};

// Parses a ModelProto; views point into file.bytes. Throws kBadInput naming file and offset for
// anything that is not one, kUnsupported for sparse initialisers. Limits: 100,000 nodes and as many
// constants, 500,000 inputs, outputs and attributes together, 8 dimensions.
Graph parse_graph(const WireFile& file);

}  // namespace inlay::files::onnx
