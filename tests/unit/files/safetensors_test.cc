// What the safetensors reader takes, and every way in which a file can lie about itself.
#include "files/safetensors.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/process.h"
#include "temp_folder.h"

namespace inlay::files {
namespace {

// Sanitizers keep shadow memory and freed blocks: resident memory says nothing about the reader
// then.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMemoryIsOurs = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kMemoryIsOurs = false;
#else
constexpr bool kMemoryIsOurs = true;
#endif
#else
constexpr bool kMemoryIsOurs = true;
#endif

std::string entry(std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return R"({"dtype":")" + std::string(dtype) + R"(","shape":)" + std::string(shape) +
         R"(,"data_offsets":)" + std::string(offsets) + "}";
}

void read_bytes(std::string_view bytes) {
  Weights weights;
  read_safetensors(bytes, "m.safetensors", &weights);
}

TEST(Safetensors, HandsOutViewsOfEveryType) {
  const std::array<std::pair<const char*, DType>, 10> types{{{"F32", DType::kF32},
                                                             {"F16", DType::kF16},
                                                             {"BF16", DType::kBF16},
                                                             {"F64", DType::kF64},
                                                             {"I8", DType::kI8},
                                                             {"U8", DType::kU8},
                                                             {"I16", DType::kI16},
                                                             {"I32", DType::kI32},
                                                             {"I64", DType::kI64},
                                                             {"BOOL", DType::kBool}}};
  for (const auto& [name, dtype] : types) {
    const std::size_t size = 2 * 3 * dtype_bytes(dtype);
    std::string data(size, '\0');
    for (std::size_t i = 0; i < size; ++i) data[i] = static_cast<char>(i);
    const std::string bytes = safetensors(
        R"({"x":)" + entry(name, "[2,3]", "[0," + std::to_string(size) + "]") + "}  ", data);
    Weights weights;
    read_safetensors(bytes, "m.safetensors", &weights);
    const Weights::Entry* x = weights.find("x");
    ASSERT_NE(x, nullptr) << name;
    EXPECT_EQ(x->tensor.dtype, dtype);
    EXPECT_EQ(x->tensor.shape, (Shape{2, 3}));
    EXPECT_EQ(x->tensor.bytes(), size);
    EXPECT_EQ(x->file, "m.safetensors");
    EXPECT_EQ(std::memcmp(x->tensor.data, data.data(), size), 0);
    EXPECT_EQ(x->tensor.data, bytes.data() + bytes.size() - size) << "a copy instead of a view";
  }
}

TEST(Safetensors, TakesWhatTheFormatAllows) {
  const std::vector<std::string> good{
      safetensors("{}", ""),
      safetensors(R"({"__metadata__":{"format":"pt"}})", ""),
      safetensors(R"({"__metadata__":null})", ""),
      safetensors(R"({"s":)" + entry("F32", "[]", "[0,4]") + "}", "abcd"),
      safetensors(R"({"e":)" + entry("F32", "[0,7]", "[0,0]") + R"(,"f":)" +
                      entry("F32", "[3,0]", "[0,0]") + "}",
                  ""),
      // The header's order is free, the data's is not.
      safetensors(
          R"({"b":)" + entry("U8", "[1]", "[1,2]") + R"(,"a":)" + entry("U8", "[1]", "[0,1]") + "}",
          "xy"),
      // Fields that later versions may add.
      safetensors(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"note":[1.5,"-"]}})", "x"),
      safetensors(R"({"ünï\u0063ode \" - ":)" + entry("U8", "[1]", "[0,1]") + "}", "x"),
  };
  for (const std::string& bytes : good) {
    const auto error = error_of([&] { read_bytes(bytes); });
    EXPECT_FALSE(error.has_value()) << error->what();
  }
}

struct Broken {
  std::string bytes;
  std::string_view part;  // of the message
  ErrorCode code = ErrorCode::kBadInput;
};

