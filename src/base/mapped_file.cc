// POSIX file maps.
#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace inlay {
namespace {

// Owns a descriptor for the length of a scope. Opening never waits, not even for a pipe's writer:
// what is not a regular file is refused afterwards.
class OpenFile {
 public:
  explicit OpenFile(const std::filesystem::path& path)
      : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    const int error = errno;
    if (fd_ >= 0) return;
    const bool missing = error == ENOENT || error == ENOTDIR;
    fail(missing ? ErrorCode::kNotFound : ErrorCode::kBadInput, path.string(),
         std::string("expected a readable file, got: ") + std::strerror(error) + ".");
  }
  ~OpenFile() { ::close(fd_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int get() const { return fd_; }
  std::size_t size(const std::filesystem::path& path) const {
    struct stat info {};
    if (::fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) {
      fail(ErrorCode::kBadInput, path.string(), "expected a regular file, got something else.");
    }
    return static_cast<std::size_t>(info.st_size);
  }

 private:
  int fd_;
};

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  const OpenFile file(path);
  size_ = file.size(path);
  if (size_ == 0) return;
  void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (mapped == MAP_FAILED) {
    fail(ErrorCode::kBadInput, path.string(),
         std::string("expected to map the file, got: ") + std::strerror(errno) + ".");
  }
  data_ = static_cast<const char*>(mapped);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

std::string read_file(const std::filesystem::path& path, std::size_t limit) {
  const OpenFile file(path);
  const std::size_t size = file.size(path);
  if (size > limit) {
    fail(ErrorCode::kBadInput, path.string(),
         "expected at most " + std::to_string(limit) + " bytes, got " + std::to_string(size) + ".");
  }
  std::string bytes(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(file.get(), bytes.data() + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      fail(ErrorCode::kBadInput, path.string(),
           std::string("expected to read the file, got: ") + std::strerror(errno) + ".");
    if (got == 0) break;  // it shrank meanwhile
    done += static_cast<std::size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

}  // namespace inlay
