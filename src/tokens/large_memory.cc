// See large_memory.h.
#include "tokens/large_memory.h"

#include <sys/mman.h>

namespace inlay::tokens {

void* large_memory(std::size_t bytes) {
  const std::size_t rounded = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  void* memory = std::aligned_alloc(kHugePage, rounded);
  if (memory == nullptr) throw std::bad_alloc();
#if defined(__linux__)
  madvise(memory, rounded, MADV_HUGEPAGE);  // advice only
#endif
  return memory;
}

}  // namespace inlay::tokens
