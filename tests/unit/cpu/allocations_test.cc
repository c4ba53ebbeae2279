// Counts every operator new of the test program, in a file of its own so that no call is inlined
// into the code under test.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace {
std::atomic<std::int64_t> allocations{0};
}  // namespace

// Not inlined: g++ takes a delete that it sees through for a mismatched free().
__attribute__((noinline)) void* operator new(std::size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}
__attribute__((noinline)) void operator delete(void* memory) noexcept { std::free(memory); }
__attribute__((noinline)) void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace inlay::backend::cpu {
std::int64_t allocation_count();
std::int64_t allocation_count() { return allocations.load(); }

namespace {
TEST(AllocationCount, Counts) {
  const std::int64_t before = allocation_count();
  const auto value = std::make_unique<int>(3);
  EXPECT_EQ(allocation_count(), before + 1);
  EXPECT_EQ(*value, 3);
}
}  // namespace
}  // namespace inlay::backend::cpu
