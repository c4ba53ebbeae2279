// The protobuf wire format: the specification's own examples, and each way of leaving the message.
#include "base/protobuf_wire.h"

#include <gtest/gtest.h>

#include <string>

#include "inlay/inlay.hpp"

namespace inlay {
namespace {

using namespace std::string_literals;

// What next() makes of the bytes: "1:150", "2:'testing'", separated by spaces; or the error.
std::string walk(const std::string& bytes) {
  const WireFile file{bytes, "m"};
  WireReader reader(file.bytes, file);
  std::string text;
  try {
    for (WireField field; reader.next(&field);) {
      text += (text.empty() ? "" : " ") + std::to_string(field.id) + ":";
      text += field.type == WireType::kBytes ? "'" + std::string(field.bytes) + "'"
                                             : std::to_string(field.number);
    }
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    return error.what();
  }
  return text;
}

TEST(ProtobufWire, Fields) {
  EXPECT_EQ(walk(""), "");
  EXPECT_EQ(walk("\x08\x96\x01"s), "1:150");
  EXPECT_EQ(walk("\x12\x07testing"s), "2:'testing'");
  EXPECT_EQ(walk("\x12\x00"s), "2:''");
  EXPECT_EQ(walk("\x0D\x00\x00\x80\x3F\x08\x01"s), "1:1065353216 1:1");
  EXPECT_EQ(walk("\x09\x01\x00\x00\x00\x00\x00\x00\x80"s), "1:9223372036854775809");
  EXPECT_EQ(walk("\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"s), "1:18446744073709551615");
  EXPECT_EQ(walk("\xF8\xFF\xFF\xFF\x0F\x00"s), "536870911:0");
}

TEST(ProtobufWire, Refusals) {
  const struct {
    std::string bytes, parts;
  } kCases[] = {
      {"\x08"s, "[m: offset 1] expected 1 more bytes"},
      {"\x08\x96"s, "offset 2"},
      {"\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02"s, "varint of at most 64 bits"},
      {"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"s, "varint of at most 64 bits"},
      {"\x12\x08testing"s, "expected 8 more bytes of the protobuf message, got 7"},
      {"\x12\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"s, "got 0"},
      {"\x0D\x00\x00\x80"s, "expected 4 more bytes"},
      {"\x09\x00"s, "expected 8 more bytes"},
      {"\x00\x00"s, "field number"},
      {"\x80\x80\x80\x80\x10\x00"s, "field number"},
      {"\x0B"s, "wire type 0, 1, 2 or 5, got 3"},
      {"\x0F"s, "got 7"},
  };
  for (const auto& [bytes, parts] : kCases) {
    EXPECT_NE(walk(bytes).find(parts), std::string::npos) << parts << " in " << walk(bytes);
  }
}

TEST(ProtobufWire, TypedValues) {
  const std::string bytes = "\x08\x05\x12\x04\x01\x96\x01\x00\x1D\x00\x00\x80\x3F"s;
  const WireFile file{bytes, "m"};
  WireReader reader(file.bytes, file);
  WireField field;
  std::vector<std::int64_t> values;

  ASSERT_TRUE(reader.next(&field));
  EXPECT_EQ(reader.integer(field), 5);
  EXPECT_THROW(static_cast<void>(reader.bytes(field)), Error);
  EXPECT_THROW(static_cast<void>(reader.real(field)), Error);
  reader.integers(field, 4, &values);
  ASSERT_TRUE(reader.next(&field));
  EXPECT_THROW(static_cast<void>(reader.integer(field)), Error);
  reader.integers(field, 4, &values);
  EXPECT_EQ(values, (std::vector<std::int64_t>{5, 1, 150, 0}));
  EXPECT_THROW(reader.integers(field, 4, &values), Error);
  ASSERT_TRUE(reader.next(&field));
  EXPECT_EQ(reader.real(field), 1.0F);
  EXPECT_FALSE(reader.next(&field));
}

}  // namespace
}  // namespace inlay
