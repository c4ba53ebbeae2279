// Choosing an instruction set at run time; nothing here computes.
#include "backend/cpu/isa.h"

#include <array>
#include <cstdlib>

#include "base/cpu_features.h"
#include "base/error.h"

namespace inlay::backend::cpu {

#if defined(__x86_64__)
extern const Kernels kAvx512Kernels;
extern const Kernels kAvx2Kernels;
constexpr const Kernels* kAvx512 = &kAvx512Kernels;
constexpr const Kernels* kAvx2 = &kAvx2Kernels;
#else
constexpr const Kernels* kAvx512 = nullptr;
constexpr const Kernels* kAvx2 = nullptr;
#endif
#if defined(__aarch64__)
extern const Kernels kNeonKernels;
constexpr const Kernels* kNeon = &kNeonKernels;
#else
constexpr const Kernels* kNeon = nullptr;
#endif
extern const Kernels kGenericKernels;

std::span<const IsaEntry> isa_table() {
  static constexpr std::array<IsaEntry, 4> kTable{{
      {"avx512", kAvx512,
       "an x86-64 processor with AVX-512 F, BW, DQ and VL, enabled by the system",
       [] { return cpu_features().avx512; }},
      {"avx2", kAvx2, "an x86-64 processor with AVX2 and FMA, enabled by the system",
       [] { return cpu_features().avx2_fma; }},
      {"neon", kNeon, "an arm64 processor", [] { return cpu_features().neon; }},
      {"generic", &kGenericKernels, "any processor", [] { return true; }},
  }};
  return kTable;
}

const Kernels& choose_isa(std::string_view wish) {
  for (const IsaEntry& entry : isa_table()) {
    const bool usable = entry.kernels != nullptr && entry.available();
    if (wish.empty() && usable) return *entry.kernels;
    if (wish != entry.name) continue;
    if (usable) return *entry.kernels;
    fail(ErrorCode::kUnavailable, "INLAY_CPU_ISA",
         "expected an instruction set of this machine, got " + std::string(wish) +
             ", which needs " + entry.requirement +
             ". Unset INLAY_CPU_ISA to use the fastest that is there.");
  }
  fail(ErrorCode::kUsage, "INLAY_CPU_ISA",
       "expected avx512, avx2, neon or generic, got \"" + printable(wish) + "\".");
}

const Kernels& choose_isa() {
  const char* wish = std::getenv("INLAY_CPU_ISA");
  return choose_isa(wish == nullptr ? std::string_view() : std::string_view(wish));
}

std::vector<std::string> isa_notes(std::string_view chosen) {
  std::vector<std::string> notes;
  for (const IsaEntry& entry : isa_table()) {
    if (entry.name == chosen) continue;
    const bool usable = entry.kernels != nullptr && entry.available();
    notes.push_back(std::string(entry.name) + (usable
                                                   ? ": available, not chosen"
                                                   : std::string(": needs ") + entry.requirement));
  }
  return notes;
}

}  // namespace inlay::backend::cpu
