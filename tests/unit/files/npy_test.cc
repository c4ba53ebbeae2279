// NumPy's arrays: what numpy.save writes, and what is none.
#include "files/npy.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "files/word_lists.h"
#include "temp_folder.h"

namespace inlay::files {
namespace {

std::string file(int major, std::string header, std::size_t data) {
  const std::size_t begin = major == 1 ? 10 : 12;
  while ((begin + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  std::string out = "\x93NUMPY";
  out += static_cast<char>(major);
  out += '\0';
  for (std::size_t i = 0; i < (major == 1 ? 2U : 4U); ++i)
    out += static_cast<char>(header.size() >> (8 * i) & 0xFFU);
  out += header;
  for (std::size_t i = 0; i < data; ++i) out += static_cast<char>(i);
  return out;
}
std::string header(const char* type, const char* order, const char* shape) {
  return std::string("{'descr': '") + type + "', 'fortran_order': " + order +
         ", 'shape': " + shape + ", }";
}

TEST(Npy, ReadsWhatNumpyWrites) {
  for (const int major : {1, 2, 3}) {
    const std::string bytes = file(major, header("<f4", "False", "(2, 3)"), 24);
    const TensorView view = parse_npy(bytes, "f.npy");
    EXPECT_EQ(view.dtype, DType::kF32);
    EXPECT_EQ(view.shape, (Shape{2, 3}));
    EXPECT_EQ(static_cast<const char*>(view.data), bytes.data() + bytes.size() - 24);
  }
  EXPECT_EQ(parse_npy(file(1, header("<f2", "False", "(7,)"), 14), "f").shape, (Shape{7}));
  EXPECT_EQ(parse_npy(file(1, header("<f8", "False", "()"), 8), "f").shape, Shape{});
}

TEST(Npy, RefusesOthers) {
  const auto refuse = [](const std::string& bytes, ErrorCode code, std::string_view part) {
    expect_error([&] { parse_npy(bytes, "f.npy"); }, code, {"f.npy", part});
  };
  const std::string good = file(1, header("<f4", "False", "(2, 3)"), 24);
  refuse("", ErrorCode::kBadInput, "NumPy");
  refuse(good.substr(0, 11), ErrorCode::kBadInput, "NumPy");
  refuse("not an array at all", ErrorCode::kBadInput, "NumPy");
  refuse(good.substr(0, 40), ErrorCode::kBadInput, "header");
  refuse(good.substr(0, good.size() - 1), ErrorCode::kBadInput, "[2, 3] of F32");
  refuse(file(1, header("<f4", "True", "(2, 3)"), 24), ErrorCode::kUnsupported, "Fortran");
  refuse(file(1, header("<i8", "False", "(3,)"), 24), ErrorCode::kUnsupported, "<i8");
  refuse(file(1, header(">f4", "False", "(6,)"), 24), ErrorCode::kUnsupported, ">f4");
  refuse(file(1, header("<f4", "False", "(-2,)"), 24), ErrorCode::kBadInput, "whole numbers");
  refuse(file(1, header("<f4", "False", "(9999999999, 9999999999)"), 24), ErrorCode::kBadInput,
         "F32");
  refuse(file(1, header("<f4", "False", "(99999999999999999999,)"), 24), ErrorCode::kBadInput,
         "whole numbers");
  refuse(file(1, "{'descr': '<f4', 'fortran_order': False, }", 24), ErrorCode::kBadInput, "shape");
  refuse(file(1, "{'descr': '<f4'", 0), ErrorCode::kBadInput, "descr");
}

TEST(WordLists, OneWordALine) {
  EXPECT_EQ(parse_stop_words("the\n\nüber\r\nlast", "f"),
            (std::vector<std::string>{"the", "über", "last"}));
  expect_error([] { parse_stop_words("a\n\xFF", "english.txt"); }, ErrorCode::kBadInput,
               {"english.txt", "UTF-8", "offset 2"});
  EXPECT_TRUE(is_word_file("turkish.txt"));
  EXPECT_FALSE(is_word_file("turkish.txt.bak"));
  EXPECT_FALSE(is_word_file("requirements.txt"));
}

}  // namespace
}  // namespace inlay::files
