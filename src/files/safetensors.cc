// Strict reading of safetensors: 8 bytes of header length, a JSON header,
// tensors end to end. Which tensors a model needs is for arch/; whether their
// values are finite is for engine/.
#include "files/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/json_raw.h"
#include "base/mapped_file.h"

namespace inlay::files {
namespace {

static_assert(std::endian::native == std::endian::little, "views are handed out as they lie");

// The reference reader's own bound on the header.
constexpr std::uint64_t kMaxHeader = 100'000'000;
constexpr std::uint64_t kLengthBytes = 8;
constexpr const char* kDamaged = " The file is damaged or is not safetensors; fetch it again.";

struct Spelling {
  std::string_view name;
  DType dtype;
};
constexpr std::array<Spelling, 10> kDTypes{{{"F32", DType::kF32},
                                            {"F16", DType::kF16},
                                            {"BF16", DType::kBF16},
                                            {"F64", DType::kF64},
                                            {"I8", DType::kI8},
                                            {"U8", DType::kU8},
                                            {"I16", DType::kI16},
                                            {"I32", DType::kI32},
                                            {"I64", DType::kI64},
                                            {"BOOL", DType::kBool}}};
// Part of the format, but nothing here computes with them.
constexpr std::array<std::string_view, 13> kForeign{
    "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F6_E2M3", "F6_E3M2",
    "F4",      "U16",     "U32",     "U64",         "C64",         "F128"};

struct Tensor {
  std::string_view name;  // in the header's document
  TensorView view;
  std::uint64_t begin = 0, end = 0;
};

// Knows the file and where its data begins, so that every message can name the
// byte.
class Reader {
 public:
  Reader(std::string_view bytes, std::string_view file) : bytes_(bytes), file_(file) {}

  void read(Weights* weights) {
    find_header();
    const JsonDocument document =
        JsonDocument::parse(header_, at(kLengthBytes), "The file is damaged; fetch it again.");
    simdjson::dom::object root;
    if (json_raw(document.root()).get(root) != simdjson::SUCCESS) {
      refuse(kLengthBytes, std::string("expected a JSON object as header, got ") +
                               document.root().type_name() + "." + kDamaged);
    }
    std::vector<Tensor> tensors;
    for (const auto member : root) {
      if (member.key == "__metadata__") {
        check_metadata(member.value);
      } else {
        tensors.push_back(entry(member.key, member.value));
      }
    }
    check_cover(tensors);
    for (const Tensor& tensor : tensors) {
      if (const Weights::Entry* other = weights->find(tensor.name)) {
        refuse(tensor, "expected each tensor in one file, got it in " + other->file +
                           " as well. Remove one of the two files.");
      }
    }
    const std::string_view data = bytes_.substr(data_begin_);
    for (Tensor& tensor : tensors) {
      tensor.view.data = data.data() + tensor.begin;
      weights->add(std::string(tensor.name), std::move(tensor.view), std::string(file_));
    }
  }

 private:
  std::string at(std::uint64_t offset) const {
    return std::string(file_) + ": offset " + std::to_string(offset);
  }
  [[noreturn]] void refuse(std::uint64_t offset, const std::string& message) const {
    fail(ErrorCode::kBadInput, at(offset), message);
  }
  std::string place(const Tensor& tensor) const {
    return at(data_begin_ + tensor.begin) + ", tensor \"" + printable(tensor.name) + "\"";
  }
  [[noreturn]] void refuse(const Tensor& tensor, const std::string& message) const {
    fail(ErrorCode::kBadInput, place(tensor), message);
  }
  [[noreturn]] void refuse_entry(std::string_view name, const std::string& message) const {
    fail(ErrorCode::kBadInput, at(kLengthBytes) + ": header entry \"" + printable(name) + "\"",
         message + kDamaged);
  }

