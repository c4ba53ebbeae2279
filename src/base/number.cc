#include "base/number.h"

#include <locale.h>
#include <stdlib.h>

#include <cmath>
#include <string>
#include <system_error>
#if defined(__APPLE__)
#include <xlocale.h>
#endif

namespace inlay {
namespace {

bool digit(char c) { return c >= '0' && c <= '9'; }

// The end of the longest number at the front, as std::from_chars knows numbers: no space, no plus
// in front, no hexadecimals; `first` when there is none. Infinity and NaN are none here.
const char* end_of_number(const char* first, const char* last, bool fixed) {
  const char* at = first;
  if (at != last && *at == '-') ++at;
  bool any = false;
  for (; at != last && digit(*at); ++at) any = true;
  if (at != last && *at == '.') {
    const char* const point = at++;
    for (; at != last && digit(*at); ++at) any = true;
    if (!any) at = point;
  }
  if (!any) return first;
  if (fixed || at == last || (*at != 'e' && *at != 'E')) return at;
  const char* power = at + 1;
  if (power != last && (*power == '-' || *power == '+')) ++power;
  if (power == last || !digit(*power)) return at;
  while (power != last && digit(*power)) ++power;
  return power;
}

double read_in_c_locale(const char* text) {
#if defined(__APPLE__)
  return strtod_l(text, nullptr, nullptr);
#else
  static const locale_t c_locale = newlocale(LC_ALL_MASK, "C", nullptr);
  const locale_t before = uselocale(c_locale);
  const double value = strtod(text, nullptr);
  uselocale(before);
  return value;
#endif
}

}  // namespace

std::from_chars_result parse_double_by_strtod(const char* first, const char* last, double* value,
                                              bool fixed) {
  const char* const end = end_of_number(first, last, fixed);
  if (end == first) return {first, std::errc::invalid_argument};
  const std::string text(first, end);
  const double read = read_in_c_locale(text.c_str());
  // Too large is infinite; too small is zero though a digit is not.
  if (std::isinf(read) ||
      (read == 0 &&
       text.substr(0, text.find_first_of("eE")).find_first_of("123456789") != std::string::npos))
    return {end, std::errc::result_out_of_range};
  *value = read;
  return {end, std::errc()};
}

std::from_chars_result parse_double(const char* first, const char* last, double* value,
                                    bool fixed) {
#ifdef __cpp_lib_to_chars
  return std::from_chars(first, last, *value,
                         fixed ? std::chars_format::fixed : std::chars_format::general);
#else
  return parse_double_by_strtod(first, last, value, fixed);
#endif
}

}  // namespace inlay
