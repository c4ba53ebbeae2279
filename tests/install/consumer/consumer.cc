// Uses the installed C++ API as far as no model is needed: calls in, an exception out, values back.
#include <cstdio>
#include <inlay/inlay.hpp>
#include <vector>

int main() {
  const std::vector<float> vector = {1.0F, -1.0F, 0.5F};
  inlay::Quantization binary;
  binary.dtype = inlay::OutputDtype::kUbinary;
  if (inlay::quantize(vector, 3, binary) != std::vector<std::uint8_t>{0b10100000}) return 1;
  try {
    inlay::Tokenizer tokenizer("./no-such-folder");
    return 1;
  } catch (const inlay::Error& error) {  // crosses the library's border with its type
    if (error.code() != inlay::ErrorCode::kNotFound) return 1;
  }
  std::puts(inlay::version());
  return 0;
}
