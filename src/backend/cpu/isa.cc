// Choosing an instruction set at run time; nothing here computes.
#include "backend/cpu/isa.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>

#include "base/cpu_features.h"
#include "base/error.h"

namespace inlay::backend::cpu {

#if defined(__x86_64__)
extern const Kernels kAmxKernels;
extern const Kernels kAvx512Bf16Kernels;
extern const Kernels kAvx512VnniKernels;
extern const Kernels kAvx512Kernels;
extern const Kernels kAvxVnniKernels;
extern const Kernels kAvx2Kernels;
constexpr const Kernels* kAmx = &kAmxKernels;
constexpr const Kernels* kAvx512Bf16 = &kAvx512Bf16Kernels;
constexpr const Kernels* kAvx512Vnni = &kAvx512VnniKernels;
constexpr const Kernels* kAvx512 = &kAvx512Kernels;
constexpr const Kernels* kAvxVnni = &kAvxVnniKernels;
constexpr const Kernels* kAvx2 = &kAvx2Kernels;
#else
constexpr const Kernels* kAmx = nullptr;
constexpr const Kernels* kAvx512Bf16 = nullptr;
constexpr const Kernels* kAvx512Vnni = nullptr;
constexpr const Kernels* kAvx512 = nullptr;
constexpr const Kernels* kAvxVnni = nullptr;
constexpr const Kernels* kAvx2 = nullptr;
#endif
#if defined(__aarch64__)
extern const Kernels kNeonMmlaKernels;
extern const Kernels kNeonDotprodKernels;
extern const Kernels kNeonKernels;
constexpr const Kernels* kNeonMmla = &kNeonMmlaKernels;
constexpr const Kernels* kNeonDotprod = &kNeonDotprodKernels;
constexpr const Kernels* kNeon = &kNeonKernels;
#else
constexpr const Kernels* kNeonMmla = nullptr;
constexpr const Kernels* kNeonDotprod = nullptr;
constexpr const Kernels* kNeon = nullptr;
#endif
extern const Kernels kGenericKernels;
extern const Kernels kGenericFusedKernels;

std::span<const IsaEntry> isa_table() {
  static constexpr std::array<IsaEntry, 10> kTable{{
      {"amx",
       "an x86-64 processor with AMX (tiles, int8, bf16) and AVX-512, enabled by the system",
       [] { return cpu_features().amx; },
       {nullptr, kAmx, kAmx}},
      {"avx512_bf16",
       "an x86-64 processor with AVX-512 F, BW, DQ, VL, VNNI and BF16, enabled by the system",
       [] { return cpu_features().avx512_bf16; },
       {nullptr, kAvx512Bf16, nullptr}},
      {"avx512_vnni",
       "an x86-64 processor with AVX-512 F, BW, DQ, VL and VNNI, enabled by the system",
       [] { return cpu_features().avx512_vnni; },
       {nullptr, nullptr, kAvx512Vnni}},
      {"avx512",
       "an x86-64 processor with AVX-512 F, BW, DQ and VL, enabled by the system",
       [] { return cpu_features().avx512; },
       {kAvx512, kAvx512, kAvx512}},
      {"avx_vnni",
       "an x86-64 processor with AVX2, FMA and AVX-VNNI, enabled by the system",
       [] { return cpu_features().avx_vnni; },
       {nullptr, nullptr, kAvxVnni}},
      {"avx2",
       "an x86-64 processor with AVX2 and FMA, enabled by the system",
       [] { return cpu_features().avx2_fma; },
       {kAvx2, kAvx2, kAvx2}},
      {"neon_mmla",
       "an arm64 processor with BF16 and I8MM (Armv8.6)",
       [] { return cpu_features().neon_mmla; },
       {nullptr, kNeonMmla, kNeonMmla}},
      {"neon_dotprod",
       "an arm64 processor with DotProd (Armv8.2)",
       [] { return cpu_features().neon_dotprod; },
       {nullptr, nullptr, kNeonDotprod}},
      {"neon", "an arm64 processor", [] { return cpu_features().neon; }, {kNeon, kNeon, kNeon}},
      // Narrow elements take the table whose multiply-adds round once, as all others' do.
      {"generic",
       "any processor",
       [] { return true; },
       {&kGenericKernels, &kGenericFusedKernels, &kGenericFusedKernels}},
  }};
  return kTable;
}

namespace {

bool compiled(const IsaEntry& entry) {
  return std::any_of(entry.kernels.begin(), entry.kernels.end(),
                     [](const Kernels* kernels) { return kernels != nullptr; });
}
bool usable(const IsaEntry& entry) { return compiled(entry) && entry.available(); }

std::string_view environment_wish() {
  const char* wish = std::getenv("INLAY_CPU_ISA");
  return wish == nullptr ? std::string_view() : std::string_view(wish);
}

}  // namespace

const Kernels& choose_isa(std::string_view wish, Element element) {
  bool reached = wish.empty();
  for (const IsaEntry& entry : isa_table()) {
    if (!reached && wish == entry.name) {
      reached = true;
      if (!usable(entry)) {
        fail(ErrorCode::kUnavailable, "INLAY_CPU_ISA",
             "expected an instruction set of this machine, got " + std::string(wish) +
                 ", which needs " + entry.requirement +
                 ". Unset INLAY_CPU_ISA to use the fastest that is there.");
      }
    }
    if (reached && usable(entry) && entry.of(element) != nullptr) return *entry.of(element);
  }
  fail(ErrorCode::kUsage, "INLAY_CPU_ISA",
       "expected amx, avx512_bf16, avx512_vnni, avx512, avx_vnni, avx2, neon_mmla, neon_dotprod, "
       "neon or generic, got \"" +
           printable(wish) + "\".");
}

const Kernels& choose_isa(Element element) { return choose_isa(environment_wish(), element); }

std::vector<std::string> isa_notes(std::string_view chosen) {
  std::vector<std::string> notes;
  for (const IsaEntry& entry : isa_table()) {
    if (entry.name == chosen) continue;
    if (!usable(entry)) {
      notes.push_back(entry.name + std::string(": needs ") + entry.requirement);
      continue;
    }
    std::string fate = ": available, not chosen";
    if (entry.of(Element::kFp32) == nullptr) {
      const bool bf16 = entry.of(Element::kBf16) != nullptr;
      const bool int8 = entry.of(Element::kInt8) != nullptr;
      fate = std::string(": available, for ") + (bf16 && int8 ? "bf16 and int8"
                                                 : bf16       ? "bf16"
                                                              : "int8");
    }
    notes.push_back(entry.name + fate);
  }
  return notes;
}

}  // namespace inlay::backend::cpu
