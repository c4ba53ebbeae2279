// A record is read line by line; a quoted field that is open at the end of a line goes on in the
// next.
#include "io/csv_reader.h"

#include <algorithm>

#include "base/error.h"
#include "io/checked_text.h"

namespace inlay::io {
namespace {
constexpr std::size_t kMaxColumns = 65536;  // a field costs 32 bytes even when it is empty
}  // namespace

bool CsvReader::parse_line(std::string_view line, bool open) {
  // `open`: the last field of fields_ is quoted and goes on here.
  std::size_t at = 0;
  const std::string_view whole = line;
  if (!open) line = without_ending(line);
  const auto begin_field = [&] {
    if (field_count_ == kMaxColumns) {
      fail(ErrorCode::kBadInput, lines_.where(lines_.line_number()),
           "expected at most " + std::to_string(kMaxColumns) + " fields in a record, got more.");
    }
    if (field_count_ == fields_.size()) fields_.emplace_back();
    fields_[field_count_++].clear();
  };
  while (true) {
    if (!open) {
      begin_field();
      open = at < line.size() && line[at] == '"';
      if (open) {
        ++at;
      } else {
        const std::size_t comma = std::min(line.find(',', at), line.size());
        fields_[field_count_ - 1].assign(line.substr(at, comma - at));
        if (comma == line.size()) return false;
        at = comma + 1;
        continue;
      }
    }
    std::string& field = fields_[field_count_ - 1];
    line = whole;  // inside quotes the line's ending is text
    while (true) {
      const std::size_t quote = line.find('"', at);
      if (quote == std::string_view::npos) {
        field.append(line.substr(at));
        return true;
      }
      field.append(line.substr(at, quote - at));
      at = quote + 1;
      if (at >= line.size() || line[at] != '"') break;
      field += '"';
      ++at;
    }
    open = false;
    line = without_ending(whole);
    if (at >= line.size()) return false;
    if (line[at] != ',') {
      fail(ErrorCode::kBadInput, lines_.where(lines_.line_number()),
           "expected a comma or the end of the line after a quoted field, got \"" +
               printable(line.substr(at), 20) +
               "\". A quote inside a quoted field is written twice.");
    }
    ++at;
  }
}

bool CsvReader::read_record() {
  std::string_view line;
  if (!lines_.next(&line)) return false;
  record_line_ = lines_.line_number();
  blank_ = without_ending(line).empty();
  field_count_ = 0;
  std::int64_t bytes = 0;
  bool open = false;
  while (true) {
    check_plain_text(line, lines_.where(lines_.line_number()));
    bytes += static_cast<std::int64_t>(line.size());
    if (bytes - 2 > lines_.max_line()) lines_.fail_too_long(record_line_);
    open = parse_line(line, open);
    if (!open) return true;
    if (!lines_.next(&line)) {
      fail(ErrorCode::kBadInput, where(),
           "expected a closing quote, got the end of the file. The record begins at this line.");
    }
  }
}

void CsvReader::read_header() {
  std::size_t found = 0;
  std::string names;
  for (std::size_t i = 0; i < field_count_; ++i) {
    if (fields_[i] == field_) {
      column_ = i;
      ++found;
    }
    if (names.size() < 200) names += (i > 0 ? ", " : "") + printable(fields_[i], 40);
  }
  if (found != 1) {
    fail(ErrorCode::kBadInput, where(),
         "expected one column \"" + printable(field_) + "\" in the header row, got " +
             (found == 0 ? "columns " + names : std::to_string(found) + " of that name") +
             ". Name the column with --field.");
  }
  columns_ = field_count_;
}

bool CsvReader::next(std::string* text) {
  if (columns_ == 0) {
    if (!read_record()) return false;
    read_header();
  }
  do {
    if (!read_record()) return false;
  } while (blank_ && columns_ > 1);
  if (field_count_ != columns_) {
    fail(ErrorCode::kBadInput, where(),
         "expected " + std::to_string(columns_) + " fields as in the header row, got " +
             std::to_string(field_count_) + ". A field with commas or newlines must be quoted.");
  }
  text->swap(fields_[column_]);
  return true;
}

}  // namespace inlay::io
