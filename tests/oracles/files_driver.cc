// Reads checkpoints for tests/oracles/test_files.py: `files_driver safetensors|pytorch`, requests
// on standard input, answers on standard output, all numbers little-endian.
//
//   request:  32-bit count of bytes, the bytes of a file
//   answer:   one byte, 1 for an error and 0 else, 32-bit count of bytes, and that many: the
//   error's
//             "code message", or a line "name dtype [shape] hash" for each tensor in order of name,
//             where hash is FNV-1a of its bytes in hexadecimal.
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "files/pickle.h"
#include "files/safetensors.h"
#include "inlay/inlay.hpp"

namespace {

std::string describe(const inlay::Weights& weights) {
  std::string out;
  for (const auto& [name, entry] : weights.entries()) {
    std::uint64_t hash = 0xCBF29CE484222325U;
    const auto* bytes = static_cast<const unsigned char*>(entry.tensor.data);
    for (std::size_t i = 0; i < entry.tensor.bytes(); ++i) {
      hash = (hash ^ bytes[i]) * 0x100000001B3U;
    }
    char hex[17];
    std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(hash));
    out += name + " " + inlay::dtype_name(entry.tensor.dtype) + " " +
           inlay::shape_text(entry.tensor.shape) + " " + hex + "\n";
  }
  return out;
}

void answer(bool error, const std::string& text) {
  const auto size = static_cast<std::uint32_t>(text.size());
  std::fputc(error ? 1 : 0, stdout);
  std::fwrite(&size, sizeof size, 1, stdout);
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);  // the other side waits for the last one before it sends more
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view format = argc == 2 ? argv[1] : "";
  if (format != "safetensors" && format != "pytorch") {
    std::fputs("usage: files_driver safetensors|pytorch\n", stderr);
    return 2;
  }
  const auto read =
      format == "pytorch" ? inlay::files::read_pytorch : inlay::files::read_safetensors;
  std::uint32_t size = 0;
  while (std::fread(&size, sizeof size, 1, stdin) == 1) {
    std::string bytes(size, '\0');
    if (std::fread(bytes.data(), 1, size, stdin) != size) return 1;
    inlay::Weights weights;
    try {
      read(bytes, "file", &weights);
      answer(false, describe(weights));
    } catch (const inlay::Error& error) {
      answer(true, std::string(inlay::error_code_name(error.code())) + " " + error.what());
    }
  }
  return 0;
}
