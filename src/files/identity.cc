// By stat alone: the time of change (ctime) moves with the content, the name, the owner and the
// rights, and no program can set it.
#include "files/identity.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <system_error>
#include <vector>

namespace inlay::files {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMostFiles = 4096;

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

std::string folder_identity(const fs::path& folder, std::chrono::system_clock::time_point now) {
  const std::int64_t settled =
      std::chrono::duration_cast<std::chrono::nanoseconds>((now - kSettled).time_since_epoch())
          .count();
  std::vector<std::string> lines;
  std::error_code error;
  fs::recursive_directory_iterator at(folder, error);
  const fs::recursive_directory_iterator end;
  while (!error && at != end) {
    struct stat info {};
    if (::stat(at->path().c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
#if defined(__APPLE__)
      const timespec &changed = info.st_ctimespec, &modified = info.st_mtimespec;
#else
      const timespec &changed = info.st_ctim, &modified = info.st_mtim;
#endif
      if (lines.size() == kMostFiles || nanoseconds(changed) > settled) return {};
      std::string line = at->path().lexically_relative(folder).string() + '\0';
      for (const auto number :
           {static_cast<std::int64_t>(info.st_dev), static_cast<std::int64_t>(info.st_ino),
            static_cast<std::int64_t>(info.st_size), nanoseconds(modified), nanoseconds(changed)})
        line += ' ' + std::to_string(number);
      lines.push_back(std::move(line));
    }
    at.increment(error);
  }
  if (error) return {};
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const std::string& line : lines) text += line + '\n';
  return text;
}

}  // namespace inlay::files
