// The layout on disk.
#include "files/hub_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <random>
#include <thread>

#include "base/error.h"
#include "base/json.h"
#include "base/mapped_file.h"
#include "files/hub_listing.h"
#include "files/known_models.h"
#include "files/places.h"
#include "files/settings.h"
#include "files/word_lists.h"

namespace inlay::files {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMaxListing = std::size_t{64} << 20U;
constexpr std::chrono::milliseconds kLockPause{100};

// As huggingface_hub writes it, so that backups skip the cache.
constexpr std::string_view kCacheTag =
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This file is a cache directory tag in the layout of huggingface_hub.\n"
    "# For information about cache directory tags, see:\n"
    "#\thttps://bford.info/cachedir/\n";

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

void make_folders(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error && !is_folder(path)) cannot_write(path, "a folder that can be made", error.value());
}

// Writes all or throws.
void write_file(int file, const fs::path& path, std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(file, text.data(), text.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      const int code = errno;
      ::close(file);
      ::unlink(path.c_str());
      cannot_write(path, std::to_string(text.size()) + " bytes written", code);
    }
    text.remove_prefix(static_cast<std::size_t>(wrote));
  }
}

// Weights in any form that is read, with every shard that an index names.
bool has_weights(const fs::path& folder) {
  for (const char* name : {"model.safetensors", "pytorch_model.bin"}) {
    if (is_file(folder / name)) return true;
  }
  for (const char* name : {"model.safetensors.index.json", "pytorch_model.bin.index.json"}) {
    if (!is_file(folder / name)) continue;
    const fs::path index = folder / name;
    for (const auto& [shard, tensors] :
         parse_weight_index(read_file(index, kMaxListing), index.string())) {
      if (!is_file(folder / shard)) return false;
    }
    return true;
  }
  for (const char* name : {"onnx/model.onnx", "model.onnx"}) {
    if (is_file(folder / name)) return true;
  }
  return false;
}

bool has_tokenizer(const fs::path& folder) {
  for (const char* name : {"tokenizer.json", "vocab.txt", "vocab.json", "spiece.model",
                           "sentencepiece.bpe.model", "tokenizer.model"}) {
    if (is_file(folder / name)) return true;
  }
  return false;
}

// Modules other than the first one: a Pooling needs its configuration, a Dense its weights too.
bool has_module(const fs::path& folder, std::string_view type) {
  if (type == "Pooling") return is_file(folder / "config.json");
  if (type == "Dense") return is_file(folder / "config.json") && has_weights(folder);
  return true;
}

bool has_sentence_config(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with("sentence_") && name.ends_with("_config.json")) return true;
  }
  return false;
}

// By what the files name. `absent` answers whether a file is known not to exist.
template <typename Absent>
bool complete_by_files(const fs::path& snapshot, const Absent& absent) {
  const fs::path modules_json = snapshot / "modules.json";
  fs::path transformer = snapshot;
  if (!is_file(modules_json)) {
    if (!absent("modules.json")) return false;
  } else {
    const auto modules = parse_modules(read_file(modules_json, kMaxListing), modules_json.string());
    if (modules.empty()) return false;
    for (const ModuleEntry& module : modules) {
      if (&module != modules.data() && !has_module(snapshot / module.path, module.type))
        return false;
    }
    transformer = snapshot / modules.front().path;
    if (modules.front().type == "StaticEmbedding") {
      return has_weights(transformer) && is_file(transformer / "tokenizer.json");
    }
    if (!is_file(snapshot / "config_sentence_transformers.json") &&
        !absent("config_sentence_transformers.json"))
      return false;
    if (!has_sentence_config(transformer) && !absent("sentence_bert_config.json")) return false;
  }
  return is_file(transformer / "config.json") && has_weights(transformer) &&
         has_tokenizer(transformer);
}

}  // namespace

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

HubCache::HubCache(fs::path cache, std::string_view id) : id_(id), cache_(std::move(cache)) {
  std::string name = "models--" + std::string(id);
  name.replace(name.find('/'), 1, "--");
  folder_ = cache_ / name;
}

std::string HubCache::commit_of(std::string_view revision) const {
  const fs::path path = ref(revision);
  if (!is_file(path)) return "";
  std::string commit = read_file(path, 256);
  while (!commit.empty() && (commit.back() == '\n' || commit.back() == ' ')) commit.pop_back();
  if (!is_commit(commit)) {
    fail(ErrorCode::kBadInput, path.string(),
         "expected a commit of 40 hexadecimal digits, got \"" + printable(commit) +
             "\". Fetch the model into the cache again.");
  }
  return commit;
}

