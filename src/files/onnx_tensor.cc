// Sizes are checked against the file before a view is made or memory is taken.
#include "files/onnx_tensor.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "base/error.h"

namespace inlay::files::onnx {
namespace {

static_assert(std::endian::native == std::endian::little, "views are handed out as they lie");

std::optional<DType> stored_type(std::int64_t data_type) {
  switch (data_type) {
    case kFloat:
      return DType::kF32;
    case kUint8:
      return DType::kU8;
    case kInt8:
      return DType::kI8;
    case kInt32:
      return DType::kI32;
    case kInt64:
      return DType::kI64;
    case kFloat16:
      return DType::kF16;
    case kDouble:
      return DType::kF64;
    case kBfloat16:
      return DType::kBF16;
    default:
      return std::nullopt;
  }
}

template <typename T>
T load(const void* data, std::int64_t index) {  // file data may be unaligned
  T value;
  std::memcpy(&value, static_cast<const char*>(data) + index * static_cast<std::int64_t>(sizeof(T)),
              sizeof(T));
  return value;
}

float integer_at(const TensorView& tensor, std::int64_t index) {
  switch (tensor.dtype) {
    case DType::kI8:
      return load<std::int8_t>(tensor.data, index);
    case DType::kU8:
      return load<std::uint8_t>(tensor.data, index);
    default:
      return static_cast<float>(load<std::int32_t>(tensor.data, index));
  }
}

// (q - zero) * scale; the elements are `outer` times groups of `run` elements that share both.
template <typename T>
void dequantise(const void* from, std::int64_t outer, std::int64_t run,
                const std::vector<float>& scales, const std::vector<float>& zeros, float* out) {
  std::int64_t at = 0;
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::size_t group = 0; group < scales.size(); ++group) {
      for (const std::int64_t end = at + run; at < end; ++at)
        out[at] = (static_cast<float>(load<T>(from, at)) - zeros[group]) * scales[group];
    }
  }
}

// Tiles of 32 x 32 keep both sides in the first-level cache.
template <typename T>
void transpose(const void* from, std::int64_t rows, std::int64_t columns, char* to) {
  constexpr std::int64_t kTile = 32;
  for (std::int64_t r0 = 0; r0 < rows; r0 += kTile) {
    for (std::int64_t c0 = 0; c0 < columns; c0 += kTile) {
      for (std::int64_t c = c0; c < std::min(c0 + kTile, columns); ++c) {
        for (std::int64_t r = r0; r < std::min(r0 + kTile, rows); ++r) {
          const T value = load<T>(from, r * columns + c);
          std::memcpy(to + (c * rows + r) * static_cast<std::int64_t>(sizeof(T)), &value,
                      sizeof(T));
        }
      }
    }
  }
}

}  // namespace

bool is_real(std::int64_t data_type) {
  return data_type == kFloat || data_type == kFloat16 || data_type == kBfloat16 ||
         data_type == kDouble;
}

Shape Source::shape() const {
  Shape shape = tensor->dims;
  if (count >= 0 && !shape.empty()) shape.back() = count;
  if (transposed && shape.size() == 2) std::swap(shape[0], shape[1]);
  return shape;
}

std::string TensorReader::where(const Tensor& tensor) const {
  return std::string(file_.name) + ": tensor \"" + printable(tensor.name) + "\"";
}

void TensorReader::refuse(const Tensor& tensor, const std::string& message) const {
  fail(ErrorCode::kBadInput, where(tensor),
       message + " The file is damaged or is not complete; fetch it again.");
}

// Memory for `view`, checked against the budget before it is taken.
TensorReader::Memory TensorReader::allocate(TensorView* view, const Tensor& tensor) const {
  const std::size_t bytes = view->bytes();
  if (bytes > budget_) {
    refuse(tensor, "expected weights that fit their file, got " + std::to_string(bytes) +
                       " bytes more than eight times its size.");
  }
  auto memory = std::make_shared<Buffer>(std::max<std::size_t>(bytes, 1));
  view->data = memory->data();
  return memory;
}

TensorView TensorReader::read(const Source& source) {
  Memory memory;  // what `view` lies in when that is not a file
  TensorView view = plain(*source.tensor, &memory);
  if (source.count >= 0) view = columns(source, view, &memory);
  if (source.scale != nullptr) view = dequantised(source, view, &memory);
  if (source.transposed) view = transposed(source, view, &memory);
  if (memory != nullptr) {
    budget_ -= std::min(budget_, memory->bytes());
    owners_.push_back(std::move(memory));
  }
  return view;
}

