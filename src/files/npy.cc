// The header is a Python dictionary of three keys, written by numpy.save in one fixed form.
#include "files/npy.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <utility>

#include "base/error.h"

namespace inlay::files {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::array<std::pair<std::string_view, DType>, 3> kNumpyTypes{
    {{"<f4", DType::kF32}, {"<f2", DType::kF16}, {"<f8", DType::kF64}}};

[[noreturn]] void damaged(const std::string& where, const std::string& message) {
  fail(ErrorCode::kBadInput, where, message + " Fetch the file again.");
}

// What stands behind 'key': up to `end`, that character left out.
std::string_view value_of(std::string_view header, std::string_view key, char end,
                          const std::string& where) {
  const std::string quoted = "'" + std::string(key) + "':";
  std::size_t at = header.find(quoted);
  if (at == std::string_view::npos)
    damaged(where, "expected " + std::string(key) + " in its header, got none.");
  at = header.find_first_not_of(' ', at + quoted.size());
  const std::size_t stop = at == std::string_view::npos ? at : header.find(end, at);
  if (stop == std::string_view::npos)
    damaged(where, "expected " + std::string(key) + " in its header, got no end of it.");
  return header.substr(at, stop - at);
}

Shape parse_shape(std::string_view text, const std::string& where) {
  if (!text.starts_with('(')) damaged(where, "expected a shape in its header, got another value.");
  text.remove_prefix(1);
  Shape shape;
  while (!text.empty()) {
    if (text.front() == ' ' || text.front() == ',') {
      text.remove_prefix(1);
      continue;
    }
    std::int64_t extent = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), extent);
    if (error != std::errc() || extent < 0)
      damaged(where,
              "expected a shape of whole numbers in its header, got " + printable(text) + ".");
    shape.push_back(extent);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  }
  return shape;
}

}  // namespace

TensorView parse_npy(std::string_view bytes, const std::string& where) {
  const auto byte = [&](std::size_t i) {
    return static_cast<std::size_t>(static_cast<unsigned char>(bytes[i]));
  };
  if (bytes.size() < 12 || !bytes.starts_with(kMagic) || byte(6) < 1 || byte(6) > 3)
    damaged(where, "expected a NumPy array, got another file.");
  const bool wide = byte(6) > 1;  // version 1 has two bytes of length, later ones four
  const std::size_t begin = wide ? 12 : 10;
  std::size_t length = byte(8) | byte(9) << 8U;
  if (wide) length |= byte(10) << 16U | byte(11) << 24U;
  if (length > bytes.size() - begin)
    damaged(where, "expected a header of " + std::to_string(length) + " bytes, got fewer.");
  const std::string_view header = bytes.substr(begin, length);
  TensorView view;
  const std::string_view type = value_of(header, "descr", ',', where);
  const DType* dtype = nullptr;
  for (const auto& [name, known] : kNumpyTypes) {
    if (type == "'" + std::string(name) + "'") dtype = &known;
  }
  const std::string_view order = value_of(header, "fortran_order", ',', where);
  if (dtype == nullptr || order != "False") {
    fail(ErrorCode::kUnsupported, where,
         "expected little-endian floats in C order, got " + printable(type) +
             (order == "False" ? "" : " in Fortran's") + ".");
  }
  view.dtype = *dtype;
  view.shape = parse_shape(value_of(header, "shape", ')', where), where);
  const std::string_view data = bytes.substr(begin + length);
  std::int64_t count = 0;
  if (!element_count(view.shape, &count) ||
      static_cast<std::uint64_t>(count) > data.size() / dtype_bytes(view.dtype)) {
    damaged(where, "expected " + shape_text(view.shape) + " of " + dtype_name(view.dtype) +
                       ", got " + std::to_string(data.size()) + " bytes.");
  }
  view.data = data.data();
  return view;
}

}  // namespace inlay::files
