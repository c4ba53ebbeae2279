// Bounds come first: a length is held against what is left of the message before a view is made.
#include "base/protobuf_wire.h"

#include <bit>
#include <cstring>

#include "base/error.h"

namespace inlay {
namespace {

constexpr const char* kDamaged = " The file is damaged or of another format; fetch it again.";

const char* type_text(WireType type) {
  switch (type) {
    case WireType::kVarint:
      return "a varint";
    case WireType::kFixed64:
      return "64 bits";
    case WireType::kBytes:
      return "bytes";
    case WireType::kFixed32:
      return "32 bits";
  }
  return "another type";
}

}  // namespace

void WireReader::refuse(const std::string& message) const {
  const auto offset = static_cast<std::size_t>(rest_.data() - file_->bytes.data());
  fail(ErrorCode::kBadInput, std::string(file_->name) + ": offset " + std::to_string(offset),
       message + kDamaged);
}

void WireReader::need(std::uint64_t bytes) const {
  if (bytes > rest_.size()) {
    refuse("expected " + std::to_string(bytes) + " more bytes of the protobuf message, got " +
           std::to_string(rest_.size()) + ".");
  }
}

std::uint64_t WireReader::varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    need(1);
    const auto byte = static_cast<unsigned char>(rest_.front());
    if (shift == 63 && byte > 1) break;
    rest_.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
    if (byte < 0x80) return value;
  }
  refuse("expected a varint of at most 64 bits, got a longer one.");
}

bool WireReader::next(WireField* field) {
  if (rest_.empty()) return false;
  const std::uint64_t key = varint();
  if (key >> 3U == 0 || key >> 3U > 0x1FFFFFFFU) {
    refuse("expected a protobuf field number of 1 to 2^29 - 1, got " + std::to_string(key >> 3U) +
           ".");
  }
  field->id = static_cast<std::uint32_t>(key >> 3U);
  field->number = 0;
  field->bytes = {};
  const auto type = static_cast<unsigned>(key & 7U);
  switch (type) {
    case 0:
      field->type = WireType::kVarint;
      field->number = varint();
      return true;
    case 1:
      field->type = WireType::kFixed64;
      need(8);
      std::memcpy(&field->number, rest_.data(), 8);
      rest_.remove_prefix(8);
      return true;
    case 2: {
      field->type = WireType::kBytes;
      const std::uint64_t length = varint();
      need(length);
      field->bytes = rest_.substr(0, length);
      rest_.remove_prefix(length);
      return true;
    }
    case 5: {
      field->type = WireType::kFixed32;
      need(4);
      std::uint32_t bits = 0;
      std::memcpy(&bits, rest_.data(), 4);
      field->number = bits;
      rest_.remove_prefix(4);
      return true;
    }
    default:
      refuse("expected protobuf wire type 0, 1, 2 or 5, got " + std::to_string(type) + ".");
  }
}

std::string_view WireReader::bytes(const WireField& field) const {
  if (field.type != WireType::kBytes) {
    refuse("expected bytes in protobuf field " + std::to_string(field.id) + ", got " +
           type_text(field.type) + ".");
  }
  return field.bytes;
}

std::int64_t WireReader::integer(const WireField& field) const {
  if (field.type != WireType::kVarint) {
    refuse("expected a varint in protobuf field " + std::to_string(field.id) + ", got " +
           type_text(field.type) + ".");
  }
  return static_cast<std::int64_t>(field.number);
}

float WireReader::real(const WireField& field) const {
  if (field.type != WireType::kFixed32) {
    refuse("expected 32 bits in protobuf field " + std::to_string(field.id) + ", got " +
           type_text(field.type) + ".");
  }
  return std::bit_cast<float>(static_cast<std::uint32_t>(field.number));
}

void WireReader::integers(const WireField& field, std::size_t limit,
                          std::vector<std::int64_t>* values) const {
  const auto append = [&](std::int64_t value) {
    if (values->size() >= limit) {
      refuse("expected at most " + std::to_string(limit) + " numbers in protobuf field " +
             std::to_string(field.id) + ", got more.");
    }
    values->push_back(value);
  };
  if (field.type != WireType::kBytes) return append(integer(field));
  WireReader packed(field.bytes, *file_);
  while (!packed.rest_.empty()) append(static_cast<std::int64_t>(packed.varint()));
}

}  // namespace inlay
