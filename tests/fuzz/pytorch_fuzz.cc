// Any bytes as a PyTorch checkpoint: an Error, or tensors whose every byte can be read. What begins
// like a ZIP is a file; anything else is the pickle alone, over one storage of 64 bytes, so that
// the machine is reached without a valid archive around it.
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "files/pickle.h"
#include "files/unpickler.h"
#include "inlay/inlay.hpp"

namespace {

void touch(const inlay::TensorView& tensor) {
  static volatile unsigned sink = 0;
  const auto* bytes = static_cast<const unsigned char*>(tensor.data);
  for (std::size_t i = 0; i < tensor.bytes(); ++i) sink = sink + bytes[i];
}

void run_machine(std::string_view bytes) {
  static const std::array<char, 64> storage{};
  const auto find = [](std::string_view key) -> std::optional<std::string_view> {
    if (key != "0") return std::nullopt;
    return std::string_view(storage.data(), storage.size());
  };
  const inlay::files::pickle::Result made =
      inlay::files::pickle::unpickle(bytes, "fuzz.bin", find, {1 << 16});
  for (const auto& value : made.arena) {
    if (const auto* tensor = std::get_if<inlay::TensorView>(&value.value)) touch(*tensor);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    if (!bytes.starts_with("PK")) {
      run_machine(bytes);
      return 0;
    }
    inlay::Weights weights;
    inlay::files::read_pytorch(bytes, "fuzz.bin", &weights);
    for (const auto& [name, entry] : weights.entries()) touch(entry.tensor);
  } catch (const inlay::Error&) {
  }
  return 0;
}
