// A call of each Metal kernel with its data as floats, and who can run it: the emulator, or a GPU
// by way of CUDA. Values are rounded to `type` already, so that every engine starts from the same
// ones.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace inlay::metal {

enum class Type { kF32, kF16, kBF16 };

struct AttentionCall {
  Type type = Type::kF32;
  int head_size = 32, heads = 1, group = 1, window = -1;
  bool causal = false;
  int query_at = 0, key_at = 0, value_at = 0;  // columns of `qkv`
  long stride = 0;                             // of its rows
  float scale = 1;
  std::vector<float> qkv;
  std::vector<std::int32_t> items;
  std::vector<float>
      out;  // [rows, heads * head_size], sized by the caller; NaN where nothing was written
};
struct NormCall {
  Type type = Type::kF32, weight_type = Type::kF32;
  long rows = 0, width = 0;
  float eps = 1e-5F;
  std::vector<float> input{}, residual{}, weight{}, bias{}, out{};
};
struct GeluCall {
  Type type = Type::kF32, bias_type = Type::kF32;
  long rows = 0, width = 0;
  std::vector<float> input{}, bias{}, out{};
};
struct PoolCall {
  Type type = Type::kF32;
  long width = 0;
  int mode = 2;
  bool normalize = true;
  std::vector<float> input;
  std::vector<std::int32_t> ranges;
  std::vector<float> out;
};
struct VocabularyCall {
  Type type = Type::kF32;
  long words = 0;
  bool twice = false;
  std::vector<float> logits, bias;
  std::vector<std::int32_t> offsets;
  std::vector<float> out;
};

class Engine {
 public:
  virtual ~Engine() = default;
  // Each fills `out`. A shape for which twins.inl has no instance throws std::logic_error.
  virtual void run(AttentionCall& call) = 0;
  virtual void run(NormCall& call) = 0;
  virtual void run(GeluCall& call) = 0;
  virtual void run(PoolCall& call) = 0;
  virtual void run(VocabularyCall& call) = 0;
};

}  // namespace inlay::metal
