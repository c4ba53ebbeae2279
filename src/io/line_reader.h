// Lines out of a stream of bytes, in bounded memory. What a line means is for text_reader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace inlay::io {

// Bytes in order. Not thread-safe.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Up to `size` bytes into `out`; 0 at the end. Throws kBadInput or kNotFound.
  virtual std::size_t read(char* out, std::size_t size) = 0;
  // False when nothing has come within `milliseconds` (-1: however long); true when read() will not
  // block.
  virtual bool ready(int /*milliseconds*/) { return true; }
  virtual std::int64_t total_bytes() const { return -1; }  // -1: not known before the end
};

// A file, or standard input for "-". Throws kNotFound (missing, unreadable), kBadInput (a folder).
std::unique_ptr<ByteSource> open_file(const std::string& path);
std::unique_ptr<ByteSource> open_memory(std::string bytes);  // for tests and fuzzing
bool stdin_is_terminal();

// Splits a source at LF. A byte-order mark at the start is dropped.
class LineReader {
 public:
  // `name` stands in messages. Longer lines than `max_line` bytes throw kBadInput.
  LineReader(std::unique_ptr<ByteSource> source, std::string name, std::int64_t max_line);
  // The next line with its LF (absent only at the end of the file), valid until the next call;
  // false at the end.
  bool next(std::string_view* line);
  // False when the next line is not here yet and nothing has come within `milliseconds` (-1:
  // however long it takes).
  bool ready(int milliseconds);

  std::int64_t line_number() const { return line_number_; }  // of the line last returned, from 1
  std::int64_t bytes_read() const { return bytes_taken_; }   // of the lines returned so far
  std::int64_t total_bytes() const { return source_->total_bytes(); }
  std::int64_t max_line() const { return max_line_; }
  const std::string& name() const { return name_; }
  std::string where(std::int64_t line) const;  // "texts.txt line 7"
  [[noreturn]] void fail_too_long(std::int64_t line) const;

 private:
  bool refill();  // false at the end of the source
  std::unique_ptr<ByteSource> source_;
  std::string name_;
  std::int64_t max_line_;
  std::string buffer_;
  std::size_t begin_ = 0, end_ = 0;  // what of buffer_ is unread
  bool at_end_ = false;
  bool started_ = false;
  std::int64_t line_number_ = 0, bytes_taken_ = 0;
};

}  // namespace inlay::io
