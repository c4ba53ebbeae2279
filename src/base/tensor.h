// Element types, shapes, views and owned memory. Nothing here knows what a tensor means.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace inlay {

enum class DType : std::uint8_t { kF32, kF16, kBF16, kF64, kI8, kU8, kI16, kI32, kI64, kBool };

const char* dtype_name(DType dtype) noexcept;  // "F32", as safetensors spells it
std::size_t dtype_bytes(DType dtype) noexcept;

using Shape = std::vector<std::int64_t>;
std::string shape_text(const Shape& shape);  // "[30522, 384]"
// Number of elements; false when a dimension is negative or the product overflows int64.
bool element_count(const Shape& shape, std::int64_t* count) noexcept;

// A read-only tensor in row-major order that someone else keeps alive. `data` may be unaligned
// (files are).
struct TensorView {
  DType dtype = DType::kF32;
  Shape shape;
  const void* data = nullptr;
  std::int64_t elements() const noexcept;
  std::size_t bytes() const noexcept;
};

// Converts F32, F16, BF16 or F64 elements to float. Throws kUnsupported naming `where` for other
// types.
void to_float(const TensorView& tensor, float* out, std::string_view where);
std::vector<float> to_float(const TensorView& tensor, std::string_view where);

// Owned memory at a 64-byte boundary (one cache line, one AVX-512 vector), uninitialised. Large
// blocks ask the kernel for huge pages. Throws std::bad_alloc.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t bytes);
  void* data() noexcept { return data_.get(); }
  const void* data() const noexcept { return data_.get(); }
  template <typename T>
  T* as() noexcept {
    return static_cast<T*>(data_.get());
  }
  template <typename T>
  const T* as() const noexcept {
    return static_cast<const T*>(data_.get());
  }
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  struct Free {
    void operator()(void* pointer) const noexcept { std::free(pointer); }
  };
  std::unique_ptr<void, Free> data_;
  std::size_t bytes_ = 0;
};

}  // namespace inlay