  void find_header() {
    if (bytes_.size() < kLengthBytes) {
      refuse(0, "expected at least 8 bytes, got " + std::to_string(bytes_.size()) + "." + kDamaged);
    }
    if (bytes_.starts_with("version https://git-lfs")) {
      refuse(0,
             "expected safetensors, got a Git LFS pointer instead of the file. Run git lfs pull in "
             "its folder.");
    }
    std::uint64_t length = 0;
    std::memcpy(&length, bytes_.data(), sizeof length);
    const std::uint64_t rest = bytes_.size() - kLengthBytes;
    const std::uint64_t largest = std::min(rest, kMaxHeader);
    if (length == 0 || length > largest) {
      refuse(0, "expected a header of 2 to " + std::to_string(largest) +
                    " bytes, got a length of " + std::to_string(length) + "." + kDamaged);
    }
    data_begin_ = kLengthBytes + length;
    header_ = bytes_.substr(kLengthBytes, length);
    // The format lets a header begin with nothing but '{' and end with nothing
    // but spaces after
    // '}'. Spaces are dropped here, so that padding is never parsed.
    const std::size_t last = header_.find_last_not_of(' ');
    if (header_.front() != '{' || last == std::string_view::npos || header_[last] != '}') {
      refuse(kLengthBytes, std::string("expected a JSON object from '{' to '}' as header, got "
                                       "something else.") +
                               kDamaged);
    }
    header_ = header_.substr(0, last + 1);
    refuse_minus();
  }

  // Sizes and offsets carry no sign; the parser cannot tell "-0" from "0".
  void refuse_minus() const {
    bool quoted = false;
    for (std::size_t i = 0; i < header_.size(); ++i) {
      const char c = header_[i];
      if (quoted && c == '\\') {
        ++i;
      } else if (c == '"') {
        quoted = !quoted;
      } else if (c == '-' && !quoted) {
        refuse(kLengthBytes + i,
               std::string("expected numbers without a sign in the header, got '-'.") + kDamaged);
      }
    }
  }

  void check_metadata(simdjson::dom::element value) const {
    if (value.is_null()) return;
    simdjson::dom::object map;
    if (value.get(map) != simdjson::SUCCESS) {
      refuse_entry("__metadata__", "expected an object of strings, got something else.");
    }
    for (const auto member : map) {
      if (!member.value.is_string()) {
        refuse_entry("__metadata__",
                     "expected a string at \"" + printable(member.key) + "\", got something else.");
      }
    }
  }

  // A size or an offset: a whole number of at most 63 bits.
  std::int64_t whole(std::string_view name, const char* field, simdjson::dom::element value) const {
    std::int64_t number = 0;
    if (value.type() != simdjson::dom::element_type::INT64 ||
        value.get(number) != simdjson::SUCCESS || number < 0) {
      refuse_entry(name, std::string("expected whole numbers of 0 to 2^63 - 1 in ") + field +
                             ", got something else.");
    }
    return number;
  }

  DType dtype(std::string_view name, simdjson::dom::element value) const {
    std::string_view text;
    if (value.get(text) != simdjson::SUCCESS) {
      refuse_entry(name, "expected a string as dtype, got something else.");
    }
    for (const Spelling& spelling : kDTypes) {
      if (spelling.name == text) return spelling.dtype;
    }
    if (std::find(kForeign.begin(), kForeign.end(), text) != kForeign.end()) {
      fail(ErrorCode::kUnsupported, at(kLengthBytes) + ": header entry \"" + printable(name) + "\"",
           "expected a dtype of F32, F16, BF16, F64, BOOL, U8 or I8 to I64, "
           "got " +
               std::string(text) +
               ". Convert the checkpoint to one of these, or take one that is "
               "not quantised.");
    }
    refuse_entry(name,
                 "expected a dtype of the safetensors format, got \"" + printable(text) + "\".");
  }

