// Path rules. Containment is decided on the canonical target, so that chains of
// links (a snapshot's file -> blobs/ETAG -> a store shared by several models)
// are judged by where they end.
#include "files/folder.h"

#include <algorithm>
#include <system_error>

#include "base/error.h"
#include "base/mapped_file.h"
#include "files/places.h"

namespace inlay::files {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMaxName = 255;   // NAME_MAX of the common file systems
constexpr std::size_t kMaxPath = 1024;  // of a relative path written in a file

bool inside(const fs::path& root, const fs::path& target) {
  const auto [end, rest] = std::mismatch(root.begin(), root.end(), target.begin(), target.end());
  return end == root.end();
}

bool is_snapshot(const fs::path& root) {
  return root.parent_path().filename() == "snapshots" &&
         root.parent_path().parent_path().filename().string().starts_with("models--");
}

}  // namespace

void check_file_name(std::string_view name, std::string_view where) {
  const bool plain = std::none_of(name.begin(), name.end(), [](char c) {
    return c == '/' || c == '\\' || static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  });
  if (name.empty() || name.size() > kMaxName || name == "." || name == ".." || !plain) {
    fail(ErrorCode::kBadInput, where,
         "expected the plain name of a file in the model's folder, got \"" + printable(name) +
             "\". The folder is damaged or hostile; fetch it from a source you "
             "trust.");
  }
}

void check_relative_path(std::string_view path, std::string_view where) {
  if (path.empty() || path == ".") return;
  if (path.size() > kMaxPath) {
    fail(ErrorCode::kBadInput, where,
         "expected a path of at most " + std::to_string(kMaxPath) + " bytes, got " +
             std::to_string(path.size()) + ".");
  }
  if (path.back() == '/') path.remove_suffix(1);
  std::size_t begin = 0;
  while (begin <= path.size()) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part == ".." || part.empty()) {
      fail(ErrorCode::kBadInput, where,
           "expected a path inside the model's folder, got \"" + printable(path) +
               "\". The folder is damaged or hostile; fetch it from a source "
               "you trust.");
    }
    if (part != ".") check_file_name(part, where);
    begin = end + 1;
  }
}

ModelFolder::ModelFolder(const fs::path& folder) {
  std::error_code error;
  root_ = fs::canonical(folder, error);
  if (error) {
    const bool missing =
        error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory;
    fail(missing ? ErrorCode::kNotFound : ErrorCode::kBadInput, printable(folder.string(), 400),
         "expected a model's folder, got: " + error.message() +
             ". Give a folder that holds config.json.");
  }
  if (!fs::is_directory(root_, error)) {
    fail(ErrorCode::kBadInput, root_.string(),
         "expected a model's folder, got a file. Give the folder that holds "
         "it.");
  }
  if (is_snapshot(root_)) {
    const fs::path repository = root_.parent_path().parent_path();
    stores_ = {repository / "blobs", repository.parent_path() / "blobs"};
  }
  cache_ = fs::canonical(hub_cache(), error);
  if (error) cache_.clear();
}

std::string ModelFolder::revision() const {
  return is_snapshot(root_) ? root_.filename().string() : std::string();
}

bool ModelFolder::allowed(const fs::path& target) const {
  if (inside(root_, target)) return true;
  for (const fs::path& store : stores_) {
    if (inside(store, target)) return true;
  }
  if (cache_.empty() || !inside(cache_, target)) return false;
  // <cache>/blobs/... or <cache>/models--org--name/blobs/...
  const fs::path relative = target.lexically_relative(cache_);
  auto part = relative.begin();
  if (part != relative.end() && part->string().starts_with("models--")) ++part;
  return part != relative.end() && *part == "blobs";
}

fs::path ModelFolder::below(std::string_view relative, std::string_view where) const {
  check_relative_path(relative, where);
  fs::path path = root_;
  if (!relative.empty() && relative != ".") {
    if (relative.back() == '/') relative.remove_suffix(1);
    path /= relative;
  }
  std::error_code error;
  const fs::path target = fs::weakly_canonical(path, error);
  if (error || !inside(root_, target)) {
    fail(ErrorCode::kBadInput, where,
         "expected a path inside the model's folder, got \"" + printable(relative) + "\", which " +
             (error ? "cannot be followed: " + error.message()
                    : std::string("a link leads out of it")) +
             ".");
  }
  return path;
}

std::optional<fs::path> ModelFolder::find(const fs::path& folder, std::string_view name) const {
  if (root_.empty()) return std::nullopt;
  fs::path path = folder / name;
  std::error_code error;
  const fs::file_status own = fs::symlink_status(path, error);
  if (own.type() == fs::file_type::not_found) return std::nullopt;
  const fs::path target = fs::canonical(path, error);
  if (error) {
    fail(ErrorCode::kBadInput, path.string(),
         "expected a readable file, got: " + error.message() +
             ". A link whose target is gone is mended by fetching the model "
             "again.");
  }
  if (!allowed(target)) {
    fail(ErrorCode::kBadInput, path.string(),
         "expected a file inside the model's folder or a Hugging Face cache's "
         "blobs, got a link "
         "to " +
             printable(target.string(), 400) + ". Copy the file into the folder.");
  }
  // Asked before opening: a pipe would block for ever.
  if (!fs::is_regular_file(target, error)) {
    fail(ErrorCode::kBadInput, path.string(), "expected a regular file, got something else.");
  }
  return path;
}

std::optional<std::string> ModelFolder::read(const fs::path& folder, std::string_view name,
                                             std::size_t limit) const {
  const auto path = find(folder, name);
  if (!path) return std::nullopt;
  return read_file(*path, limit);
}

}  // namespace inlay::files
