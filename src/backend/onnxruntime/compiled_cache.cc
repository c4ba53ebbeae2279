// An entry is a folder named by the model's COREML_CACHE_KEY; its own time is when it was last
// used.
#include "backend/onnxruntime/compiled_cache.h"

#include <algorithm>
#include <string>
#include <vector>

namespace inlay::backend::onnxruntime {
namespace {

namespace fs = std::filesystem;

struct Entry {
  fs::path path;
  fs::file_time_type used;
  std::int64_t bytes = 0;
};

std::int64_t bytes_below(const fs::path& path) {
  std::error_code error;
  std::int64_t bytes = 0;
  for (fs::recursive_directory_iterator at(path, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code unreadable;
    if (!at->is_regular_file(unreadable) || unreadable) continue;
    const std::uintmax_t size = at->file_size(unreadable);
    if (!unreadable) bytes += static_cast<std::int64_t>(size);
  }
  return bytes;
}

}  // namespace

void trim_compiled(const fs::path& folder, std::int64_t most) {
  std::error_code error;
  fs::create_directories(folder, error);
  std::vector<Entry> entries;
  std::int64_t bytes = 0;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code unreadable;
    if (!at->is_directory(unreadable) || at->is_symlink(unreadable)) continue;
    Entry entry{at->path(), at->last_write_time(unreadable), bytes_below(at->path())};
    bytes += entry.bytes;
    entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.used < b.used; });
  for (const Entry& entry : entries) {
    if (bytes <= most) return;
    fs::remove_all(entry.path, error);
    bytes -= entry.bytes;
  }
}

void touch_compiled(const fs::path& folder, const std::string& key) {
  std::error_code error;
  fs::last_write_time(folder / key, fs::file_time_type::clock::now(), error);
}

}  // namespace inlay::backend::onnxruntime
