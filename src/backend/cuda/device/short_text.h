// A whole encoder in one launch, for batches of few tokens (short_text.cu).
#pragma once

#include <cstdint>
#include <vector>

#include "backend/cuda/device.h"

namespace inlay::backend::cuda {

struct Launch;
struct ShortArgs;

class ShortText {
 public:
  static constexpr std::int64_t kTokens = 64;  // of a batch at most

  ShortText();
  ~ShortText();
  ShortText(const ShortText&) = delete;
  ShortText& operator=(const ShortText&) = delete;

  // Whether these operations are an encoder of its kind (post-norm layers with plain attention and
  // GELU, one pooling, 16 bits) on a GPU of its kind. `at` has the addresses of the blocks. Takes
  // its memory.
  bool plan(const Launch& at, const std::vector<Op>& ops);
  void drop();  // takes nothing from now on
  bool takes(const BatchShape& shape) const;
  // Batches one after the other on one stream. `inputs` is read before this returns; `outputs`,
  // laid out as Block::kOutputs, is page-locked memory that the kernel writes.
  void run(const Launch& launch, const std::int32_t* inputs, char* outputs);
  // Whether all results of a batch of that many texts have come: sooner than its kernel ends.
  bool come(const char* outputs, std::int64_t texts) const;

 private:
  struct Plan;
  Plan* plan_ = nullptr;
};

}  // namespace inlay::backend::cuda
