// The safetensors format (https://github.com/huggingface/safetensors#format),
// read strictly: every offset is checked against the file before a view is
// handed out.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "base/weights.h"

namespace inlay::files {

// Adds every tensor of `bytes` to `weights` as views into `bytes` (which the
// caller keeps alive). Throws kBadInput naming the file and offset; `weights`
// is untouched then.
void read_safetensors(std::string_view bytes, std::string_view file, Weights* weights);
// Maps the file and keeps the map alive in `weights`.
void map_safetensors(const std::filesystem::path& path, Weights* weights);

}  // namespace inlay::files
