// SHA-1 and SHA-256 (FIPS 180-4) of a stream: what the Hub names its files by. For checking
// downloads, not for keeping secrets.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace inlay::files {

class Digest {
 public:
  enum class Kind { kSha1, kSha256 };
  explicit Digest(Kind kind);
  void update(std::string_view bytes);
  std::string hex();  // lower case; ends the stream

 private:
  void block(const unsigned char* bytes);
  Kind kind_;
  std::array<std::uint32_t, 8> state_{};
  std::array<unsigned char, 64> pending_{};
  std::size_t pending_size_ = 0;
  std::uint64_t length_ = 0;  // bytes
};

}  // namespace inlay::files
