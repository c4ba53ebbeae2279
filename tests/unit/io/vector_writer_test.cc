// Vectors as jsonl, csv and npy, byte by byte.
#include "io/vector_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "base/error.h"

namespace inlay::io {
namespace {

using testing::StartsWith;

Result two_texts() {
  Result result;
  result.dim = 8;
  result.vectors = {0.5F, -0.25F, 1.0F, 0.1F, -0.0F, 3e-7F, 16777216.0F, -1.0F,
                    1.0F, 2.0F,   3.0F, 4.0F, 5.0F,  6.0F,  7.0F,        8.0F};
  result.texts.resize(2);
  result.texts[0].tokens = 3;
  result.texts[1].tokens = 256;
  result.texts[1].truncated = true;
  result.texts[1].prompt = "query \"x\"";
  return result;
}

class VectorWriterTest : public testing::Test {
 protected:
  std::string path_ = testing::TempDir() + "inlay_writer_" + std::to_string(::getpid());
  void TearDown() override { std::filesystem::remove(path_); }
  std::string write(OutputFormat format, Result result, Quantization how = {},
                    std::int64_t first = 0) {
    OutputFile out(path_);
    const auto writer = make_vector_writer(format, out, 8, std::move(how));
    if (!result.texts.empty()) writer->write(result, first);
    writer->finish();
    out.commit();
    std::ostringstream bytes;
    bytes << std::ifstream(path_, std::ios::binary).rdbuf();
    return bytes.str();
  }
};

TEST_F(VectorWriterTest, Jsonl) {
  EXPECT_EQ(write(OutputFormat::kJsonl, two_texts(), {}, 10),
            "{\"index\":10,\"embedding\":[0.5,-0.25,1,0.1,-0,3e-07,16777216,-1],\"tokens\":3,"
            "\"truncated\":false,"
            "\"prompt\":null}\n"
            "{\"index\":11,\"embedding\":[1,2,3,4,5,6,7,8],\"tokens\":256,\"truncated\":true,"
            "\"prompt\":\"query \\\"x\\\"\"}\n");
  EXPECT_EQ(write(OutputFormat::kJsonl, {}), "");
}

TEST_F(VectorWriterTest, Csv) {
  EXPECT_EQ(
      write(OutputFormat::kCsv, two_texts()),
      "index,v0,v1,v2,v3,v4,v5,v6,v7\n0,0.5,-0.25,1,0.1,-0,3e-07,16777216,-1\n1,1,2,3,4,5,6,7,8\n");
  EXPECT_EQ(write(OutputFormat::kCsv, {}), "");
}

Result chunked_texts() {
  Result result;
  result.dim = 8;
  result.texts.resize(3);
  result.texts[0].tokens = 30;
  result.texts[0].whole = false;
  result.texts[2].error = "overflow";
  result.chunks.resize(3);
  result.chunks[0].chunks = {{0, 5, 0, 9, 12}, {6, 11, 10, 20, 18}};
  result.chunks[0].vectors = two_texts().vectors;
  result.chunks[2].chunks = {{0, 1, 0, 1, 3}};
  result.chunks[2].vectors.resize(8);
  return result;
}

TEST_F(VectorWriterTest, ChunksAreRowsOfTheirOwn) {
  EXPECT_EQ(
      write(OutputFormat::kJsonl, chunked_texts(), {}, 4),
      "{\"index\":4,\"chunk\":0,\"begin\":0,\"end\":5,\"embedding\":[0.5,-0.25,1,0.1,-0,"
      "3e-07,16777216,-1],\"whole\":false,\"tokens\":12,\"truncated\":false,\"prompt\":null}\n"
      "{\"index\":4,\"chunk\":1,\"begin\":6,\"end\":11,\"embedding\":[1,2,3,4,5,6,7,8],"
      "\"whole\":false,\"tokens\":18,\"truncated\":false,\"prompt\":null}\n"
      "{\"index\":6,\"error\":\"overflow\",\"tokens\":0,\"truncated\":false,\"prompt\":"
      "null}\n");
  Result two = chunked_texts();
  two.texts.pop_back();
  two.chunks.pop_back();
  EXPECT_EQ(write(OutputFormat::kCsv, two),
            "index,chunk,begin,end,v0,v1,v2,v3,v4,v5,v6,v7\n"
            "0,0,0,5,0.5,-0.25,1,0.1,-0,3e-07,16777216,-1\n0,1,6,11,1,2,3,4,5,6,7,8\n");
  EXPECT_THROW(write(OutputFormat::kNpy, two), Error);
  Quantization bits;
  bits.dtype = OutputDtype::kUbinary;
  EXPECT_EQ(write(OutputFormat::kCsv, two, bits),
            "index,chunk,begin,end,v0\n0,0,0,5,182\n0,1,6,11,255\n");
}

TEST_F(VectorWriterTest, NpyHeaderAndData) {
  const std::string bytes = write(OutputFormat::kNpy, two_texts());
  ASSERT_EQ(bytes.size(), 128U + 2 * 8 * 4);
  EXPECT_EQ(bytes.substr(0, 10), std::string("\x93NUMPY\x01\x00\x76\x00", 10));
  EXPECT_THAT(bytes.substr(10),
              StartsWith("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 8), } "));
  EXPECT_EQ(bytes[127], '\n');
  const Result expected = two_texts();
  EXPECT_EQ(std::memcmp(bytes.data() + 128, expected.vectors.data(), 64), 0);
  EXPECT_THAT(write(OutputFormat::kNpy, {}).substr(10),
              StartsWith("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 8), } "));
}

TEST_F(VectorWriterTest, StorageTypes) {
  Quantization how;
  how.minimum.assign(8, 0.0F);
  how.maximum.assign(8, 255.0F);
  Result result = two_texts();
  for (float& value : result.vectors) value = std::fabs(value) > 1000 ? 300.0F : value;
  how.dtype = OutputDtype::kUint8;
  EXPECT_THAT(write(OutputFormat::kJsonl, result, how),
              StartsWith("{\"index\":0,\"embedding\":[0,0,1,0,0,0,255,0],"));
  EXPECT_EQ(write(OutputFormat::kNpy, result, how).substr(128 + 8),
            std::string("\1\2\3\4\5\6\7\10", 8));
  how.dtype = OutputDtype::kInt8;
  EXPECT_THAT(write(OutputFormat::kJsonl, result, how),
              StartsWith("{\"index\":0,\"embedding\":[-128,-128,-127,-128,-128,-128,127,-128],"));
  how.dtype = OutputDtype::kUbinary;  // positive: bits 0, 2, 3, 5, 6
  EXPECT_THAT(write(OutputFormat::kJsonl, result, how),
              StartsWith("{\"index\":0,\"embedding\":[182],"));
  how.dtype = OutputDtype::kBinary;
  EXPECT_THAT(write(OutputFormat::kCsv, result, how), StartsWith("index,v0\n0,54\n1,127\n"));
  EXPECT_THAT(write(OutputFormat::kNpy, result, how).substr(10),
              StartsWith("{'descr': '|i1', 'fortran_order': False, 'shape': (2, 1), }"));
  how.dtype = OutputDtype::kFloat16;
  EXPECT_THAT(
      write(OutputFormat::kJsonl, result, how),
      StartsWith("{\"index\":0,\"embedding\":[0.5,-0.25,1,0.099975586,-0,2.9802322e-07,300,-1],"));
  EXPECT_EQ(write(OutputFormat::kNpy, result, how).substr(128, 4),
            std::string("\x00\x38\x00\xB4", 4));
}

TEST_F(VectorWriterTest, ATextWithoutResultGetsALineOfItsOwn) {
  Result result = two_texts();
  result.vectors[0] = std::numeric_limits<float>::quiet_NaN();
  result.texts[0].error = "not finite";
  EXPECT_THAT(write(OutputFormat::kJsonl, result),
              StartsWith("{\"index\":0,\"error\":\"not "
                         "finite\",\"tokens\":3,\"truncated\":false,\"prompt\":null}\n"
                         "{\"index\":1,\"embedding\":[1,2,3,"));
  for (const OutputFormat format : {OutputFormat::kCsv, OutputFormat::kNpy}) {
    try {
      write(format, result, {}, 40);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadInput);
      EXPECT_THAT(error.what(), StartsWith("[text 40] "));
    }
  }
}

TEST_F(VectorWriterTest, Float16CannotHoldEverything) {
  Result result = two_texts();
  Quantization how;
  how.dtype = OutputDtype::kFloat16;
  EXPECT_THAT(write(OutputFormat::kJsonl, result, how),
              StartsWith("{\"index\":0,\"error\":\"a value beyond"));
}

TEST_F(VectorWriterTest, BinaryNeedsAMultipleOfEight) {
  OutputFile out(path_);
  Quantization how;
  how.dtype = OutputDtype::kBinary;
  EXPECT_THROW(make_vector_writer(OutputFormat::kNpy, out, 12, how), Error);
}

}  // namespace
}  // namespace inlay::io