std::vector<Broken> broken_files() {
  const auto length = [](std::uint64_t value, std::string_view rest) {
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &value, 8);
    return bytes.append(rest);
  };
  const auto one = [](std::string_view dtype, std::string_view shape, std::string_view offsets,
                      std::string_view data) {
    return safetensors(R"({"x":)" + entry(dtype, shape, offsets) + "}", data);
  };
  const auto two = [](std::string_view first, std::string_view second, std::string_view data) {
    return safetensors(
        R"({"a":)" + entry("U8", "[4]", first) + R"(,"b":)" + entry("U8", "[4]", second) + "}",
        data);
  };
  std::vector<Broken> files;
  for (std::size_t size = 0; size < 8; ++size) {
    files.push_back({std::string(size, '\0'), "offset 0] expected at least 8 bytes"});
  }
  const std::vector<Broken> others{
      {length(0, "{}"), "got a length of 0"},
      {length(3, "{}"), "offset 0] expected a header of 2 to 2 bytes, got a length of 3"},
      {length(std::uint64_t{1} << 63U, "{}"), "9223372036854775808"},
      {length(~std::uint64_t{0}, "{}"), "18446744073709551615"},
      {length(100'000'001, "{}" + std::string(100'000'000, ' ')), "2 to 100000000 bytes"},
      {safetensors("[]", ""), "offset 8] expected a JSON object"},
      {safetensors("  {}", ""), "offset 8] expected a JSON object"},
      {safetensors("{}\n", ""), "offset 8] expected a JSON object"},
      {safetensors(std::string(16, ' '), ""), "offset 8] expected a JSON object"},
      {safetensors("{\0}", ""), "expected a JSON object"},
      {safetensors("{} {}", ""), "expected valid JSON"},
      {safetensors("{\"a\xff\":1}", ""), "expected valid JSON"},
      {safetensors(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]})"
                   " }",
                   "x")
           .replace(8 + 52, 1, "]"),
       "valid JSON"},
      {safetensors(R"({"a":1})", ""), "header entry \"a\""},
      {safetensors(R"({"a":{"shape":[1],"data_offsets":[0,1]}})", "x"), "header entry \"a\""},
      {safetensors(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", "x"), "header entry \"a\""},
      {safetensors(R"({"a":{"dtype":"U8","shape":[1]}})", "x"), "header entry \"a\""},
      {safetensors(R"({"__metadata__":{"a":1}})", ""), "expected a string at \"a\""},
      {safetensors(R"({"__metadata__":[]})", ""), "expected an object of strings"},
      {safetensors(R"({"a":)" + entry("U8", "[1]", "[0,1]") + R"(,"a":)" +
                       entry("U8", "[1]", "[0,1]") + "}",
                   "x"),
       "expected each key once"},
      {one("F33", "[1]", "[0,4]", "abcd"), "\"F33\""},
      {one("f32", "[1]", "[0,4]", "abcd"), "\"f32\""},
      {one("F8_E4M3", "[1]", "[0,1]", "a"), "got F8_E4M3", ErrorCode::kUnsupported},
      {one("F8_E5M2", "[1]", "[0,1]", "a"), "got F8_E5M2", ErrorCode::kUnsupported},
      {one("F4", "[2]", "[0,1]", "a"), "got F4", ErrorCode::kUnsupported},
      {one("U32", "[1]", "[0,4]", "abcd"), "got U32", ErrorCode::kUnsupported},
      {one("C64", "[1]", "[0,8]", "abcdefgh"), "got C64", ErrorCode::kUnsupported},
      {one("F32", "[1]", "[0,3]", "abc"), "expected 4 bytes for F32 [1]"},
      {one("F32", "[2]", "[0,4]", "abcd"), "expected 8 bytes for F32 [2]"},
      {one("F32", "[-1]", "[0,4]", "abcd"), "without a sign"},
      {one("F32", "[-0]", "[0,0]", ""), "without a sign"},
      {one("F32", "[1.0]", "[0,4]", "abcd"), "whole numbers"},
      {one("F32", "[\"1\"]", "[0,4]", "abcd"), "whole numbers"},
      {one("F32", "[9223372036854775808]", "[0,4]", "abcd"), "whole numbers"},
      {one("F32", "[4294967296,4294967296]", "[0,4]", "abcd"), "less than 2^63 bytes"},
      {one("F32", "[4611686018427387904]", "[0,0]", ""), "less than 2^63 bytes"},  // x 4 wraps to 0
      {one("F32", "[1]", "[4,0]", "abcd"), "begin <= end"},
      {one("F32", "[1]", "[0]", "abcd"), "begin <= end"},
      {one("F32", "[1]", "[0,4,8]", "abcd"), "begin <= end"},
      {one("F32", "[1]", "[0,18446744073709551615]", "abcd"), "whole numbers"},
      {one("F32", "[1]", "[0,4]", "abc"), "cut off"},
      {one("F32", "[1]", "[0,4]", "abcde"), "trailing bytes"},
      {one("F32", "[1]", "[4,8]", "abcdefgh"), "a hole"},
      {two("[0,4]", "[2,6]", "abcdef"), "an overlap"},
      {two("[0,4]", "[0,4]", "abcd"), "an overlap"},
      {two("[0,4]", "[5,9]", "abcdefghi"),
       "tensor \"b\"] expected it to begin at data offset 4, got 5: a hole"},
      {two("[0,4]", "[4,8]", "abcd"), "expected 8 bytes of tensor data"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "git lfs pull"},
  };
  files.insert(files.end(), others.begin(), others.end());
  return files;
}

