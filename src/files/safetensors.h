// The safetensors format (https://github.com/huggingface/safetensors#format),
// read strictly: every offset is checked against the file before a view is
// handed out.
#pragma once

#include <filesystem>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/weights.h"

namespace inlay::files {

// Adds every tensor of `bytes` to `weights` as views into `bytes` (which the
// caller keeps alive). Throws kBadInput naming the file and offset; `weights`
// is untouched then.
void read_safetensors(std::string_view bytes, std::string_view file, Weights* weights);
// Maps the file and keeps the map alive in `weights`.
void map_safetensors(const std::filesystem::path& path, Weights* weights);

// A tensor to be written: `bytes` of its elements in row-major order, which `fill` writes out.
struct TensorToWrite {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  std::function<void(std::ostream& out)> fill;
};
// Writes the format, tensors in the order given. Throws kCannotWrite naming the file; what was
// written by then stays.
void write_safetensors(const std::filesystem::path& path, const std::vector<TensorToWrite>& tensors,
                       std::string_view metadata_key, std::string_view metadata_value);

}  // namespace inlay::files
