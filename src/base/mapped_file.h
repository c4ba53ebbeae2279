// A file mapped read-only, or read whole where mapping makes no sense.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace inlay {

// Bytes of a regular file. Pages come in on first touch; a file that shrinks under the map would
// fault, so weights are copied out (packed) during load and the map is dropped then. Movable;
// thread-safe to read.
class MappedFile {
 public:
  // Throws kNotFound (missing) or kBadInput (not a regular file, unreadable), naming the path.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;
  std::string_view bytes() const noexcept { return {data_, size_}; }

 private:
  const char* data_ = nullptr;
  std::size_t size_ = 0;
};

// The whole of a small file. Refuses more than `limit` bytes before allocating anything.
std::string read_file(const std::filesystem::path& path, std::size_t limit);

}  // namespace inlay
