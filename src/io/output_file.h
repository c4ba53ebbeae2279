// A place for results: standard output, a file that appears complete or not at all, or a device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace inlay::io {

// Not thread-safe. Every failure to write throws kCannotWrite naming the place, except a reader
// that went away (a closed pipe): then writing goes on into nothing and reader_gone() says so.
class OutputFile {
 public:
  // "-" is standard output. A regular or new file is written under a temporary name in the same
  // folder and takes its own name at commit(); a symbolic link is followed; a device or a pipe is
  // written directly.
  explicit OutputFile(const std::string& path);
  ~OutputFile();  // without commit() the temporary file is removed
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::string_view bytes);  // buffered
  void flush();
  void commit();  // everything on the disk, under its name
  bool reader_gone() const { return reader_gone_; }
  // Files of our own can be written at an earlier place too.
  bool can_patch() const { return !temporary_.empty(); }
  void patch(std::int64_t offset, std::string_view bytes);

  const std::string& name() const { return name_; }                 // for messages
  const std::string& temporary_path() const { return temporary_; }  // empty when there is none

 private:
  void write_through(std::string_view bytes);
  std::string name_, target_, temporary_, buffer_;
  int file_ = -1;
  bool reader_gone_ = false;
};

// Bytes kept on the disk without a name (in $TMPDIR, else /tmp) until they are copied out.
class SpoolFile {
 public:
  SpoolFile();
  ~SpoolFile();
  SpoolFile(const SpoolFile&) = delete;
  SpoolFile& operator=(const SpoolFile&) = delete;
  void write(std::string_view bytes);
  void copy_to(OutputFile& out);

 private:
  std::string folder_, buffer_;
  int file_ = -1;
};

// The whole of a small file at once. Throws kCannotWrite.
void write_file(const std::string& path, std::string_view bytes);

}  // namespace inlay::io
