// The kernel tables of this build and which of them this machine can run.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "backend/cpu/kernels.h"

namespace inlay::backend::cpu {

struct IsaEntry {
  const char* name;
  const Kernels* kernels;   // null: not compiled for this architecture
  const char* requirement;  // what the processor must have, for people
  bool (*available)();      // does this machine?
  // What int8 runs instead of `kernels`, where that is another table of the same name; else null.
  const Kernels* int8_kernels = nullptr;
  bool int8_only = false;  // chosen for int8 alone: it differs in nothing else
};

// Fastest first; "generic" is last and always available. Static storage.
std::span<const IsaEntry> isa_table();

// The table to use for fp32 or int8: `wish` by name, or the fastest when empty. Throws kUsage for
// an unknown name, kUnavailable for one that this machine or build lacks.
const Kernels& choose_isa(std::string_view wish, bool int8 = false);
// With the wish of INLAY_CPU_ISA, for fp32 and for int8.
const Kernels& choose_isa();
const Kernels& choose_int8_isa();
// One line for every entry passed over: "avx512: needs ...".
std::vector<std::string> isa_notes(std::string_view chosen);

}  // namespace inlay::backend::cpu
