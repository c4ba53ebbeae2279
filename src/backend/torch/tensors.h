// ATen's operators as far as this room needs them, and the table of them that padded groups are run
// with.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "backend/padded/tensor_api.h"
#include "backend/torch/library.h"
#include "program/activation.h"

namespace inlay::backend::torch {

// LibTorch's words when it refuses a call.
class TorchError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Delete {
  const Shim* shim = nullptr;
  void operator()(Aten* tensor) const { shim->aoti_torch_delete_tensor_object(tensor); }
};
using Tensor = std::unique_ptr<Aten, Delete>;

// The arguments of one call. Values put in are the call's own: handles are given away.
class Stack {
 public:
  explicit Stack(const Shim& shim) : shim_(shim) {}
  Stack& tensor(const Tensor& tensor);
  Stack& optional(const Tensor& tensor);  // none when null
  Stack& none();
  Stack& integer(std::int64_t value);
  Stack& real(double value);
  Stack& optional_real(double value);
  Stack& boolean(bool value);
  Stack& text(const std::string& value);
  Stack& integers(std::span<const std::int64_t> values);
  Stack& optional_integers(std::span<const std::int64_t> values);
  Stack& tensors(std::span<const Tensor* const> values);
  // Calls "aten::name" and returns its one tensor.
  Tensor call(const char* name, const char* overload = "");

 private:
  Stack& optional_value(StackValue value);
  const Shim& shim_;
  std::vector<StackValue> values_;
};

// On one device with one dtype of values. Functions throw TorchError. const ones may be called by
// one thread at a time.
class Tensors {
 public:
  Tensors(const Shim& shim, const std::string& unit, const std::string& dtype);

  using Shape = std::vector<std::int64_t>;
  // Floats (or int32) of the host, copied to the device; floats become the dtype of values, or
  // stay.
  Tensor upload(const void* data, bool integer, const Shape& shape, bool exact = true) const;
  void download(const Tensor& x, float* out, std::size_t count) const;
  Tensor share(const Tensor& x) const;
  Shape shape(const Tensor& x) const;
  std::int64_t bytes(const Tensor& x) const;

  Tensor add(const Tensor& a, const Tensor& b) const;
  Tensor multiply(const Tensor& a, const Tensor& b) const;
  Tensor scale(const Tensor& x, double factor) const;
  Tensor to(const Tensor& x, std::int32_t dtype) const;
  Tensor exact(const Tensor& x) const { return to(x, shim_.aoti_torch_dtype_float32()); }
  Tensor reshape(const Tensor& x, const Shape& shape) const;
  Tensor transpose(const Tensor& x, std::int64_t a, std::int64_t b) const;
  Tensor narrow(const Tensor& x, std::int64_t axis, std::int64_t begin, std::int64_t count) const;
  Tensor concatenate(std::span<const Tensor* const> parts, std::int64_t axis) const;
  Tensor matmul(const Tensor& a, const Tensor& b) const;
  Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) const;
  Tensor norm(const Tensor& x, bool rms, const Tensor& weight, const Tensor& bias,
              double eps) const;
  Tensor activate(Activation activation, Tensor x) const;
  Tensor maximum(const Tensor& x, std::int64_t axis) const;  // along an axis, which goes
  // "aten::sum" or "aten::mean" along an axis.
  Tensor reduce(const char* name, const char* overload, const Tensor& x, std::int64_t axis,
                bool keep) const;
  Tensor normalize(const Tensor& x) const;
  Tensor softmax(const Tensor& x) const;
  Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask,
                   double scale, bool grouped) const;
  Tensor embedding(const Tensor& table, const Tensor& ids) const;
  Tensor unary(const char* name, const Tensor& x) const;

  const Shim& shim() const { return shim_; }

 private:
  void check(ErrorCode code) const;
  Tensor owned(Aten* tensor) const { return Tensor(tensor, Delete{&shim_}); }
  Tensor scalar(double value) const;  // on the device, without dimensions
  Tensor moved(const Tensor& x, std::int32_t device, std::int32_t dtype, bool copy) const;

  const Shim& shim_;
  std::int32_t device_ = 0, dtype_ = 0;
};

// What padded/executable.h is given. Sessions are opened of library().
const padded::TensorApi& tensor_api();

}  // namespace inlay::backend::torch
