// Helpers for raising inlay::Error. The code table itself is in error.cc.
#pragma once

#include <string>
#include <string_view>

#include "inlay/inlay.hpp"

namespace inlay {

// All that is known about one code.
struct ErrorCodeInfo {
  ErrorCode code;
  const char* name;
  int http_status;
  int exit_code;
};
const ErrorCodeInfo& error_code_info(ErrorCode code) noexcept;

[[noreturn]] void fail(ErrorCode code, std::string_view where, std::string_view message);

// Shortens untrusted text for a message: control characters escaped, at most `limit` bytes, cut at
// a character.
std::string printable(std::string_view text, std::size_t limit = 80);

}  // namespace inlay
