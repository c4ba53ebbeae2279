// What all readers of texts refuse, in the same words.
#pragma once

#include <string>
#include <string_view>

namespace inlay::io {

// Throws kBadInput at `where` for bytes that are not UTF-8.
void check_utf8(std::string_view text, const std::string& where);
// The same, and a NUL byte is refused too: in txt and csv it means that the file is something else.
void check_plain_text(std::string_view text, const std::string& where);
// A line without its LF or CRLF.
std::string_view without_ending(std::string_view line);
// Of file names: whether `path` ends with `lower`, in any case (ASCII).
bool ends_with_ignoring_case(std::string_view path, std::string_view lower);

}  // namespace inlay::io
