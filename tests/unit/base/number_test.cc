// The way by strtod, which macOS takes, against the standard library's own.
#include "base/number.h"

#include <gtest/gtest.h>

#include <charconv>
#include <random>
#include <string>
#include <system_error>

namespace inlay {
namespace {

void expect_same(const std::string& text, bool fixed) {
  const char* const last = text.data() + text.size();
  double all = -1;
  double got = -1;
  const auto expected = std::from_chars(
      text.data(), last, all, fixed ? std::chars_format::fixed : std::chars_format::general);
  const auto [end, error] = parse_double_by_strtod(text.data(), last, &got, fixed);
  ASSERT_EQ(error, expected.ec) << text;
  ASSERT_EQ(end - text.data(), expected.ptr - text.data()) << text;
  ASSERT_EQ(got, all) << text;
}

TEST(Number, ByStrtodIsAsTheStandardLibraryHasIt) {
  for (const char* text : {"",
                           "-",
                           ".",
                           "-.",
                           "+1",
                           " 1",
                           "1",
                           "-1.5",
                           ".5",
                           "5.",
                           "5.e3",
                           "1e",
                           "1e+",
                           "1e5",
                           "1E-5x",
                           "0x10",
                           "1..2",
                           "1.2.3",
                           "300MB",
                           "2.5GiB",
                           "1e400",
                           "-1e400",
                           "1e-400",
                           "0e-999",
                           "0.000",
                           "1e309",
                           "4.9e-324",
                           "2e-324",
                           "123456789012345678901234567890",
                           "--1"}) {
    expect_same(text, false);
    expect_same(text, true);
  }
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (int n = static_cast<int>(random() % 8); n > 0; --n)
      text += "0123456789.eE-+9"[random() % 16];
    expect_same(text, i % 2 == 0);
  }
}

}  // namespace
}  // namespace inlay
