// Shapes, conversions and memory.
#include "base/tensor.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace inlay {
namespace {

constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();

TEST(Shape, CountsAreChecked) {
  const auto count = [](const Shape& shape) {
    std::int64_t n = -1;
    return element_count(shape, &n) ? n : -1;
  };
  EXPECT_EQ(count({}), 1);
  EXPECT_EQ(count({3, 4}), 12);
  EXPECT_EQ(count({0, 5}), 0);
  EXPECT_EQ(count({kLargest}), kLargest);
  EXPECT_EQ(count({kLargest, 2}), -1);
  EXPECT_EQ(count({std::int64_t{1} << 32, std::int64_t{1} << 31}), -1);
  EXPECT_EQ(count({-1}), -1);
  EXPECT_EQ(count({0, -1}), -1);
  EXPECT_EQ(shape_text({}), "[]");
  EXPECT_EQ(shape_text({30522, 384}), "[30522, 384]");
}

TEST(DTypes, NamesAndSizes) {
  EXPECT_STREQ(dtype_name(DType::kBF16), "BF16");
  EXPECT_STREQ(dtype_name(DType::kBool), "BOOL");
  const std::vector<std::pair<DType, std::size_t>> sizes{
      {DType::kF32, 4}, {DType::kF16, 2}, {DType::kBF16, 2}, {DType::kF64, 8}, {DType::kI8, 1},
      {DType::kU8, 1},  {DType::kI16, 2}, {DType::kI32, 4},  {DType::kI64, 8}, {DType::kBool, 1}};
  for (const auto& [dtype, size] : sizes) EXPECT_EQ(dtype_bytes(dtype), size) << dtype_name(dtype);
}

// Data as files have it: at an odd address.
template <typename T>
std::vector<float> converted(DType dtype, const std::vector<T>& values) {
  std::vector<char> bytes(values.size() * sizeof(T) + 1);
  if (!values.empty()) std::memcpy(bytes.data() + 1, values.data(), values.size() * sizeof(T));
  return to_float({dtype, {static_cast<std::int64_t>(values.size())}, bytes.data() + 1}, "x");
}

TEST(ToFloat, ConvertsTheFloatingTypes) {
  using Floats = std::vector<float>;
  EXPECT_EQ(converted<float>(DType::kF32, {1.5F, -0.25F}), (Floats{1.5F, -0.25F}));
  EXPECT_EQ(converted<std::uint16_t>(DType::kF16, {0x3E00, 0xB400, 0x0001}),
            (Floats{1.5F, -0.25F, 0x1p-24F}));
  EXPECT_EQ(converted<std::uint16_t>(DType::kBF16, {0x3FC0, 0xBE80}), (Floats{1.5F, -0.25F}));
  EXPECT_EQ(converted<double>(DType::kF64, {1.5, 0.1}), (Floats{1.5F, 0.1F}));
  EXPECT_EQ(converted<float>(DType::kF32, {}), Floats{});
}

TEST(ToFloat, RefusesOtherTypesByName) {
  const std::int64_t value = 7;
  for (const DType dtype :
       {DType::kI8, DType::kU8, DType::kI16, DType::kI32, DType::kI64, DType::kBool}) {
    try {
      to_float({dtype, {1}, &value}, "encoder.weight");
      FAIL() << dtype_name(dtype);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
      EXPECT_EQ(error.where(), "encoder.weight");
      EXPECT_NE(std::string(error.what()).find(dtype_name(dtype)), std::string::npos);
    }
  }
}

TEST(View, BytesFollowTheShape) {
  EXPECT_EQ((TensorView{DType::kF16, {3, 5}, nullptr}.bytes()), 30U);
  EXPECT_EQ((TensorView{DType::kF64, {}, nullptr}.elements()), 1);
  EXPECT_EQ((TensorView{DType::kF64, {kLargest, 4}, nullptr}.elements()), 0);
}

TEST(Memory, IsAlignedAndOwned) {
  for (const std::size_t size :
       {std::size_t{1}, std::size_t{64}, std::size_t{1000}, std::size_t{9} << 20U}) {
    Buffer buffer(size);
    EXPECT_EQ(buffer.bytes(), size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64, 0U);
    std::memset(buffer.data(), 1, size);
    const void* data = buffer.data();
    const Buffer moved = std::move(buffer);
    EXPECT_EQ(moved.data(), data);
    EXPECT_EQ(moved.as<char>()[size - 1], 1);
  }
  EXPECT_EQ(Buffer(0).data(), nullptr);
  EXPECT_EQ(Buffer().bytes(), 0U);
  EXPECT_THROW(static_cast<void>(Buffer(std::numeric_limits<std::size_t>::max())), std::bad_alloc);
}

}  // namespace
}  // namespace inlay
