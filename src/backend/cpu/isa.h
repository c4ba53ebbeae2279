// The kernel tables of this build and which of them this machine can run.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "backend/cpu/kernels.h"

namespace inlay::backend::cpu {

struct IsaEntry {
  const char* name;
  const char* requirement;  // what the processor must have, for people
  bool (*available)();      // does this machine?
  // What fp32, bf16 and int8 run, by Element; null where this level adds nothing to the next, or is
  // not compiled for this architecture.
  std::array<const Kernels*, 3> kernels;
  const Kernels* of(Element element) const { return kernels[static_cast<std::size_t>(element)]; }
};

// Fastest first; "generic" is last and always available. Static storage.
std::span<const IsaEntry> isa_table();

// The fastest table for an element that is available, at the level `wish` names or below it; at any
// level when it is empty. Throws kUsage for an unknown name, kUnavailable for one that this machine
// or build lacks.
const Kernels& choose_isa(std::string_view wish, Element element = Element::kFp32);
// With the wish of INLAY_CPU_ISA.
const Kernels& choose_isa(Element element = Element::kFp32);
// One line for every entry passed over: "avx512: needs ...".
std::vector<std::string> isa_notes(std::string_view chosen);

}  // namespace inlay::backend::cpu
