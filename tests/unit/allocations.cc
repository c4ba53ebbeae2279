// Counts every operator new of the test program, in a file of its own so that no call is inlined
// into the code under test. ThreadSanitizer brings operators of its own: nothing is counted there,
// allocation_count() is -1, and the tests that need it skip.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define INLAY_TEST_UNCOUNTED 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define INLAY_TEST_UNCOUNTED 1
#endif

#if !defined(INLAY_TEST_UNCOUNTED)
namespace {
std::atomic<std::int64_t> allocations{0};
}  // namespace

// Not inlined: g++ takes a delete that it sees through for a mismatched free().
__attribute__((noinline)) void* operator new(std::size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}
// std::stable_sort asks this way; a sanitizer would take its own otherwise, and find the delete
// below.
__attribute__((noinline)) void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(bytes == 0 ? 1 : bytes);
}
__attribute__((noinline)) void operator delete(void* memory) noexcept { std::free(memory); }
__attribute__((noinline)) void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
#endif

namespace inlay {
std::int64_t allocation_count();
#if defined(INLAY_TEST_UNCOUNTED)
std::int64_t allocation_count() { return -1; }
#else
std::int64_t allocation_count() { return allocations.load(); }
#endif

namespace {
TEST(AllocationCount, Counts) {
  const std::int64_t before = allocation_count();
  if (before < 0) GTEST_SKIP() << "ThreadSanitizer replaces operator new";
  const auto value = std::make_unique<int>(3);
  EXPECT_EQ(allocation_count(), before + 1);
  EXPECT_EQ(*value, 3);
}
}  // namespace
}  // namespace inlay
