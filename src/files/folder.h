// Which files a model's folder may lead to. A folder is somebody else's data:
// names in it, links in it and paths written in its files are held against
// these rules before anything is opened.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace inlay::files {

// `name` is one plain file name: not empty, at most 255 bytes, no '/', '\',
// control characters, and neither "." nor "..". Throws kBadInput at `where`.
void check_file_name(std::string_view name, std::string_view where);
// `path` is relative and stays below where it starts: components separated by
// '/', each a plain name. Empty and "." mean the folder itself. Throws
// kBadInput at `where`.
void check_relative_path(std::string_view path, std::string_view where);

// A model's folder. Links are followed only to places inside the folder or
// inside the blob stores of a Hugging Face cache, where the files of a snapshot
// lie. Immutable; thread-safe.
class ModelFolder {
 public:
  // Throws kNotFound when there is no such folder, kBadInput when it is not
  // one.
  explicit ModelFolder(const std::filesystem::path& folder);
  ModelFolder() = default;  // none: root() is empty, and no file is found

  const std::filesystem::path& root() const { return root_; }  // absolute, without links
  // The commit when this is a snapshot of a hub cache, else empty.
  std::string revision() const;

  // A path below the folder, as checked by check_relative_path(). Throws
  // kBadInput when it leads out through a link. Need not exist.
  std::filesystem::path below(std::string_view relative, std::string_view where) const;
  // The regular file `folder`/`name`, where `folder` came from below() or
  // root(); empty when there is none. Throws kBadInput when it is another kind
  // of file or a link that leads out.
  std::optional<std::filesystem::path> find(const std::filesystem::path& folder,
                                            std::string_view name) const;
  // Its bytes, at most `limit`; empty when there is no such file.
  std::optional<std::string> read(const std::filesystem::path& folder, std::string_view name,
                                  std::size_t limit) const;

 private:
  bool allowed(const std::filesystem::path& target) const;
  std::filesystem::path root_;
  std::vector<std::filesystem::path> stores_;  // blob stores beside a snapshot
  std::filesystem::path cache_;                // the shared cache, without links; may be empty
};

}  // namespace inlay::files
