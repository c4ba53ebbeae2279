// Rows come as bytes in their storage type; each format prints them its way.
#include "io/vector_writer.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/half.h"
#include "base/json.h"
#include "io/checked_text.h"

namespace inlay::io {
namespace {

static_assert(std::endian::native == std::endian::little, "npy files are written little endian");

// The first line of an npy file has this size, so that the count can be set at the end: 10 bytes
// before the text, and a multiple of 64 as numpy aligns it.
constexpr std::size_t kNpyHeader = 128;

struct DtypeInfo {
  OutputDtype dtype;
  const char* descr;
  std::int64_t bytes;
};
constexpr DtypeInfo kDtypes[] = {
    {OutputDtype::kFloat32, "<f4", 4}, {OutputDtype::kFloat16, "<f2", 2},
    {OutputDtype::kInt8, "|i1", 1},    {OutputDtype::kUint8, "|u1", 1},
    {OutputDtype::kBinary, "|i1", 1},  {OutputDtype::kUbinary, "|u1", 1},
};

const DtypeInfo& dtype_info(OutputDtype dtype) {
  for (const DtypeInfo& info : kDtypes) {
    if (info.dtype == dtype) return info;
  }
  fail(ErrorCode::kInternal, "vector_writer", "expected a known output dtype.");
}

template <typename T>
T load(std::string_view row, std::int64_t i) {
  T value;
  std::memcpy(&value, row.data() + static_cast<std::size_t>(i) * sizeof(T), sizeof(T));
  return value;
}

class JsonlWriter final : public VectorWriter {
 public:
  using VectorWriter::VectorWriter;
  void finish() override {}

 private:
  void write_row(std::string_view row, const TextInfo& text, std::int64_t index) override {
    scratch_ = "{\"index\":" + std::to_string(index) + ",\"embedding\":[";
    for (std::int64_t i = 0; i < width_; ++i) {
      if (i > 0) scratch_ += ',';
      append_element(scratch_, row, i);
    }
    scratch_ += ']';
    append_line_end(scratch_, text);
    out_.write(scratch_);
  }
  void write_error(const std::string& error, const TextInfo& text, std::int64_t index) override {
    scratch_ = "{\"index\":" + std::to_string(index) + ",\"error\":";
    json_append_string(scratch_, error);
    append_line_end(scratch_, text);
    out_.write(scratch_);
  }
};

class CsvWriter final : public VectorWriter {
 public:
  using VectorWriter::VectorWriter;
  void finish() override {}

 private:
  void write_row(std::string_view row, const TextInfo&, std::int64_t index) override {
    scratch_.clear();
    if (!began_) {
      scratch_ = "index";
      for (std::int64_t i = 0; i < width_; ++i) scratch_ += ",v" + std::to_string(i);
      scratch_ += '\n';
      began_ = true;
    }
    scratch_ += std::to_string(index);
    for (std::int64_t i = 0; i < width_; ++i) {
      scratch_ += ',';
      append_element(scratch_, row, i);
    }
    scratch_ += '\n';
    out_.write(scratch_);
  }
  bool began_ = false;
};

class NpyWriter final : public VectorWriter {
 public:
  NpyWriter(OutputFile& out, std::int64_t dim, Quantization how)
      : VectorWriter(out, dim, std::move(how)) {
    if (out_.can_patch()) {
      out_.write(header());
    } else {
      spool_ = std::make_unique<SpoolFile>();
    }
  }
  void finish() override {
    if (spool_ == nullptr) {
      out_.patch(0, header());
    } else {
      out_.write(header());
      spool_->copy_to(out_);
    }
  }

