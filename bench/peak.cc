// The ceilings that bench/compare.py holds engines against: the rate of this processor's own
// multiply-add instructions on registers alone, and that of reading memory. One JSON line an
// answer.
//
//   bench_peak               every kind on one and on all threads
//   bench_peak --serve       answers lines of standard input: "fp32 2", "int8 1", "read 42000000 2"
//
// fp32 is the cpu room's own loop for the instruction set that it would choose; bf16 and int8 are
// the fastest of the loops below that this processor has and INLAY_CPU_ISA allows. All multiply
// random numbers. Loops are inline
// assembly: compilers move accumulators to memory (a "peak" four times too low) and need per-file
// flags for instructions that are chosen at run time here.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "backend/cpu/isa.h"
#include "base/cpu_features.h"
#include "base/large_memory.h"
#include "base/threads.h"
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace {

using namespace inlay;
using backend::cpu::Index;

// What INLAY_CPU_ISA leaves: a loop of a higher class than the one it names is not offered.
enum Class { kGeneric, kAvx2, kAvxVnni, kAvx512, kAmx };

struct Loop {
  const char* kind;
  const char* instruction;
  Class isa;
  bool (*available)();
  double (*run)(Index rounds);  // returns the operations done, a multiply-add being two
};

// Operands: random numbers of every type, as constants draw less power (one AMX machine multiplied
// them at twice the rate that it holds for anything else). In bf16, numbers of 0.5 to 2 with random
// signs; the second matrix after the first takes off again what that one added, so that sums stay
// small. Bytes are any; sums of 32 bits wrap.
struct alignas(64) Operands {
  unsigned char left[2][1024];
  unsigned char right[2][1024];
  explicit Operands(bool bf16) {
    std::uint32_t state = 1;
    for (auto* part : {&left[0], &left[1], &right[0], &right[1]}) {
      for (int i = 0; i < 1024; ++i) {
        state = state * 1664525U + 1013904223U;
        const std::uint32_t random = state >> 24U;
        (*part)[i] =
            static_cast<unsigned char>(bf16 && i % 2 == 1 ? 0x3fU | (random & 0x80U) : random);
      }
    }
    for (int i = 0; bf16 && i < 1024; ++i)
      right[1][i] = static_cast<unsigned char>(right[0][i] ^ (i % 2 == 1 ? 0x80U : 0U));
  }
};

// F(accumulator, left, right) for so many accumulators; the two left operands take turns.
#define INLAY_TIMES_4(F, i, j, k, l, x, y, z) F(i, x, z) F(j, y, z) F(k, x, z) F(l, y, z)
#define INLAY_TIMES_12(F, x, y, z)      \
  INLAY_TIMES_4(F, 0, 1, 2, 3, x, y, z) \
  INLAY_TIMES_4(F, 4, 5, 6, 7, x, y, z) INLAY_TIMES_4(F, 8, 9, 10, 11, x, y, z)
#define INLAY_TIMES_24(F, x, y, z)          \
  INLAY_TIMES_12(F, x, y, z)                \
  INLAY_TIMES_4(F, 12, 13, 14, 15, x, y, z) \
  INLAY_TIMES_4(F, 16, 17, 18, 19, x, y, z) INLAY_TIMES_4(F, 20, 21, 22, 23, x, y, z)

#if defined(__x86_64__)

unsigned leaf7(unsigned subleaf, char word) {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid_count(7, subleaf, &a, &b, &c, &d) == 0) return 0;
  return word == 'a' ? a : word == 'c' ? c : d;
}

// The kernel gives tile registers to a process that asks for them.
bool tiles() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023;
  constexpr long kTileData = 18;
  return (leaf7(0, 'd') >> 24U & 1U) != 0 &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

