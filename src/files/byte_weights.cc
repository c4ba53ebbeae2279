#include "files/byte_weights.h"

#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/mix.h"

namespace inlay::files {
namespace {

// The matrix that a scale belongs to.
const Weights::Entry& matrix_of(const Weights& weights, std::string_view scale_name,
                                const Weights::Entry& scale) {
  const std::string_view name = scale_name.substr(0, scale_name.size() - kByteScale.size());
  const Weights::Entry* matrix = weights.find(name);
  const bool fits = matrix != nullptr && matrix->tensor.dtype == DType::kI8 &&
                    matrix->tensor.shape.size() == 2 && scale.tensor.dtype == DType::kF32 &&
                    scale.tensor.shape == Shape{matrix->tensor.shape[0]};
  if (!fits) {
    fail(ErrorCode::kBadInput, scale.file + ": " + printable(scale_name),
         "expected a scale for each row of an I8 matrix \"" + printable(name) +
             "\", got something else. Make the folder again with inlay model convert.");
  }
  return *matrix;
}

bool is_scale(std::string_view name) { return name.ends_with(kByteScale); }

void restore(const TensorView& bytes, const TensorView& scales, float* out) {
  const std::int64_t k = bytes.shape[1];
  const auto* from = static_cast<const std::int8_t*>(bytes.data);
  for (std::int64_t r = 0; r < bytes.shape[0]; ++r, from += k, out += k) {
    float scale = 0;
    std::memcpy(&scale, static_cast<const char*>(scales.data) + r * std::int64_t{sizeof scale},
                sizeof scale);
    for (std::int64_t i = 0; i < k; ++i) out[i] = static_cast<float>(from[i]) * scale;
    unmix_row(out, k);
  }
}

// Bytes of memory that the restored matrices take.
std::int64_t restored_bytes(const Weights& weights) {
  std::int64_t bytes = 0;
  for (const auto& [name, entry] : weights.entries()) {
    if (is_scale(name))
      bytes += matrix_of(weights, name, entry).tensor.elements() * std::int64_t{sizeof(float)};
  }
  return bytes;
}

}  // namespace

std::shared_ptr<const Weights> restore_bytes(std::shared_ptr<const Weights> weights) {
  const std::int64_t needed = restored_bytes(*weights);
  if (needed == 0) return weights;
  const auto floats = std::make_shared<Buffer>(static_cast<std::size_t>(needed));
  auto restored = std::make_shared<Weights>();
  float* next = floats->as<float>();
  for (const auto& [name, entry] : weights->entries()) {
    if (is_scale(name)) continue;
    const Weights::Entry* scale = weights->find(name + std::string(kByteScale));
    TensorView view = entry.tensor;
    if (scale != nullptr) {
      restore(entry.tensor, scale->tensor, next);
      view.dtype = DType::kF32;
      view.data = next;
      next += view.elements();
    }
    restored->add(name, std::move(view), entry.file);
  }
  restored->keep_alive(floats);
  restored->keep_alive(std::move(weights));
  return restored;
}

}  // namespace inlay::files