 private:
  void write_row(std::string_view row, const TextInfo&, std::int64_t) override {
    if (spool_ == nullptr) {
      out_.write(row);
    } else {
      spool_->write(row);
    }
    ++rows_;
  }
  std::string header() const {
    std::string text = std::string("{'descr': '") + dtype_info(how_.dtype).descr +
                       "', 'fortran_order': False, 'shape': (" + std::to_string(rows_) + ", " +
                       std::to_string(width_) + "), }";
    text.resize(kNpyHeader - 11, ' ');
    const auto size = static_cast<unsigned>(text.size() + 1);
    std::string out("\x93NUMPY\x01\x00", 8);
    out += static_cast<char>(size & 0xFFU);
    out += static_cast<char>(size >> 8U);
    return out + text + '\n';
  }
  std::unique_ptr<SpoolFile> spool_;  // null when the file itself can be patched
  std::int64_t rows_ = 0;
};

}  // namespace

std::optional<OutputFormat> output_format_of(std::string_view path) {
  if (ends_with_ignoring_case(path, ".jsonl")) return OutputFormat::kJsonl;
  if (ends_with_ignoring_case(path, ".csv")) return OutputFormat::kCsv;
  if (ends_with_ignoring_case(path, ".npy")) return OutputFormat::kNpy;
  return std::nullopt;
}

void append_line_end(std::string& out, const TextInfo& text) {
  out += ",\"tokens\":" + std::to_string(text.tokens) +
         ",\"truncated\":" + (text.truncated ? "true" : "false") + ",\"prompt\":";
  if (text.prompt) {
    json_append_string(out, *text.prompt);
  } else {
    out += "null";
  }
  out += "}\n";
}

VectorWriter::VectorWriter(OutputFile& out, std::int64_t dim, Quantization how)
    : out_(out), dim_(dim), how_(std::move(how)), width_(dim) {
  if (how_.dtype == OutputDtype::kBinary || how_.dtype == OutputDtype::kUbinary) width_ = dim / 8;
}

void VectorWriter::append_element(std::string& out, std::string_view row, std::int64_t i) const {
  switch (how_.dtype) {
    case OutputDtype::kFloat32:
      json_append_float(out, load<float>(row, i));
      return;
    case OutputDtype::kFloat16:
      json_append_float(out, half_to_float(load<std::uint16_t>(row, i)));
      return;
    case OutputDtype::kInt8:
    case OutputDtype::kBinary:
      out += std::to_string(load<std::int8_t>(row, i));
      return;
    case OutputDtype::kUint8:
    case OutputDtype::kUbinary:
      out += std::to_string(load<std::uint8_t>(row, i));
      return;
  }
}

void VectorWriter::write_error(const std::string& error, const TextInfo&, std::int64_t index) {
  fail(ErrorCode::kBadInput, "text " + std::to_string(index),
       "expected a vector, got: " + error +
           " Leave the text out, or write jsonl, where it gets a line of its own.");
}

void VectorWriter::write(Result& result, std::int64_t first_index) {
  const auto dim = static_cast<std::size_t>(dim_);
  std::vector<std::string> errors(result.texts.size());
  for (std::size_t text = 0; text < result.texts.size(); ++text) {
    errors[text] = result.texts[text].error;
    const std::span<float> row(result.vectors.data() + text * dim, dim);
    if (errors[text].empty() && how_.dtype == OutputDtype::kFloat16) {
      for (const float value : row) {
        if (std::fabs(value) >= 65520.0F) errors[text] = "a value beyond the range of float16.";
      }
    }
    // What has no result may hold anything; zeros are safe to convert.
    if (!errors[text].empty()) std::fill(row.begin(), row.end(), 0.0F);
  }
  std::vector<std::uint8_t> converted;
  std::string_view bytes(reinterpret_cast<const char*>(result.vectors.data()),
                         result.vectors.size() * sizeof(float));
  if (how_.dtype != OutputDtype::kFloat32) {
    converted = quantize(result.vectors, dim_, how_);
    bytes = std::string_view(reinterpret_cast<const char*>(converted.data()), converted.size());
  }
  const auto row_bytes = static_cast<std::size_t>(width_ * dtype_info(how_.dtype).bytes);
  for (std::size_t text = 0; text < result.texts.size(); ++text) {
    const std::int64_t index = first_index + static_cast<std::int64_t>(text);
    if (errors[text].empty()) {
      write_row(bytes.substr(text * row_bytes, row_bytes), result.texts[text], index);
    } else {
      write_error(errors[text], result.texts[text], index);
    }
  }
}

std::unique_ptr<VectorWriter> make_vector_writer(OutputFormat format, OutputFile& out,
                                                 std::int64_t dim, Quantization how) {
  const bool bits = how.dtype == OutputDtype::kBinary || how.dtype == OutputDtype::kUbinary;
  if (bits && dim % 8 != 0) {
    fail(ErrorCode::kUsage, "--output-dtype",
         "expected a width that is a multiple of 8 for binary vectors, got " + std::to_string(dim) +
             ". Choose --dimensions, or another dtype.");
  }
  switch (format) {
    case OutputFormat::kCsv:
      return std::make_unique<CsvWriter>(out, dim, std::move(how));
    case OutputFormat::kNpy:
      return std::make_unique<NpyWriter>(out, dim, std::move(how));
    case OutputFormat::kJsonl:
      break;
  }
  return std::make_unique<JsonlWriter>(out, dim, std::move(how));
}

}  // namespace inlay::io
