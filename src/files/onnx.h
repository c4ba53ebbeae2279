// Weights out of ONNX files: what torch's exporters, Optimum and onnxruntime's optimizer and
// quantisers write, brought back to the names and layouts of the checkpoint that they were made
// from. The graph itself is not run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/weights.h"
#include "files/folder.h"
#include "files/onnx_graph.h"
#include "files/onnx_tensor.h"

namespace inlay::files {

// Adds every weight that the graph names, as views into `bytes` (kept alive by the caller) or,
// where it is transposed, unpacked or dequantised, into memory that `weights` owns. `external`
// brings the files of external data; the views point into them, too. Throws kBadInput naming file
// and offset for damage, kUnsupported with one sentence naming the nodes whose weights have no
// recoverable name; `weights` is untouched then.
void read_onnx(std::string_view bytes, std::string_view file, const onnx::ExternalFile& external,
               Weights* weights);
// Maps the file, which lies in `folder`, and its external data, and keeps the maps alive in
// `weights`. External data may lie beside the file or below, never elsewhere.
void map_onnx(const ModelFolder& folder, const std::filesystem::path& path, Weights* weights);
// Maps the same files to be run, not read: bytes of external data come as U8 [n] by the names that
// the graph has for them. The graph's views, bytes among them, hold as long as `files`, and `name`.
onnx::Graph map_onnx_graph(const ModelFolder& folder, const std::filesystem::path& path,
                           const std::string& name, Weights* files);
// Size of the file and its external data; the weights themselves are not read.
std::int64_t onnx_bytes(const ModelFolder& folder, const std::filesystem::path& path);

}  // namespace inlay::files
