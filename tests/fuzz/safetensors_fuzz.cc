// Any bytes as a safetensors file: an Error, or views that lie inside the bytes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "files/safetensors.h"
#include "inlay/inlay.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  inlay::Weights weights;
  try {
    inlay::files::read_safetensors(bytes, "fuzz.safetensors", &weights);
  } catch (const inlay::Error&) {
    if (!weights.entries().empty()) std::abort();  // half-loaded
    return 0;
  }
  std::size_t covered = 0;
  for (const auto& [name, entry] : weights.entries()) {
    const auto* begin = static_cast<const char*>(entry.tensor.data);
    if (begin < bytes.data() || begin > bytes.data() + size ||
        entry.tensor.bytes() > static_cast<std::size_t>(bytes.data() + size - begin)) {
      std::abort();
    }
    covered += entry.tensor.bytes();
  }
  if (covered >= size) std::abort();  // tensors that overlap, or lie in the header
  return 0;
}
