// A GPU on the CPU, for the texts of Metal kernels compiled as C++ (language.h): threads are
// fibers, 32 of them a SIMD group that meets at each of its operations, and a scheduler with a seed
// decides who runs next in between. It finds, in one run, what a device may hide in a thousand:
// accesses outside a buffer, reads of threadgroup memory that nobody wrote, two threads at one
// element without a barrier between them, threads that wait at different places. What it finds is a
// Fault, which ends the launch. It knows nothing of what is computed. One launch at a time a
// process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace inlay::metal_emulator {

struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Site {  // of a barrier or SIMD operation in a text
  const char* file = "";
  int line = 0;
  bool operator<(const Site& other) const {
    return std::pair(line, file) < std::pair(other.line, other.file);
  }
  bool operator==(const Site& other) const { return line == other.line && file == other.file; }
  std::string text() const;
};

struct Size3 {
  unsigned x = 1, y = 1, z = 1;
  unsigned count() const { return x * y * z; }
};

// What a launch does beyond the seed: the faults that tests plant.
struct Options {
  std::uint64_t seed = 1;
  Site dropped_barrier{};        // threads run through it
  bool one_thread_only = false;  // only thread 0 of a threadgroup runs through it
  std::string shortened{};       // the buffer of this name loses its last element
};

// When and by whom an element was accessed. Barriers count; two accesses of one thread, or with a
// barrier of both threads between them, are in order.
struct Stamp {
  int group = -1;   // threadgroup; -1: never
  int thread = -1;  // in it; kMany: several
  int simd = -1;    // likewise
  unsigned epoch = 0, simd_epoch = 0;
};

// The elements of one array, without their values.
class Memory {
 public:
  enum class Kind { kInput, kOutput, kShared };  // kShared: of a threadgroup
  Memory(std::string name, std::size_t count, Kind kind);
  void check_read(std::ptrdiff_t index);
  void check_write(std::ptrdiff_t index);
  std::size_t count() const { return count_; }
  std::size_t written() const;  // elements

 private:
  [[noreturn]] void fail(std::ptrdiff_t index, const char* what) const;
  std::string name_;
  std::size_t count_;
  Kind kind_;
  std::vector<Stamp> reads_, writes_;
};

// What `p[i]` is: reading and writing it go through Memory.
template <typename T>
class Element {
 public:
  Element(T* data, Memory* memory, std::ptrdiff_t index)
      : data_(data), memory_(memory), index_(index) {}
  Element(const Element&) = default;
  operator std::remove_const_t<T>() const {
    memory_->check_read(index_);
    return data_[index_];
  }
  explicit operator float() const requires(!std::is_same_v<std::remove_const_t<T>, float>) {
    return static_cast<float>(static_cast<std::remove_const_t<T>>(*this));
  }
  const Element& operator=(T value) const requires(!std::is_const_v<T>) {
    memory_->check_write(index_);
    data_[index_] = value;
    return *this;
  }
  Element& operator=(const Element&) = delete;

 private:
  T* data_;
  Memory* memory_;
  std::ptrdiff_t index_;
};

template <typename T>
class Pointer {
 public:
  Pointer(T* data, Memory* memory, std::ptrdiff_t index = 0)
      : data_(data), memory_(memory), index_(index) {}
  Element<T> operator[](std::ptrdiff_t i) const { return {data_, memory_, index_ + i}; }
  Element<T> operator*() const { return (*this)[0]; }
  Pointer operator+(std::ptrdiff_t n) const { return {data_, memory_, index_ + n}; }
  bool aligned(std::size_t bytes) const {
    return (reinterpret_cast<std::uintptr_t>(data_) +
            static_cast<std::uintptr_t>(index_) * sizeof(T)) %
               bytes ==
           0;
  }

 private:
  T* data_;
  Memory* memory_;
  std::ptrdiff_t index_;
};

// What a thread asks of the machine that runs it.
struct Here {
  Size3 threadgroup_position, thread_position, groups;
  int simd = 0, lane = 0;
};
const Here& here();

inline constexpr unsigned kThreadgroup = 1;  // memory that a barrier orders
inline constexpr unsigned kDevice = 2;
void threadgroup_barrier(unsigned flags, Site site);
void simdgroup_barrier(unsigned flags, Site site);
// All lanes of the SIMD group give four numbers and see those of all: [32][4], until the group
// meets again.
using Slots = float (*)[4];
Slots meet(Site site, float a, float b = 0, float c = 0, float d = 0);
// The group is at an operation that needs no meeting; the next meeting finds out whether all were
// there.
void pass(Site site);
// Where a matrix of a SIMD group has its elements, 64 of them: row * 8 + column of a lane's slots 2
// lane and 2 lane + 1. Another order in every launch: nothing may depend on it.
const int* matrix_places();
const int* matrix_holders();  // the other way round: 2 lane + slot of row * 8 + column
// The memory of the running threadgroup under this name, made and poisoned by the first who asks.
struct SharedArray {
  void* data;
  Memory* memory;
};
SharedArray shared_array(const char* name, std::size_t count, std::size_t element_bytes);
template <typename T>
Pointer<T> shared(const char* name, std::size_t count) {
  const SharedArray array = shared_array(name, count, sizeof(T));
  return {static_cast<T*>(array.data), array.memory};
}

// Runs `body` once a thread; grid in threads, a multiple of the threadgroup. Throws the first
// Fault.
void launch(const Options& options, Size3 grid, Size3 threadgroup,
            const std::function<void()>& body);
// The barriers at which some thread of any launch has been.
const std::set<Site>& barriers_seen();

}  // namespace inlay::metal_emulator