TEST(Safetensors, RefusesEveryLieNamingFileAndPlace) {
  for (const Broken& file : broken_files()) {
    SCOPED_TRACE(file.part);
    Weights weights;
    expect_error([&] { read_safetensors(file.bytes, "m.safetensors", &weights); }, file.code,
                 {"[m.safetensors: offset ", file.part});
    EXPECT_TRUE(weights.entries().empty()) << "half-loaded";
  }
}

TEST(Safetensors, TruncatedAnywhereIsAnError) {
  const std::filesystem::path folder = INLAY_SOURCE_DIR "/tests/golden/models/bert-dense";
  for (const char* name : {"2_Dense/model.safetensors", "model.safetensors"}) {
    const std::string bytes = slurp(folder / name);
    ASSERT_FALSE(error_of([&] { read_bytes(bytes); }).has_value());
    // Every byte of the header and a little more, then every 509th: beyond it only the size counts.
    std::uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof header);
    for (std::size_t size = 0; size < bytes.size(); size += size < header + 64 ? 1 : 509) {
      Weights weights;
      const auto error = error_of([&] { read_safetensors({bytes.data(), size}, name, &weights); });
      ASSERT_TRUE(error.has_value()) << name << " at " << size;
      ASSERT_EQ(error->code(), ErrorCode::kBadInput) << error->what();
      ASSERT_TRUE(weights.entries().empty());
    }
  }
}

TEST(Safetensors, ReadsAHeaderOfAHundredThousandTensors) {
  constexpr std::int64_t kCount = INLAY_SANITIZED ? 10'000 : 100'000;
  std::string header = "{";
  for (std::int64_t i = 0; i < kCount; ++i) {
    header +=
        (i == 0 ? "\"" : ",\"") + std::string("encoder.layer.weight.") + std::to_string(i) + "\":" +
        entry("F32", "[1]", "[" + std::to_string(4 * i) + "," + std::to_string(4 * i + 4) + "]");
  }
  const std::string bytes = safetensors(header + "}", std::string(4 * kCount, '\0'));
  const std::int64_t before = resident_bytes();
  Weights weights;
  read_safetensors(bytes, "m.safetensors", &weights);
  EXPECT_EQ(weights.entries().size(), static_cast<std::size_t>(kCount));
  if (kMemoryIsOurs) {
    EXPECT_LE(resident_bytes() - before, static_cast<std::int64_t>(10 * header.size()));
  }
}

TEST(Safetensors, BelievesNoLengthBeforeTheBytes) {
  TempFolder folder;
  // 200 MB, nearly all of it a hole in the file: a header of 90 MB is promised, and begins well.
  for (const char first : {'{', '\0'}) {
    std::string start(9, first);
    const std::uint64_t length = 90'000'000;
    std::memcpy(start.data(), &length, sizeof length);
    const std::filesystem::path path = folder.write("m.safetensors", start);
    std::filesystem::resize_file(path, 200'000'000);
    const std::int64_t before = resident_bytes();
    Weights weights;
    expect_error([&] { map_safetensors(path, &weights); }, ErrorCode::kBadInput, {"offset 8"});
    if (kMemoryIsOurs) {
      EXPECT_LE(resident_bytes() - before, 1 << 20);
    }
  }
}

TEST(Safetensors, RefusesATensorThatAnotherFileHas) {
  TempFolder folder;
  const auto first = folder.write("a.safetensors", tiny_safetensors({"x", "y"}));
  const auto second = folder.write("b.safetensors", tiny_safetensors({"z", "y"}));
  Weights weights;
  map_safetensors(first, &weights);
  expect_error([&] { map_safetensors(second, &weights); }, ErrorCode::kBadInput,
               {"b.safetensors: offset", "tensor \"y\"", "a.safetensors"});
  EXPECT_EQ(weights.find("z"), nullptr) << "half-loaded";
  EXPECT_EQ(weights.entries().size(), 2U);
}

TEST(Safetensors, MissingFileIsNotFound) {
  TempFolder folder;
  Weights weights;
  expect_error([&] { map_safetensors(folder / "none.safetensors", &weights); },
               ErrorCode::kNotFound, {"none.safetensors"});
  expect_error([&] { map_safetensors(folder.path(), &weights); }, ErrorCode::kBadInput,
               {"regular file"});
}

}  // namespace
}  // namespace inlay::files