bool HubCache::complete(std::string_view commit) const {
  const fs::path folder = snapshot(commit);
  if (!is_folder(folder)) return false;
  try {
    const fs::path tree = folder_ / "trees" / (std::string(commit) + ".json");
    if (is_file(tree)) {
      const JsonDocument document =
          JsonDocument::parse(read_file(tree, kMaxListing), tree.string());
      HubListing listing;
      if (document.root().integer_or("format_version", 0) == 1) {
        for (const auto& [path, entry] : document.root().at("files").members()) {
          listing.files.push_back({std::string(path), -1, ""});
        }
        for (const HubFile& file : needed_files(listing)) {
          if (!is_file(folder / file.path)) return false;
        }
        return !listing.files.empty();
      }
    }
    for (const std::string& name : word_files(id_)) {
      if (!is_file(folder / name)) return false;
    }
    const KnownModel* known = find_known_model(id_);
    if (known != nullptr && !needs_files(*known)) return true;
    return complete_by_files(
        folder, [&](const char* name) { return is_file(folder_ / ".no_exist" / commit / name); });
  } catch (const Error&) {
    return false;  // a damaged file; whoever opens the folder says which
  }
}

void HubCache::prepare(std::string_view commit) const {
  make_folders(folder_ / "blobs");
  make_folders(snapshot(commit));
  const fs::path tag = cache_ / "CACHEDIR.TAG";
  if (!is_file(tag)) write_atomically(tag, kCacheTag);
}

void HubCache::place(std::string_view commit, std::string_view path, std::string_view etag,
                     Placing how) const {
  const fs::path pointer = snapshot(commit) / path;
  make_folders(pointer.parent_path());
  fs::path own = own_name(pointer, "tmp");
  if (how == Placing::kLink) {
    const fs::path target = blob(etag).lexically_relative(pointer.parent_path());
    if (::symlink(target.c_str(), own.c_str()) != 0) {
      if (errno != EPERM && errno != ENOTSUP && errno != ENOSYS)
        cannot_write(own, "a link to " + target.string(), errno);
      how = Placing::kCopy;  // a file system without links
    }
  }
  if (how == Placing::kMove) own = blob(etag);
  if (how == Placing::kCopy) {
    std::error_code error;
    fs::copy_file(blob(etag), own, error);
    if (error) {
      ::unlink(own.c_str());
      cannot_write(own, "a copy of " + blob(etag).string(), error.value());
    }
  }
  if (::rename(own.c_str(), pointer.c_str()) == 0) return;
  const int code = errno;
  if (how != Placing::kMove) ::unlink(own.c_str());
  cannot_write(pointer, "a file to replace", code);
}

void HubCache::set_ref(std::string_view revision, std::string_view commit) const {
  if (revision == commit) return;
  const fs::path path = ref(revision);
  std::error_code error;
  if (is_file(path) && fs::file_size(path, error) == commit.size() &&
      read_file(path, 256) == commit)
    return;
  make_folders(path.parent_path());
  write_atomically(path, commit);
}

void HubCache::mark_absent(std::string_view commit, std::string_view path) const {
  const fs::path mark = folder_ / ".no_exist" / commit / path;
  if (is_file(mark)) return;
  make_folders(mark.parent_path());
  write_atomically(mark, "");
}

HubLock::HubLock(const HubCache& cache, std::string_view etag, const std::function<bool()>& go_on) {
  const fs::path folder = cache.root() / ".locks" / cache.folder().filename();
  make_folders(folder);
  const fs::path path = folder / (std::string(etag) + ".lock");
  while (true) {
    file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0664);
    if (file_ < 0 && errno == EACCES) file_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file_ < 0) cannot_write(path, "a file to lock", errno);
    // Others of the group lock it too, whatever the umask; not ours: its owner did it.
    if (::fchmod(file_, 0664) != 0 && errno != EPERM) cannot_write(path, "mode 0664", errno);
    while (::flock(file_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) return;  // no locks here
      if (go_on && !go_on()) {
        ::close(file_);
        fail(ErrorCode::kCancelled, "download", "expected to finish, got cancelled.");
      }
      std::this_thread::sleep_for(kLockPause);
    }
    // Another one may have removed the file while we waited: then its lock means nothing.
    struct stat held {};
    struct stat named {};
    if (::fstat(file_, &held) == 0 && ::stat(path.c_str(), &named) == 0 &&
        held.st_ino == named.st_ino && held.st_dev == named.st_dev)
      return;
    ::close(file_);
  }
}

HubLock::~HubLock() { ::close(file_); }

void write_atomically(const fs::path& path, std::string_view text) {
  const fs::path own = own_name(path, "tmp");
  const int file = ::open(own.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file < 0) cannot_write(own, "a file to write", errno);
  write_file(file, own, text);
  ::close(file);
  if (::rename(own.c_str(), path.c_str()) != 0) {
    const int code = errno;
    ::unlink(own.c_str());
    cannot_write(path, "a file to replace", code);
  }
}

fs::path own_name(const fs::path& path, std::string_view ending) {
  std::random_device source;
  std::array<char, 20> random{};
  std::snprintf(random.data(), random.size(), "%08x%08x", source(), source());
  return path.string() + "." + random.data() + "." + std::string(ending);
}

void cannot_write(const fs::path& path, const std::string& expected, int error_number) {
  const bool descriptors = error_number == EMFILE || error_number == ENFILE;
  fail(ErrorCode::kCannotWrite, path.string(),
       "expected " + expected + ", got: " + std::strerror(error_number) +
           (descriptors ? ". Raise the limit (ulimit -n), or close files."
                        : ". Give space or permissions there, or name another cache with "
                          "HF_HUB_CACHE."));
}

}  // namespace inlay::files
