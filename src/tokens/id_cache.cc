// See id_cache.h: the tables' memory.
#include "tokens/id_cache.h"

#include <limits>
#include <new>

#include "base/large_memory.h"

namespace inlay::tokens {

// Small tables come as zeros from the system, which gives a page when it is first written to.
void* IdCache::zeros(std::size_t bytes) {
  if (bytes >= 2 * kHugePage) return std::memset(large_memory(bytes), 0, bytes);
  void* memory = std::calloc(1, bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void IdCache::enlarge() {
  kept_ = std::numeric_limits<std::int64_t>::min();
  short_.reset(17);
  long_.reset(15);
}

}  // namespace inlay::tokens
