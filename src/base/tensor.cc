// Conversions and checked arithmetic for tensors; memory for packed weights and arenas.
#include "base/tensor.h"

#include <array>
#include <cstring>
#include <new>

#include "base/error.h"
#include "base/half.h"
#include "base/large_memory.h"

namespace inlay {
namespace {

struct DTypeInfo {
  const char* name;
  std::size_t bytes;
};
constexpr std::array<DTypeInfo, 10> kDTypes{{{"F32", 4},
                                             {"F16", 2},
                                             {"BF16", 2},
                                             {"F64", 8},
                                             {"I8", 1},
                                             {"U8", 1},
                                             {"I16", 2},
                                             {"I32", 4},
                                             {"I64", 8},
                                             {"BOOL", 1}}};

template <typename T>
T load(const void* data, std::int64_t index) {  // file data may be unaligned
  T value;
  std::memcpy(&value, static_cast<const char*>(data) + index * static_cast<std::int64_t>(sizeof(T)),
              sizeof(T));
  return value;
}

}  // namespace

const char* dtype_name(DType dtype) noexcept {
  return kDTypes[static_cast<std::size_t>(dtype)].name;
}
std::size_t dtype_bytes(DType dtype) noexcept {
  return kDTypes[static_cast<std::size_t>(dtype)].bytes;
}

std::string shape_text(const Shape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i != 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  return text + "]";
}

bool element_count(const Shape& shape, std::int64_t* count) noexcept {
  std::int64_t product = 1;
  for (const std::int64_t extent : shape) {
    if (extent < 0 || __builtin_mul_overflow(product, extent, &product)) return false;
  }
  *count = product;
  return true;
}

std::int64_t TensorView::elements() const noexcept {
  std::int64_t count = 0;
  return element_count(shape, &count) ? count : 0;
}

std::size_t TensorView::bytes() const noexcept {
  return static_cast<std::size_t>(elements()) * dtype_bytes(dtype);
}

void to_float(const TensorView& tensor, float* out, std::string_view where) {
  const std::int64_t count = tensor.elements();
  if (count == 0 && tensor.dtype <= DType::kF64)
    return;  // memcpy takes no null, not even for nothing
  switch (tensor.dtype) {
    case DType::kF32:
      std::memcpy(out, tensor.data, static_cast<std::size_t>(count) * sizeof(float));
      return;
    case DType::kF16:
      for (std::int64_t i = 0; i < count; ++i)
        out[i] = half_to_float(load<std::uint16_t>(tensor.data, i));
      return;
    case DType::kBF16:
      for (std::int64_t i = 0; i < count; ++i)
        out[i] = bf16_to_float(load<std::uint16_t>(tensor.data, i));
      return;
    case DType::kF64:
      for (std::int64_t i = 0; i < count; ++i)
        out[i] = static_cast<float>(load<double>(tensor.data, i));
      return;
    default:
      fail(ErrorCode::kUnsupported, where,
           std::string("expected a tensor of F32, F16, BF16 or F64, got ") +
               dtype_name(tensor.dtype) +
               ". Quantised checkpoints must be converted to floating point first.");
  }
}

std::vector<float> to_float(const TensorView& tensor, std::string_view where) {
  std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
  to_float(tensor, values.data(), where);
  return values;
}

Buffer::Buffer(std::size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  constexpr std::size_t kAlignment = 64;
  if (bytes >= 2 * kHugePage) {
    data_.reset(large_memory(bytes));
    return;
  }
  data_.reset(std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment));
  if (data_ == nullptr) throw std::bad_alloc();
}

}  // namespace inlay
