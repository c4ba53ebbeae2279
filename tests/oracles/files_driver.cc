// Reads checkpoints for tests/oracles/test_files.py and test_onnx.py: `files_driver
// safetensors|pytorch|folder`, requests on standard input, answers on standard output, all numbers
// little-endian.
//
//   request:  32-bit count of bytes, the bytes of a file; for `folder` the path of a folder whose
//             checkpoint is wanted
//   answer:   one byte, 1 for an error and 0 else, 32-bit count of bytes, and that many: the
//   error's
//             "code message", or a line "name dtype [shape] hash" for each tensor in order of name,
//             where hash is FNV-1a of its bytes in hexadecimal. For `folder`: lines "name dtype
//             [shape]", an empty line, and the bytes of the tensors in that order.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

#include "files/checkpoint.h"
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

std::string folder_tensors(const std::string& path) {
  const inlay::files::ModelFolder folder{std::filesystem::path(path)};
  const auto weights = inlay::files::load_checkpoint(folder, folder.root());
  std::string lines, bytes;
  for (const auto& [name, entry] : weights->entries()) {
    lines += name + " " + inlay::dtype_name(entry.tensor.dtype) + " " +
             inlay::shape_text(entry.tensor.shape) + "\n";
    bytes.append(static_cast<const char*>(entry.tensor.data), entry.tensor.bytes());
  }
  return lines + "\n" + bytes;
}

std::string read(std::string_view format, const std::string& bytes) {
  if (format == "folder") return folder_tensors(bytes);
  inlay::Weights weights;
  if (format == "pytorch") {
    inlay::files::read_pytorch(bytes, "file", &weights);
  } else {
    inlay::files::read_safetensors(bytes, "file", &weights);
  }
  return describe(weights);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view format = argc == 2 ? argv[1] : "";
  if (format != "safetensors" && format != "pytorch" && format != "folder") {
    std::fputs("usage: files_driver safetensors|pytorch|folder\n", stderr);
    return 2;
  }
  std::uint32_t size = 0;
  while (std::fread(&size, sizeof size, 1, stdin) == 1) {
    std::string bytes(size, '\0');
    if (std::fread(bytes.data(), 1, size, stdin) != size) return 1;
    try {
      answer(false, read(format, bytes));
    } catch (const inlay::Error& error) {
      answer(true, std::string(inlay::error_code_name(error.code())) + " " + error.what());
    }
  }
  return 0;
}
