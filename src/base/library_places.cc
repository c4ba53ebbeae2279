// Looking for shared libraries by folder.
#include "base/library_places.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <utility>

namespace inlay {
namespace {

namespace fs = std::filesystem;

#ifdef __APPLE__
constexpr std::string_view kSuffix = ".dylib";
#else
constexpr std::string_view kSuffix = ".so";
#endif

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// The library files of a folder by name: libtorch.so, libtorch.so.2, libtorch.2.dylib, but not
// libtorch_cpu.so.
std::vector<std::string> libraries_in(const fs::path& folder, std::string_view stem) {
  std::vector<std::string> found;
  const std::string begins = std::string(stem) + ".";
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with(begins) && name.find(kSuffix) != std::string::npos)
      found.push_back(at->path().string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

// Collects places; folders without a library become notes.
class Places {
 public:
  Places(const LibraryWish& wish, std::vector<std::string>* notes) : wish_(wish), notes_(notes) {}

  void add_folder(const fs::path& folder) {
    const std::vector<std::string> found = libraries_in(folder, wish_.stem);
    if (found.empty())
      notes_->push_back(folder.string() + ": no " + std::string(wish_.stem) + " there");
    for (const std::string& file : found) add_file(file);
  }
  void add_file(const std::string& file) {
    if (std::find(places_.begin(), places_.end(), file) == places_.end()) places_.push_back(file);
  }
  // The wheel in each lib/python3.N/site-packages below a Python's prefix.
  void add_python(const fs::path& prefix) {
    bool any = false;
    for (const char* lib : {"lib", "lib64"}) {
      std::error_code error;
      std::vector<fs::path> versions;
      for (fs::directory_iterator at(prefix / lib, error), end; !error && at != end;
           at.increment(error)) {
        if (at->path().filename().string().starts_with("python3")) versions.push_back(at->path());
      }
      std::sort(versions.begin(), versions.end());
      for (const fs::path& version : versions) {
        for (const char* packages : {"site-packages", "dist-packages"}) {
          for (const std::string& file :
               libraries_in(version / packages / wish_.package, wish_.stem)) {
            add_file(file);
            any = true;
          }
        }
      }
    }
    if (!any)
      notes_->push_back(prefix.string() + ": no Python package with " + std::string(wish_.package) +
                        " there");
  }
  std::vector<std::string> take() { return std::move(places_); }

 private:
  const LibraryWish& wish_;
  std::vector<std::string> places_;
  std::vector<std::string>* notes_;
};

// The prefixes of the first python3 or python on PATH: of the name itself, which may be a virtual
// environment's link, and of what it leads to.
std::vector<fs::path> python_prefixes() {
  const std::string path = environment("PATH");
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    const fs::path folder = path.substr(begin, end - begin);
    begin = end + 1;
    for (const char* name : {"python3", "python"}) {
      std::error_code error;
      const fs::path real = fs::canonical(folder / name, error);
      if (error) continue;
      const fs::path prefix = folder.parent_path();
      const fs::path real_prefix = real.parent_path().parent_path();
      if (prefix == real_prefix) return {prefix};
      return {prefix, real_prefix};
    }
  }
  return {};
}

bool is_path(const std::string& place) { return place.find('/') != std::string::npos; }

// Beside the program or shared library that holds this code, and beside its folder.
std::vector<fs::path> own_folders() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<void*>(&own_folders), &info) == 0 || info.dli_fname == nullptr)
    return {};
  std::error_code error;
  const fs::path own = fs::canonical(info.dli_fname, error).parent_path();
  if (error) return {};
  return {own, own.parent_path() / "lib", own.parent_path() / "lib64"};
}

}  // namespace

std::vector<std::string> find_library_places(const LibraryWish& wish,
                                             std::vector<std::string>* notes) {
  Places places(wish, notes);
  const std::string named = wish.named.empty() ? environment(wish.variable) : wish.named;
  if (!named.empty()) {
    std::error_code error;
    if (fs::is_directory(named, error)) {
      places.add_folder(named);
    } else {
      places.add_file(named);
    }
    return places.take();
  }
  for (const fs::path& folder : own_folders()) places.add_folder(folder);
  for (const char* variable : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    if (const std::string active = environment(variable); !active.empty())
      places.add_python(active);
  }
  for (const fs::path& prefix : python_prefixes()) places.add_python(prefix);
  if (const std::string home = environment("HOME"); !home.empty())
    places.add_python(fs::path(home) / ".local");
  places.add_python("/usr/local");  // where Debian's pip puts them
  for (const char* name : wish.system_names) places.add_file(name);
  return places.take();
}

std::vector<std::string> own_library_places(const std::string& file) {
  std::vector<std::string> places;
  for (const fs::path& folder : own_folders()) places.push_back((folder / file).string());
  places.push_back(file);
  return places;
}

namespace {

// Whether there is a file, or a name that only the loader can answer for; else a note.
bool may_be_there(const std::string& place, std::vector<std::string>* notes) {
  std::error_code error;
  if (!is_path(place) || fs::exists(place, error)) return true;
  notes->push_back(place + ": not there");
  return false;
}

void* open_shared(const std::string& place, std::string* why) {
  void* handle = ::dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle != nullptr) return handle;
  const char* words = ::dlerror();
  *why = words != nullptr ? words : "it could not be opened";
  return nullptr;
}

}  // namespace

OpenedLibrary open_first(const std::vector<std::string>& places, std::vector<std::string>* notes) {
  for (const std::string& place : places) {
    if (!may_be_there(place, notes)) continue;
    OpenedLibrary opened{nullptr, place, {}};
    opened.handle = open_shared(place, &opened.error);
    if (opened.handle != nullptr) return opened;
    notes->push_back(place + ": " + opened.error);
    if (is_path(place))
      return opened;  // of a name it is the loader's way to say that there is none
  }
  return {};
}

LibrarySearch open_usable(const std::vector<std::string>& places, std::vector<std::string>* notes,
                          const std::function<std::string(void*, const std::string&)>& examine) {
  LibrarySearch search;
  for (const std::string& place : places) {
    if (!may_be_there(place, notes)) continue;
    std::string wrong;
    void* handle = open_shared(place, &wrong);
    if (handle != nullptr) wrong = examine(handle, place);
    search.found = handle != nullptr && wrong.empty();
    if (search.found) return search;
    notes->push_back(place + ": " + wrong);
    if ((handle != nullptr || is_path(place)) && search.worst.empty())
      search.worst = place + " cannot be used: " + wrong;
  }
  return search;
}

}  // namespace inlay
