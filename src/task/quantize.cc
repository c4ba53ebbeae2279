// Output types after sentence-transformers' quantize_embeddings (util/quantization.py).
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/half.h"
#include "inlay/inlay.hpp"

namespace inlay {
namespace {

// floor((x - minimum) / step), clipped to [0, 255]; a dimension without spread has step 1.
void quantize_bytes(std::span<const float> vectors, std::size_t dim, const Quantization& how,
                    std::uint8_t* out) {
  std::vector<float> steps(dim);
  for (std::size_t d = 0; d < dim; ++d) {
    const float step = (how.maximum[d] - how.minimum[d]) / 255.0F;
    steps[d] = step == 0.0F ? 1.0F : step;
  }
  const int shift = how.dtype == OutputDtype::kInt8 ? 128 : 0;
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    const std::size_t d = i % dim;
    const float level =
        std::clamp(std::floor((vectors[i] - how.minimum[d]) / steps[d]), 0.0F, 255.0F);
    out[i] = static_cast<std::uint8_t>(static_cast<int>(level) - shift);
  }
}

// One bit a value, set when positive, highest bit first; binary subtracts 128 so that it reads as
// int8.
void quantize_bits(std::span<const float> vectors, std::size_t dim, OutputDtype dtype,
                   std::uint8_t* out) {
  const std::size_t row_bytes = (dim + 7) / 8;
  const std::uint8_t flip = dtype == OutputDtype::kBinary ? 0x80 : 0;
  for (std::size_t row = 0; row < vectors.size() / dim; ++row) {
    std::uint8_t* bytes = out + row * row_bytes;
    std::memset(bytes, 0, row_bytes);
    for (std::size_t d = 0; d < dim; ++d) {
      if (vectors[row * dim + d] > 0)
        bytes[d / 8] = static_cast<std::uint8_t>(bytes[d / 8] | (0x80U >> (d % 8)));
    }
    for (std::size_t b = 0; b < row_bytes; ++b) bytes[b] ^= flip;
  }
}

}  // namespace

std::vector<std::uint8_t> quantize(std::span<const float> vectors, std::int64_t dim,
                                   const Quantization& how) {
  if (dim < 1 || vectors.size() % static_cast<std::size_t>(dim) != 0) {
    fail(ErrorCode::kUsage, "quantize",
         "expected whole vectors of a positive width, got " + std::to_string(vectors.size()) +
             " values at width " + std::to_string(dim) + ".");
  }
  const auto width = static_cast<std::size_t>(dim);
  std::vector<std::uint8_t> out;
  switch (how.dtype) {
    case OutputDtype::kFloat32:
      out.resize(vectors.size_bytes());
      if (!out.empty()) std::memcpy(out.data(), vectors.data(), out.size());
      return out;
    case OutputDtype::kFloat16:
      out.resize(vectors.size() * 2);
      for (std::size_t i = 0; i < vectors.size(); ++i) {
        const std::uint16_t half = float_to_half(vectors[i]);
        out[2 * i] = static_cast<std::uint8_t>(half & 0xFFU);
        out[2 * i + 1] = static_cast<std::uint8_t>(half >> 8U);
      }
      return out;
    case OutputDtype::kInt8:
    case OutputDtype::kUint8:
      if (how.minimum.size() != width || how.maximum.size() != width) {
        fail(ErrorCode::kUsage, "--calibration",
             "expected ranges for " + std::to_string(dim) + " dimensions, got " +
                 std::to_string(how.minimum.size()) + ". Make them with: inlay model calibrate.");
      }
      out.resize(vectors.size());
      quantize_bytes(vectors, width, how, out.data());
      return out;
    case OutputDtype::kBinary:
    case OutputDtype::kUbinary:
      out.resize(vectors.size() / width * ((width + 7) / 8));
      quantize_bits(vectors, width, how.dtype, out.data());
      return out;
  }
  fail(ErrorCode::kInternal, "quantize", "expected a known output type.");
}

}  // namespace inlay