  Tensor entry(std::string_view name, simdjson::dom::element value) const {
    simdjson::dom::object object;
    simdjson::dom::element dtype_field, shape_field, offsets_field;
    simdjson::dom::array shape, offsets;
    if (value.get(object) != simdjson::SUCCESS ||
        object.at_key("dtype").get(dtype_field) != simdjson::SUCCESS ||
        object.at_key("shape").get(shape_field) != simdjson::SUCCESS ||
        object.at_key("data_offsets").get(offsets_field) != simdjson::SUCCESS ||
        shape_field.get(shape) != simdjson::SUCCESS ||
        offsets_field.get(offsets) != simdjson::SUCCESS) {
      refuse_entry(name,
                   "expected an object with dtype, a list shape and a "
                   "list data_offsets, got "
                   "something else.");
    }
    Tensor tensor;
    tensor.name = name;
    tensor.view.dtype = dtype(name, dtype_field);
    for (const auto extent : shape) tensor.view.shape.push_back(whole(name, "shape", extent));
    std::vector<std::int64_t> range;
    for (const auto offset : offsets) range.push_back(whole(name, "data_offsets", offset));
    if (range.size() != 2 || range[0] > range[1]) {
      refuse_entry(name, "expected data_offsets [begin, end] with begin <= end, got " +
                             printable(shape_text(range)) + ".");
    }
    tensor.begin = static_cast<std::uint64_t>(range[0]);
    tensor.end = static_cast<std::uint64_t>(range[1]);
    check_size(tensor);
    return tensor;
  }

  void check_size(const Tensor& tensor) const {
    const auto unit = static_cast<std::int64_t>(dtype_bytes(tensor.view.dtype));
    std::int64_t count = 0;
    std::int64_t needed = 0;
    const std::string shape = printable(shape_text(tensor.view.shape));
    if (!element_count(tensor.view.shape, &count) || __builtin_mul_overflow(count, unit, &needed)) {
      refuse_entry(tensor.name, "expected a shape of less than 2^63 bytes, got " + shape + ".");
    }
    if (static_cast<std::uint64_t>(needed) != tensor.end - tensor.begin) {
      refuse_entry(tensor.name, "expected " + std::to_string(needed) + " bytes for " +
                                    dtype_name(tensor.view.dtype) + " " + shape +
                                    ", got data_offsets [" + std::to_string(tensor.begin) + ", " +
                                    std::to_string(tensor.end) + "].");
    }
  }

  // Tensors lie one after the other from the end of the header to the end of
  // the file.
  void check_cover(std::vector<Tensor>& tensors) const {
    std::sort(tensors.begin(), tensors.end(), [](const Tensor& a, const Tensor& b) {
      return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
    });
    std::uint64_t end = 0;
    for (const Tensor& tensor : tensors) {
      if (tensor.begin != end) {
        refuse(tensor, "expected it to begin at data offset " + std::to_string(end) + ", got " +
                           std::to_string(tensor.begin) +
                           (tensor.begin > end ? ": a hole." : ": an overlap.") + kDamaged);
      }
      end = tensor.end;
    }
    const std::uint64_t data_bytes = bytes_.size() - data_begin_;
    if (end != data_bytes) {
      refuse(data_begin_ + std::min(end, data_bytes),
             "expected " + std::to_string(end) + " bytes of tensor data as the header says, got " +
                 std::to_string(data_bytes) +
                 (end > data_bytes ? ". The file is cut off; fetch it again."
                                   : ". There are trailing bytes; fetch the file again."));
    }
  }

  std::string_view bytes_, file_;
  std::string_view header_;
  std::uint64_t data_begin_ = 0;
};

}  // namespace

void read_safetensors(std::string_view bytes, std::string_view file, Weights* weights) {
  Reader(bytes, file).read(weights);
}

void map_safetensors(const std::filesystem::path& path, Weights* weights) {
  auto file = std::make_shared<const MappedFile>(path);
  read_safetensors(file->bytes(), path.string(), weights);
  weights->keep_alive(std::move(file));
}

}  // namespace inlay::files
