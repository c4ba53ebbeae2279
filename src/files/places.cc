// Environment and home folder.
#include "files/places.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

namespace inlay::files {
namespace fs = std::filesystem;
namespace {

fs::path home() {
  const std::string value = environment("HOME");
  if (!value.empty()) return value;
  // As shells do without $HOME: what the user database says.
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(::getuid(), &entry, buffer.data(), buffer.size(), &found) == 0 &&
      found != nullptr && found->pw_dir != nullptr) {
    return found->pw_dir;
  }
  return "/";
}

fs::path xdg(const char* variable, const char* fallback) {
  const std::string value = environment(variable);
  return value.empty() ? home() / fallback : expand_home(value);
}

}  // namespace

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

fs::path expand_home(const std::string& value) {
  if (value == "~") return home();
  if (value.starts_with("~/")) return home() / value.substr(2);
  return value;
}

fs::path data_home() {
  const std::string own = environment("INLAY_HOME");
  return own.empty() ? xdg("XDG_DATA_HOME", ".local/share") / "inlay" : expand_home(own);
}

fs::path cache_home() {
  const std::string own = environment("INLAY_HOME");
  return own.empty() ? xdg("XDG_CACHE_HOME", ".cache") / "inlay" : expand_home(own) / "cache";
}

fs::path hugging_face_home() {
  const std::string value = environment("HF_HOME");
  return value.empty() ? xdg("XDG_CACHE_HOME", ".cache") / "huggingface" : expand_home(value);
}

fs::path hub_cache() {
  for (const char* variable : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    const std::string value = environment(variable);
    if (!value.empty()) return expand_home(value);
  }
  return hugging_face_home() / "hub";
}

bool plain_name(std::string_view name) {
  if (name.empty() || name.size() > 96 || name.front() == '.' ||
      name.find("..") != std::string_view::npos)
    return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

bool plain_revision(std::string_view revision) {
  std::size_t begin = 0;
  while (begin <= revision.size()) {
    const std::size_t end = std::min(revision.find('/', begin), revision.size());
    if (!plain_name(revision.substr(begin, end - begin))) return false;
    begin = end + 1;
  }
  return true;
}

bool is_commit(std::string_view text) {
  return text.size() == 40 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace inlay::files
