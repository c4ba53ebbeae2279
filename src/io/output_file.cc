// POSIX writing: temporary name, fsync, rename.
#include "io/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/error.h"

namespace inlay::io {
namespace {

constexpr std::size_t kBuffer = std::size_t{1} << 18U;

[[noreturn]] void cannot_write(const std::string& name, const std::string& expected, int error) {
  fail(ErrorCode::kCannotWrite, printable(name, 400),
       "expected " + expected + ", got: " + std::strerror(error) +
           ". Free space, or write elsewhere.");
}

// All of it, or the errno that stopped it.
int write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(file, bytes.data(), bytes.size());
    if (count < 0 && errno != EINTR) return errno;
    if (count > 0) bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return 0;
}

// A new file in `folder` under a name that nothing else has.
int create_temporary(const std::filesystem::path& folder, std::string* path) {
  for (int attempt = 0; attempt < 1000; ++attempt) {
    *path =
        (folder / (".inlay-" + std::to_string(::getpid()) + "-" + std::to_string(attempt) + ".tmp"))
            .string();
    const int file = ::open(path->c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file >= 0 || errno != EEXIST) return file;
  }
  return -1;
}

}  // namespace

OutputFile::OutputFile(const std::string& path) : name_(path) {
  if (path == "-") {
    name_ = "standard output";
    file_ = STDOUT_FILENO;
    return;
  }
  std::error_code ignored;
  const std::filesystem::path real = std::filesystem::canonical(path, ignored);
  const std::filesystem::path target = ignored ? std::filesystem::path(path) : real;
  struct stat status {};
  const bool exists = ::stat(target.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode)) cannot_write(name_, "the path of a file", EISDIR);
  if (exists && !S_ISREG(status.st_mode)) {
    file_ = ::open(target.c_str(), O_WRONLY | O_CLOEXEC);
    if (file_ < 0) cannot_write(name_, "a device to write to", errno);
    return;
  }
  if (exists && ::access(target.c_str(), W_OK) != 0)
    cannot_write(name_, "a file that may be replaced", errno);
  target_ = target.string();
  const std::filesystem::path folder =
      target.has_parent_path() ? target.parent_path() : std::filesystem::path(".");
  std::string temporary;
  file_ = create_temporary(folder, &temporary);
  if (file_ < 0) cannot_write(name_, "a folder to write in", errno);
  temporary_ = std::move(temporary);
  // A file that is replaced keeps its permissions; where they cannot be set, the new ones are as
  // good.
  if (exists && ::fchmod(file_, status.st_mode & 07777U) != 0) errno = 0;
}

OutputFile::~OutputFile() {
  if (file_ > STDOUT_FILENO) ::close(file_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void OutputFile::write_through(std::string_view bytes) {
  if (reader_gone_ || bytes.empty()) return;
  const int error = write_all(file_, bytes);
  if (error == EPIPE) {
    reader_gone_ = true;
  } else if (error != 0) {
    cannot_write(name_, "to write " + std::to_string(bytes.size()) + " bytes", error);
  }
}

void OutputFile::write(std::string_view bytes) {
  if (buffer_.size() + bytes.size() > kBuffer) flush();
  if (bytes.size() >= kBuffer) {
    write_through(bytes);
  } else {
    buffer_.append(bytes);
  }
}

void OutputFile::flush() {
  write_through(buffer_);
  buffer_.clear();
}

void OutputFile::patch(std::int64_t offset, std::string_view bytes) {
  flush();
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(file_, bytes.data(), bytes.size(), offset);
    if (count < 0 && errno != EINTR) cannot_write(name_, "to write the header", errno);
    if (count > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
      offset += count;
    }
  }
}

void OutputFile::commit() {
  flush();
  if (file_ == STDOUT_FILENO) return;
  if (!temporary_.empty() && ::fsync(file_) != 0 && errno != EINVAL && errno != ENOTSUP) {
    cannot_write(name_, "the data to reach the disk", errno);
  }
  const int closed = ::close(file_);
  file_ = -1;
  if (closed != 0) cannot_write(name_, "to close the file", errno);
  if (temporary_.empty()) return;
  if (::rename(temporary_.c_str(), target_.c_str()) != 0)
    cannot_write(name_, "to give the file its name", errno);
  temporary_.clear();
}

SpoolFile::SpoolFile() {
  const char* folder = std::getenv("TMPDIR");
  folder_ = folder != nullptr && *folder != '\0' ? folder : "/tmp";
  std::string path;
  file_ = create_temporary(folder_, &path);
  if (file_ < 0) cannot_write(folder_, "a folder for temporary files (TMPDIR)", errno);
  ::unlink(path.c_str());
}

SpoolFile::~SpoolFile() {
  if (file_ >= 0) ::close(file_);
}

void SpoolFile::write(std::string_view bytes) {
  buffer_.append(bytes);
  if (buffer_.size() < kBuffer) return;
  const int error = write_all(file_, buffer_);
  if (error != 0)
    cannot_write(folder_, "to write " + std::to_string(buffer_.size()) + " bytes", error);
  buffer_.clear();
}

void SpoolFile::copy_to(OutputFile& out) {
  std::string block(kBuffer, '\0');
  std::int64_t at = 0;
  while (true) {
    const ssize_t count = ::pread(file_, block.data(), block.size(), at);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) cannot_write(folder_, "to read back what was written", errno);
    if (count == 0) break;
    out.write(std::string_view(block.data(), static_cast<std::size_t>(count)));
    at += count;
  }
  out.write(buffer_);
}

void write_file(const std::string& path, std::string_view bytes) {
  OutputFile file(path);
  file.write(bytes);
  file.commit();
}

}  // namespace inlay::io
