// A checkpoint's tensors by name. The one object that several owners share: hold it as
// shared_ptr<const Weights>.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/tensor.h"

namespace inlay {

// Immutable once built, so free to share between threads. `keep_alive` owns what the views point
// into (file maps, decoded buffers); the memory goes when the last Weights holding it goes.
class Weights {
 public:
  struct Entry {
    TensorView tensor;
    std::string file;  // for messages
  };

  // Names keep the checkpoint's spelling. A name that is there already is refused: false.
  bool add(std::string name, TensorView tensor, std::string file) {
    return entries_.try_emplace(std::move(name), Entry{std::move(tensor), std::move(file)}).second;
  }
  void keep_alive(std::shared_ptr<const void> owner) { owners_.push_back(std::move(owner)); }

  const Entry* find(std::string_view name) const {
    const auto found = entries_.find(name);
    return found == entries_.end() ? nullptr : &found->second;
  }
  const std::map<std::string, Entry, std::less<>>& entries() const { return entries_; }

 private:
  std::map<std::string, Entry, std::less<>> entries_;
  std::vector<std::shared_ptr<const void>> owners_;
};

}  // namespace inlay
