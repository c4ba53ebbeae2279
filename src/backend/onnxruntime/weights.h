// The weights' block of a graph: what lies in it, and how it is made of a checkpoint's tensors.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "program/program.h"

namespace inlay::backend::onnxruntime {

// One constant, fp32.
struct WeightPiece {
  enum class Kind {
    kTransposed,  // parts [n_i, in] stacked by rows, then transposed: [in, n]
    kRows,        // one part as it is
    kVector,      // parts one after the other; `fill` where one is absent (its length is in sizes)
    kNumbers,     // `numbers`
  };
  Kind kind = Kind::kRows;
  std::vector<WeightRef> parts;
  std::vector<std::int64_t> sizes;  // kVector: of each part
  float fill = 0;
  std::vector<float> numbers;
  Shape shape;              // of the result
  std::string name;         // in the graph
  std::int64_t offset = 0;  // bytes in the block
};

// Pieces by what they are made of: one that is asked for twice is stored once. Only shapes are read
// until fill().
class WeightBlock {
 public:
  const WeightPiece& transposed(const std::vector<WeightRef>& parts);
  const WeightPiece& rows(const WeightRef& part);
  // With the lengths of absent parts.
  const WeightPiece& vector(const std::vector<WeightRef>& parts,
                            const std::vector<std::int64_t>& sizes, float fill);
  const WeightPiece& numbers(const std::string& name, Shape shape, std::vector<float> values);

  std::int64_t bytes() const { return bytes_; }
  // All of it, read from the checkpoint.
  Buffer fill() const;

 private:
  const WeightPiece& add(WeightPiece&& piece, const std::string& key);
  std::map<std::string, WeightPiece> pieces_;
  std::int64_t bytes_ = 0;
};

}  // namespace inlay::backend::onnxruntime
