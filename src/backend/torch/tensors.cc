// Operators by name, through the dispatcher: the same call serves the CPU, CUDA and MPS.
#include "backend/torch/tensors.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

namespace inlay::backend::torch {
namespace {

std::string words_of(const Shim& shim) {
  const char* words = shim.torch_exception_get_what_without_backtrace != nullptr
                          ? shim.torch_exception_get_what_without_backtrace()
                          : nullptr;
  // Before 2.13 the library writes them to standard error and keeps none.
  return words != nullptr && *words != '\0' ? words : "it failed (2.13 and later tell why)";
}

StackValue of_handle(const void* handle) {
  return static_cast<StackValue>(reinterpret_cast<std::uintptr_t>(handle));
}

void check_code(const Shim& shim, ErrorCode code) {
  if (code != 0) throw TorchError(words_of(shim));
}

}  // namespace

Stack& Stack::tensor(const Tensor& tensor) {
  Aten* handle = nullptr;
  check_code(shim_, shim_.aoti_torch_new_tensor_handle(tensor.get(), &handle));
  values_.push_back(of_handle(handle));
  return *this;
}

Stack& Stack::optional_value(StackValue value) {
  StackValue* place = nullptr;
  if (shim_.torch_new_stable_ivalue != nullptr) {
    check_code(shim_, shim_.torch_new_stable_ivalue(&place));
  } else {
    place = new StackValue;  // the call deletes it: until 2.13 that is the contract
  }
  *place = value;
  values_.push_back(of_handle(place));
  return *this;
}

Stack& Stack::optional(const Tensor& tensor) {
  if (!tensor) return none();
  Aten* handle = nullptr;
  check_code(shim_, shim_.aoti_torch_new_tensor_handle(tensor.get(), &handle));
  return optional_value(of_handle(handle));
}

Stack& Stack::none() {
  values_.push_back(0);
  return *this;
}

Stack& Stack::integer(std::int64_t value) {
  values_.push_back(static_cast<StackValue>(value));
  return *this;
}

Stack& Stack::real(double value) {
  values_.push_back(std::bit_cast<StackValue>(value));
  return *this;
}

Stack& Stack::optional_real(double value) {
  return optional_value(std::bit_cast<StackValue>(value));
}

Stack& Stack::boolean(bool value) {
  values_.push_back(value ? 1 : 0);
  return *this;
}

Stack& Stack::text(const std::string& value) {
  String* handle = nullptr;
  check_code(shim_, shim_.torch_new_string_handle(value.data(), value.size(), &handle));
  values_.push_back(of_handle(handle));
  return *this;
}

Stack& Stack::integers(std::span<const std::int64_t> values) {
  List* list = nullptr;
  check_code(shim_, shim_.torch_new_list_reserve_size(values.size(), &list));
  values_.push_back(of_handle(list));
  for (const std::int64_t value : values)
    check_code(shim_, shim_.torch_list_push_back(list, static_cast<StackValue>(value)));
  return *this;
}

Stack& Stack::optional_integers(std::span<const std::int64_t> values) {
  integers(values);
  const StackValue list = values_.back();
  values_.pop_back();
  return optional_value(list);
}

Stack& Stack::tensors(std::span<const Tensor* const> values) {
  List* list = nullptr;
  check_code(shim_, shim_.torch_new_list_reserve_size(values.size(), &list));
  values_.push_back(of_handle(list));
  for (const Tensor* value : values) {
    Aten* handle = nullptr;
    check_code(shim_, shim_.aoti_torch_new_tensor_handle(value->get(), &handle));
    check_code(shim_, shim_.torch_list_push_back(list, of_handle(handle)));
  }
  return *this;
}

Tensor Stack::call(const char* name, const char* overload) {
  check_code(shim_, shim_.torch_call_dispatcher(name, overload, values_.data(), kCallVersion));
  return Tensor(reinterpret_cast<Aten*>(static_cast<std::uintptr_t>(values_[0])), Delete{&shim_});
}

Tensors::Tensors(const Shim& shim, const std::string& unit, const std::string& dtype)
    : shim_(shim),
      device_(unit == kCudaUnit  ? shim.aoti_torch_device_type_cuda()
              : unit == kMpsUnit ? shim.aoti_torch_device_type_mps()
                                 : shim.aoti_torch_device_type_cpu()),
      dtype_(dtype == "fp16"   ? shim.aoti_torch_dtype_float16()
             : dtype == "bf16" ? shim.aoti_torch_dtype_bfloat16()
                               : shim.aoti_torch_dtype_float32()) {}

void Tensors::check(ErrorCode code) const { check_code(shim_, code); }

Tensor Tensors::moved(const Tensor& x, std::int32_t device, std::int32_t dtype, bool copy) const {
  // A device: its number in the lower half, its kind in the upper.
  const auto kind = static_cast<StackValue>(static_cast<std::uint32_t>(device)) << 32U;
  return Stack(shim_)
      .tensor(x)
      .integer(static_cast<std::int64_t>(kind))
      .integer(dtype)
      .boolean(false)
      .boolean(copy)
      .none()
      .call("aten::to", "device");
}

Tensor Tensors::upload(const void* data, bool integer, const Shape& shape, bool exact) const {
  Shape strides(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  const std::int32_t from =
      integer ? shim_.aoti_torch_dtype_int32() : shim_.aoti_torch_dtype_float32();
  Aten* view = nullptr;
  check(shim_.aoti_torch_create_tensor_from_blob(
      const_cast<void*>(data), static_cast<std::int64_t>(shape.size()), shape.data(),
      strides.data(), 0, from, shim_.aoti_torch_device_type_cpu(), 0, &view));
  return moved(owned(view), device_, integer || exact ? from : dtype_, true);
}

void Tensors::download(const Tensor& x, float* out, std::size_t count) const {
  const Shape flat{-1};
  const Tensor here = reshape(
      moved(x, shim_.aoti_torch_device_type_cpu(), shim_.aoti_torch_dtype_float32(), false), flat);
  std::int64_t have = 0;
  check(shim_.aoti_torch_get_numel(here.get(), &have));
  if (have != static_cast<std::int64_t>(count)) {
    throw TorchError("a result of " + std::to_string(have) + " elements where " +
                     std::to_string(count) + " were expected");
  }
  void* data = nullptr;
  check(shim_.aoti_torch_get_data_ptr(here.get(), &data));
  std::memcpy(out, data, count * sizeof(float));
}

Tensor Tensors::share(const Tensor& x) const {
  Aten* handle = nullptr;
  check(shim_.aoti_torch_new_tensor_handle(x.get(), &handle));
  return owned(handle);
}

Tensors::Shape Tensors::shape(const Tensor& x) const {
  std::int64_t dimensions = 0;
  std::int64_t* sizes = nullptr;
  check(shim_.aoti_torch_get_dim(x.get(), &dimensions));
  check(shim_.aoti_torch_get_sizes(x.get(), &sizes));
  return {sizes, sizes + dimensions};
}

std::int64_t Tensors::bytes(const Tensor& x) const {
  std::int64_t count = 0;
  std::int32_t dtype = 0;
  check(shim_.aoti_torch_get_numel(x.get(), &count));
  check(shim_.aoti_torch_get_dtype(x.get(), &dtype));
  return count * static_cast<std::int64_t>(shim_.aoti_torch_dtype_element_size(dtype));
}

Tensor Tensors::scalar(double value) const {
  Aten* made = nullptr;
  check(shim_.aoti_torch_scalar_to_tensor_float32(static_cast<float>(value), &made));
  return moved(owned(made), device_, shim_.aoti_torch_dtype_float32(), false);
}

// The dispatcher takes no Scalar, which aten::add has; this function has one as a double.
Tensor Tensors::add(const Tensor& a, const Tensor& b) const {
  Aten* out = nullptr;
  check(shim_.aoti_torch_aten_subtract_Tensor(a.get(), b.get(), -1.0, &out));
  return owned(out);
}

Tensor Tensors::multiply(const Tensor& a, const Tensor& b) const {
  return Stack(shim_).tensor(a).tensor(b).call("aten::mul", "Tensor");
}

Tensor Tensors::scale(const Tensor& x, double factor) const { return multiply(x, scalar(factor)); }

Tensor Tensors::to(const Tensor& x, std::int32_t dtype) const {
  return Stack(shim_).tensor(x).integer(dtype).boolean(false).boolean(false).none().call("aten::to",
                                                                                         "dtype");
}

Tensor Tensors::reshape(const Tensor& x, const Shape& shape) const {
  return Stack(shim_).tensor(x).integers(shape).call("aten::reshape");
}

Tensor Tensors::transpose(const Tensor& x, std::int64_t a, std::int64_t b) const {
  return Stack(shim_).tensor(x).integer(a).integer(b).call("aten::transpose", "int");
}

Tensor Tensors::narrow(const Tensor& x, std::int64_t axis, std::int64_t begin,
                       std::int64_t count) const {
  return Stack(shim_).tensor(x).integer(axis).integer(begin).integer(count).call("aten::narrow");
}

Tensor Tensors::concatenate(std::span<const Tensor* const> parts, std::int64_t axis) const {
  return Stack(shim_).tensors(parts).integer(axis).call("aten::cat");
}

Tensor Tensors::matmul(const Tensor& a, const Tensor& b) const {
  return Stack(shim_).tensor(a).tensor(b).call("aten::matmul");
}

Tensor Tensors::linear(const Tensor& x, const Tensor& weight, const Tensor& bias) const {
  return Stack(shim_).tensor(to(x, dtype_)).tensor(weight).optional(bias).call("aten::linear");
}

Tensor Tensors::norm(const Tensor& x, bool rms, const Tensor& weight, const Tensor& bias,
                     double eps) const {
  const std::int64_t width = shape(x).back();
  const Tensor values = weight ? to(x, dtype_) : share(x);
  if (!rms) {
    return Stack(shim_)
        .tensor(values)
        .integers({&width, 1})
        .optional(weight)
        .optional(bias)
        .real(eps)
        .boolean(false)
        .call("aten::layer_norm");
  }
  Tensor out = Stack(shim_)
                   .tensor(values)
                   .integers({&width, 1})
                   .optional(weight)
                   .optional_real(eps)
                   .call("aten::rms_norm");
  return bias ? add(out, bias) : std::move(out);
}

Tensor Tensors::unary(const char* name, const Tensor& x) const {
  return Stack(shim_).tensor(x).call(name);
}

Tensor Tensors::activate(Activation activation, Tensor x) const {
  const auto gelu = [&](const char* approximate) {
    return Stack(shim_).tensor(x).text(approximate).call("aten::gelu");
  };
  // log(1 + e^x)
  const auto softplus = [&] {
    return unary("aten::neg", unary("aten::log_sigmoid", unary("aten::neg", x)));
  };
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kGelu:
      return gelu("none");
    case Activation::kGeluTanh:
      return gelu("tanh");
    case Activation::kGeluQuick:
      return multiply(x, unary("aten::sigmoid", scale(x, 1.702)));
    case Activation::kGelu10:
      return Stack(shim_)
          .tensor(gelu("none"))
          .optional(scalar(-10))
          .optional(scalar(10))
          .call("aten::clamp", "Tensor");
    case Activation::kRelu:
      return unary("aten::relu", x);
    case Activation::kRelu2: {
      const Tensor positive = unary("aten::relu", x);
      return multiply(positive, positive);
    }
    case Activation::kRelu6:
      return unary("aten::relu6", x);
    case Activation::kLeakyRelu:
      return Stack(shim_).tensor(x).tensor(scale(x, 0.01)).call("aten::maximum");
    case Activation::kSilu:
      return unary("aten::silu", x);
    case Activation::kMish:
      return unary("aten::mish", x);
    case Activation::kTanh:
      return unary("aten::tanh", x);
    case Activation::kSigmoid:
      return unary("aten::sigmoid", x);
    case Activation::kHardswish:
      return unary("aten::hardswish", x);
    case Activation::kSqrtSoftplus:
      return unary("aten::sqrt", softplus());
    case Activation::kLaplace: {
      const Tensor centred = scale(add(x, scalar(-0.707107)), 1.0 / (0.282095 * std::sqrt(2.0)));
      return scale(add(unary("aten::erf", centred), scalar(1)), 0.5);
    }
  }
  return x;
}

Tensor Tensors::maximum(const Tensor& x, std::int64_t axis) const {
  return Stack(shim_).tensor(x).integers({&axis, 1}).boolean(false).call("aten::amax");
}

Tensor Tensors::reduce(const char* name, const char* overload, const Tensor& x, std::int64_t axis,
                       bool keep) const {
  return Stack(shim_)
      .tensor(x)
      .optional_integers({&axis, 1})
      .boolean(keep)
      .none()
      .call(name, overload);
}

Tensor Tensors::normalize(const Tensor& x) const {
  const Tensor values = exact(x);
  const Tensor squares = reduce("aten::sum", "dim_IntList", multiply(values, values), -1, true);
  const Tensor length =
      Stack(shim_).tensor(unary("aten::sqrt", squares)).tensor(scalar(1e-12)).call("aten::maximum");
  return Stack(shim_).tensor(values).tensor(length).call("aten::div", "Tensor");
}

Tensor Tensors::softmax(const Tensor& x) const {
  return Stack(shim_).tensor(x).integer(-1).none().call("aten::softmax", "int");
}

Tensor Tensors::attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask,
                          double scale, bool grouped) const {
  return Stack(shim_)
      .tensor(q)
      .tensor(k)
      .tensor(v)
      .optional(mask)
      .real(0)
      .boolean(false)
      .optional_real(scale)
      .boolean(grouped)
      .call("aten::scaled_dot_product_attention");
}

Tensor Tensors::embedding(const Tensor& table, const Tensor& ids) const {
  return Stack(shim_).tensor(table).tensor(ids).integer(-1).boolean(false).boolean(false).call(
      "aten::embedding");
}

}  // namespace inlay::backend::torch
