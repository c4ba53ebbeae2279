// A heap under one mutex: a few thousand operations a second, each a few hundred nanoseconds.
#include "batch/ready_queue.h"

#include <algorithm>

namespace inlay::batch {
namespace {

// Heap order: the top is the highest priority, then the earliest.
bool later(const ReadyText& a, const ReadyText& b) {
  return a.priority != b.priority ? a.priority < b.priority : a.order > b.order;
}

std::int64_t length(const ReadyText& text) { return static_cast<std::int64_t>(text.ids.size()); }

}  // namespace

bool ReadyQueue::is_worth_it() const {
  return !heap_.empty() && (expected_ <= 0 || tokens_ >= target_);
}

void ReadyQueue::expect(std::int64_t count) {
  const std::lock_guard lock(mutex_);
  expected_ += count;
}

void ReadyQueue::push(ReadyText text) {
  std::unique_lock lock(mutex_);
  room_.wait(lock, [&] { return heap_.empty() || tokens_ + length(text) <= capacity_; });
  tokens_ += length(text);
  --expected_;
  heap_.push_back(std::move(text));
  std::push_heap(heap_.begin(), heap_.end(), later);
  if (is_worth_it()) work_.notify_one();
}

void ReadyQueue::withdraw(std::int64_t count) {
  const std::lock_guard lock(mutex_);
  expected_ -= count;
  if (expected_ <= 0) work_.notify_one();
}

bool ReadyQueue::pop(std::int64_t max_tokens, std::int64_t max_texts,
                     std::vector<ReadyText>* batch) {
  batch->clear();
  std::unique_lock lock(mutex_);
  work_.wait(lock, [&] {
    if (heap_.empty()) return closed_;
    return closed_ || is_worth_it();
  });
  std::int64_t taken = 0;
  while (!heap_.empty() && static_cast<std::int64_t>(batch->size()) < max_texts) {
    const std::int64_t next = length(heap_.front());
    if (!batch->empty() && taken + next > max_tokens) break;
    std::pop_heap(heap_.begin(), heap_.end(), later);
    batch->push_back(std::move(heap_.back()));
    heap_.pop_back();
    taken += next;
  }
  tokens_ -= taken;
  room_.notify_all();
  if (is_worth_it()) work_.notify_one();  // for the next lane
  lock.unlock();
  // Longest first: a backend that hands out chunks then ends with small ones, so that its threads
  // finish together.
  std::stable_sort(batch->begin(), batch->end(), [](const ReadyText& a, const ReadyText& b) {
    return a.ids.size() > b.ids.size();
  });
  return !batch->empty();
}

void ReadyQueue::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  work_.notify_all();
}

}  // namespace inlay::batch
