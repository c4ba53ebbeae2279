// Two threads meet here: the lane that runs batches, and the one that compiles.
#include "engine/meanwhile.h"

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace inlay::engine {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

class Meanwhile final : public backend::Executable {
 public:
  Meanwhile(Program program, std::unique_ptr<backend::Executable> other, MeanwhileSetup setup)
      : setup_(std::move(setup)), other_(std::move(other)), memory_(other_->memory()) {
    const backend::MemoryPlan plan = setup_.room->plan(program, setup_.limits);
    memory_.packed += plan.packed;
    memory_.arena += plan.arena;
    memory_.device += plan.device;
    compiler_ = std::thread([this, owned = std::move(program)]() mutable { compile(&owned); });
  }
  ~Meanwhile() override {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
    compiler_.join();
  }
  Meanwhile(const Meanwhile&) = delete;
  Meanwhile& operator=(const Meanwhile&) = delete;

  using Executable::run;
  void run(const PackedBatch& batch, std::span<const std::span<float>> outs) override {
    backend::Executable* device = device_for(batch);
    (device != nullptr ? device : other_.get())->run(batch, outs);
    const std::lock_guard lock(mutex_);
    Done& done = device != nullptr ? by_device_ : by_other_;
    done.texts += batch.texts();
    done.tokens += batch.tokens();
  }

  backend::MemoryPlan memory() const override { return memory_; }
  std::string packed_weights() const override { return other_->packed_weights(); }
  // `other` pads nothing: the device's share of its own tokens, over the tokens of both.
  double padded_share() const override {
    const std::lock_guard lock(mutex_);
    if (device_ == nullptr || by_device_.tokens == 0) return 0;
    const double share = device_->padded_share();
    const double computed = static_cast<double>(by_device_.tokens) / (1 - share);
    return share * computed / (computed + static_cast<double>(by_other_.tokens));
  }
  std::int64_t partitions() const override {
    const std::lock_guard lock(mutex_);
    return device_ == nullptr ? 1 : device_->partitions();
  }
  std::int64_t fallback_ops() const override {
    const std::lock_guard lock(mutex_);
    return device_ == nullptr ? 0 : device_->fallback_ops();
  }
  std::vector<std::string> notes() const override;
  std::vector<std::pair<std::string, std::int64_t>> served() const override {
    const std::lock_guard lock(mutex_);
    return {{setup_.device, by_device_.texts}, {setup_.other, by_other_.texts}};
  }

 private:
  struct Done {
    std::int64_t texts = 0, tokens = 0;
  };
  backend::Executable* device_for(const PackedBatch& batch);
  void compile(Program* program);
  void compile_wanted();
  void give_up(const std::string& why);  // in a handler

  const MeanwhileSetup setup_;
  const std::unique_ptr<backend::Executable> other_;
  backend::MemoryPlan memory_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::unique_ptr<backend::Executable> device_;  // null: not compiled yet
  double seconds_ = 0;                           // of compiling, so far
  std::vector<std::int32_t> wanted_;             // offsets of a batch to prepare; empty: none
  std::exception_ptr error_;                     // why the device computes no more
  std::string why_;
  bool closed_ = false;
  Done by_device_, by_other_;
  std::thread compiler_;
};

backend::Executable* Meanwhile::device_for(const PackedBatch& batch) {
  const std::lock_guard lock(mutex_);
  if (error_ != nullptr) {
    if (setup_.named) std::rethrow_exception(error_);
    return nullptr;
  }
  if (device_ != nullptr && device_->prepared(batch.offsets)) return device_.get();
  if (wanted_.empty()) {
    wanted_.assign(batch.offsets.begin(), batch.offsets.end());
    changed_.notify_all();
  }
  return nullptr;
}

void Meanwhile::compile(Program* program) {
  try {
    const auto begin = Clock::now();
    std::unique_ptr<backend::Executable> made = setup_.room->compile(*program, setup_.limits);
    *program = Program();  // lets go of the file map
    if (setup_.warm_up && !setup_.room->compiles_sizes(setup_.limits.unit))
      setup_.warm_up(made.get());
    {
      const std::lock_guard lock(mutex_);
      device_ = std::move(made);
      seconds_ += seconds_since(begin);
    }
    compile_wanted();
  } catch (const std::exception& error) {
    give_up(error.what());
  } catch (...) {  // of a library
    give_up("an error without words");
  }
}

void Meanwhile::give_up(const std::string& why) {
  const std::lock_guard lock(mutex_);
  error_ = std::current_exception();
  why_ = why;
}

void Meanwhile::compile_wanted() {
  for (;;) {
    std::vector<std::int32_t> offsets;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return closed_ || !wanted_.empty(); });
      if (closed_) return;
      offsets = wanted_;
    }
    const auto begin = Clock::now();
    device_->prepare(offsets);
    const std::lock_guard lock(mutex_);
    seconds_ += seconds_since(begin);
    wanted_.clear();
  }
}

std::vector<std::string> Meanwhile::notes() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> notes;
  if (device_ != nullptr) notes = device_->notes();
  if (error_ != nullptr) {
    notes.push_back(setup_.device + " is not used: " + why_);
    return notes;
  }
  if (seconds_ > 0) {
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, "%.1f s", seconds_);
    notes.push_back(setup_.device + " took " + seconds + " to compile, in the background");
  }
  if (device_ == nullptr || !wanted_.empty())
    notes.push_back(setup_.device + " is being compiled; " + setup_.other + " computes meanwhile");
  return notes;
}

}  // namespace

std::unique_ptr<backend::Executable> compile_meanwhile(Program program,
                                                       std::unique_ptr<backend::Executable> other,
                                                       MeanwhileSetup setup) {
  return std::make_unique<Meanwhile>(std::move(program), std::move(other), std::move(setup));
}

}  // namespace inlay::engine
