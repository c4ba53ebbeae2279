// An ONNX file of a model folder as something to run: its bytes, and what it says of itself. Taking
// weights out of one is onnx.h's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/weights.h"
#include "files/folder.h"
#include "files/onnx_graph.h"

namespace inlay::files {

// An input or output of the graph.
struct OnnxValue {
  std::string name;
  std::int64_t type = 0;           // TensorProto.DataType
  std::vector<std::int64_t> dims;  // -1: open
  bool has_shape = false;
};

struct OnnxFile {
  std::string name;                        // its path in the folder
  std::vector<OnnxValue> inputs, outputs;  // inputs without those that the file itself sets
  std::string dtype;      // of the matrices: "fp32", "fp16", "bf16", "int8", "int4"
  std::string operators;  // "Add x 12, com.microsoft.Attention x 6"
  // Activations are quantised by the largest of a whole run.
  bool quantizes_activations = false;
  TensorView bytes;  // U8 [n]
  // External data by the names that the graph has for them: U8 [n] each. Keeps `bytes` alive, too.
  std::shared_ptr<const Weights> data;
};

// `wish`: a path in `folder`, or a name in `place` or its folder onnx; "auto": the first there of
// those that weights are read from. Throws kNotFound naming what there is, else as map_onnx().
OnnxFile open_onnx(const ModelFolder& folder, const std::filesystem::path& place,
                   std::string_view wish);

// What a graph says of itself; the bytes stay empty.
OnnxFile describe_onnx(const onnx::Graph& graph);

}  // namespace inlay::files