// 24 accumulators: some 8 are in flight at two a cycle and a latency of 4 to 6.
#define INLAY_ZERO_ZMM(i, ...) "vpxord %%zmm" #i ", %%zmm" #i ", %%zmm" #i "\n\t"
#define INLAY_ZMM_LOOP(name, operation, bf16, operations)                                       \
  __attribute__((target("avx512f"))) double name(Index rounds) {                                \
    const Operands x(bf16);                                                                     \
    Index left = rounds;                                                                        \
    asm volatile(                                                                               \
        "vmovdqa64 %1, %%zmm24\n\tvmovdqa64 %2, %%zmm25\n\t"                                    \
        "vmovdqa64 %3, %%zmm26\n\tvmovdqa64 %4, %%zmm27\n\t" INLAY_TIMES_24(                    \
            INLAY_ZERO_ZMM, , , ) "1:\n\t" INLAY_TIMES_24(operation, 24, 25, 26)                \
            INLAY_TIMES_24(operation, 24, 25, 27) "decq %0\n\tjnz 1b\n\t"                       \
        : "+r"(left)                                                                            \
        : "m"(x.left[0]), "m"(x.left[1]), "m"(x.right[0]), "m"(x.right[1])                      \
        : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", \
          "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18",      \
          "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27");     \
    return static_cast<double>(rounds) * 48 * (operations);                                     \
  }
#define INLAY_VDPBF16PS(i, x, y) "vdpbf16ps %%zmm" #x ", %%zmm" #y ", %%zmm" #i "\n\t"
#define INLAY_VPDPBUSD(i, x, y) "vpdpbusd %%zmm" #x ", %%zmm" #y ", %%zmm" #i "\n\t"
INLAY_ZMM_LOOP(zmm_bf16, INLAY_VDPBF16PS, true, 64)
INLAY_ZMM_LOOP(zmm_int8, INLAY_VPDPBUSD, false, 128)

#define INLAY_ZERO_YMM(i, ...) "vpxor %%ymm" #i ", %%ymm" #i ", %%ymm" #i "\n\t"
#define INLAY_YMM_LOOP(name, operation, operations)                                             \
  __attribute__((target("avx2"))) double name(Index rounds) {                                   \
    const Operands x(false);                                                                    \
    Index left = rounds;                                                                        \
    asm volatile(                                                                               \
        "vmovdqa %1, %%ymm12\n\tvmovdqa %2, %%ymm14\n\tvmovdqa %3, %%ymm15\n\t" INLAY_TIMES_12( \
            INLAY_ZERO_YMM, , , ) "1:\n\t" INLAY_TIMES_12(operation, 12, 14,                    \
                                                          15) "decq %0\n\tjnz 1b\n\t"           \
        : "+r"(left)                                                                            \
        : "m"(x.left[0]), "m"(x.left[1]), "m"(x.right[0])                                       \
        : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", \
          "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");                                \
    return static_cast<double>(rounds) * 12 * (operations);                                     \
  }
#define INLAY_VEX_VPDPBUSD(i, x, y) "%{vex%} vpdpbusd %%ymm" #x ", %%ymm" #y ", %%ymm" #i "\n\t"
#define INLAY_VPMADDWD(i, x, y)    \
  "vpmaddwd %%ymm" #x ", %%ymm" #y \
  ", %%ymm13\n\t"                  \
  "vpaddd %%ymm13, %%ymm" #i ", %%ymm" #i "\n\t"
#define INLAY_VPMADDUBSW(i, x, y)    \
  "vpmaddubsw %%ymm" #x ", %%ymm" #y \
  ", %%ymm13\n\t"                    \
  "vpmaddwd %%ymm" #x                \
  ", %%ymm13, %%ymm13\n\t"           \
  "vpaddd %%ymm13, %%ymm" #i ", %%ymm" #i "\n\t"
INLAY_YMM_LOOP(ymm_vnni, INLAY_VEX_VPDPBUSD, 64)
INLAY_YMM_LOOP(ymm_maddwd, INLAY_VPMADDWD, 32)
INLAY_YMM_LOOP(ymm_maddubsw, INLAY_VPMADDUBSW, 64)

// A two by two block of tiles of 16 rows of 64 bytes: four accumulators cover the latency of 52
// cycles at one product in 16.
#define INLAY_TILES(operation, sum, left, right) \
  operation " %%tmm" #right ", %%tmm" #left ", %%tmm" #sum "\n\t"
#define INLAY_TILE_LOOP(name, operation, bf16, operations)                                      \
  double name(Index rounds) {                                                                   \
    const Operands x(bf16);                                                                     \
    alignas(64) unsigned char config[64] = {1};                                                 \
    for (int tile = 0; tile < 8; ++tile) {                                                      \
      config[16 + 2 * tile] = 64;                                                               \
      config[48 + tile] = 16;                                                                   \
    }                                                                                           \
    Index left = rounds;                                                                        \
    asm volatile(                                                                               \
        "ldtilecfg %1\n\t"                                                                      \
        "tilezero %%tmm0\n\ttilezero %%tmm1\n\ttilezero %%tmm2\n\ttilezero %%tmm3\n\t"          \
        "tileloadd (%2,%6,1), %%tmm4\n\ttileloadd (%3,%6,1), %%tmm5\n\t"                        \
        "tileloadd (%4,%6,1), %%tmm6\n\ttileloadd (%5,%6,1), %%tmm7\n\t"                        \
        "1:\n\t" INLAY_TILES(operation, 0, 4, 6) INLAY_TILES(operation, 1, 5, 6) INLAY_TILES(   \
            operation, 2, 4, 7) INLAY_TILES(operation, 3, 5, 7) INLAY_TILES(operation, 0, 4, 7) \
            INLAY_TILES(operation, 1, 5, 7) INLAY_TILES(operation, 2, 4, 6)                     \
                INLAY_TILES(operation, 3, 5, 6) "decq %0\n\tjnz 1b\n\ttilerelease\n\t"          \
        : "+r"(left)                                                                            \
        : "m"(config), "r"(x.left[0]), "r"(x.left[1]), "r"(x.right[0]), "r"(x.right[1]),        \
          "r"(Index{64})                                                                        \
        : "cc", "memory");                                                                      \
    return static_cast<double>(rounds) * 8 * (operations);                                      \
  }
INLAY_TILE_LOOP(tile_bf16, "tdpbf16ps", true, 16 * 16 * 32 * 2)
INLAY_TILE_LOOP(tile_int8, "tdpbusd", false, 16 * 16 * 64 * 2)

constexpr Loop kLoops[] = {
    {"bf16", "amx tdpbf16ps", kAmx, [] { return (leaf7(0, 'd') >> 22U & 1U) != 0 && tiles(); },
     tile_bf16},
    {"bf16", "avx512 vdpbf16ps", kAvx512,
     [] { return cpu_features().avx512 && (leaf7(1, 'a') >> 5U & 1U) != 0; }, zmm_bf16},
    {"int8", "amx tdpbusd", kAmx, [] { return (leaf7(0, 'd') >> 25U & 1U) != 0 && tiles(); },
     tile_int8},
    {"int8", "avx512 vpdpbusd", kAvx512,
     [] { return cpu_features().avx512 && (leaf7(0, 'c') >> 11U & 1U) != 0; }, zmm_int8},
    {"int8", "avx-vnni vpdpbusd", kAvxVnni,
     [] { return cpu_features().avx2_fma && (leaf7(1, 'a') >> 4U & 1U) != 0; }, ymm_vnni},
    {"int8", "avx2 vpmaddubsw, vpmaddwd, vpaddd", kAvx2, [] { return cpu_features().avx2_fma; },
     ymm_maddubsw},
    {"int8", "avx2 vpmaddwd, vpaddd", kAvx2, [] { return cpu_features().avx2_fma; }, ymm_maddwd},
};

#elif defined(__aarch64__)

bool has(const char* apple_name, bool second_word, unsigned bit) {
#if defined(__linux__)
  (void)apple_name;
  return (getauxval(second_word ? AT_HWCAP2 : AT_HWCAP) >> bit & 1U) != 0;
#elif defined(__APPLE__)
  (void)second_word, (void)bit;
  int value = 0;
  std::size_t size = sizeof value;
  return sysctlbyname(apple_name, &value, &size, nullptr, 0) == 0 && value != 0;
#else
  (void)apple_name, (void)second_word, (void)bit;
  return false;
#endif
}

#define INLAY_ZERO_V(i, ...) "movi v" #i ".16b, #0\n\t"
#define INLAY_NEON_LOOP(name, extension, operation, bf16, operations)                              \
  double name(Index rounds) {                                                                      \
    const Operands x(bf16);                                                                        \
    Index left = rounds;                                                                           \
    asm volatile(".arch armv8.2-a+" extension                                                      \
                 "\n\tldr q24, %1\n\tldr q25, %2\n\tldr q26, %3\n\t"                               \
                 "ldr q27, %4\n\t" INLAY_TIMES_24(INLAY_ZERO_V, , , ) "1:\n\t" INLAY_TIMES_24(     \
                     operation, 24, 25, 26)                                                        \
                     INLAY_TIMES_24(operation, 24, 25, 27) "subs %0, %0, #1\n\tb.ne 1b\n\t"        \
                 : "+r"(left)                                                                      \
                 : "m"(x.left[0]), "m"(x.left[1]), "m"(x.right[0]), "m"(x.right[1])                \
                 : "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", \
                   "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22",    \
                   "v23", "v24", "v25", "v26", "v27");                                             \
    return static_cast<double>(rounds) * 48 * (operations);                                        \
  }
#define INLAY_BFMMLA(i, x, y) "bfmmla v" #i ".4s, v" #x ".8h, v" #y ".8h\n\t"
#define INLAY_SMMLA(i, x, y) "smmla v" #i ".4s, v" #x ".16b, v" #y ".16b\n\t"
#define INLAY_SDOT(i, x, y) "sdot v" #i ".4s, v" #x ".16b, v" #y ".16b\n\t"
INLAY_NEON_LOOP(neon_bf16, "bf16", INLAY_BFMMLA, true, 32)
INLAY_NEON_LOOP(neon_i8mm, "i8mm", INLAY_SMMLA, false, 64)
INLAY_NEON_LOOP(neon_dot, "dotprod", INLAY_SDOT, false, 32)

constexpr Loop kLoops[] = {
    {"bf16", "neon bfmmla", kGeneric, [] { return has("hw.optional.arm.FEAT_BF16", true, 14); },
     neon_bf16},
    {"int8", "neon smmla", kGeneric, [] { return has("hw.optional.arm.FEAT_I8MM", true, 13); },
     neon_i8mm},
    {"int8", "neon sdot", kGeneric, [] { return has("hw.optional.arm.FEAT_DotProd", false, 20); },
     neon_dot},
};

#else
constexpr Loop kLoops[] = {{"none", "none", kGeneric, [] { return false; }, nullptr}};
#endif

Class allowed() {
  const char* wish = std::getenv("INLAY_CPU_ISA");
  const std::string_view name = wish == nullptr ? "" : wish;
  const auto names = [&](const char* part) { return name.find(part) != std::string_view::npos; };
  if (name.empty() || names("amx")) return kAmx;
  if (names("avx512")) return kAvx512;
  if (names("vnni")) return kAvxVnni;
  return names("avx2") ? kAvx2 : kGeneric;
}

std::array<float, 64> random_floats() {  // in [-1, 1]
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::array<float, 64> values{};
  for (float& value : values) value = uniform(random);
  return values;
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

class Peak {
 public:
  Peak() : kernels_(backend::cpu::choose_isa()), pool_(available_threads()) {
    loops_["fp32"].push_back({kernels_.name, [this](Index rounds) {
                                return kernels_.peak(rounds, random_floats().data());
                              }});
    for (const Loop& loop : kLoops) {
      if (loop.isa <= allowed() && loop.available())
        loops_[loop.kind].push_back({loop.instruction, loop.run});
    }
  }
  int threads() const { return pool_.size(); }

  // Answers "KIND THREADS" or "read BYTES THREADS".
  void answer(const std::string& line) {
    std::istringstream words(line);
    std::string kind;
    double bytes = 0;
    int threads = 0;
    words >> kind;
    if (kind == "read") words >> bytes;
    words >> threads;
    const bool known = kind == "fp32" || kind == "bf16" || kind == "int8" || kind == "read";
    if (!words || !known || threads < 1 || threads > pool_.size() || bytes < 0 || bytes > 64e9) {
      std::printf(
          "{\"error\":\"expected fp32|bf16|int8 THREADS or read BYTES THREADS, with at most %d "
          "threads\"}\n",
          pool_.size());
    } else if (kind == "read") {
      std::printf("{\"kind\":\"read\",\"bytes\":%.0f,\"threads\":%d,\"gb_per_s\":%.2f}\n", bytes,
                  threads, read_rate(static_cast<std::size_t>(bytes), threads) * 1e-9);
    } else {
      print(kind, threads);
    }
    std::fflush(stdout);
  }

 private:
  struct Entry {
    std::string instruction;
    std::function<double(Index)> run;
    Index rounds = 1000;
  };

  void print(const std::string& kind, int threads) {
    std::vector<Entry>& entries = loops_[kind];
    if (entries.empty()) {
      std::printf("{\"kind\":\"%s\",\"threads\":%d,\"gops\":0,\"instruction\":null}\n",
                  kind.c_str(), threads);
      return;
    }
    if (entries.size() > 1) {  // the first question: the fastest stays
      std::vector<double> rates;
      for (Entry& entry : entries) rates.push_back(rate(&entry, 1));
      const auto best = std::max_element(rates.begin(), rates.end()) - rates.begin();
      entries = {entries[static_cast<std::size_t>(best)]};
    }
    std::printf("{\"kind\":\"%s\",\"instruction\":\"%s\",\"threads\":%d,\"gops\":%.2f}\n",
                kind.c_str(), entries[0].instruction.c_str(), threads,
                rate(&entries[0], threads) * 1e-9);
  }

  // Operations a second of `threads` threads together: the best of three runs of some 5 ms.
  double rate(Entry* entry, int threads) {
    for (double took = 0; took < 0.004; entry->rounds *= 2) {
      const double begin = now();
      entry->run(entry->rounds);
      took = now() - begin;
    }
    entry->rounds /= 2;  // the one that took long enough
    double best = 0;
    for (int i = 0; i < 3; ++i) {
      std::vector<double> done(static_cast<std::size_t>(threads));
      const double begin = now();
      pool_.run([&](int rank) {
        if (rank < threads) done[static_cast<std::size_t>(rank)] = entry->run(entry->rounds);
      });
      const double seconds = now() - begin;
      double total = 0;
      for (const double operations : done) total += operations;
      best = std::max(best, total / seconds);
    }
    return best;
  }

  // Bytes a second of reading `bytes` again and again, each thread its own part: what a model of
  // that size can be read with between two queries, caches included.
  double read_rate(std::size_t bytes, int threads) {
    bytes = std::max<std::size_t>(bytes, 1 << 16) / 4096 * 4096;
    const LargeVector<std::uint64_t> words(bytes / sizeof(std::uint64_t), 1);
    const std::size_t part = bytes / static_cast<std::size_t>(threads) / 64 * 64;
    std::vector<std::uint64_t> sums(static_cast<std::size_t>(threads));
    double best = 0;
    for (int i = 0; i < 6; ++i) {
      const double begin = now();
      pool_.run([&](int rank) {
        if (rank >= threads) return;
        const std::uint64_t* from = words.data() + part / 8 * static_cast<std::size_t>(rank);
        std::uint64_t lanes[16] = {};
        for (std::size_t word = 0; word < part / 8; word += 8) {
          for (std::size_t lane = 0; lane < 8; ++lane) lanes[lane] ^= from[word + lane];
        }
        for (const std::uint64_t lane : lanes) sums[static_cast<std::size_t>(rank)] ^= lane;
      });
      best = std::max(best, static_cast<double>(part) * threads / (now() - begin));
    }
    if (sums[0] == 42) std::fputs("", stderr);  // the sums are used
    return best;
  }

  const backend::cpu::Kernels& kernels_;
  ThreadPool pool_;
  std::map<std::string, std::vector<Entry>> loops_;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    Peak peak;
    if (argc == 2 && std::strcmp(argv[1], "--serve") == 0) {
      for (std::string line; std::getline(std::cin, line);) peak.answer(line);
    } else if (argc == 1) {
      for (const char* kind : {"fp32", "bf16", "int8", "read 100000000"}) {
        peak.answer(std::string(kind) + " 1");
        if (peak.threads() > 1)
          peak.answer(std::string(kind) + " " + std::to_string(peak.threads()));
      }
    } else {
      std::fputs("usage: bench_peak [--serve]\n", stderr);
      return 2;
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_peak: %s\n", error.what());
    return 1;
  }
  return 0;
}
