// PyTorch checkpoints (zip of a pickle and raw storages) read by an allow-list: tensors, containers
// and plain values. Nothing is executed; any other opcode or global is refused by name.
#pragma once

#include <filesystem>
#include <string_view>

#include "base/weights.h"

namespace inlay::files {

// Adds the state dict's tensors as views into `bytes` (kept alive by the caller; a non-contiguous
// tensor is copied into memory that `weights` owns). Throws kBadInput or kUnsupported naming the
// file, the place and the opcode.
void read_pytorch(std::string_view bytes, std::string_view file, Weights* weights);
void map_pytorch(const std::filesystem::path& path, Weights* weights);

}  // namespace inlay::files
