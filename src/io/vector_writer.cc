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
  void write_row(std::string_view row, const TextInfo& text, const RowOf& of) override {
    scratch_ = "{\"index\":" + std::to_string(of.index);
    if (of.chunk != nullptr) {
      scratch_ += ",\"chunk\":" + std::to_string(of.number) +
                  ",\"begin\":" + std::to_string(of.chunk->begin) +
                  ",\"end\":" + std::to_string(of.chunk->end);
    }
    scratch_ += ",\"embedding\":[";
    for (std::int64_t i = 0; i < width_; ++i) {
      if (i > 0) scratch_ += ',';
      append_element(scratch_, row, i);
    }
    scratch_ += ']';
    if (of.chunk != nullptr) scratch_ += text.whole ? ",\"whole\":true" : ",\"whole\":false";
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
  void write_row(std::string_view row, const TextInfo&, const RowOf& of) override {
    scratch_.clear();
    if (!began_) {
      scratch_ = of.chunk != nullptr ? "index,chunk,begin,end" : "index";
      for (std::int64_t i = 0; i < width_; ++i) scratch_ += ",v" + std::to_string(i);
      scratch_ += '\n';
      began_ = true;
    }
    scratch_ += std::to_string(of.index);
    if (of.chunk != nullptr) {
      for (const std::int64_t number : {of.number, of.chunk->begin, of.chunk->end})
        scratch_ += "," + std::to_string(number);
    }
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
  void write_row(std::string_view row, const TextInfo&, const RowOf& of) override {
    if (of.chunk != nullptr) {
      fail(ErrorCode::kUsage, "--format",
           "expected jsonl or csv for chunks, got npy, whose rows do not say whose they are.");
    }
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

void VectorWriter::write_text(std::span<float> vectors, const std::vector<Chunk>* chunks,
                              const TextInfo& text, std::int64_t index) {
  std::string error = text.error;
  if (error.empty() && how_.dtype == OutputDtype::kFloat16) {
    for (const float value : vectors) {
      if (std::fabs(value) >= 65520.0F) error = "a value beyond the range of float16.";
    }
  }
  if (!error.empty()) {  // what has no result may hold anything
    write_error(error, text, index);
    return;
  }
  std::string_view bytes(reinterpret_cast<const char*>(vectors.data()),
                         vectors.size() * sizeof(float));
  std::vector<std::uint8_t> converted;
  if (how_.dtype != OutputDtype::kFloat32) {
    converted = quantize(vectors, dim_, how_);
    bytes = std::string_view(reinterpret_cast<const char*>(converted.data()), converted.size());
  }
  if (chunks == nullptr) {
    write_row(bytes, text, {index});
    return;
  }
  const auto row_bytes = static_cast<std::size_t>(width_ * dtype_info(how_.dtype).bytes);
  TextInfo info = text;
  for (std::size_t i = 0; i < chunks->size(); ++i) {
    info.tokens = (*chunks)[i].tokens;
    write_row(bytes.substr(i * row_bytes, row_bytes), info,
              {index, static_cast<std::int64_t>(i), &(*chunks)[i]});
  }
}

void VectorWriter::write(Result& result, std::int64_t first_index) {
  const auto dim = static_cast<std::size_t>(dim_);
  for (std::size_t t = 0; t < result.texts.size(); ++t) {
    const std::int64_t index = first_index + static_cast<std::int64_t>(t);
    if (result.chunks.empty()) {
      write_text(std::span(result.vectors).subspan(t * dim, dim), nullptr, result.texts[t], index);
    } else {
      write_text(result.chunks[t].vectors, &result.chunks[t].chunks, result.texts[t], index);
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
