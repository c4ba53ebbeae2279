// See large_memory.h.
#include "base/large_memory.h"

#include <sys/mman.h>

#include <limits>

namespace inlay {

void* large_memory(std::size_t bytes) {
  if (bytes > std::numeric_limits<std::size_t>::max() - kHugePage) throw std::bad_alloc();
  const std::size_t rounded = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  void* memory = std::aligned_alloc(kHugePage, rounded);
  if (memory == nullptr) throw std::bad_alloc();
#if defined(__linux__)
  madvise(memory, rounded, MADV_HUGEPAGE);  // advice only
#endif
  return memory;
}

}  // namespace inlay
