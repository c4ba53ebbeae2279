// Several GPUs of one host: a whole executable each, and batches to whichever has least to do.
#include <algorithm>
#include <charconv>
#include <compare>
#include <future>
#include <mutex>
#include <utility>

#include "backend/cuda/executable.h"
#include "base/error.h"

namespace inlay::backend::cuda {
namespace {

class SeveralExecutable final : public Executable {
 public:
  explicit SeveralExecutable(std::vector<std::unique_ptr<Executable>> parts)
      : parts_(std::move(parts)), busy_(parts_.size()) {}

  int lanes() const override {
    int lanes = 0;
    for (const auto& part : parts_) lanes += part->lanes();
    return lanes;
  }
  bool computes_on_host() const override { return false; }

  using Executable::run;
  void run(const PackedBatch& batch, std::span<const std::span<float>> outs) override {
    const Turn turn(this);
    parts_[turn.part]->run(batch, outs);
  }

  MemoryPlan memory() const override {
    MemoryPlan all;
    for (const auto& part : parts_) {
      const MemoryPlan memory = part->memory();
      all.packed += memory.packed;
      all.arena += memory.arena;
      all.device += memory.device;
    }
    return all;
  }
  std::string_view isa() const override { return parts_[0]->isa(); }
  std::vector<std::string> notes() const override {
    return {std::to_string(parts_.size()) + " sessions side by side"};
  }

 private:
  struct Busy {  // of a part: batches that it has, and has had
    std::int64_t now = 0, ever = 0;
    auto operator<=>(const Busy&) const = default;
  };
  struct Turn {
    SeveralExecutable* owner;
    std::size_t part;
    explicit Turn(SeveralExecutable* several) : owner(several), part(0) {
      const std::lock_guard lock(owner->mutex_);
      const auto least = std::min_element(owner->busy_.begin(), owner->busy_.end());
      ++least->now;
      ++least->ever;
      part = static_cast<std::size_t>(least - owner->busy_.begin());
    }
    ~Turn() {
      const std::lock_guard lock(owner->mutex_);
      --owner->busy_[part].now;
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
  };

  const std::vector<std::unique_ptr<Executable>> parts_;
  std::mutex mutex_;  // guards busy_
  std::vector<Busy> busy_;
};

std::unique_ptr<Executable> make_on(const Program& program, const CompileOptions& options,
                                    const Api& api, std::int32_t device) {
  try {
    return make_executable(make_plan(program, options), options, api, device);
  } catch (const Error& error) {  // the GPU's memory is too small, or others hold it
    if (error.code() != ErrorCode::kMemoryLimit) throw;
  }
  return make_executable(make_plan(program, options, kChunkTokens / 2), options, api, device);
}

}  // namespace

std::unique_ptr<Executable> make_executable_on(const Program& program,
                                               const CompileOptions& options, const Api& api,
                                               const std::vector<std::int32_t>& devices) {
  if (devices.size() == 1) return make_on(program, options, api, devices[0]);
  std::vector<std::future<std::unique_ptr<Executable>>> made;
  made.reserve(devices.size());
  for (const std::int32_t device : devices) {
    made.push_back(std::async(std::launch::async,
                              [&, device] { return make_on(program, options, api, device); }));
  }
  std::vector<std::unique_ptr<Executable>> parts;
  parts.reserve(made.size());
  for (auto& part : made) part.wait();  // none of them outlives what it refers to
  for (auto& part : made) parts.push_back(part.get());
  return std::make_unique<SeveralExecutable>(std::move(parts));
}

std::optional<std::vector<std::int32_t>> parse_numbers(std::string_view list) {
  std::vector<std::int32_t> numbers;
  for (;;) {
    const std::size_t end = std::min(list.find(','), list.size());
    std::int32_t number = -1;
    const auto [rest, error] = std::from_chars(list.data(), list.data() + end, number);
    if (error != std::errc() || rest != list.data() + end || number < 0) return std::nullopt;
    numbers.push_back(number);
    if (end == list.size()) return numbers;
    list.remove_prefix(end + 1);
  }
}

}  // namespace inlay::backend::cuda
