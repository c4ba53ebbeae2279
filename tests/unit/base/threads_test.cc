// The pool and the barrier: every rank runs, errors come back, the caller's floating-point state is
// put back.
#include "base/threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cfenv>
#include <limits>
#include <stdexcept>
#include <vector>

namespace inlay {
namespace {

TEST(Threads, AtLeastOneIsAvailable) {
  EXPECT_GE(available_threads(), 1);
  EXPECT_LE(available_threads(), 1 << 20);
}

TEST(ThreadPool, RunsEveryRankOnce) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    ASSERT_EQ(pool.size(), threads);
    std::vector<std::atomic<int>> calls(static_cast<std::size_t>(threads));
    for (int i = 0; i < 200; ++i) {
      pool.run([&](int rank) { ++calls[static_cast<std::size_t>(rank)]; });
    }
    for (const auto& count : calls) EXPECT_EQ(count.load(), 200);
  }
}

TEST(ThreadPool, CarriesTheErrorAndGoesOn) {
  ThreadPool pool(3);
  for (int thrower = 0; thrower < 3; ++thrower) {
    EXPECT_THROW(pool.run([&](int rank) {
      if (rank == thrower) throw std::runtime_error("rank");
    }),
                 std::runtime_error);
    std::atomic<int> calls{0};
    pool.run([&](int) { ++calls; });
    EXPECT_EQ(calls.load(), 3);
  }
}

TEST(Barrier, NobodyPassesEarly) {
  constexpr int kThreads = 4;
  ThreadPool pool(kThreads);
  Barrier barrier(kThreads);
  std::atomic<int> arrived{0};
  std::atomic<int> early{0};
  pool.run([&](int) {
    for (int round = 1; round <= 100; ++round) {
      ++arrived;
      barrier.wait();
      if (arrived.load() < round * kThreads) ++early;
      barrier.wait();
    }
  });
  EXPECT_EQ(early.load(), 0);
}

#if defined(__x86_64__) || defined(__aarch64__)
TEST(ThreadPool, FlushesDenormalsInsideAndRestoresThemOutside) {
  volatile float tiny = std::numeric_limits<float>::min();
  std::fesetround(FE_UPWARD);
  ThreadPool pool(2);
  std::atomic<int> flushed{0};
  std::atomic<int> nearest{0};
  pool.run([&](int) {
    volatile float half = tiny * 0.5F;
    if (half == 0.0F) ++flushed;
    volatile float one = 1.0F;
    if (one + 0x1p-30F == 1.0F) ++nearest;
  });
  EXPECT_EQ(flushed.load(), 2);
  EXPECT_EQ(nearest.load(), 2);
  volatile float one = 1.0F;
  EXPECT_GT(one + 0x1p-30F, 1.0F) << "the caller's rounding was not put back";
  std::fesetround(FE_TONEAREST);
  volatile float half = tiny * 0.5F;
  EXPECT_GT(half, 0.0F);
}
#endif

}  // namespace
}  // namespace inlay
