// LibTorch 2.9, as far as anybody asks.
#include <cstdint>

extern "C" __attribute__((visibility("default"))) std::uint64_t aoti_torch_abi_version() {
  return (std::uint64_t{2} << 56U) | (std::uint64_t{9} << 48U) | (std::uint64_t{1} << 40U);
}
