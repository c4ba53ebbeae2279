// The protobuf wire format: the specification's own examples, and each way of leaving the message.
#include "base/protobuf_wire.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "base/protobuf_writer.h"
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

TEST(ProtobufWire, WriterGivesTheSpecificationsExamples) {
  WireWriter out;
  out.integer(1, 150);
  EXPECT_EQ(out.text(), "\x08\x96\x01"s);
  WireWriter text;
  text.bytes(2, "testing");
  EXPECT_EQ(text.text(), "\x12\x07testing"s);
  WireWriter outer;
  outer.message(3, out);
  EXPECT_EQ(outer.text(), "\x1a\x03\x08\x96\x01"s);
  WireWriter packed;
  packed.integers(6, std::vector<std::int64_t>{3, 270, 86942});
  EXPECT_EQ(packed.text(), "\x32\x06\x03\x8e\x02\x9e\xa7\x05"s);
}

TEST(ProtobufWire, WhatIsWrittenIsRead) {
  const std::vector<std::int64_t> numbers{0,
                                          1,
                                          -1,
                                          127,
                                          128,
                                          std::int64_t{1} << 40,
                                          std::numeric_limits<std::int64_t>::max(),
                                          std::numeric_limits<std::int64_t>::min()};
  WireWriter out;
  for (const std::int64_t number : numbers) out.integer(536870911, number);
  out.real(1, -0.0F);
  out.real(1, 1.5e-40F);
  out.integers(2, numbers);
  out.bytes(3, std::string(300, 'x'));
  const WireFile file{out.text(), "m"};
  WireReader reader(file.bytes, file);
  WireField field;
  for (const std::int64_t number : numbers) {
    ASSERT_TRUE(reader.next(&field));
    EXPECT_EQ(field.id, 536870911U);
    EXPECT_EQ(reader.integer(field), number);
  }
  ASSERT_TRUE(reader.next(&field));
  EXPECT_TRUE(std::signbit(reader.real(field)));
  ASSERT_TRUE(reader.next(&field));
  EXPECT_EQ(reader.real(field), 1.5e-40F);
  ASSERT_TRUE(reader.next(&field));
  std::vector<std::int64_t> back;
  reader.integers(field, 100, &back);
  EXPECT_EQ(back, numbers);
  ASSERT_TRUE(reader.next(&field));
  EXPECT_EQ(reader.bytes(field), std::string(300, 'x'));
  EXPECT_FALSE(reader.next(&field));
}

}  // namespace
}  // namespace inlay
