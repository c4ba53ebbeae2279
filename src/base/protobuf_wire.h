// Reading the protobuf wire format (https://protobuf.dev/programming-guides/encoding): the fields
// of one message, in file order, as numbers or as views. What a field number means is for the
// caller; nothing is copied and nothing is followed by recursion.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace inlay {

enum class WireType : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// One field. `number` of kVarint, kFixed64 and kFixed32 holds the bits, of kBytes nothing.
struct WireField {
  std::uint32_t id = 0;
  WireType type = WireType::kVarint;
  std::uint64_t number = 0;
  std::string_view bytes;  // of kBytes: the payload
};

// The file in which all messages of one reading lie, for the offsets in messages.
struct WireFile {
  std::string_view bytes, name;
};

// Walks one message. Every error is kBadInput "[file: offset N] expected X, got Y". Not
// thread-safe.
class WireReader {
 public:
  // `message` is a part of file.bytes; both outlive the reader.
  WireReader(std::string_view message, const WireFile& file) : rest_(message), file_(&file) {}

  // The next field; false at the end of the message. Groups, field number 0, a length that leads
  // out of the message and varints of more than 64 bits are refused.
  bool next(WireField* field);

  // The field's value as the type that the caller expects; another wire type is refused.
  std::string_view bytes(const WireField& field) const;
  std::int64_t integer(const WireField& field) const;  // int32, int64, enum, bool
  float real(const WireField& field) const;            // float
  // Appends the values of a repeated integer field, packed or not. Refuses when `values` would hold
  // more than `limit`.
  void integers(const WireField& field, std::size_t limit, std::vector<std::int64_t>* values) const;

  [[noreturn]] void refuse(const std::string& message) const;  // kBadInput at the present place

 private:
  std::uint64_t varint();
  void need(std::uint64_t bytes) const;
  std::string_view rest_;
  const WireFile* file_;
};

}  // namespace inlay
