// PyTorch checkpoints: what torch.save writes is read, everything else is refused, nothing is ever
// executed.
#include "files/pickle.h"

#include <cmath>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "temp_folder.h"

namespace inlay::files {
namespace {

using namespace std::string_literals;
using Entries = std::vector<std::pair<std::string, std::string>>;

const std::filesystem::path kPickles = INLAY_TEST_DATA "/files";

template <typename T>
void append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// A ZIP of stored entries, as torch.save writes it.
std::string zip(const Entries& entries, std::uint16_t method = 0) {
  std::string out;
  std::string directory;
  for (const auto& entry : entries) {
    const std::string& name = entry.first;
    const std::string& content = entry.second;
    const auto offset = static_cast<std::uint32_t>(out.size());
    const auto size = static_cast<std::uint32_t>(content.size());
    const auto fields = [&](std::string& to) {
      for (const std::uint16_t field :
           {std::uint16_t{0}, std::uint16_t{0}, method, std::uint16_t{0}, std::uint16_t{0}})
        append(to, field);
      append(to, std::uint32_t{0});  // CRC
      append(to, size);
      append(to, size);
      append(to, static_cast<std::uint16_t>(name.size()));
      append(to, std::uint16_t{0});
    };
    out += "PK\3\4";
    fields(out);
    out += name + content;
    directory += "PK\1\2"s;
    append(directory, std::uint16_t{0});
    fields(directory);
    for (int i = 0; i < 3; ++i) append(directory, std::uint16_t{0});  // comment, disk, attributes
    append(directory, std::uint32_t{0});
    append(directory, offset);
    directory += name;
  }
  const auto at = static_cast<std::uint32_t>(out.size());
  out += directory + "PK\5\6"s;
  append(out, std::uint32_t{0});
  append(out, static_cast<std::uint16_t>(entries.size()));
  append(out, static_cast<std::uint16_t>(entries.size()));
  append(out, static_cast<std::uint32_t>(directory.size()));
  append(out, at);
  append(out, std::uint16_t{0});
  return out;
}

std::string checkpoint(std::string_view pickle,
                       const std::string& storage = std::string(16, '\0')) {
  return zip({{"archive/data.pkl", std::string(pickle)},
              {"archive/byteorder", "little"},
              {"archive/data/0", storage}});
}

// Pieces of pickle source.
std::string text(std::string_view value) {
  std::string out = "X";
  append(out, static_cast<std::uint32_t>(value.size()));
  return out.append(value);
}
std::string integer(std::int64_t value) {
  std::string out = "\x8a\x08";
  append(out, value);
  return out;
}
std::string tuple(const std::vector<std::int64_t>& values) {
  std::string out = "(";
  for (const std::int64_t value : values) out += integer(value);
  return out + "t";
}
std::string storage(std::int64_t count, std::string_view kind = "FloatStorage",
                    std::string_view key = "0") {
  return "(" + text("storage") + "ctorch\n" + std::string(kind) + "\n" + text(key) + text("cpu") +
         integer(count) + "tQ";
}
std::string tensor(std::int64_t offset, const std::vector<std::int64_t>& shape,
                   const std::vector<std::int64_t>& stride, const std::string& of = storage(4)) {
  return "ctorch._utils\n_rebuild_tensor_v2\n(" + of + integer(offset) + tuple(shape) +
         tuple(stride) +
         "\x89"
         "ccollections\nOrderedDict\n)RtR";
}
std::string state_dict(const std::string& value) { return "\x80\x02}" + text("x") + value + "s."; }

std::vector<float> read_floats(std::string_view bytes, std::string_view name) {
  Weights weights;
  read_pytorch(bytes, "m.bin", &weights);
  const Weights::Entry* entry = weights.find(name);
  return entry == nullptr ? std::vector<float>{NAN} : to_float(entry->tensor, name);
}

TEST(Pickle, ReadsWhatTorchWrites) {
  Weights weights;
  map_pytorch(kPickles / "mixed.bin", &weights);
  EXPECT_EQ(weights.entries().size(), 17U);
  const auto floats = [&](const char* name) { return to_float(weights.find(name)->tensor, name); };
  using Floats = std::vector<float>;
  EXPECT_EQ(floats("a.weight"), (Floats{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(floats("tied"), floats("a.weight"));
  EXPECT_EQ(weights.find("transposed")->tensor.shape, (Shape{3, 2}));
  EXPECT_EQ(floats("transposed"), (Floats{0, 3, 1, 4, 2, 5}));
  for (const char* name : {"f16", "bf16", "f64"})
    EXPECT_EQ(floats(name), (Floats{0, 1, 2})) << name;
  EXPECT_EQ(floats("scalar"), Floats{2.5F});
  EXPECT_TRUE(weights.find("scalar")->tensor.shape.empty());
  EXPECT_EQ(weights.find("empty")->tensor.shape, (Shape{0, 4}));
  EXPECT_EQ(floats("parameter"), (Floats{0, 1}));
  EXPECT_EQ(floats("slice"), (Floats{2, 3, 4}));
  EXPECT_EQ(floats("every_second"), (Floats{0, 2, 4, 6, 8}));
  EXPECT_EQ(weights.find("i64")->tensor.dtype, DType::kI64);
  expect_error([&] { floats("i32"); }, ErrorCode::kUnsupported, {"i32", "I32"});
}

TEST(Pickle, ReadsModulesStateDictAndExpanded) {
  EXPECT_EQ(read_floats(slurp(kPickles / "linear.bin"), "weight"),
            (std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(read_floats(slurp(kPickles / "expanded.bin"), "x"), std::vector<float>(1000, 0.0F));
}

TEST(Pickle, RefusesWhatIsNoStateDictByName) {
  const std::vector<std::pair<const char*, std::string_view>> files{
      {"refused_module.bin", "torch.nn.modules.linear.Linear"},
      {"refused_legacy.bin", "older version"},
      {"refused_protocol.bin", "protocol 4"},
      {"refused_dtype.bin", "torch._utils._rebuild_tensor_v3"},
      {"refused_number.bin", "\"step\""},
      {"refused_list.bin", "expected a state dict"},
  };
  for (const auto& file : files) {
    const char* name = file.first;
    Weights weights;
    expect_error([&] { map_pytorch(kPickles / name, &weights); }, ErrorCode::kUnsupported,
                 {name, file.second});
    EXPECT_TRUE(weights.entries().empty());
  }
}

TEST(Pickle, HandMadeCheckpointsWork) {
  const float values[4] = {1, 2, 3, 4};
  const std::string data(reinterpret_cast<const char*>(values), sizeof values);
  EXPECT_EQ(read_floats(checkpoint(state_dict(tensor(0, {2, 2}, {2, 1})), data), "x"),
            (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(read_floats(checkpoint(state_dict(tensor(0, {2, 2}, {1, 2})), data), "x"),
            (std::vector<float>{1, 3, 2, 4}));
  EXPECT_EQ(read_floats(checkpoint(state_dict(tensor(3, {2}, {0})), data), "x"),
            (std::vector<float>{4, 4}));
  EXPECT_EQ(read_floats(checkpoint(state_dict(tensor(0, {1, 4}, {77, 1})), data), "x"),
            (std::vector<float>{1, 2, 3, 4}));
}

struct Case {
  std::string bytes;
  std::string_view part;
  ErrorCode code = ErrorCode::kBadInput;
};

TEST(Pickle, RefusesLiesAboutTensors) {
  constexpr std::int64_t kBig = std::int64_t{1} << 62;
  const auto lie = [](std::int64_t offset, const std::vector<std::int64_t>& shape,
                      const std::vector<std::int64_t>& stride, const std::string& of = storage(4)) {
    return checkpoint(state_dict(tensor(offset, shape, stride, of)));
  };
  const std::vector<Case> cases{
      {lie(0, {5}, {1}), "reaches element 4"},
      {lie(4, {1}, {1}), "reaches element 4"},
      {lie(-1, {1}, {1}), "offset -1"},
      {lie(kBig, {1}, {1}), "inside its storage"},
      {lie(0, {2}, {kBig}), "reaches element"},
      {lie(0, {3}, {kBig}), "strides"},
      {lie(0, {2}, {-1}), "strides"},
      {lie(0, {-1}, {1}), "shape [-1]"},
      {lie(0, {kBig, 4}, {1, 1}), "shape"},
      {lie(0, {kBig}, {0}), "shape"},
      {lie(0, {kBig / 4}, {0}), "not contiguous", ErrorCode::kUnsupported},
      {lie(0, {std::int64_t{1} << 20}, {0}), "not contiguous", ErrorCode::kUnsupported},
      {lie(0, {2}, {1, 1}), "a stride for each dimension"},
      {lie(0, std::vector<std::int64_t>(17, 1), std::vector<std::int64_t>(17, 1)), "16 dimensions"},
      {lie(0, {1}, {1}, storage(5)), "to hold 5 elements"},
      {lie(0, {1}, {1}, storage(-1)), "to hold -1 elements"},
      {lie(0, {1}, {1}, storage(kBig)), "elements of F32"},
      {lie(0, {1}, {1}, storage(4, "FloatStorage", "1")), "data/1"},
      {lie(0, {1}, {1}, storage(4, "FloatStorage", "../byteorder")), "got no such entry"},
      {lie(0, {1}, {1}, storage(4, "ComplexFloatStorage")), "torch.ComplexFloatStorage",
       ErrorCode::kUnsupported},
      {checkpoint(state_dict(tensor(0, {1}, {1})), "123"), "got 3 bytes"},
      {checkpoint(state_dict(tensor(0, {1}, {1}, integer(7)))), "expected a storage"},
      {checkpoint("\x80\x02}(" + text("x") + tensor(0, {1}, {1}) + text("x") + tensor(0, {1}, {1}) +
                  "u."),
       "a second \"x\""},
  };
  for (const Case& broken : cases) {
    SCOPED_TRACE(broken.part);
    expect_error([&] { read_floats(broken.bytes, "x"); }, broken.code, {"[m.bin", broken.part});
  }
}

TEST(Pickle, RefusesCodeAndOddities) {
  const auto pickle = [](const std::string& source) { return checkpoint(source); };
  const std::vector<Case> cases{
      {pickle("\x80\x02"
              "cos\nsystem\n(" +
              text("true") + "tR."),
       "\"os.system\"", ErrorCode::kUnsupported},
      {pickle("\x80\x02"
              "c__builtin__\neval\n."),
       "__builtin__.eval", ErrorCode::kUnsupported},
      {pickle("\x80\x02"
              "ctorch\nload\n."),
       "torch.load", ErrorCode::kUnsupported},
      {pickle("\x80\x02"
              "ccollections\nCounter\n."),
       "collections.Counter", ErrorCode::kUnsupported},
      {pickle("\x80\x02"
              "(S'id'\nios\nsystem\n."),
       "STRING (0x53)", ErrorCode::kUnsupported},
      {pickle("\x80\x02"
              "(ios\nsystem\n."),
       "INST (0x69)", ErrorCode::kUnsupported},
      {pickle("\x80\x02}}\x81."), "NEWOBJ (0x81)", ErrorCode::kUnsupported},
      {pickle("\x80\x02" + text("os") + text("system") + "\x93."), "STACK_GLOBAL (0x93)",
       ErrorCode::kUnsupported},
      {pickle("\x80\x03}."), "protocol 3", ErrorCode::kUnsupported},
      {pickle("\x80\x02\x7f"), "the byte 0x7f"},
      {pickle(""), "end of the pickle"},
      {pickle("\x80"), "end of the pickle"},
      {pickle("\x80\x02."), "a value on the stack"},
      {pickle("\x80\x02}}."), "one value at the end"},
      {pickle("\x80\x02}"), "end of the pickle"},
      {pickle("\x80\x02}q\x01."), "the next memo index"},
      {pickle("\x80\x02}r\xff\xff\xff\xff."), "the next memo index"},
      {pickle("\x80\x02h\x00."s), "memo index that was written"},
      {pickle("\x80\x02X\xff\xff\xff\xff."), "end of the pickle"},
      {pickle("\x80\x02\x8a\xff."), "64 bits"},
      {pickle("\x80\x02t."), "expected a mark"},
      {pickle("\x80\x02}(" + text("k") + "u."), "a key alone"},
      {pickle("\x80\x02" + integer(3) + integer(4) + "s."), "expected a value on the stack"},
      {pickle("\x80\x02" + integer(3) + "\x85" + integer(4) + "R."), "tuple of arguments"},
      {pickle("\x80\x02" + integer(3) + ")R."), "something callable"},
      {pickle("\x80\x02"
              "ccollections\nOrderedDict\n" +
              integer(3) + "\x85R."),
       "without arguments"},
      {pickle("\x80\x02"
              "ctorch._utils\n_rebuild_tensor_v2\n)R."),
       "a storage, an offset"},
      {pickle("\x80\x02}}b}b" + integer(1) + "b."), "attributes in a dict"},
      {pickle("\x80\x02}" + text("x") + "Ns."), "another entry at \"x\"", ErrorCode::kUnsupported},
      {pickle("\x80\x02}N" + tensor(0, {1}, {1}) + "s."), "names with tensors",
       ErrorCode::kUnsupported},
      {pickle("\x80\x02"
              "ctorch\nSize"),
       "expected a line"},
  };
  for (const Case& broken : cases) {
    SCOPED_TRACE(broken.part);
    expect_error([&] { read_floats(broken.bytes, "x"); }, broken.code, {"[m.bin", broken.part});
  }
}

TEST(Pickle, DepthAndCirclesAreHarmless) {
  // A tuple in a tuple, half a million deep; a list that holds itself; the memo doubling without
  // end.
  const std::string deep = "\x80\x02)" + std::string(500'000, '\x85') + ".";
  expect_error([&] { read_floats(checkpoint(deep), "x"); }, ErrorCode::kUnsupported,
               {"expected a state dict"});
  expect_error(
      [] {
        read_floats(checkpoint("\x80\x02]q\x00h\x00"
                               "a."s),
                    "x");
      },
      ErrorCode::kUnsupported, {"expected a state dict"});
  expect_error([] { read_floats(checkpoint("\x80\x02" + std::string(2'000'000, '}')), "x"); },
               ErrorCode::kBadInput, {"more values than any has"});
  std::string stack = "\x80\x02}q\x00"s;
  for (int i = 0; i < 1'100'000; ++i) stack += "h\0"s;
  expect_error([&] { read_floats(checkpoint(stack), "x"); }, ErrorCode::kBadInput,
               {"deeper stack"});
  // Many copies of one strided tensor: bounded by the file's size.
  std::string many = "\x80\x02}(";
  for (int i = 0; i < 64; ++i) many += text(std::to_string(i)) + tensor(0, {1 << 14}, {0});
  expect_error([&] { read_floats(checkpoint(many + "u."), "x"); }, ErrorCode::kUnsupported,
               {"not contiguous"});
}

TEST(Zip, Refused) {
  const std::string pickle = state_dict(tensor(0, {1}, {1}));
  const std::string good = checkpoint(pickle);
  ASSERT_EQ(read_floats(good, "x").size(), 1U);
  const auto changed = [&](std::size_t from_end, std::string_view bytes) {
    std::string copy = good;
    copy.replace(copy.size() - from_end, bytes.size(), bytes);
    return copy;
  };
  const std::vector<Case> cases{
      {"", "an empty file"},
      {"hello", "another file", ErrorCode::kUnsupported},
      {"version https://git-lfs.github.com/spec/v1\n", "git lfs pull", ErrorCode::kUnsupported},
      {"PK", "[m.bin"},
      {good.substr(0, good.size() - 1), "end record"},
      {changed(6, "\xff\xff\xff\x7f"), "m.bin: offset"},   // the directory's place
      {changed(12, "\xff\xff\xff\xff"), "m.bin: offset"},  // and its count
      {zip({{"a/data.pkl", pickle}, {"b/data.pkl", pickle}}), "one data.pkl"},
      {zip({{"archive/data", ""}}), "expected data.pkl", ErrorCode::kUnsupported},
      {zip({{"archive/data.pkl", pickle}, {"archive/data.pkl", pickle}}), "each name once"},
      {zip({{"archive/data.pkl", pickle},
            {"archive/byteorder", "big"},
            {"archive/data/0", "0123456789abcdef"}}),
       "got \"big\"", ErrorCode::kUnsupported},
      {zip({{"archive/data.pkl", pickle}}, 8), "uncompressed", ErrorCode::kUnsupported},
  };
  for (const Case& broken : cases) {
    SCOPED_TRACE(broken.part);
    expect_error([&] { read_floats(broken.bytes, "x"); }, broken.code, {"[m.bin", broken.part});
  }
}

TEST(Pickle, TruncatedAnywhereIsAnError) {
  for (const char* name : {"mixed.bin", "linear.bin"}) {
    const std::string bytes = slurp(kPickles / name);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      Weights weights;
      const auto error = error_of([&] { read_pytorch({bytes.data(), size}, name, &weights); });
      ASSERT_TRUE(error.has_value()) << name << " at " << size;
      ASSERT_TRUE(weights.entries().empty());
    }
  }
}

TEST(Pickle, DamagedBytesNeverReachOutside) {
  const std::string good = slurp(kPickles / "mixed.bin");
  std::mt19937 random(1);
  double sum = 0;
  for (int round = 0; round < (INLAY_SANITIZED ? 800 : 4'000); ++round) {
    std::string bytes = good;
    for (int i = 0; i < 1 + round % 3; ++i)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    Weights weights;
    const auto error = error_of([&] { read_pytorch(bytes, "m.bin", &weights); });
    if (error) continue;
    for (const auto& [name, entry] : weights.entries()) {  // every byte handed out is readable
      const auto* data = static_cast<const unsigned char*>(entry.tensor.data);
      for (std::size_t i = 0; i < entry.tensor.bytes(); ++i) sum += data[i];
    }
  }
  EXPECT_GT(sum, 0);
}

}  // namespace
}  // namespace inlay::files
