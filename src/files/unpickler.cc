// Opcodes and their meaning after Python's pickletools; the globals that torch.save writes for a
// state dict after torch/_utils.py. Every loop here is bounded by the pickle's own bytes.
#include "files/unpickler.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include "base/error.h"

namespace inlay::files::pickle {
namespace {

// A tensor takes some 25 values, a billion-parameter model some thousand tensors. 64 bytes each.
constexpr std::size_t kMaxValues = 1'000'000;
constexpr std::size_t kMaxStack = 1'000'000;
constexpr std::size_t kMaxDims = 16;

struct StorageClass {
  std::string_view name;
  DType dtype;
};
constexpr std::array<StorageClass, 10> kStorages{{{"FloatStorage", DType::kF32},
                                                  {"HalfStorage", DType::kF16},
                                                  {"BFloat16Storage", DType::kBF16},
                                                  {"DoubleStorage", DType::kF64},
                                                  {"CharStorage", DType::kI8},
                                                  {"ByteStorage", DType::kU8},
                                                  {"ShortStorage", DType::kI16},
                                                  {"IntStorage", DType::kI32},
                                                  {"LongStorage", DType::kI64},
                                                  {"BoolStorage", DType::kBool}}};

// Names of what is refused, for the message.
struct OpcodeName {
  unsigned char code;
  const char* name;
};
constexpr std::array<OpcodeName, 36> kRefused{{{'I', "INT"},
                                               {'L', "LONG"},
                                               {'S', "STRING"},
                                               {'V', "UNICODE"},
                                               {'F', "FLOAT"},
                                               {'T', "BINSTRING"},
                                               {'B', "BINBYTES"},
                                               {'C', "SHORT_BINBYTES"},
                                               {0x8B, "LONG4"},
                                               {0x8C, "SHORT_BINUNICODE"},
                                               {0x8D, "BINUNICODE8"},
                                               {0x8E, "BINBYTES8"},
                                               {0x94, "MEMOIZE"},
                                               {0x95, "FRAME"},
                                               {0x96, "BYTEARRAY8"},
                                               {0x97, "NEXT_BUFFER"},
                                               {0x98, "READONLY_BUFFER"},
                                               {'0', "POP"},
                                               {'1', "POP_MARK"},
                                               {'2', "DUP"},
                                               {'l', "LIST"},
                                               {'d', "DICT"},
                                               {'g', "GET"},
                                               {'p', "PUT"},
                                               {0x8F, "EMPTY_SET"},
                                               {0x90, "ADDITEMS"},
                                               {0x91, "FROZENSET"},
                                               {'i', "INST"},
                                               {'o', "OBJ"},
                                               {0x81, "NEWOBJ"},
                                               {0x92, "NEWOBJ_EX"},
                                               {0x93, "STACK_GLOBAL"},
                                               {0x82, "EXT1"},
                                               {0x83, "EXT2"},
                                               {0x84, "EXT4"},
                                               {'P', "PERSID"}}};

class Machine {
 public:
  Machine(std::string_view pickle, std::string_view file, const FindStorage& find_storage,
          const Limits& limits)
      : pickle_(pickle), file_(file), find_storage_(find_storage), limits_(limits) {}

  Result run() {
    for (;;) {
      begin_ = at_;
      const auto opcode = number<std::uint8_t>();
      if (opcode == '.') {
        result_.root = pop();
        if (!stack_.empty()) bad("expected one value at the end, got more.");
        return std::move(result_);
      }
      step(opcode);
      if (stack_.size() > kMaxStack)
        bad("expected a state dict, got a deeper stack than any needs.");
    }
  }

