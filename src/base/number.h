// Numbers with a point out of text, whatever the locale.
#pragma once

#include <charconv>

namespace inlay {

// std::from_chars for a double, which the standard library of macOS has for integers only until its
// version 20. With `fixed` an exponent is not part of the number. Thread-safe.
std::from_chars_result parse_double(const char* first, const char* last, double* value,
                                    bool fixed = false);

// What parse_double does where std::from_chars cannot: tests hold it to the other.
std::from_chars_result parse_double_by_strtod(const char* first, const char* last, double* value,
                                              bool fixed = false);

}  // namespace inlay
