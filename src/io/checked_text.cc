// The checks behind every text that comes in.
#include "io/checked_text.h"

#include <cstdio>

#include "base/error.h"
#include "base/utf8.h"

namespace inlay::io {

void check_utf8(std::string_view text, const std::string& where) {
  const std::size_t good = utf8_valid_prefix(text);
  if (good == text.size()) return;
  char byte[8];
  std::snprintf(byte, sizeof byte, "0x%02X",
                static_cast<unsigned>(static_cast<unsigned char>(text[good])));
  fail(ErrorCode::kBadInput, where,
       std::string("expected UTF-8, got byte ") + byte + " at byte " + std::to_string(good + 1) +
           ". Convert the file to UTF-8.");
}

void check_plain_text(std::string_view text, const std::string& where) {
  const std::size_t nul = text.find('\0');
  if (nul != std::string_view::npos) {
    fail(ErrorCode::kBadInput, where,
         "expected text, got a NUL byte at byte " + std::to_string(nul + 1) +
             ". The file is binary or UTF-16; convert it to UTF-8, or use jsonl, where \\u0000 is "
             "text.");
  }
  check_utf8(text, where);
}

std::string_view without_ending(std::string_view line) {
  if (!line.empty() && line.back() == '\n') {
    line.remove_suffix(1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  }
  return line;
}

bool ends_with_ignoring_case(std::string_view path, std::string_view lower) {
  if (path.size() < lower.size()) return false;
  path.remove_prefix(path.size() - lower.size());
  for (std::size_t i = 0; i < lower.size(); ++i) {
    const char c =
        path[i] >= 'A' && path[i] <= 'Z' ? static_cast<char>(path[i] - 'A' + 'a') : path[i];
    if (c != lower[i]) return false;
  }
  return true;
}

}  // namespace inlay::io
