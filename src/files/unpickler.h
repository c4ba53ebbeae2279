// A pickle machine that can build containers, plain values and the tensors of a PyTorch state dict,
// and nothing else. It knows no archive: storages are asked for by key.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/tensor.h"

namespace inlay::files::pickle {

struct Value;

struct None {};
struct Mark {};
enum class Callable { kRebuildTensor, kRebuildParameter, kOrderedDict, kSize };
struct Storage {
  std::string_view bytes;
  DType dtype;
};
struct List {  // tuples too: nothing here depends on the difference
  std::vector<Value*> items;
};
struct Dict {  // in order of insertion, as written: keys may repeat
  std::vector<std::pair<Value*, Value*>> items;
};
struct Value {
  std::variant<None, Mark, bool, std::int64_t, double, std::string, Callable, DType, Storage,
               TensorView, List, Dict>
      value;
};

// What the machine made. Values point at each other freely, also in circles: all of them live in
// one arena, so that neither their freeing nor anything else recurses.
struct Result {
  std::deque<Value> arena;
  Value* root = nullptr;
  std::vector<std::shared_ptr<const void>> owners;  // of tensors that had to be copied
};

struct Limits {
  // Bytes that copies of non-contiguous tensors may take, all together: a few opcodes can ask for
  // any number of them.
  std::size_t copied_bytes = 0;
};

// `find_storage` gives the bytes of the storage of that key, or nothing. Throws kBadInput
// (malformed) or kUnsupported (an opcode or global outside the list, by name), naming `file` and
// the offset.
using FindStorage = std::function<std::optional<std::string_view>(std::string_view key)>;
Result unpickle(std::string_view pickle, std::string_view file, const FindStorage& find_storage,
                const Limits& limits);

}  // namespace inlay::files::pickle
