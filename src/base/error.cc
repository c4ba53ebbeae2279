// The error table: code, name, HTTP status, exit code. Translating an Error at an edge is a look-up
// here.
#include "base/error.h"

#include <array>
#include <cstdio>

#include "base/version.h"

namespace inlay {
namespace {

constexpr std::array<ErrorCodeInfo, 9> kTable{{
    {ErrorCode::kUsage, "usage", 400, 2},
    {ErrorCode::kBadInput, "bad_input", 422, 65},
    {ErrorCode::kUnsupported, "unsupported", 424, 65},
    {ErrorCode::kNotFound, "not_found", 404, 66},
    {ErrorCode::kUnavailable, "unavailable", 503, 69},
    {ErrorCode::kInternal, "internal", 500, 70},
    {ErrorCode::kMemoryLimit, "memory_limit", 507, 71},
    {ErrorCode::kCannotWrite, "cannot_write", 500, 73},
    {ErrorCode::kCancelled, "cancelled", 499, 130},
}};

std::string compose(std::string_view where, std::string_view message) {
  std::string text;
  text.reserve(where.size() + message.size() + 3);
  text.append("[").append(where).append("] ").append(message);
  return text;
}

}  // namespace

const ErrorCodeInfo& error_code_info(ErrorCode code) noexcept {
  for (const auto& info : kTable) {
    if (info.code == code) return info;
  }
  return kTable[5];
}

Error::Error(ErrorCode code, std::string_view where, std::string_view message)
    : std::runtime_error(compose(where, message)), code_(code), where_(where) {}

int Error::exit_code() const noexcept { return error_code_info(code_).exit_code; }
int Error::http_status() const noexcept { return error_code_info(code_).http_status; }

const char* error_code_name(ErrorCode code) noexcept { return error_code_info(code).name; }
const char* version() noexcept { return kVersion; }

void fail(ErrorCode code, std::string_view where, std::string_view message) {
  throw Error(code, where, message);
}

std::string printable(std::string_view text, std::size_t limit) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool starts_character = (byte & 0xC0U) != 0x80U;
    if (out.size() >= limit && starts_character) return out + "...";
    if (byte < 0x20 || byte == 0x7F) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", byte);
      out += escaped;
    } else {
      out += static_cast<char>(byte);
    }
  }
  return out;
}

}  // namespace inlay
