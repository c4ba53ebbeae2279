// Which instruction set runs, and that asking for one that is not there is an error.
#include "backend/cpu/isa.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "backend/backend.h"
#include "base/cpu_features.h"
#include "base/error.h"

namespace inlay::backend {
const Backend& cpu_backend();
namespace cpu {
namespace {

class Environment {  // INLAY_CPU_ISA for one test
 public:
  explicit Environment(const char* isa) { ::setenv("INLAY_CPU_ISA", isa, 1); }
  ~Environment() { ::unsetenv("INLAY_CPU_ISA"); }
};

TEST(Isa, TablesCarryTheirNames) {
  for (const IsaEntry& entry : isa_table()) {
    for (const Kernels* kernels : entry.kernels) {
      if (kernels != nullptr) {
        EXPECT_STREQ(entry.name, kernels->name);
      }
    }
    EXPECT_GT(std::string(entry.requirement).size(), 5U);
  }
  EXPECT_STREQ(isa_table().back().name, "generic");
  EXPECT_TRUE(isa_table().back().available());
}

TEST(Isa, ChoosesTheFastestThatIsThere) {
  ::unsetenv("INLAY_CPU_ISA");
  const CpuFeatures& features = cpu_features();
  const char* expected = features.avx512     ? "avx512"
                         : features.avx2_fma ? "avx2"
                         : features.neon     ? "neon"
                                             : "generic";
  EXPECT_STREQ(choose_isa().name, expected);
  EXPECT_STREQ(choose_isa(Element::kBf16).name, features.amx           ? "amx"
                                                : features.avx512_bf16 ? "avx512_bf16"
                                                : features.neon_mmla   ? "neon_mmla"
                                                                       : expected);
  const bool vnni = features.avx_vnni && !features.avx512;
  EXPECT_STREQ(choose_isa(Element::kInt8).name, features.amx            ? "amx"
                                                : features.avx512_vnni  ? "avx512_vnni"
                                                : vnni                  ? "avx_vnni"
                                                : features.neon_mmla    ? "neon_mmla"
                                                : features.neon_dotprod ? "neon_dotprod"
                                                                        : expected);
  EXPECT_EQ(cpu_backend().probe().isa, expected);
  EXPECT_EQ(cpu_backend().probe().notes.size(), isa_table().size() - 1);
}

// A level that adds nothing for an element takes the next one's table for it.
TEST(Isa, ObeysTheEnvironmentOrRefuses) {
  for (const IsaEntry& entry : isa_table()) {
    const Environment environment(entry.name);
    const bool compiled =
        entry.of(Element::kBf16) != nullptr || entry.of(Element::kInt8) != nullptr;
    if (compiled && entry.available()) {
      for (const Element element : {Element::kFp32, Element::kBf16, Element::kInt8}) {
        const IsaEntry* below = &entry;
        while (below->of(element) == nullptr || !below->available()) ++below;
        EXPECT_STREQ(choose_isa(element).name, below->name);
        if (entry.of(element) != nullptr) {
          EXPECT_EQ(below, &entry);
        }
      }
      EXPECT_EQ(cpu_backend().probe().isa, choose_isa().name);
      continue;
    }
    try {
      choose_isa();
      FAIL() << entry.name << " is not there, yet was chosen";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
      EXPECT_NE(std::string(error.what()).find(entry.requirement), std::string::npos);
    }
    const Probe probe = cpu_backend().probe();
    EXPECT_EQ(probe.state, State::kRefused);
    EXPECT_FALSE(probe.reason.empty());
    EXPECT_FALSE(probe.remedy.empty());
  }
}

TEST(Isa, RefusesUnknownNames) {
  const Environment environment("avx1024\n");
  try {
    choose_isa();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << "unprintable text";
  }
}

}  // namespace
}  // namespace cpu
}  // namespace inlay::backend
