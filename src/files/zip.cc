// PKWARE's APPNOTE 6.3.3, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.14-16 (its
// end, ZIP64).
#include "files/zip.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>

#include "base/error.h"

namespace inlay::files {
namespace {

constexpr std::uint32_t kLocal = 0x04034B50;
constexpr std::uint32_t kCentral = 0x02014B50;
constexpr std::uint32_t kEnd = 0x06054B50;
constexpr std::uint32_t kEnd64 = 0x06064B50;
constexpr std::uint32_t kEnd64Locator = 0x07064B50;
constexpr std::uint64_t kMaxEntries = 1'000'000;

// Little-endian reads that know their bounds.
class ZipBytes {
 public:
  ZipBytes(std::string_view bytes, std::string_view file) : bytes_(bytes), file_(file) {}

  template <typename T>
  T at(std::uint64_t offset) const {
    need(offset, sizeof(T));
    T value;
    std::memcpy(&value, bytes_.data() + offset, sizeof(T));
    return value;
  }
  std::string_view span(std::uint64_t offset, std::uint64_t size) const {
    need(offset, size);
    return bytes_.substr(offset, size);
  }
  [[noreturn]] void bad(std::uint64_t offset, const char* message) const {
    fail(ErrorCode::kBadInput, std::string(file_) + ": offset " + std::to_string(offset),
         std::string(message) + " The file is damaged; fetch it again.");
  }
  std::uint64_t size() const { return bytes_.size(); }
  std::string_view file() const { return file_; }

 private:
  void need(std::uint64_t offset, std::uint64_t size) const {
    if (offset > bytes_.size() || size > bytes_.size() - offset)
      bad(std::min<std::uint64_t>(offset, bytes_.size()),
          "expected more bytes, got the end of the file.");
  }
  std::string_view bytes_, file_;
};

struct Directory {
  std::uint64_t offset = 0, entries = 0;
};

Directory find_directory(const ZipBytes& zip) {
  constexpr std::uint64_t kEndBytes = 22;
  constexpr std::uint64_t kMaxComment = 65535;
  if (zip.size() < kEndBytes)
    zip.bad(0, "expected a ZIP archive, got fewer bytes than its end record.");
  const std::uint64_t last = zip.size() - kEndBytes;
  const std::uint64_t first = last > kMaxComment ? last - kMaxComment : 0;
  for (std::uint64_t at = last + 1; at-- > first;) {
    if (zip.at<std::uint32_t>(at) != kEnd) continue;
    Directory directory{zip.at<std::uint32_t>(at + 16), zip.at<std::uint16_t>(at + 10)};
    if (at >= 20 && zip.at<std::uint32_t>(at - 20) == kEnd64Locator) {
      const auto end64 = zip.at<std::uint64_t>(at - 20 + 8);
      if (zip.at<std::uint32_t>(end64) != kEnd64) zip.bad(end64, "expected a ZIP64 end record.");
      directory = {zip.at<std::uint64_t>(end64 + 48), zip.at<std::uint64_t>(end64 + 32)};
    }
    return directory;
  }
  zip.bad(zip.size(), "expected the end record of a ZIP archive, got none.");
}

// A 64-bit field of the ZIP64 extra block; fields appear only where the 32-bit one is all ones.
std::optional<std::uint64_t> zip64_field(const ZipBytes& zip, std::uint64_t extra,
                                         std::uint64_t extra_bytes, int index) {
  for (std::uint64_t at = extra; at + 4 <= extra + extra_bytes;) {
    const auto id = zip.at<std::uint16_t>(at);
    const auto size = zip.at<std::uint16_t>(at + 2);
    if (id == 1 && static_cast<std::uint64_t>(index + 1) * 8 <= size)
      return zip.at<std::uint64_t>(at + 4 + static_cast<std::uint64_t>(index) * 8);
    at += 4U + size;
  }
  return std::nullopt;
}

}  // namespace

std::map<std::string, std::string_view, std::less<>> read_stored_zip(std::string_view bytes,
                                                                     std::string_view file) {
  const ZipBytes zip(bytes, file);
  const Directory directory = find_directory(zip);
  if (directory.entries > kMaxEntries)
    zip.bad(directory.offset, "expected at most a million entries.");
  std::map<std::string, std::string_view, std::less<>> entries;
  std::uint64_t at = directory.offset;
  for (std::uint64_t i = 0; i < directory.entries; ++i) {
    if (zip.at<std::uint32_t>(at) != kCentral) zip.bad(at, "expected a directory entry.");
    const auto flags = zip.at<std::uint16_t>(at + 8);
    const auto method = zip.at<std::uint16_t>(at + 10);
    std::uint64_t packed = zip.at<std::uint32_t>(at + 20);
    std::uint64_t size = zip.at<std::uint32_t>(at + 24);
    const std::uint64_t name_bytes = zip.at<std::uint16_t>(at + 28);
    const std::uint64_t extra_bytes = zip.at<std::uint16_t>(at + 30);
    const std::uint64_t comment_bytes = zip.at<std::uint16_t>(at + 32);
    std::uint64_t local = zip.at<std::uint32_t>(at + 42);
    const std::string name(zip.span(at + 46, name_bytes));
    const std::uint64_t extra = at + 46 + name_bytes;
    zip.span(extra, extra_bytes);
    constexpr std::uint64_t kIn64 = 0xFFFFFFFF;
    int field = 0;
    for (std::uint64_t* value : {&size, &packed, &local}) {
      if (*value != kIn64) continue;
      const auto wide = zip64_field(zip, extra, extra_bytes, field++);
      if (!wide) zip.bad(extra, "expected a ZIP64 field.");
      *value = *wide;
    }
    if (method != 0 || (flags & 1U) != 0) {
      fail(ErrorCode::kUnsupported, std::string(file) + ": " + printable(name),
           "expected an uncompressed, unencrypted entry as torch.save writes, got another. Save "
           "the model as safetensors.");
    }
    if (size != packed) zip.bad(at, "expected a stored entry's two sizes to be equal.");
    if (zip.at<std::uint32_t>(local) != kLocal) zip.bad(local, "expected an entry's local header.");
    const std::uint64_t data =
        local + 30 + zip.at<std::uint16_t>(local + 26) + zip.at<std::uint16_t>(local + 28);
    if (!entries.emplace(name, zip.span(data, size)).second)
      zip.bad(at, "expected each name once in the archive.");
    at = extra + extra_bytes + comment_bytes;
  }
  return entries;
}

}  // namespace inlay::files
