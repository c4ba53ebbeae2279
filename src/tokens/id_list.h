// Ids being collected: a growing array that lets its writer put more than it keeps, so that a few
// ids are copied with one move of fixed size.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

namespace inlay::tokens {

// Not for two threads at once; clear() keeps the memory.
class IdList {
 public:
  static constexpr std::size_t kSlack = 20;  // what room() promises

  // Space for kSlack ids behind the last; keep(n) makes the first n of what was written there ids.
  std::int32_t* room() {
    if (capacity_ - size_ < kSlack) grow();
    return ids_.get() + size_;
  }
  void keep(std::size_t count) { size_ += count; }
  void push_back(std::int32_t id) {
    *room() = id;
    ++size_;
  }
  void clear() { size_ = 0; }
  void shrink(std::size_t size) { size_ = size; }  // at most size()

  std::size_t size() const { return size_; }
  const std::int32_t* data() const { return ids_.get(); }
  const std::int32_t* begin() const { return data(); }
  const std::int32_t* end() const { return data() + size_; }
  std::int32_t operator[](std::size_t i) const { return ids_[i]; }

 private:
  void grow() {
    const std::size_t capacity = std::max<std::size_t>(1024, 2 * capacity_);
    std::unique_ptr<std::int32_t[]> larger(new std::int32_t[capacity]);
    if (size_ > 0) std::memcpy(larger.get(), ids_.get(), size_ * sizeof(std::int32_t));
    ids_ = std::move(larger);
    capacity_ = capacity;
  }
  std::unique_ptr<std::int32_t[]> ids_;
  std::size_t size_ = 0, capacity_ = 0;
};

}  // namespace inlay::tokens
