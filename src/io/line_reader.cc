// Reading in blocks of kBlock; the buffer grows past two blocks only for a line that is longer, up
// to its limit.
#include "io/line_reader.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace inlay::io {
namespace {

constexpr std::size_t kBlock = std::size_t{1}
                               << 17U;  // larger blocks read no faster from a page cache

class FileSource final : public ByteSource {
 public:
  explicit FileSource(const std::string& path) : path_(path == "-" ? "standard input" : path) {
    if (path == "-") {
      file_ = STDIN_FILENO;
    } else {
      file_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
      if (file_ < 0) {
        fail(ErrorCode::kNotFound, printable(path, 400),
             std::string("expected a file to read, got: ") + std::strerror(errno) +
                 ". Check the path given with -i.");
      }
    }
    struct stat status {};
    if (::fstat(file_, &status) != 0) {
      fail(ErrorCode::kNotFound, path_,
           std::string("expected something to read, got: ") + std::strerror(errno) + ".");
    }
    if (S_ISDIR(status.st_mode)) {
      close_file();
      fail(ErrorCode::kBadInput, printable(path_, 400),
           "expected a file of texts, got a folder. Name a file in it.");
    }
    if (S_ISREG(status.st_mode)) {
      const off_t at = file_ == STDIN_FILENO ? std::max<off_t>(::lseek(file_, 0, SEEK_CUR), 0) : 0;
      total_ = std::max<std::int64_t>(status.st_size - at, 0);
    }
  }
  ~FileSource() override { close_file(); }
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  std::size_t read(char* out, std::size_t size) override {
    while (true) {
      const ssize_t count = ::read(file_, out, size);
      if (count >= 0) return static_cast<std::size_t>(count);
      if (errno == EINTR) continue;
      fail(ErrorCode::kBadInput, printable(path_, 400),
           std::string("expected to read on, got: ") + std::strerror(errno) + ".");
    }
  }
  bool ready(int milliseconds) override {
    if (total_ >= 0) return true;
    pollfd waiting{file_, POLLIN, 0};
    return ::poll(&waiting, 1, milliseconds) != 0;  // an error or a hang-up is for read() to report
  }
  std::int64_t total_bytes() const override { return total_; }

 private:
  void close_file() {
    if (file_ > STDIN_FILENO) ::close(file_);
  }
  std::string path_;
  int file_ = -1;
  std::int64_t total_ = -1;
};

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::string bytes) : bytes_(std::move(bytes)) {}
  std::size_t read(char* out, std::size_t size) override {
    const std::size_t count = std::min(size, bytes_.size() - at_);
    std::memcpy(out, bytes_.data() + at_, count);
    at_ += count;
    return count;
  }
  std::int64_t total_bytes() const override { return static_cast<std::int64_t>(bytes_.size()); }

 private:
  std::string bytes_;
  std::size_t at_ = 0;
};

}  // namespace

std::unique_ptr<ByteSource> open_file(const std::string& path) {
  return std::make_unique<FileSource>(path);
}
std::unique_ptr<ByteSource> open_memory(std::string bytes) {
  return std::make_unique<MemorySource>(std::move(bytes));
}
bool stdin_is_terminal() { return ::isatty(STDIN_FILENO) == 1; }

LineReader::LineReader(std::unique_ptr<ByteSource> source, std::string name, std::int64_t max_line)
    : source_(std::move(source)), name_(std::move(name)), max_line_(max_line) {}

std::string LineReader::where(std::int64_t line) const {
  return printable(name_, 400) + " line " + std::to_string(line);
}

void LineReader::fail_too_long(std::int64_t line) const {
  fail(ErrorCode::kBadInput, where(line),
       "expected at most " + std::to_string(max_line_) +
           " bytes in one line or record, got more. Raise --max-line, or split the text.");
}

bool LineReader::refill() {
  if (at_end_) return false;
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() - end_ < kBlock) buffer_.resize(std::max(end_ + kBlock, end_ + end_ / 2));
  const std::size_t count = source_->read(buffer_.data() + end_, kBlock);
  end_ += count;
  at_end_ = count == 0;
  if (!started_ && !at_end_ && end_ < 3)
    return refill();  // a byte-order mark needs three bytes to be seen
  if (!started_) {
    started_ = true;
    if (std::string_view(buffer_.data(), end_).substr(0, 3) == "\xEF\xBB\xBF") {
      begin_ = 3;
      bytes_taken_ += 3;
    }
  }
  return !at_end_;
}

bool LineReader::next(std::string_view* line) {
  std::size_t searched = 0;
  while (true) {
    const char* const start = buffer_.data() + begin_;
    const std::size_t have = end_ - begin_;
    const void* found =
        have > searched ? std::memchr(start + searched, '\n', have - searched) : nullptr;
    std::size_t length = have;
    if (found != nullptr)
      length = static_cast<std::size_t>(static_cast<const char*>(found) - start) + 1;
    const std::size_t ending = found == nullptr                           ? 0
                               : length >= 2 && start[length - 2] == '\r' ? 2
                                                                          : 1;
    if (static_cast<std::int64_t>(length - ending) > max_line_) fail_too_long(line_number_ + 1);
    if (found != nullptr || (at_end_ && have > 0)) {
      *line = std::string_view(start, length);
      begin_ += length;
      bytes_taken_ += static_cast<std::int64_t>(length);
      ++line_number_;
      return true;
    }
    if (at_end_) return false;
    searched = have;
    refill();
  }
}

bool LineReader::ready(int milliseconds) {
  return begin_ < end_ || at_end_ || source_->ready(milliseconds);
}

}  // namespace inlay::io