// The tensor as the file has it.
TensorView TensorReader::plain(const Tensor& tensor, Memory* memory) {
  const std::optional<DType> dtype = stored_type(tensor.data_type);
  if (!dtype) {
    fail(ErrorCode::kUnsupported, where(tensor),
         "expected elements of float32, float16, bfloat16, float64, int8, uint8 or int32, got "
         "ONNX data type " +
             std::to_string(tensor.data_type) + ". Take another file of the model.");
  }
  TensorView view{*dtype, tensor.dims, nullptr};
  std::int64_t count = 0;
  std::int64_t needed = 0;
  if (!element_count(tensor.dims, &count) ||
      __builtin_mul_overflow(count, static_cast<std::int64_t>(dtype_bytes(*dtype)), &needed)) {
    refuse(tensor, "expected a shape of less than 2^63 bytes, got " +
                       printable(shape_text(tensor.dims)) + ".");
  }
  if (!tensor.external && !tensor.raw) return decoded(tensor, view, memory);
  const std::string_view bytes =
      tensor.external ? external_bytes(tensor, static_cast<std::uint64_t>(needed)) : *tensor.raw;
  if (bytes.size() != static_cast<std::size_t>(needed)) {
    refuse(tensor, "expected " + std::to_string(needed) + " bytes for " + dtype_name(*dtype) + " " +
                       printable(shape_text(tensor.dims)) + ", got " +
                       std::to_string(bytes.size()) + ".");
  }
  view.data = bytes.data();
  return view;
}

std::string_view TensorReader::external_bytes(const Tensor& tensor, std::uint64_t needed) {
  const std::string_view whole = external_(tensor.location);
  if (known_files_.insert(whole.data()).second) allow(whole.size());
  const std::uint64_t length = tensor.length.value_or(needed);
  if (tensor.offset > whole.size() || length > whole.size() - tensor.offset) {
    refuse(tensor, "expected " + std::to_string(length) + " bytes at offset " +
                       std::to_string(tensor.offset) + " of \"" + printable(tensor.location) +
                       "\", got a file of " + std::to_string(whole.size()) + " bytes.");
  }
  return whole.substr(tensor.offset, length);
}

// Typed data that does not lie in memory's form: varints, or several pieces.
TensorView TensorReader::decoded(const Tensor& tensor, TensorView view, Memory* memory) const {
  const auto count = static_cast<std::size_t>(view.elements());
  const std::size_t unit = dtype_bytes(view.dtype);
  if (count > tensor.message.size()) {  // an element takes a byte at least
    refuse(tensor, "expected " + std::to_string(count) + " elements, got fewer.");
  }
  *memory = allocate(&view, tensor);
  char* out = (*memory)->as<char>();
  const bool real = view.dtype == DType::kF32 || view.dtype == DType::kF64;
  const std::uint32_t wanted = view.dtype == DType::kF32   ? 4
                               : view.dtype == DType::kF64 ? 10
                               : view.dtype == DType::kI64 ? 7
                                                           : 5;
  std::size_t done = 0;
  const auto append = [&](const void* data, std::size_t elements) {
    if (elements > count - done) {
      refuse(tensor, "expected " + std::to_string(count) + " elements, got more.");
    }
    if (elements != 0) std::memcpy(out + done * unit, data, elements * unit);
    done += elements;
  };
  WireReader reader(tensor.message, file_);
  for (WireField field; reader.next(&field);) {
    if (field.id != wanted) continue;
    if (!real) {
      std::vector<std::int64_t> values;
      reader.integers(field, count - done, &values);
      for (const std::int64_t value : values) append(&value, 1);  // low bytes come first
    } else if (field.type == WireType::kBytes && field.bytes.size() % unit == 0) {
      append(field.bytes.data(), field.bytes.size() / unit);
    } else if (field.type == (unit == 4 ? WireType::kFixed32 : WireType::kFixed64)) {
      append(&field.number, 1);
    } else {
      reader.refuse("expected floats as typed data, got something else.");
    }
  }
  if (done != count) {
    refuse(tensor,
           "expected " + std::to_string(count) + " elements, got " + std::to_string(done) + ".");
  }
  return view;
}

std::vector<float> TensorReader::scales(const Source& source, std::int64_t groups) {
  Memory memory;
  const Tensor& tensor = *source.scale;
  std::vector<float> scales = to_float(plain(tensor, &memory), where(tensor));
  if (source.second_scale != nullptr) {
    const std::vector<float> second =
        to_float(plain(*source.second_scale, &memory), where(*source.second_scale));
    if (second.size() != 1) refuse(*source.second_scale, "expected one scale, got another number.");
    for (float& scale : scales) scale *= second.front();
  }
  if (scales.size() != 1 && static_cast<std::int64_t>(scales.size()) != groups) {
    refuse(tensor, "expected one scale or " + std::to_string(groups) + ", got " +
                       std::to_string(scales.size()) + ".");
  }
  return scales;
}

