// The road from requests to results: an encoding stage that runs ahead, a queue bounded by tokens,
// a computing stage with a thread for each lane of the executable. Requests of many callers share
// batches, and each lane takes the next batch when it is free.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "batch/pack.h"
#include "batch/ready_queue.h"
#include "engine/loader.h"
#include "inlay/inlay.hpp"

namespace inlay::engine {

struct Counters {
  std::atomic<std::int64_t> texts{0}, tokens{0}, truncated{0}, nonfinite{0};
  std::atomic<std::int64_t> tokenize_ns{0}, compute_ns{0};
};

// Thread-safe. The destructor finishes what was submitted.
class Pipeline {
 public:
  Pipeline(LoadedModel model, Truncate truncate);
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  std::future<Result> submit(Request request);
  const LoadedModel& model() const { return model_; }
  const Counters& counters() const { return counters_; }

 private:
  struct State;  // one request on its way
  struct Job {   // texts [begin, end) of a request, to be encoded
    std::shared_ptr<State> state;
    std::size_t begin = 0, end = 0;
  };

  static bool later(const Job& a, const Job& b);
  void encode_loop();
  void encode(const Job& job, tokens::Encoding* scratch);
  void encode_text(const std::shared_ptr<State>& state, std::size_t index,
                   tokens::Encoding* scratch);
  void push(const std::shared_ptr<State>& state, std::size_t index,
            const tokens::Encoding& encoding, std::vector<task::Window> windows);
  struct Lane {  // of a computing thread
    batch::BatchBuffer buffer;
    std::vector<std::vector<float>> outputs;  // of the batch being computed
  };
  void compute_loop();
  void compute(std::vector<batch::ReadyText>* texts, Lane* lane);
  void count_computing(int change);
  std::int32_t prompt_tokens(const std::string& prompt) const;
  tokens::EncodeOptions encode_options(Role role) const;
  void check_length(const State& state, std::size_t index, const tokens::Encoding& encoding) const;
  void check_ids(const tokens::Encoding& encoding, const std::string& where) const;

  LoadedModel model_;
  const Truncate truncate_;
  Counters counters_;
  batch::ReadyQueue ready_;
  std::mutex mutex_;  // guards jobs_, next_order_, closed_
  std::condition_variable job_arrived_;
  std::vector<Job> jobs_;  // a heap: highest priority, then earliest
  std::uint64_t next_order_ = 0;
  bool closed_ = false;
  std::mutex computing_mutex_;  // guards the two behind it
  int computing_ = 0;           // lanes that are at it
  std::chrono::steady_clock::time_point computing_since_;
  std::vector<std::thread> encoders_, computers_;
};

}  // namespace inlay::engine
