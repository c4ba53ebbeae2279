// Packed weights kept in a folder from run to run. A file is named by what it was made of, written
// beside its place and moved there whole, checked by its sums before it is used, and mapped
// read-only. What is wrong in any way is as if it were not there: it is packed again and replaced.
// docs/decisions/0011-packed-weights-on-disk.md has the reasons.
#pragma once

#include <cstddef>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "backend/backend.h"
#include "backend/cpu/plan.h"
#include "base/hash.h"
#include "base/tensor.h"

namespace inlay::backend::cpu {

// A file mapped read-only; nothing when that cannot be done. Movable.
class FileMap {
 public:
  FileMap() = default;
  FileMap(int descriptor, std::size_t bytes);  // the descriptor stays the caller's
  ~FileMap();
  FileMap(FileMap&& other) noexcept;
  FileMap& operator=(FileMap&& other) noexcept;
  std::string_view bytes() const { return {data_, size_}; }

 private:
  const char* data_ = nullptr;
  std::size_t size_ = 0;
};

// The weights of one executable. Reading is thread-safe.
class PackedWeights {
 public:
  // Maps them where the cache has them, else packs them and begins to write them there, on a thread
  // of its own. The plan's weights are not read any more afterwards. Throws as pack_weights() does;
  // a cache that cannot be used is no error.
  PackedWeights(const Plan& plan, const Kernels& kernels, const PackedCache& cache, int threads);
  ~PackedWeights();  // waits until they are written
  PackedWeights(const PackedWeights&) = delete;
  PackedWeights& operator=(const PackedWeights&) = delete;

  const float* data() const { return data_; }
  void wait();               // until they are written, or cannot be
  std::string note() const;  // as Executable::packed_weights()

 private:
  void keep(const PackedCache& cache, const Hash128& key);
  void add_note(std::string_view text);

  Buffer block_;
  FileMap map_;
  const float* data_ = nullptr;
  std::size_t bytes_ = 0;
  mutable std::mutex mutex_;
  std::string note_;
  std::thread writer_;
};

// Whether the cache remembers the content behind cache.identity.
bool knows_weights(const Plan& plan, const Kernels& kernels, const PackedCache& cache);

}  // namespace inlay::backend::cpu
