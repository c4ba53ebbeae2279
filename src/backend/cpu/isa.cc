// Choosing an instruction set at run time; nothing here computes.
#include "backend/cpu/isa.h"

#include <array>
#include <cstdlib>

#include "base/cpu_features.h"
#include "base/error.h"

namespace inlay::backend::cpu {

#if defined(__x86_64__)
extern const Kernels kAvx512VnniKernels;
extern const Kernels kAvx512Kernels;
extern const Kernels kAvx2Kernels;
constexpr const Kernels* kAvx512Vnni = &kAvx512VnniKernels;
constexpr const Kernels* kAvx512 = &kAvx512Kernels;
constexpr const Kernels* kAvx2 = &kAvx2Kernels;
#else
constexpr const Kernels* kAvx512Vnni = nullptr;
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
extern const Kernels kGenericFusedKernels;

std::span<const IsaEntry> isa_table() {
  static constexpr std::array<IsaEntry, 5> kTable{{
      {"avx512_vnni", kAvx512Vnni,
       "an x86-64 processor with AVX-512 F, BW, DQ, VL and VNNI, enabled by the system",
       [] { return cpu_features().avx512_vnni; }, nullptr, true},
      {"avx512", kAvx512,
       "an x86-64 processor with AVX-512 F, BW, DQ and VL, enabled by the system",
       [] { return cpu_features().avx512; }},
      {"avx2", kAvx2, "an x86-64 processor with AVX2 and FMA, enabled by the system",
       [] { return cpu_features().avx2_fma; }},
      {"neon", kNeon, "an arm64 processor", [] { return cpu_features().neon; }},
      {"generic", &kGenericKernels, "any processor", [] { return true; }, &kGenericFusedKernels},
  }};
  return kTable;
}

const Kernels& choose_isa(std::string_view wish, bool int8) {
  for (const IsaEntry& entry : isa_table()) {
    const bool usable = entry.kernels != nullptr && entry.available();
    const bool other = int8 && entry.int8_kernels != nullptr;
    const Kernels* kernels = other ? entry.int8_kernels : entry.kernels;
    if (wish.empty() && usable && (int8 || !entry.int8_only)) return *kernels;
    if (wish != entry.name) continue;
    if (usable) return *kernels;
    fail(ErrorCode::kUnavailable, "INLAY_CPU_ISA",
         "expected an instruction set of this machine, got " + std::string(wish) +
             ", which needs " + entry.requirement +
             ". Unset INLAY_CPU_ISA to use the fastest that is there.");
  }
  fail(ErrorCode::kUsage, "INLAY_CPU_ISA",
       "expected avx512_vnni, avx512, avx2, neon or generic, got \"" + printable(wish) + "\".");
}

namespace {
std::string_view environment_wish() {
  const char* wish = std::getenv("INLAY_CPU_ISA");
  return wish == nullptr ? std::string_view() : std::string_view(wish);
}
}  // namespace

const Kernels& choose_isa() { return choose_isa(environment_wish(), false); }
const Kernels& choose_int8_isa() { return choose_isa(environment_wish(), true); }

std::vector<std::string> isa_notes(std::string_view chosen) {
  std::vector<std::string> notes;
  for (const IsaEntry& entry : isa_table()) {
    if (entry.name == chosen) continue;
    const bool usable = entry.kernels != nullptr && entry.available();
    const std::string fate = entry.int8_only ? ": available, for int8" : ": available, not chosen";
    notes.push_back(entry.name + (usable ? fate : std::string(": needs ") + entry.requirement));
  }
  return notes;
}

}  // namespace inlay::backend::cpu
