// Counting the cores this process may use, the barrier, and the pool. Waiting is a short spin and
// then sleep: a run follows a run within microseconds or not for a long time.
#include "base/threads.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>

#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace inlay {
namespace {

// Turns of a spin before sleeping, some 100 to 200 microseconds: waking a sleeper costs up to 50,
// as much as a step of a short text. Every 64th turn offers the core to whoever else wants it, so
// that on shared cores the one waited for is not kept out by the one waiting.
constexpr int kSpins = 8192;

void pause_briefly(int turn) noexcept {
  if (turn % 64 == 63) {
    std::this_thread::yield();
    return;
  }
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Rounding to nearest, exceptions masked, denormals flushed, whatever the caller had set: results
// do not depend on the caller's floating-point state.
class FloatState {
 public:
  FloatState() noexcept {
#if defined(__x86_64__)
    saved_ = _mm_getcsr();
    _mm_setcsr(0x9FC0U);  // flush-to-zero, denormals-are-zero, every exception masked
#elif defined(__aarch64__)
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" : : "r"(std::uint64_t{1} << 24U));  // FZ
#endif
  }
  ~FloatState() {
#if defined(__x86_64__)
    _mm_setcsr(saved_);
#elif defined(__aarch64__)
    asm volatile("msr fpcr, %0" : : "r"(saved_));
#endif
  }
  FloatState(const FloatState&) = delete;
  FloatState& operator=(const FloatState&) = delete;

 private:
#if defined(__x86_64__)
  unsigned saved_;
#elif defined(__aarch64__)
  std::uint64_t saved_;
#endif
};

#if defined(__linux__)
int affinity_count() {
  // The mask may be wider than cpu_set_t on large machines: grow until the kernel accepts it.
  for (std::size_t cpus = 1024; cpus <= (std::size_t{1} << 20U); cpus *= 2) {
    cpu_set_t* set = CPU_ALLOC(cpus);
    if (set == nullptr) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(cpus);
    CPU_ZERO_S(bytes, set);
    const bool read = sched_getaffinity(0, bytes, set) == 0;
    const int count = read ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (read) return count;
  }
  return 0;
}

// The folder of this process's group in a hierarchy: `controller` is "cpu" for v1, "" for v2.
std::string cgroup_path(const std::string& controller) {
  std::string wanted(1, ',');
  wanted.append(controller).push_back(',');
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {  // "4:cpu,cpuacct:/a/b" or "0::/a/b"
    const std::size_t first = line.find(':');
    if (first == std::string::npos) continue;
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::string names(1, ',');
    names.append(line, first + 1, second - first - 1).push_back(',');
    const bool match = controller.empty() ? names == ",," : names.find(wanted) != std::string::npos;
    if (match) return line.substr(second + 1);
  }
  return "";
}

// The smallest quota in cores from a group's folder up to the root of its hierarchy; 0: none.
template <typename Read>
double smallest_quota(const std::string& root, std::string path, const Read& read) {
  double smallest = 0;
  while (true) {
    const double quota = read(root + path + "/");
    if (quota > 0 && (smallest == 0 || quota < smallest)) smallest = quota;
    const std::size_t slash = path.find_last_of('/');
    if (slash == std::string::npos) return smallest;
    path.resize(slash);
  }
}

double quota_v2(const std::string& folder) {
  std::ifstream file(folder + "cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return 0;
  return std::strtod(quota.c_str(), nullptr) / period;
}

double quota_v1(const std::string& folder) {
  double quota = 0;
  double period = 0;
  std::ifstream quota_file(folder + "cpu.cfs_quota_us");
  std::ifstream period_file(folder + "cpu.cfs_period_us");
  if (!(quota_file >> quota) || !(period_file >> period) || quota <= 0 || period <= 0) return 0;
  return quota / period;
}

double cgroup_quota() {
  const double v2 = smallest_quota("/sys/fs/cgroup", cgroup_path(""), quota_v2);
  double v1 = 0;
  for (const char* root : {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"}) {
    v1 = smallest_quota(root, cgroup_path("cpu"), quota_v1);
    if (v1 > 0) break;
  }
  if (v1 > 0 && v2 > 0) return std::min(v1, v2);
  return std::max(v1, v2);
}
#endif

}  // namespace

int available_threads() {
  int count = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  if (const int allowed = affinity_count(); allowed > 0) count = allowed;
  if (const double quota = cgroup_quota(); quota > 0 && quota < count) {
    count = static_cast<int>(std::ceil(quota));
  }
#endif
  return std::max(count, 1);
}

void Barrier::wait() noexcept {
  const std::uint32_t phase = phase_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == count_) {
    arrived_.store(0, std::memory_order_relaxed);
    phase_.fetch_add(1, std::memory_order_release);
    phase_.notify_all();
    return;
  }
  for (int i = 0; i < kSpins; ++i) {
    if (phase_.load(std::memory_order_acquire) != phase) return;
    pause_briefly(i);
  }
  while (phase_.load(std::memory_order_acquire) == phase) phase_.wait(phase);
}

ThreadPool::ThreadPool(int threads) {
  workers_.reserve(static_cast<std::size_t>(std::max(threads - 1, 0)));
  try {
    for (int rank = 1; rank < threads; ++rank) {
      workers_.emplace_back([this, rank] { work(rank); });
    }
  } catch (...) {  // no more threads to be had: those that started must end first
    stop_workers();
    throw;
  }
}

ThreadPool::~ThreadPool() { stop_workers(); }

void ThreadPool::stop_workers() noexcept {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
    round_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

void ThreadPool::run(const std::function<void(int)>& task) {
  const FloatState state;
  task_ = &task;
  if (!workers_.empty()) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      running_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
      round_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
  }
  call(0);
  for (int i = 0; i < kSpins && running_.load(std::memory_order_acquire) != 0; ++i) {
    pause_briefly(i);
  }
  if (running_.load(std::memory_order_acquire) != 0) {
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return running_.load(std::memory_order_acquire) == 0; });
  }
  if (error_ != nullptr) std::rethrow_exception(std::exchange(error_, nullptr));
}

void ThreadPool::work(int rank) {
  const FloatState state;
  std::uint64_t seen = 0;
  while (true) {
    for (int i = 0; i < kSpins && round_.load(std::memory_order_acquire) == seen; ++i) {
      pause_briefly(i);
    }
    if (round_.load(std::memory_order_acquire) == seen) {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [&] { return round_.load(std::memory_order_acquire) != seen; });
    }
    ++seen;
    if (stop_) return;
    call(rank);
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      const std::lock_guard<std::mutex> lock(mutex_);  // the caller is before its check, or asleep
      done_.notify_one();
    }
  }
}

void ThreadPool::call(int rank) noexcept {
  try {
    (*task_)(rank);
  } catch (...) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (error_ == nullptr) error_ = std::current_exception();
  }
}

}  // namespace inlay
