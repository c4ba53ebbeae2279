// One repository in the shared Hugging Face cache, laid out as huggingface_hub does it
// (file_download.py):
//   <cache>/models--org--name/blobs/<etag>                the files' contents
//                             snapshots/<commit>/<path>   links to ../../blobs/<etag>
//                             refs/<revision>             a commit
//                             .no_exist/<commit>/<path>   files known not to be in a commit
//   <cache>/.locks/models--org--name/<etag>.lock
// Nothing here asks the network.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace inlay::files {

// False, too, for what cannot be looked at.
bool is_folder(const std::filesystem::path& path);

class HubCache {
 public:
  // `id` is org/name, checked by the caller.
  HubCache(std::filesystem::path cache, std::string_view id);

  const std::filesystem::path& root() const { return cache_; }
  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path blob(std::string_view etag) const { return folder_ / "blobs" / etag; }
  std::filesystem::path snapshot(std::string_view commit) const {
    return folder_ / "snapshots" / commit;
  }
  std::filesystem::path ref(std::string_view revision) const { return folder_ / "refs" / revision; }

  // The commit that refs/<revision> names; empty when there is none. Throws kBadInput for a ref
  // that holds something else.
  std::string commit_of(std::string_view revision) const;
  // Whether nothing of what a model's folder needs can be missing from the snapshot: by
  // huggingface_hub's listing of the commit (trees/<commit>.json) where it wrote one, else by what
  // the files themselves name and by .no_exist.
  bool complete(std::string_view commit) const;

  // What follows writes. All throw kCannotWrite naming the path.

  // The folders of the repository, and the cache's CACHEDIR.TAG when the cache is new.
  void prepare(std::string_view commit) const;
  // Makes snapshots/<commit>/<path> lead to the blob or be it. What stood there is replaced. kMove
  // is for a blob that nothing else leads to. Where a file system has no links, kLink copies.
  enum class Placing { kLink, kMove, kCopy };
  void place(std::string_view commit, std::string_view path, std::string_view etag,
             Placing how) const;
  void set_ref(std::string_view revision, std::string_view commit) const;
  void mark_absent(std::string_view commit, std::string_view path) const;

 private:
  const std::string id_;
  std::filesystem::path cache_, folder_;
};

// Holds <cache>/.locks/models--org--name/<etag>.lock (flock), shared with huggingface_hub. Where a
// file system has no such locks it holds nothing: correctness never depends on it, only that a file
// is fetched once.
class HubLock {
 public:
  // Waits; `go_on` is asked ten times a second, and its false ends the wait with kCancelled.
  HubLock(const HubCache& cache, std::string_view etag, const std::function<bool()>& go_on);
  ~HubLock();
  HubLock(const HubLock&) = delete;
  HubLock& operator=(const HubLock&) = delete;

 private:
  int file_ = -1;
};

// A text that appears under its name whole or not at all. Throws kCannotWrite.
void write_atomically(const std::filesystem::path& path, std::string_view text);
// A name for a file of this process's own beside `path`: "<path>.<random>.<ending>".
std::filesystem::path own_name(const std::filesystem::path& path, std::string_view ending);
[[noreturn]] void cannot_write(const std::filesystem::path& path, const std::string& expected,
                               int error_number);

}  // namespace inlay::files
