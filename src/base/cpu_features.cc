// CPUID, the operating system's saved register state (XGETBV), and cache sizes.
#include "base/cpu_features.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif
#elif defined(__APPLE__)
#include <sys/sysctl.h>

#include <cstddef>
#endif

namespace inlay {
namespace {

#if defined(__x86_64__)
bool bit(unsigned word, unsigned index) { return ((word >> index) & 1U) != 0; }

// Linux hands the tiles' state to a process that asks for it, and to threads it starts later.
bool request_tiles() {
#if defined(__linux__) && defined(SYS_arch_prctl)
  constexpr int kRequest = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;
  return syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
#else
  return false;
#endif
}

std::uint64_t saved_state() {
  unsigned low = 0;
  unsigned high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (std::uint64_t{high} << 32U) | low;
}

void read_cpuid(CpuFeatures* features) {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return;
  const bool fma = bit(c, 12);
  const bool osxsave = bit(c, 27);
  const bool avx = bit(c, 28);
  if (!osxsave || !avx) return;
  const std::uint64_t state = saved_state();
  if ((state & 0x6U) != 0x6U) return;  // xmm and ymm
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return;
  features->avx2_fma = bit(b, 5) && fma;
  // opmask, upper halves of zmm0-15, zmm16-31
  features->avx512 = (state & 0xE0U) == 0xE0U && features->avx2_fma && bit(b, 16) && bit(b, 17) &&
                     bit(b, 30) && bit(b, 31);
  features->avx512_vnni = features->avx512 && bit(c, 11);
  const bool tiles = bit(d, 22) && bit(d, 24) && bit(d, 25) && (state & 0x60000U) == 0x60000U;
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d) == 0) return;
  features->avx_vnni = features->avx2_fma && bit(a, 4);
  features->avx512_bf16 = features->avx512_vnni && bit(a, 5);
  features->amx = features->avx512_bf16 && tiles && request_tiles();
}
#endif

#if defined(__aarch64__)
void read_arm(CpuFeatures* features) {
#if defined(__linux__)
  features->neon_dotprod = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
  const unsigned long matrices = HWCAP2_BF16 | HWCAP2_I8MM;
  features->neon_mmla = features->neon_dotprod && (getauxval(AT_HWCAP2) & matrices) == matrices;
#elif defined(__APPLE__)
  const auto has = [](const char* name) {
    int value = 0;
    std::size_t size = sizeof value;
    return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
  };
  features->neon_dotprod = has("hw.optional.arm.FEAT_DotProd");
  features->neon_mmla = features->neon_dotprod && has("hw.optional.arm.FEAT_BF16") &&
                        has("hw.optional.arm.FEAT_I8MM");
#endif
}
#endif

#if defined(__linux__)
void read_cache(int name, std::int64_t* bytes) {
  const long size = sysconf(name);
  if (size > 0) *bytes = size;
}
#endif

CpuFeatures read_features() {
  CpuFeatures features;
#if defined(__x86_64__)
  read_cpuid(&features);
#elif defined(__aarch64__)
  features.neon = true;
  read_arm(&features);
#endif
#if defined(__linux__) && defined(_SC_LEVEL1_DCACHE_SIZE)
  read_cache(_SC_LEVEL1_DCACHE_SIZE, &features.l1_bytes);
  read_cache(_SC_LEVEL2_CACHE_SIZE, &features.l2_bytes);
  read_cache(_SC_LEVEL3_CACHE_SIZE, &features.l3_bytes);
#endif
  return features;
}

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = read_features();
  return features;
}

}  // namespace inlay
