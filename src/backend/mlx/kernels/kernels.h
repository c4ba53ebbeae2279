// Inlay's own Metal kernels: their texts, and how large the grid of each is. The texts are those
// that MLX's fast::metal_kernel takes (README.md in this folder: every input, output and template
// argument); this header knows neither MLX nor Metal, so it builds everywhere. Everything here is
// thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace inlay::backend::mlx {

// One kernel as fast::metal_kernel wants it. `source` is the body; kernel_prelude() goes before it
// as the header.
struct MetalKernel {
  const char* name;
  std::span<const char* const> inputs;  // in order
  const char* output;
  // false: inputs may be slices of columns; their rows are found by their strides.
  bool ensure_row_contiguous;
  // Template arguments in order: names, `T` a type, others int or bool.
  std::span<const char* const> template_names;
  std::string_view source;
};
std::span<const MetalKernel> metal_kernels();
// By name; a name that is none throws kInternal.
const MetalKernel& metal_kernel_named(std::string_view name);
std::string_view kernel_prelude();

struct Size3 {
  int x = 1, y = 1, z = 1;
};
// In threads, both, as fast::metal_kernel wants them. `grid` is a multiple of `threadgroup`.
struct MetalGrid {
  Size3 grid, threadgroup;
};

// What attention's threadgroups do: four numbers each (the text's first row, its length, the first
// of 32 query rows of it, how many of its keys are seen). Text t is rows [offsets[t], offsets[t +
// 1]); key_counts as PackedBatch::key_counts, or empty. Longest texts first, so that none begins
// last. A text of no rows has no item.
std::vector<std::int32_t> attention_items(std::span<const std::int32_t> offsets,
                                          std::span<const std::int32_t> key_counts);
MetalGrid attention_grid(std::int64_t items, std::int64_t heads);  // items: numbers / 4
MetalGrid residual_layer_norm_grid(std::int64_t rows, std::int64_t width);
MetalGrid bias_gelu_grid(std::int64_t rows, std::int64_t width);
MetalGrid pool_normalize_grid(std::int64_t ranges);
MetalGrid vocabulary_max_grid(std::int64_t texts, std::int64_t words);

// Whether the kernel can take it; where it cannot, the plain twin does.
bool attention_takes(std::int64_t head_size);        // 32 and 64
bool residual_layer_norm_takes(std::int64_t width);  // multiples of 4 up to 4,096
bool bias_gelu_takes(std::int64_t width);            // multiples of 4
bool pool_normalize_takes(std::int64_t width);       // up to 4,096

}  // namespace inlay::backend::mlx
