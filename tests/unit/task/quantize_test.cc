// Output types by sentence-transformers' formulas; expected values computed by hand from them.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "inlay/inlay.hpp"

namespace inlay {
namespace {

std::vector<int> as_ints(const std::vector<std::uint8_t>& bytes, bool is_signed) {
  std::vector<int> out;
  for (const std::uint8_t b : bytes) out.push_back(is_signed ? static_cast<std::int8_t>(b) : b);
  return out;
}

TEST(Quantize, BytesFloorAndClipInTheCalibratedRange) {
  const std::vector<float> vectors{-1.0F, 0.0F, 0.5F, 1.0F, 2.0F, -7.0F};
  Quantization how{OutputDtype::kUint8, {-1, -1}, {1, 1}};
  // As numpy gives in float32: step 2/255 rounds up, so that the maximum itself falls to level 254.
  EXPECT_EQ(as_ints(quantize(vectors, 2, how), false),
            (std::vector<int>{0, 127, 191, 254, 255, 0}));
  how.dtype = OutputDtype::kInt8;
  EXPECT_EQ(as_ints(quantize(vectors, 2, how), true),
            (std::vector<int>{-128, -1, 63, 126, 127, -128}));
}

TEST(Quantize, DimensionWithoutSpreadHasStepOne) {
  EXPECT_EQ(as_ints(quantize(std::vector<float>{3.5F}, 1, {OutputDtype::kUint8, {2}, {2}}), false),
            (std::vector<int>{1}));
}

TEST(Quantize, BitsHighestFirstPaddedWithZeros) {
  const std::vector<float> vector{1, -1, 1, 0, 0, 0, 0, 2, 5};
  EXPECT_EQ(as_ints(quantize(vector, 9, {OutputDtype::kUbinary, {}, {}}), false),
            (std::vector<int>{0b10100001, 0b10000000}));
  EXPECT_EQ(as_ints(quantize(vector, 9, {OutputDtype::kBinary, {}, {}}), true),
            (std::vector<int>{0b10100001 - 128, 0}));
}

TEST(Quantize, HalfIsLittleEndianAndRounded) {
  EXPECT_EQ(quantize(std::vector<float>{1.0F, -2.0F, 65520.0F}, 3, {OutputDtype::kFloat16, {}, {}}),
            (std::vector<std::uint8_t>{0x00, 0x3C, 0x00, 0xC0, 0x00, 0x7C}));
}

TEST(Quantize, RefusesMissingRangesAndBrokenShapes) {
  EXPECT_THROW(quantize(std::vector<float>{1, 2}, 2, {OutputDtype::kInt8, {0}, {1}}), Error);
  EXPECT_THROW(quantize(std::vector<float>{1, 2, 3}, 2, {}), Error);
  EXPECT_THROW(quantize({}, 0, {}), Error);
  EXPECT_TRUE(quantize({}, 4, {}).empty());
}

}  // namespace
}  // namespace inlay
