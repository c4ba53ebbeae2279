// The inputs of a graph for a group of texts: ids and positions, masks, and everything else that
// depends on lengths and places, made by the host.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "backend/onnxruntime/graph.h"
#include "batch/packed_batch.h"

namespace inlay::backend::onnxruntime {

// A tensor in the caller's memory.
struct TensorView32 {
  const char* name = nullptr;
  int type = 0;  // kFloat or kInt32
  void* data = nullptr;
  std::vector<std::int64_t> shape;
  std::size_t bytes() const;
};

// Texts of a batch that run together, padded.
struct Group {
  std::span<const std::int32_t> members;  // indices of texts
  std::int64_t texts = 0;   // at least as many; those that are no member are one token long
  std::int64_t length = 0;  // at least that of the longest member
};

// Not thread-safe.
class InputMaker {
 public:
  // Reads the tables that the host needs from the Program that `inputs` refer to, which must
  // outlive this; its weights may be released afterwards.
  explicit InputMaker(const std::vector<GraphInput>& inputs);
  // Valid until the next call.
  std::span<const TensorView32> make(const PackedBatch& batch, const Group& group);

 private:
  struct Text {  // as the graph sees it
    std::span<const std::int32_t> ids, types;
    std::int64_t length = 1, keys = 1, pool_begin = 0;
  };
  struct Slot {
    GraphInput input;
    std::vector<float> reals;
    std::vector<std::int32_t> integers;
    std::int64_t made_for = -1;  // the length, of what depends on it alone
  };
  void fill(Slot* slot, std::int64_t length);
  void fill_positions(Slot* slot, std::int64_t length);
  void fill_embeddings(Slot* slot, std::int64_t length);
  void fill_bias(Slot* slot, std::int64_t length);
  void fill_turns(Slot* slot, std::int64_t length);
  void fill_pool_weights(Slot* slot, std::int64_t length);
  const std::vector<float>& table(const WeightRef& weight);

  std::vector<Slot> slots_;
  std::map<std::string, std::vector<float>> tables_;
  std::vector<Text> texts_;  // of the group
  std::vector<TensorView32> tensors_;
};

}  // namespace inlay::backend::onnxruntime
