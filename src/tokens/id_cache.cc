// See id_cache.h: the tables' memory.
#include "tokens/id_cache.h"

#include <sys/mman.h>

#include <limits>
#include <new>

namespace inlay::tokens {

// Small tables come as zeros from the system, which gives a page when it is first written to. Large
// ones are used all over, by look-ups that each would need another page's translation: the kernel
// is asked for huge pages, 5 to 10 % of the time of tokenizing.
void* IdCache::zeros(std::size_t bytes) {
  constexpr std::size_t kHugePage = std::size_t{2} << 20U;
  if (bytes < 2 * kHugePage) {
    void* memory = std::calloc(1, bytes);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
  }
  const std::size_t rounded = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  void* memory = std::aligned_alloc(kHugePage, rounded);
  if (memory == nullptr) throw std::bad_alloc();
#if defined(__linux__)
  madvise(memory, rounded, MADV_HUGEPAGE);  // advice only
#endif
  return std::memset(memory, 0, bytes);
}

void IdCache::enlarge() {
  kept_ = std::numeric_limits<std::int64_t>::min();
  short_.reset(17);
  long_.reset(15);
}

}  // namespace inlay::tokens