std::vector<float> TensorReader::zeros(const Source& source, DType dtype, std::size_t count) {
  std::vector<float> zeros(count, 0.0F);
  if (source.zero_point == nullptr) return zeros;
  Memory memory;
  const TensorView view = plain(*source.zero_point, &memory);
  const std::int64_t given = view.elements();
  if (view.dtype != dtype || (given != 1 && given != static_cast<std::int64_t>(count))) {
    refuse(*source.zero_point,
           "expected zero points of the weight's type, as many as scales, got " +
               std::string(dtype_name(view.dtype)) + " " + printable(shape_text(view.shape)) + ".");
  }
  for (std::size_t i = 0; i < count; ++i)
    zeros[i] = integer_at(view, given == 1 ? 0 : static_cast<std::int64_t>(i));
  return zeros;
}

TensorView TensorReader::dequantised(const Source& source, const TensorView& stored,
                                     Memory* memory) {
  const Tensor& tensor = *source.tensor;
  const DType dtype = stored.dtype;
  if (dtype != DType::kI8 && dtype != DType::kU8 && dtype != DType::kI32) {
    fail(ErrorCode::kUnsupported, where(tensor),
         std::string("expected quantised elements of int8, uint8 or int32, got ") +
             dtype_name(dtype) + ". Take another file of the model.");
  }
  const std::size_t rank = tensor.dims.size();
  const std::size_t axis = rank < 2 ? 0 : static_cast<std::size_t>(source.axis);
  if (axis >= std::max<std::size_t>(rank, 1)) refuse(tensor, "expected an axis of its shape.");
  // Scales are for the whole tensor; a cut of its last axis takes its part of them.
  std::vector<float> scale = scales(source, rank == 0 ? 1 : tensor.dims[axis]);
  std::vector<float> zero = zeros(source, dtype, scale.size());
  if (source.count >= 0 && scale.size() != 1 && axis + 1 == rank) {
    const auto cut = [&](std::vector<float>& values) {
      values.erase(values.begin() + source.first + source.count, values.end());
      values.erase(values.begin(), values.begin() + source.first);
    };
    cut(scale);
    cut(zero);
  }
  TensorView view{DType::kF32, stored.shape, nullptr};
  const std::int64_t elements = view.elements();
  if (elements > (std::int64_t{1} << 60U)) refuse(tensor, "expected fewer elements.");
  const Memory made = allocate(&view, tensor);
  if (elements != 0) {
    std::int64_t run = elements;  // neighbours that share a scale
    if (scale.size() != 1) {
      run = 1;
      for (std::size_t i = axis + 1; i < rank; ++i) run *= stored.shape[i];
    }
    const std::int64_t outer = elements / (run * static_cast<std::int64_t>(scale.size()));
    auto* out = made->as<float>();
    if (dtype == DType::kI8) dequantise<std::int8_t>(stored.data, outer, run, scale, zero, out);
    if (dtype == DType::kU8) dequantise<std::uint8_t>(stored.data, outer, run, scale, zero, out);
    if (dtype == DType::kI32) dequantise<std::int32_t>(stored.data, outer, run, scale, zero, out);
  }
  *memory = made;
  return view;
}

TensorView TensorReader::columns(const Source& source, const TensorView& whole,
                                 Memory* memory) const {
  const Tensor& tensor = *source.tensor;
  if (whole.shape.empty() || source.first < 0 || source.count > whole.shape.back() ||
      source.first > whole.shape.back() - source.count) {
    refuse(tensor, "expected a packed matrix of queries, keys and values, got " +
                       printable(shape_text(whole.shape)) + ".");
  }
  TensorView view{whole.dtype, whole.shape, nullptr};
  view.shape.back() = source.count;
  const Memory made = allocate(&view, tensor);
  const auto unit = static_cast<std::int64_t>(dtype_bytes(whole.dtype));
  const std::int64_t width = whole.shape.back();
  const auto* from = static_cast<const char*>(whole.data);
  const std::int64_t rows = source.count == 0 ? 0 : view.elements() / source.count;
  for (std::int64_t row = 0; row < rows; ++row) {
    std::memcpy(made->as<char>() + row * source.count * unit,
                from + (row * width + source.first) * unit,
                static_cast<std::size_t>(source.count * unit));
  }
  *memory = made;
  return view;
}

TensorView TensorReader::transposed(const Source& source, const TensorView& stored,
                                    Memory* memory) const {
  if (stored.shape.size() != 2) {
    refuse(*source.tensor, "expected a matrix, got " + printable(shape_text(stored.shape)) + ".");
  }
  const std::int64_t rows = stored.shape[0];
  const std::int64_t width = stored.shape[1];
  TensorView view{stored.dtype, {width, rows}, nullptr};
  const Memory made = allocate(&view, *source.tensor);
  char* out = made->as<char>();
  switch (dtype_bytes(stored.dtype)) {
    case 1:
      transpose<std::uint8_t>(stored.data, rows, width, out);
      break;
    case 2:
      transpose<std::uint16_t>(stored.data, rows, width, out);
      break;
    case 4:
      transpose<std::uint32_t>(stored.data, rows, width, out);
      break;
    default:
      transpose<std::uint64_t>(stored.data, rows, width, out);
      break;
  }
  *memory = made;
  return view;
}

}  // namespace inlay::files::onnx
