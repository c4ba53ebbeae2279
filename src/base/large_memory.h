// Memory that is read all over, on huge pages where the kernel has them: each access to another
// page needs that page's translation. The words' cache of the tokenizer: 5 to 10 % of its time.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <vector>

namespace inlay {

inline constexpr std::size_t kHugePage = std::size_t{2} << 20U;

// At least so many bytes, uninitialised, on pages of their own; to be freed with std::free. Throws
// std::bad_alloc. Any thread.
void* large_memory(std::size_t bytes);

// Of vectors: from half a huge page on, large memory.
template <typename T>
struct LargeAllocator {
  using value_type = T;
  LargeAllocator() = default;
  template <typename U>
  explicit LargeAllocator(const LargeAllocator<U>&) {}
  T* allocate(std::size_t count) {
    if (count > static_cast<std::size_t>(-1) / 2 / sizeof(T)) throw std::bad_array_new_length();
    const std::size_t bytes = count * sizeof(T);
    if (bytes >= kHugePage / 2) return static_cast<T*>(large_memory(bytes));
    void* memory = std::malloc(bytes);
    if (memory == nullptr) throw std::bad_alloc();
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t) noexcept { std::free(memory); }
  bool operator==(const LargeAllocator&) const { return true; }
};

template <typename T>
using LargeVector = std::vector<T, LargeAllocator<T>>;

}  // namespace inlay
