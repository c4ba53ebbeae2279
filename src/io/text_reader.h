// Texts in: arguments, or a stream in one of three formats. What becomes of a text is the caller's
// affair.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inlay/inlay.hpp"
#include "io/line_reader.h"

namespace inlay::io {

enum class InputFormat {
  kTxt,    // one text a line; LF or CRLF, the last may lack it; an empty line is an empty text
  kJsonl,  // a JSON string, or an object with the field, a line; blank lines hold no text
  kCsv,    // RFC 4180 with a header row that names the field; quoted fields may hold newlines
};

// .jsonl and .csv (in any case) say so themselves; everything else is txt.
InputFormat input_format_of(std::string_view path);

inline constexpr int kPauseMilliseconds = 20;  // input silent for longer is a pause

// Texts in order. Not thread-safe. Each text is valid UTF-8; what is not throws kBadInput "[file
// line 7] ...".
class TextReader {
 public:
  virtual ~TextReader() = default;
  virtual bool next(std::string* text) = 0;  // false at the end
  // False when the next text is not here yet and nothing has come within `milliseconds` (-1:
  // however long it takes).
  virtual bool ready(int /*milliseconds*/) { return true; }
  // How far the input has been read, in the unit of total(); total() is -1 when only the end will
  // tell.
  virtual std::int64_t position() const = 0;
  virtual std::int64_t total() const = 0;
  virtual std::string where() const = 0;  // of the text last returned
  // The query that came with the text last returned; empty unless pairs are read.
  virtual std::string_view query() const { return {}; }
  // Moves out the chunks that came with it; unset: none came, or they are not read.
  virtual std::optional<std::vector<Span>> take_spans() { return std::nullopt; }
};

// What readers over lines have in common.
class LineTextReader : public TextReader {
 public:
  explicit LineTextReader(LineReader lines) : lines_(std::move(lines)) {}
  bool ready(int milliseconds) override { return lines_.ready(milliseconds); }
  std::int64_t position() const override { return lines_.bytes_read(); }
  std::int64_t total() const override { return lines_.total_bytes(); }
  std::string where() const override { return lines_.where(lines_.line_number()); }

 protected:
  LineReader lines_;
};

// `field` names the csv column or jsonl member. `spans`: of a jsonl object the member "spans", if
// it has one that is not null, is [[begin, end], ...] and read too.
std::unique_ptr<TextReader> read_texts(LineReader lines, InputFormat format, std::string field,
                                       bool spans = false);
// Pairs: a jsonl line is [query, text], or an object with "query" and "text".
std::unique_ptr<TextReader> read_pairs(LineReader lines);
std::unique_ptr<TextReader> read_arguments(std::vector<std::string> texts);

}  // namespace inlay::io
