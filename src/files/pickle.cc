// A pickle machine that can build tensors and containers and nothing else. Opcodes and semantics
// after Python's pickletools; the globals that torch.save writes for a state dict after
// torch/serialization.py and torch/_utils.py.
#include "files/pickle.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/mapped_file.h"
#include "files/zip.h"

namespace inlay::files {
namespace {

// A state dict of a billion-parameter model has some thousand tensors; these stop a pickle bomb
// early.
constexpr std::size_t kMaxValues = 4'000'000;
constexpr std::size_t kMaxStack = 1'000'000;
constexpr std::size_t kMaxDims = 16;

struct Object;
using Ref = std::shared_ptr<Object>;

struct StorageType {
  const char* name;
  DType dtype;
};
constexpr std::array<StorageType, 11> kStorages{{{"FloatStorage", DType::kF32},
                                                 {"HalfStorage", DType::kF16},
                                                 {"BFloat16Storage", DType::kBF16},
                                                 {"DoubleStorage", DType::kF64},
                                                 {"CharStorage", DType::kI8},
                                                 {"ByteStorage", DType::kU8},
                                                 {"ShortStorage", DType::kI16},
                                                 {"IntStorage", DType::kI32},
                                                 {"LongStorage", DType::kI64},
                                                 {"BoolStorage", DType::kBool},
                                                 {"UntypedStorage", DType::kU8}}};

struct None {};
struct Mark {};
enum class Callable { kRebuildTensor, kRebuildParameter, kOrderedDict, kSize };
struct Storage {
  std::string_view bytes;
  DType dtype;
};
struct Tensor {
  TensorView view;
};
struct Tuple {  // lists too
  std::vector<Ref> items;
};
struct Dict {
  std::vector<std::pair<Ref, Ref>> items;
};
struct Object {
  std::variant<None, Mark, bool, std::int64_t, double, std::string, Callable, DType, Storage,
               Tensor, Tuple, Dict>
      value;
};

class Machine {
 public:
  Machine(std::string_view pickle,
          const std::map<std::string, std::string_view, std::less<>>& entries, std::string prefix,
          std::string_view file, Weights* owner)
      : pickle_(pickle),
        entries_(entries),
        prefix_(std::move(prefix)),
        file_(file),
        owner_(owner) {}

  Ref run() {
    for (;;) {
      const auto opcode = static_cast<unsigned char>(take(1)[0]);
      if (opcode == '.') {
        Ref result = pop();
        if (!stack_.empty()) bad("expected one value at the end, got more.");
        return result;
      }
      step(opcode);
      if (stack_.size() > kMaxStack) bad("expected a state dict, got a pickle deeper than any.");
    }
  }

 private:
  [[noreturn]] void bad(const std::string& message) const {
    fail(ErrorCode::kBadInput, std::string(file_) + ": data.pkl offset " + std::to_string(at_),
         message + " The file is damaged; fetch it again or save it as safetensors.");
  }
  [[noreturn]] void refuse(const std::string& what) const {
    fail(ErrorCode::kUnsupported, std::string(file_) + ": data.pkl offset " + std::to_string(at_),
         "expected tensors and containers only, got " + what +
             ". Pickles can run code, so anything else is refused; save the model as safetensors.");
  }

  std::string_view take(std::size_t count) {
    if (count > pickle_.size() - at_) bad("expected more bytes, got the end of the pickle.");
    const std::string_view bytes = pickle_.substr(at_, count);
    at_ += count;
    return bytes;
  }
  template <typename T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }
  std::string line() {
    const std::size_t end = pickle_.find('\n', at_);
    if (end == std::string_view::npos) bad("expected a line, got the end of the pickle.");
    std::string text(pickle_.substr(at_, end - at_));
    at_ = end + 1;
    return text;
  }

  template <typename T>
  void push(T value) {
    if (++made_ > kMaxValues) bad("expected a state dict, got more values than any has.");
    stack_.push_back(std::make_shared<Object>(Object{std::move(value)}));
  }
  Ref pop() {
    if (stack_.empty()) bad("expected a value on the stack, got none.");
    Ref top = std::move(stack_.back());
    stack_.pop_back();
    return top;
  }
  template <typename T>
  T& as(const Ref& ref, const char* what) {
    T* value = std::get_if<T>(&ref->value);
    if (value == nullptr) bad(std::string("expected ") + what + ", got another value.");
    return *value;
  }
  std::vector<Ref> pop_mark() {
    std::vector<Ref> items;
    for (;;) {
      Ref top = pop();
      if (std::holds_alternative<Mark>(top->value)) break;
      items.push_back(std::move(top));
    }
    std::reverse(items.begin(), items.end());
    return items;
  }
  std::vector<Ref> pop_count(std::size_t count) {
    std::vector<Ref> items(count);
    for (std::size_t i = count; i-- > 0;) items[i] = pop();
    return items;
  }
  Ref& top() {
    if (stack_.empty()) bad("expected a value on the stack, got none.");
    return stack_.back();
  }

