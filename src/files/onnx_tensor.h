// The values of an ONNX file's tensors as a checkpoint has them: where they lie, or copied into
// owned memory where they must be decoded, dequantised, cut out of a packed matrix or transposed.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "files/onnx_graph.h"

namespace inlay::files::onnx {

// How a weight is made of constants: the tensor, cut, dequantised, transposed, in that order.
struct Source {
  const Tensor* tensor = nullptr;
  // Set: (q - zero_point) * scale, as DequantizeLinear has it; scale has one element or, when
  // `axis` is 0 or 1, one for each index of that axis of the tensor. second_scale multiplies
  // further (the bias of QGemm: input scale times weight scale).
  const Tensor* scale = nullptr;
  const Tensor* zero_point = nullptr;  // absent: 0
  const Tensor* second_scale = nullptr;
  int axis = 1;
  std::int64_t first = 0, count = -1;  // columns of the last axis; -1: all
  bool transposed = false;             // of rank 2

  bool operator==(const Source&) const = default;
  Shape shape() const;  // of the result
};

// What a file's external data is found with: the bytes of the file at that relative path. Throws
// when the path leads out of the folder or there is no such file.
using ExternalFile = std::function<std::string_view(std::string_view location)>;

// Makes views. Throws kBadInput (sizes that do not fit the shapes, data outside the file) or
// kUnsupported (an element type that is no weight's), naming file and tensor. All owned memory
// together stays below eight times what the files hold, plus 1 MiB. Not thread-safe.
class TensorReader {
 public:
  TensorReader(WireFile file, ExternalFile external)
      : file_(file), external_(std::move(external)), budget_(1U << 20U) {
    allow(file.bytes.size());
  }

  TensorView read(const Source& source);
  // The memory that the views point into, to be kept alive with them.
  std::vector<std::shared_ptr<const void>> take_owners() { return std::move(owners_); }

 private:
  using Memory = std::shared_ptr<Buffer>;
  // Each makes a view; `memory` becomes what it lies in, when that is not a file.
  TensorView plain(const Tensor& tensor, Memory* memory);
  TensorView decoded(const Tensor& tensor, TensorView view, Memory* memory) const;
  TensorView columns(const Source& source, const TensorView& whole, Memory* memory) const;
  TensorView dequantised(const Source& source, const TensorView& stored, Memory* memory);
  TensorView transposed(const Source& source, const TensorView& stored, Memory* memory) const;
  std::string_view external_bytes(const Tensor& tensor, std::uint64_t needed);
  std::vector<float> scales(const Source& source, std::int64_t groups);
  std::vector<float> zeros(const Source& source, DType dtype, std::size_t count);
  Memory allocate(TensorView* view, const Tensor& tensor) const;
  void allow(std::size_t file_bytes) { budget_ += 8 * file_bytes; }
  std::string where(const Tensor& tensor) const;
  [[noreturn]] void refuse(const Tensor& tensor, const std::string& message) const;

  WireFile file_;
  ExternalFile external_;
  std::size_t budget_;
  std::set<const char*> known_files_;  // external files counted in the budget
  std::vector<std::shared_ptr<const void>> owners_;
};

// Whether the element type is one that a checkpoint's weights have (F32, F16, BF16, F64).
bool is_real(std::int64_t data_type);

}  // namespace inlay::files::onnx
