// Writing the protobuf wire format: the fields of one message, appended to a string. What a field
// number means is for the caller.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace inlay {

// One message. Fields come out in the order of the calls.
class WireWriter {
 public:
  void integer(std::uint32_t id, std::int64_t value) {  // int32, int64, enum, bool
    tag(id, 0);
    varint(static_cast<std::uint64_t>(value));
  }
  void real(std::uint32_t id, float value) {
    tag(id, 5);
    const auto bits = std::bit_cast<std::uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8)
      bytes_ += static_cast<char>(static_cast<unsigned char>(bits >> shift));
  }
  void bytes(std::uint32_t id, std::string_view value) {
    tag(id, 2);
    varint(value.size());
    bytes_ += value;
  }
  void message(std::uint32_t id, const WireWriter& value) { bytes(id, value.bytes_); }
  void integers(std::uint32_t id, std::span<const std::int64_t> values) {  // packed
    WireWriter all;
    for (const std::int64_t value : values) all.varint(static_cast<std::uint64_t>(value));
    message(id, all);
  }
  const std::string& text() const { return bytes_; }

 private:
  void tag(std::uint32_t id, std::uint32_t type) { varint(id << 3U | type); }
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7U)
      bytes_ += static_cast<char>(static_cast<unsigned char>(value | 0x80U));
    bytes_ += static_cast<char>(static_cast<unsigned char>(value));
  }
  std::string bytes_;
};

}  // namespace inlay