  void remember(std::size_t index) {
    // Python writes memo indices one after the other; a gap is a forgery.
    if (index > memo_.size()) bad("expected the next memo index, got a later one.");
    if (index == memo_.size()) memo_.push_back(top());
    memo_[index] = top();
  }
  void recall(std::size_t index) {
    if (index >= memo_.size()) bad("expected a memo index that was written, got another.");
    stack_.push_back(memo_[index]);
  }

  void step(unsigned char opcode);
  void global();
  void reduce();
  void persistent();
  void rebuild_tensor(const std::vector<Ref>& arguments);
  void set_items(std::vector<Ref> items);
  void long_integer(std::size_t count);
  std::vector<std::int64_t> integers(const Ref& ref, const char* what);

  std::string_view pickle_;
  const std::map<std::string, std::string_view, std::less<>>& entries_;
  std::string prefix_;
  std::string_view file_;
  Weights* owner_;
  std::size_t at_ = 0, made_ = 0;
  std::vector<Ref> stack_, memo_;
};

void Machine::step(unsigned char opcode) {
  switch (opcode) {
    case 0x80: {  // PROTO
      const auto version = number<std::uint8_t>();
      if (version < 2 || version > 5) refuse("pickle protocol " + std::to_string(version));
      return;
    }
    case 0x95:  // FRAME: a length hint
      take(8);
      return;
    case '(':
      return push(Mark{});
    case 'N':
      return push(None{});
    case 0x88:
      return push(true);
    case 0x89:
      return push(false);
    case 'K':
      return push(static_cast<std::int64_t>(number<std::uint8_t>()));
    case 'M':
      return push(static_cast<std::int64_t>(number<std::uint16_t>()));
    case 'J':
      return push(static_cast<std::int64_t>(number<std::int32_t>()));
    case 0x8A:
      return long_integer(number<std::uint8_t>());
    case 'G': {  // big-endian double
      std::string bytes(take(8));
      std::reverse(bytes.begin(), bytes.end());
      double value = 0;
      std::memcpy(&value, bytes.data(), 8);
      return push(value);
    }
    case 'X':
      return push(std::string(take(number<std::uint32_t>())));
    case 0x8C:
      return push(std::string(take(number<std::uint8_t>())));
    case 'U':
      return push(std::string(take(number<std::uint8_t>())));
    case ')':
    case ']':
      return push(Tuple{});
    case '}':
      return push(Dict{});
    case 't':
      return push(Tuple{pop_mark()});
    case 'l':
      return push(Tuple{pop_mark()});
    case 0x85:
      return push(Tuple{pop_count(1)});
    case 0x86:
      return push(Tuple{pop_count(2)});
    case 0x87:
      return push(Tuple{pop_count(3)});
    case 'a': {
      Ref item = pop();
      as<Tuple>(top(), "a list").items.push_back(std::move(item));
      return;
    }
    case 'e': {
      std::vector<Ref> items = pop_mark();
      auto& list = as<Tuple>(top(), "a list").items;
      list.insert(list.end(), items.begin(), items.end());
      return;
    }
    case 's':
      return set_items(pop_count(2));
    case 'u':
      return set_items(pop_mark());
    case 'q':
      return remember(number<std::uint8_t>());
    case 'r':
      return remember(number<std::uint32_t>());
    case 0x94:
      return remember(memo_.size());
    case 'h':
      return recall(number<std::uint8_t>());
    case 'j':
      return recall(number<std::uint32_t>());
    case 'c':
      return global();
    case 'R':
      return reduce();
    case 'Q':
      return persistent();
    case 'b': {  // BUILD: a state dict carries its _metadata as attributes; plain containers,
                 // dropped
      Ref state = pop();
      as<Dict>(top(), "an OrderedDict");
      as<Dict>(state, "a dict of attributes");
      return;
    }
    case '0':
      pop();
      return;
    case '2':
      stack_.push_back(top());
      return;
    default: {
      char text[16];
      std::snprintf(text, sizeof text, "0x%02x", opcode);
      refuse(std::string("opcode ") + text);
    }
  }
}

void Machine::long_integer(std::size_t count) {
  if (count > 8) bad("expected an integer of at most 64 bits.");
  const std::string_view bytes = take(count);
  std::uint64_t value = 0;
  for (std::size_t i = count; i-- > 0;) value = value << 8U | static_cast<unsigned char>(bytes[i]);
  if (count > 0 && count < 8 && (static_cast<unsigned char>(bytes[count - 1]) & 0x80U) != 0)
    value |= ~std::uint64_t{0} << (8 * count);
  push(static_cast<std::int64_t>(value));
}

void Machine::global() {
  const std::string module = line();
  const std::string name = line();
  if (module == "torch._utils" && name == "_rebuild_tensor_v2")
    return push(Callable::kRebuildTensor);
  if (module == "torch._utils" && name == "_rebuild_parameter")
    return push(Callable::kRebuildParameter);
  if (module == "collections" && name == "OrderedDict") return push(Callable::kOrderedDict);
  if (module == "torch" && name == "Size") return push(Callable::kSize);
  if (module == "torch" || module == "torch.storage") {
    for (const StorageType& storage : kStorages) {
      if (name == storage.name) return push(storage.dtype);
    }
  }
  refuse("the global " + printable(module) + "." + printable(name));
}

void Machine::reduce() {
  const Ref arguments = pop();
  const Ref callable = pop();
  const auto& items = as<Tuple>(arguments, "a tuple of arguments").items;
  switch (as<Callable>(callable, "a callable")) {
    case Callable::kRebuildTensor:
      return rebuild_tensor(items);
    case Callable::kRebuildParameter:  // (tensor, requires_grad, hooks)
      if (items.empty()) bad("expected a parameter's tensor, got no arguments.");
      as<Tensor>(items[0], "a tensor");
      stack_.push_back(items[0]);
      return;
    case Callable::kOrderedDict:
      if (!items.empty()) bad("expected an empty OrderedDict, got arguments.");
      return push(Dict{});
    case Callable::kSize:
      if (items.size() != 1) bad("expected one argument of torch.Size.");
      stack_.push_back(items[0]);
      return;
  }
}

// ("storage", storage class, key, location, element count)
void Machine::persistent() {
  const Ref id = pop();
  const auto& items = as<Tuple>(id, "a storage's tuple").items;
  if (items.size() != 5 || as<std::string>(items[0], "a storage's tag") != "storage")
    bad("expected a storage of five parts.");
  const DType dtype = as<DType>(items[1], "a storage class");
  const std::string& key = as<std::string>(items[2], "a storage's key");
  const auto entry = entries_.find(prefix_ + "data/" + key);
  if (entry == entries_.end())
    bad("expected the archive to hold data/" + printable(key) + ", got no such entry.");
  push(Storage{entry->second, dtype});
}

std::vector<std::int64_t> Machine::integers(const Ref& ref, const char* what) {
  std::vector<std::int64_t> values;
  for (const Ref& item : as<Tuple>(ref, what).items)
    values.push_back(as<std::int64_t>(item, "an integer"));
  if (values.size() > kMaxDims) bad(std::string("expected at most 16 dimensions in ") + what + ".");
  return values;
}

// (storage, offset, shape, stride, requires_grad, hooks[, metadata])
void Machine::rebuild_tensor(const std::vector<Ref>& arguments) {
  if (arguments.size() < 4) bad("expected a storage, offset, shape and stride.");
  const Storage& storage = as<Storage>(arguments[0], "a storage");
  const std::int64_t offset = as<std::int64_t>(arguments[1], "an offset");
  Shape shape = integers(arguments[2], "a shape");
  const Shape stride = integers(arguments[3], "a stride");
  const auto size = static_cast<std::int64_t>(dtype_bytes(storage.dtype));
  const std::int64_t available = static_cast<std::int64_t>(storage.bytes.size()) / size;
  std::int64_t count = 0;
  if (stride.size() != shape.size() || offset < 0 || !element_count(shape, &count))
    bad("expected a shape and stride of one length and an offset of 0 or more.");
  std::int64_t last = offset;
  bool contiguous = true;
  std::int64_t expected = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    std::int64_t reach = 0;
    if (stride[i] < 0 || (count > 0 && (__builtin_mul_overflow(shape[i] - 1, stride[i], &reach) ||
                                        __builtin_add_overflow(last, reach, &last))))
      bad("expected strides inside 63 bits.");
    if (shape[i] != 1 && stride[i] != expected) contiguous = false;
    if (count > 0) expected *= shape[i];
  }
  if (count > 0 && last >= available)
    bad("expected a tensor inside its storage of " + std::to_string(available) +
        " elements, got one that reaches " + std::to_string(last) + ".");
  TensorView view{storage.dtype, std::move(shape),
                  storage.bytes.data() + (count > 0 ? offset * size : 0)};
  if (!contiguous && count > 0) {
    if (count > available)
      bad("expected at most as many elements as the storage has, got an expanded tensor.");
    auto copy = std::make_shared<std::vector<char>>(static_cast<std::size_t>(count * size));
    std::vector<std::int64_t> index(view.shape.size(), 0);
    for (std::int64_t i = 0; i < count; ++i) {
      std::int64_t from = 0;
      for (std::size_t d = 0; d < index.size(); ++d) from += index[d] * stride[d];
      std::memcpy(copy->data() + i * size, static_cast<const char*>(view.data) + from * size,
                  static_cast<std::size_t>(size));
      for (std::size_t d = index.size(); d-- > 0;) {
        if (++index[d] < view.shape[d]) break;
        index[d] = 0;
      }
    }
    view.data = copy->data();
    owner_->keep_alive(std::move(copy));
  }
  push(Tensor{std::move(view)});
}

