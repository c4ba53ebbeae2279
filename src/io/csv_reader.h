// Comma-separated values by RFC 4180: one column of each record, as texts.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "io/text_reader.h"

namespace inlay::io {

// Beyond the RFC: records may end in LF; a quote inside an unquoted field is a character like any
// other; blank lines between records of several columns hold nothing. Every record must have as
// many fields as the header.
class CsvReader final : public LineTextReader {
 public:
  CsvReader(LineReader lines, std::string field)
      : LineTextReader(std::move(lines)), field_(std::move(field)) {}
  bool next(std::string* text) override;
  std::string where() const override { return lines_.where(record_line_); }

 private:
  bool read_record();  // into fields_; false at the end
  void read_header();
  // Parses what one line adds to the record; true while a quoted field is open at its end.
  bool parse_line(std::string_view line, bool open);

  std::string field_;
  std::size_t column_ = 0, columns_ = 0;  // columns_ 0: the header has not been read
  std::int64_t record_line_ = 0;          // where the record begins
  std::vector<std::string> fields_;
  std::size_t field_count_ = 0;  // of fields_, whose strings are kept for their memory
  bool blank_ = false;           // the record is an empty line
};

}  // namespace inlay::io
