#include "backend/mlx/kernels/kernels.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "backend/mlx/kernels/texts.h"
#include "base/error.h"

namespace inlay::backend::mlx {
namespace {

constexpr const char* kAttentionInputs[] = {"query", "key", "value", "items", "scale"};
constexpr const char* kAttentionTemplate[] = {"T", "HEAD_SIZE", "GROUP", "WINDOW", "CAUSAL"};
constexpr const char* kNormInputs[] = {"input", "residual", "weight", "bias", "eps"};
constexpr const char* kNormTemplate[] = {"T", "WIDTH"};
constexpr const char* kGeluInputs[] = {"input", "bias"};
constexpr const char* kGeluTemplate[] = {"T"};
constexpr const char* kPoolInputs[] = {"input", "ranges"};
constexpr const char* kPoolTemplate[] = {"T", "WIDTH", "MODE", "NORMALIZE"};
constexpr const char* kVocabularyInputs[] = {"logits", "bias", "offsets"};
constexpr const char* kVocabularyTemplate[] = {"T", "TWICE"};

constexpr MetalKernel kKernels[] = {
    {"inlay_attention", kAttentionInputs, "out", false, kAttentionTemplate, kAttentionText},
    {"inlay_residual_layer_norm", kNormInputs, "out", true, kNormTemplate, kResidualLayerNormText},
    {"inlay_bias_gelu", kGeluInputs, "out", true, kGeluTemplate, kBiasGeluText},
    {"inlay_pool_normalize", kPoolInputs, "out", true, kPoolTemplate, kPoolNormalizeText},
    {"inlay_vocabulary_max", kVocabularyInputs, "out", true, kVocabularyTemplate,
     kVocabularyMaxText},
};

// Threads of the bodies' threadgroups: each body says why.
constexpr int kAttentionRows = 32;
constexpr int kAttentionThreads = 128;
constexpr int kNormThreads = 128;
constexpr int kNarrow =
    1024;  // columns up to which a row is one SIMD group's, and a threadgroup takes four
constexpr int kGeluColumns = 64;  // threads
constexpr int kGeluRows = 4;
constexpr int kPoolThreads = 256;
constexpr int kVocabularyThreads = 128;
constexpr std::int64_t kWidest = 4096;

int in_threads(std::int64_t things, int per_group, int threads) {
  return static_cast<int>((things + per_group - 1) / per_group) * threads;
}

}  // namespace

std::span<const MetalKernel> metal_kernels() { return kKernels; }
std::string_view kernel_prelude() { return kPreludeText; }

const MetalKernel& metal_kernel_named(std::string_view name) {
  for (const MetalKernel& kernel : kKernels) {
    if (name == kernel.name) return kernel;
  }
  fail(ErrorCode::kInternal, "mlx",
       "expected the name of a kernel, got " + std::string(name) + ".");
}

std::vector<std::int32_t> attention_items(std::span<const std::int32_t> offsets,
                                          std::span<const std::int32_t> key_counts) {
  std::vector<std::size_t> order(offsets.empty() ? 0 : offsets.size() - 1);
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto length = [&](std::size_t text) { return offsets[text + 1] - offsets[text]; };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return length(a) > length(b); });
  std::vector<std::int32_t> items;
  for (const std::size_t text : order) {
    const std::int32_t keys = key_counts.empty() ? length(text) : key_counts[text];
    for (std::int32_t row = 0; row < length(text); row += kAttentionRows)
      items.insert(items.end(), {offsets[text], length(text), row, keys});
  }
  return items;
}

MetalGrid attention_grid(std::int64_t items, std::int64_t heads) {
  return {{in_threads(items, 1, kAttentionThreads), static_cast<int>(heads), 1},
          {kAttentionThreads, 1, 1}};
}

MetalGrid residual_layer_norm_grid(std::int64_t rows, std::int64_t width) {
  const int rows_of_group = width > kNarrow ? 1 : kNormThreads / 32;
  return {{in_threads(rows, rows_of_group, kNormThreads), 1, 1}, {kNormThreads, 1, 1}};
}

MetalGrid bias_gelu_grid(std::int64_t rows, std::int64_t width) {
  return {{in_threads(width / 4, kGeluColumns, kGeluColumns),
           in_threads(rows, kGeluRows, kGeluRows), 1},
          {kGeluColumns, kGeluRows, 1}};
}

MetalGrid pool_normalize_grid(std::int64_t ranges) {
  return {{in_threads(ranges, 1, kPoolThreads), 1, 1}, {kPoolThreads, 1, 1}};
}

MetalGrid vocabulary_max_grid(std::int64_t texts, std::int64_t words) {
  return {{in_threads(words, kVocabularyThreads, kVocabularyThreads), static_cast<int>(texts), 1},
          {kVocabularyThreads, 1, 1}};
}

bool attention_takes(std::int64_t head_size) { return head_size == 32 || head_size == 64; }
bool residual_layer_norm_takes(std::int64_t width) { return width % 4 == 0 && width <= kWidest; }
bool bias_gelu_takes(std::int64_t width) { return width % 4 == 0; }
bool pool_normalize_takes(std::int64_t width) { return width <= kWidest; }

}  // namespace inlay::backend::mlx
