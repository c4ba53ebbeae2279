// How many threads to use, and a pool whose workers run one function together.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace inlay {

// Cores this process may use: the affinity mask, cut to the cgroup's CPU quota (v1 and v2, rounded
// up), at least 1.
int available_threads();

// Meeting point of `count` threads: spins briefly, then parks. Reusable.
class Barrier {
 public:
  explicit Barrier(int count) : count_(count) {}
  void wait() noexcept;

 private:
  const int count_;
  std::atomic<int> arrived_{0};
  std::atomic<std::uint32_t> phase_{0};
};

// `threads` - 1 workers plus the calling thread. run() is called by one thread at a time. Workers
// have flush-to-zero and denormals-are-zero set; the caller's floating-point state is put back
// after each run.
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls task(rank) for rank 0 .. size()-1 at the same time (rank 0 on the caller) and returns
  // when all are done. The first exception is rethrown here; a task that may throw must not leave
  // others waiting at a barrier.
  void run(const std::function<void(int)>& task);

 private:
  void work(int rank);
  void call(int rank) noexcept;
  void stop_workers() noexcept;
  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  const std::function<void(int)>* task_ = nullptr;
  std::atomic<std::uint64_t> round_{0};
  std::atomic<int> running_{0};
  bool stop_ = false;
  std::exception_ptr error_;
};

}  // namespace inlay
