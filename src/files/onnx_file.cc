// The graph is parsed for its border and the names of its operators; bodies of If and Loop are not
// read, so a graph with such counts as one that may do anything.
#include "files/onnx_file.h"

#include <algorithm>
#include <array>
#include <map>
#include <system_error>

#include "base/error.h"
#include "base/mapped_file.h"
#include "files/checkpoint.h"
#include "files/onnx.h"

namespace inlay::files {
namespace fs = std::filesystem;
namespace {

constexpr std::array<std::string_view, 7> kInt8Operators{
    "MatMulInteger", "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "QAttention", "QLinearMatMul",
    "QGemm",         "DequantizeLinear"};

bool is_one_of(std::string_view name, const auto& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Of the matrices, as far as operators and constants tell.
std::string dtype_of(const onnx::Graph& graph) {
  std::string dtype = "fp32";
  for (const auto& [name, tensor] : graph.constants) {
    if (tensor.dims.size() < 2) continue;
    if (tensor.data_type == onnx::kFloat16) dtype = "fp16";
    if (tensor.data_type == onnx::kBfloat16) dtype = "bf16";
  }
  for (const onnx::Node& node : graph.nodes) {
    if (node.op_type == "MatMulNBits" && graph.integer(node, "bits", 4) == 4) return "int4";
    if (node.op_type == "MatMulNBits" || is_one_of(node.op_type, kInt8Operators)) dtype = "int8";
  }
  return dtype;
}

OnnxValue border_value(const onnx::ValueInfo& info) {
  return {std::string(info.name), info.type, info.dims, info.has_shape};
}

// The file, or what is there instead.
fs::path find_wished(const ModelFolder& folder, const fs::path& place, std::string_view wish) {
  if (wish == "auto") {
    if (const auto path = find_onnx(folder, place)) return *path;
  } else {
    check_relative_path(wish, "--onnx-file");
    const fs::path asked(wish);
    for (const fs::path& start : {place, place / "onnx", folder.root()}) {
      const std::string below =
          (start / asked.parent_path()).lexically_relative(folder.root()).generic_string();
      const auto path = folder.find(folder.below(below, "--onnx-file"), asked.filename().string());
      if (path) return *path;
    }
  }
  std::string known;
  for (const fs::path& where : {place, place / "onnx"}) {
    std::error_code error;
    std::vector<std::string> names;
    for (const fs::directory_entry& entry : fs::directory_iterator(where, error)) {
      if (entry.path().extension() == ".onnx")
        names.push_back(entry.path().lexically_relative(folder.root()).generic_string());
    }
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) known += (known.empty() ? "" : ", ") + printable(name);
  }
  fail(ErrorCode::kNotFound, "--onnx-file",
       "expected an ONNX file of the model's folder, got \"" + printable(wish) + "\" where there " +
           (known.empty() ? "is none. Export the model, or fetch its ONNX file into " +
                                folder.root().string() + "."
                          : "is " + known + "."));
}

}  // namespace

OnnxFile describe_onnx(const onnx::Graph& graph) {
  OnnxFile file;
  for (const onnx::ValueInfo& input : graph.inputs) {
    // Older exporters list constants among the inputs.
    if (graph.constants.find(input.name) == graph.constants.end())
      file.inputs.push_back(border_value(input));
  }
  for (const onnx::ValueInfo& output : graph.outputs) file.outputs.push_back(border_value(output));
  file.dtype = dtype_of(graph);
  std::map<std::string, std::int64_t> counts;
  for (const onnx::Node& node : graph.nodes) {
    const std::string_view op = node.op_type;
    const bool standard = node.domain.empty() || node.domain == "ai.onnx";
    ++counts[(standard ? "" : printable(node.domain) + ".") + printable(op)];
    file.quantizes_activations = file.quantizes_activations || op.starts_with("DynamicQuantize") ||
                                 op == "If" || op == "Loop" || op == "Scan";
  }
  for (const auto& [op, count] : counts)
    file.operators += (file.operators.empty() ? "" : ", ") + op + " x " + std::to_string(count);
  return file;
}

OnnxFile open_onnx(const ModelFolder& folder, const fs::path& place, std::string_view wish) {
  const fs::path path = find_wished(folder, place, wish);
  auto weights = std::make_shared<Weights>();
  const std::string name = path.string();
  const onnx::Graph graph = map_onnx_graph(folder, path, name, weights.get());
  OnnxFile file = describe_onnx(graph);
  file.name = path.lexically_relative(folder.root()).generic_string();
  const std::string_view bytes = graph.file.bytes;
  file.bytes = {DType::kU8, {static_cast<std::int64_t>(bytes.size())}, bytes.data()};
  file.data = std::move(weights);
  return file;
}

}  // namespace inlay::files
