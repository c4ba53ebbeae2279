// A folder's checkpoint, whatever form it has: safetensors before pickle before
// ONNX, one file before shards.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "base/weights.h"
#include "files/folder.h"

namespace inlay::files {

// `place` is the module's folder inside `folder`. All tensors or none: throws
// kNotFound naming every file looked for or the shard that is missing,
// kBadInput or kUnsupported from the formats' readers.
std::shared_ptr<const Weights> load_checkpoint(const ModelFolder& folder,
                                               const std::filesystem::path& place);
// The file that says where the weights are: themselves or their index. Throws
// kNotFound.
std::filesystem::path checkpoint_file(const ModelFolder& folder,
                                      const std::filesystem::path& place);
// The ONNX file that weights are taken from where there is nothing else; empty: there is none.
std::optional<std::filesystem::path> find_onnx(const ModelFolder& folder,
                                               const std::filesystem::path& place);
// Size of the same files, without reading more than an index.
std::int64_t checkpoint_bytes(const ModelFolder& folder, const std::filesystem::path& place);

}  // namespace inlay::files
