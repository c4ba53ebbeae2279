// What this processor offers that a kernel may need, as the operating system lets it be used.
#pragma once

#include <cstdint>

namespace inlay {

struct CpuFeatures {
  bool avx2_fma = false;     // AVX2 and FMA, ymm state saved by the operating system
  bool avx512 = false;       // AVX-512 F, BW, DQ, VL, zmm and mask state saved
  bool avx512_vnni = false;  // the above and VNNI
  bool avx512_bf16 = false;  // avx512_vnni and BF16
  bool amx = false;          // avx512_bf16 and AMX tiles, int8, bf16, granted to this process
  bool avx_vnni = false;     // avx2_fma and AVX-VNNI
  bool neon = false;         // aarch64's baseline vector unit
  bool neon_dotprod = false, neon_mmla = false;  // the above with DotProd; and BF16 and I8MM
  // Data caches in bytes: of one core, of one core, shared. A size the system does not tell is a
  // usual one.
  std::int64_t l1_bytes = 32 << 10, l2_bytes = 512 << 10, l3_bytes = 8 << 20;
};

// Read once; thread-safe.
const CpuFeatures& cpu_features();

}  // namespace inlay
