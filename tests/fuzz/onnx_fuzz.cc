// Any bytes as an ONNX file: an Error, or tensors whose every byte can be read, of no more memory
// than the file justifies. External data is one file of 64 bytes, whatever its name.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "files/onnx.h"
#include "inlay/inlay.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  static const std::array<char, 64> beside{};
  const auto external = [](std::string_view) -> std::string_view {
    return {beside.data(), beside.size()};
  };
  inlay::Weights weights;
  try {
    inlay::files::read_onnx(bytes, "fuzz.onnx", external, &weights);
  } catch (const inlay::Error&) {
    if (!weights.entries().empty()) std::abort();  // half-loaded
    return 0;
  }
  static volatile unsigned sink = 0;
  const std::size_t most = 8 * (size + beside.size()) + (1U << 20U);
  for (const auto& [name, entry] : weights.entries()) {
    const auto* begin = static_cast<const unsigned char*>(entry.tensor.data);
    if (name.empty() || entry.tensor.bytes() > most) std::abort();
    for (std::size_t i = 0; i < entry.tensor.bytes(); ++i) sink = sink + begin[i];
  }
  return 0;
}