void Machine::set_items(std::vector<Ref> items) {
  auto& dict = as<Dict>(top(), "a dict").items;
  if (items.size() % 2 != 0) bad("expected keys with values, got a key alone.");
  for (std::size_t i = 0; i < items.size(); i += 2)
    dict.emplace_back(std::move(items[i]), std::move(items[i + 1]));
}

}  // namespace

void read_pytorch(std::string_view bytes, std::string_view file, Weights* weights) {
  if (!bytes.starts_with("PK")) {
    fail(ErrorCode::kUnsupported, file,
         "expected a ZIP archive as torch.save has written since version 1.6, got another file. "
         "Load it with torch and save it again, best as safetensors.");
  }
  const auto entries = read_stored_zip(bytes, file);
  constexpr std::string_view kPickle = "data.pkl";
  std::string prefix;
  std::string_view pickle;
  for (const auto& [name, content] : entries) {
    if (name != kPickle && !name.ends_with("/data.pkl")) continue;
    prefix = name.substr(0, name.size() - kPickle.size());
    pickle = content;
  }
  if (pickle.empty())
    fail(ErrorCode::kBadInput, file,
         "expected an entry data.pkl in the archive, got none. The file is damaged or is not a "
         "checkpoint.");
  const auto order = entries.find(prefix + "byteorder");
  if (order != entries.end() && order->second != "little")
    fail(ErrorCode::kUnsupported, file,
         "expected little-endian data, got " + printable(order->second) + ".");

  Weights found;  // `weights` changes only when all is well
  const Ref root = Machine(pickle, entries, prefix, file, weights).run();
  const Dict* dict = std::get_if<Dict>(&root->value);
  if (dict == nullptr)
    fail(ErrorCode::kUnsupported, file,
         "expected a state dict, got another object. Save model.state_dict().");
  for (const auto& [key, value] : dict->items) {
    const auto* name = std::get_if<std::string>(&key->value);
    const auto* tensor = std::get_if<Tensor>(&value->value);
    if (name == nullptr || tensor == nullptr)
      fail(ErrorCode::kUnsupported, file,
           "expected names with tensors in the state dict, got another entry. Save "
           "model.state_dict().");
    if (weights->find(*name) != nullptr || !found.add(*name, tensor->view, std::string(file))) {
      fail(ErrorCode::kBadInput, file,
           "expected each tensor once, got a second \"" + printable(*name) + "\".");
    }
  }
  for (const auto& [name, entry] : found.entries()) weights->add(name, entry.tensor, entry.file);
}

void map_pytorch(const std::filesystem::path& path, Weights* weights) {
  auto file = std::make_shared<const MappedFile>(path);
  read_pytorch(file->bytes(), path.string(), weights);
  weights->keep_alive(std::move(file));
}

}  // namespace inlay::files