 private:
  std::string where() const {
    return std::string(file_) + ": data.pkl offset " + std::to_string(begin_);
  }
  [[noreturn]] void bad(const std::string& message) const {
    fail(ErrorCode::kBadInput, where(),
         message + " The file is damaged; fetch it again, best as safetensors.");
  }
  [[noreturn]] void refuse(const std::string& what) const {
    fail(ErrorCode::kUnsupported, where(),
         "expected a state dict of tensors and plain containers, got " + what +
             ". A pickle can carry code, so everything else is refused; save the model as "
             "safetensors.");
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
  std::string_view line() {
    const std::size_t end = pickle_.find('\n', at_);
    if (end == std::string_view::npos) bad("expected a line, got the end of the pickle.");
    const std::string_view text = pickle_.substr(at_, end - at_);
    at_ = end + 1;
    return text;
  }

  template <typename T>
  void push(T value) {
    if (result_.arena.size() >= kMaxValues)
      bad("expected a state dict, got more values than any has.");
    stack_.push_back(&result_.arena.emplace_back(Value{std::move(value)}));
  }
  Value* pop() {
    Value* value = top();
    stack_.pop_back();
    return value;
  }
  Value* top() {
    if (stack_.empty()) bad("expected a value on the stack, got none.");
    return stack_.back();
  }
  template <typename T>
  T& as(Value* value, const char* what) {
    T* typed = std::get_if<T>(&value->value);
    if (typed == nullptr) bad(std::string("expected ") + what + ", got another value.");
    return *typed;
  }
  std::vector<Value*> pop_mark() {
    std::size_t from = stack_.size();
    while (from > 0 && !std::holds_alternative<Mark>(stack_[from - 1]->value)) --from;
    if (from == 0) bad("expected a mark on the stack, got none.");
    std::vector<Value*> items(stack_.begin() + static_cast<std::ptrdiff_t>(from), stack_.end());
    stack_.resize(from - 1);
    return items;
  }
  std::vector<Value*> pop_count(std::size_t count) {
    std::vector<Value*> items(count);
    for (std::size_t i = count; i-- > 0;) items[i] = pop();
    return items;
  }

  void remember(std::size_t index) {
    // Picklers number the memo one by one; a gap would be a wish for memory.
    if (index > memo_.size())
      bad("expected the next memo index, got " + std::to_string(index) + ".");
    if (index == memo_.size()) memo_.push_back(nullptr);
    memo_[index] = top();
  }
  void recall(std::size_t index) {
    if (index >= memo_.size()) {
      bad("expected a memo index that was written, got " + std::to_string(index) + ".");
    }
    stack_.push_back(memo_[index]);
  }

  void step(std::uint8_t opcode);
  bool step_plain(std::uint8_t opcode);
  void long_integer(std::size_t count);
  void global();
  void reduce();
  void persistent();
  void rebuild_tensor(const std::vector<Value*>& arguments);
  const void* copy_strided(const TensorView& view, const Shape& stride);
  void set_items(const std::vector<Value*>& items);
  Shape integers(Value* value, const char* what);

  std::string_view pickle_, file_;
  const FindStorage& find_storage_;
  Limits limits_;
  std::size_t at_ = 0, begin_ = 0, copied_ = 0;
  std::vector<Value*> stack_, memo_;
  Result result_;
};

// Values without operands on the stack; false when `opcode` is another.
bool Machine::step_plain(std::uint8_t opcode) {
  switch (opcode) {
    case '(':
      push(Mark{});
      return true;
    case 'N':
      push(None{});
      return true;
    case 0x88:  // NEWTRUE
      push(true);
      return true;
    case 0x89:  // NEWFALSE
      push(false);
      return true;
    case 'K':
      push(static_cast<std::int64_t>(number<std::uint8_t>()));
      return true;
    case 'M':
      push(static_cast<std::int64_t>(number<std::uint16_t>()));
      return true;
    case 'J':
      push(static_cast<std::int64_t>(number<std::int32_t>()));
      return true;
    case 0x8A:  // LONG1
      long_integer(number<std::uint8_t>());
      return true;
    case 'G': {  // BINFLOAT, big-endian
      std::string bytes(take(sizeof(double)));
      std::reverse(bytes.begin(), bytes.end());
      double value = 0;
      std::memcpy(&value, bytes.data(), sizeof value);
      push(value);
      return true;
    }
    case 'X':
      push(std::string(take(number<std::uint32_t>())));
      return true;
    case 'U':  // SHORT_BINSTRING
      push(std::string(take(number<std::uint8_t>())));
      return true;
    case ')':
    case ']':
      push(List{});
      return true;
    case '}':
      push(Dict{});
      return true;
    default:
      return false;
  }
}

void Machine::step(std::uint8_t opcode) {
  if (step_plain(opcode)) return;
  switch (opcode) {
    case 0x80: {  // PROTO
      const int version = number<std::uint8_t>();
      if (version != 2) refuse("pickle protocol " + std::to_string(version));
      return;
    }
    case 't':
      return push(List{pop_mark()});
    case 0x85:
      return push(List{pop_count(1)});
    case 0x86:
      return push(List{pop_count(2)});
    case 0x87:
      return push(List{pop_count(3)});
    case 'a': {
      Value* item = pop();
      as<List>(top(), "a list").items.push_back(item);
      return;
    }
    case 'e': {
      const std::vector<Value*> items = pop_mark();
      auto& list = as<List>(top(), "a list").items;
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
    case 'b': {  // BUILD: a state dict carries its _metadata as attributes, which nobody here needs
      Value* state = pop();
      as<Dict>(state, "attributes in a dict");
      as<Dict>(top(), "an OrderedDict that takes attributes");
      return;
    }
    default:
      break;
  }
  char code[8];
  std::snprintf(code, sizeof code, "0x%02x", opcode);
  for (const OpcodeName& known : kRefused) {
    if (known.code == opcode) refuse(std::string("the opcode ") + known.name + " (" + code + ")");
  }
  bad(std::string("expected a pickle opcode, got the byte ") + code + ".");
}

void Machine::long_integer(std::size_t count) {
  if (count > sizeof(std::int64_t)) bad("expected an integer of at most 64 bits.");
  const std::string_view bytes = take(count);
  std::uint64_t value = 0;
  for (std::size_t i = count; i-- > 0;) value = value << 8U | static_cast<unsigned char>(bytes[i]);
  const bool negative = count > 0 && (static_cast<unsigned char>(bytes[count - 1]) & 0x80U) != 0;
  if (negative && count < sizeof value) value |= ~std::uint64_t{0} << (8 * count);
  push(static_cast<std::int64_t>(value));
}

void Machine::global() {
  const std::string_view module = line();
  const std::string_view name = line();
  if (module == "torch._utils") {
    if (name == "_rebuild_tensor_v2") return push(Callable::kRebuildTensor);
    if (name == "_rebuild_parameter") return push(Callable::kRebuildParameter);
  }
  if (module == "collections" && name == "OrderedDict") return push(Callable::kOrderedDict);
  if (module == "torch" && name == "Size") return push(Callable::kSize);
  for (const StorageClass& known : kStorages) {
    if (module == "torch" && name == known.name) return push(known.dtype);
  }
  refuse("the global \"" + printable(module) + "." + printable(name) + "\"");
}

void Machine::reduce() {
  Value* arguments = pop();
  Value* callable = pop();
  const std::vector<Value*>& items = as<List>(arguments, "a tuple of arguments").items;
  switch (as<Callable>(callable, "something callable")) {
    case Callable::kRebuildTensor:
      return rebuild_tensor(items);
    case Callable::kRebuildParameter:  // (tensor, requires_grad, hooks)
      if (items.empty()) bad("expected the tensor of a parameter, got no arguments.");
      as<TensorView>(items[0], "the tensor of a parameter");
      stack_.push_back(items[0]);
      return;
    case Callable::kOrderedDict:
      if (!items.empty()) bad("expected OrderedDict without arguments, got some.");
      return push(Dict{});
    case Callable::kSize:
      if (items.size() != 1) bad("expected one argument of torch.Size.");
      as<List>(items[0], "the sizes of torch.Size");
      stack_.push_back(items[0]);
      return;
  }
}

// ("storage", class, key, location, count)
void Machine::persistent() {
  const std::vector<Value*>& items = as<List>(pop(), "the tuple of a storage").items;
  if (items.size() != 5 || as<std::string>(items[0], "the word \"storage\"") != "storage") {
    bad("expected the five parts of a storage, got another reference.");
  }
  const DType dtype = as<DType>(items[1], "a storage class");
  const std::string& key = as<std::string>(items[2], "the key of a storage");
  const std::int64_t count = as<std::int64_t>(items[4], "the length of a storage");
  const auto bytes = find_storage_(key);
  if (!bytes) bad("expected the archive to hold data/" + printable(key) + ", got no such entry.");
  const std::size_t unit = dtype_bytes(dtype);
  if (count < 0 || static_cast<std::size_t>(count) != bytes->size() / unit ||
      bytes->size() % unit != 0) {
    bad("expected data/" + printable(key) + " to hold " + std::to_string(count) + " elements of " +
        dtype_name(dtype) + ", got " + std::to_string(bytes->size()) + " bytes.");
  }
  push(Storage{*bytes, dtype});
}

Shape Machine::integers(Value* value, const char* what) {
  const std::vector<Value*>& items = as<List>(value, what).items;
  if (items.size() > kMaxDims) bad(std::string("expected at most 16 dimensions in ") + what + ".");
  Shape numbers;
  for (Value* item : items) numbers.push_back(as<std::int64_t>(item, what));
  return numbers;
}

// (storage, offset, shape, stride, requires_grad, hooks[, metadata])
void Machine::rebuild_tensor(const std::vector<Value*>& arguments) {
  if (arguments.size() < 4) bad("expected a storage, an offset, a shape and strides.");
  const Storage& storage = as<Storage>(arguments[0], "a storage");
  const std::int64_t offset = as<std::int64_t>(arguments[1], "an offset");
  TensorView view{storage.dtype, integers(arguments[2], "a shape"), storage.bytes.data()};
  const Shape stride = integers(arguments[3], "strides");
  const auto unit = static_cast<std::int64_t>(dtype_bytes(storage.dtype));
  const auto available = static_cast<std::int64_t>(storage.bytes.size()) / unit;
  std::int64_t count = 0;
  std::int64_t size = 0;
  if (offset < 0 || stride.size() != view.shape.size() || !element_count(view.shape, &count) ||
      __builtin_mul_overflow(count, unit, &size)) {
    bad("expected an offset of 0 or more, a shape below 2^63 bytes and a stride for each "
        "dimension, "
        "got offset " +
        std::to_string(offset) + ", shape " + shape_text(view.shape) + ", strides " +
        shape_text(stride) + ".");
  }
  if (count == 0) return push(std::move(view));
  std::int64_t last = offset;
  std::int64_t dense = 1;  // the stride that row-major order has here
  bool contiguous = true;
  for (std::size_t d = view.shape.size(); d-- > 0;) {
    std::int64_t reach = 0;
    if (stride[d] < 0 || __builtin_mul_overflow(view.shape[d] - 1, stride[d], &reach) ||
        __builtin_add_overflow(last, reach, &last)) {
      bad("expected strides of 0 to 2^63 - 1, got " + shape_text(stride) + ".");
    }
    contiguous = contiguous && (view.shape[d] == 1 || stride[d] == dense);
    dense *= view.shape[d];
  }
  if (last >= available) {
    bad("expected a tensor inside its storage of " + std::to_string(available) +
        " elements, got one that reaches element " + std::to_string(last) + ".");
  }
  view.data = storage.bytes.data() + offset * unit;
  if (!contiguous) view.data = copy_strided(view, stride);
  push(std::move(view));
}

const void* Machine::copy_strided(const TensorView& view, const Shape& stride) {
  const std::size_t size = view.bytes();
  if (size > limits_.copied_bytes - copied_) {
    fail(ErrorCode::kUnsupported, where(),
         "expected tensors that are not contiguous to take at most " +
             std::to_string(limits_.copied_bytes) + " bytes in all, got " + std::to_string(size) +
             " on top of " + std::to_string(copied_) + ". Save the model as safetensors.");
  }
  copied_ += size;
  auto copy = std::make_shared<std::vector<char>>(size);
  const auto unit = static_cast<std::int64_t>(dtype_bytes(view.dtype));
  const std::int64_t count = view.elements();
  Shape index(view.shape.size(), 0);
  std::int64_t from = 0;  // element that `index` stands for
  for (std::int64_t i = 0; i < count; ++i) {
    std::memcpy(copy->data() + i * unit, static_cast<const char*>(view.data) + from * unit,
                static_cast<std::size_t>(unit));
    for (std::size_t d = index.size(); d-- > 0;) {
      from += stride[d];
      if (++index[d] < view.shape[d]) break;
      from -= stride[d] * view.shape[d];
      index[d] = 0;
    }
  }
  const void* data = copy->data();
  result_.owners.push_back(std::move(copy));
  return data;
}

void Machine::set_items(const std::vector<Value*>& items) {
  auto& dict = as<Dict>(top(), "a dict").items;
  if (items.size() % 2 != 0) bad("expected keys with values, got a key alone.");
  for (std::size_t i = 0; i < items.size(); i += 2) dict.emplace_back(items[i], items[i + 1]);
}

}  // namespace

Result unpickle(std::string_view pickle, std::string_view file, const FindStorage& find_storage,
                const Limits& limits) {
  return Machine(pickle, file, find_storage, limits).run();
}

}  // namespace inlay::files::pickle
