// Looking for a model on this machine.
#include "files/locate.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <system_error>

#include "base/error.h"
#include "base/mapped_file.h"

namespace inlay::files {
namespace {

namespace fs = std::filesystem;

// An environment variable; unset and empty read the same.
std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

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

// A folder from the environment; a leading "~" is the home folder, as huggingface_hub has it.
fs::path expand(const std::string& value) {
  if (value == "~") return home();
  if (value.starts_with("~/")) return home() / value.substr(2);
  return value;
}

fs::path xdg(const char* variable, const char* fallback) {
  const std::string value = environment(variable);
  return value.empty() ? home() / fallback : expand(value);
}

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

// A part of a hub id or a revision: letters, digits and . _ - only, and no walking upwards.
bool plain_name(std::string_view name) {
  if (name.empty() || name.size() > 96 || name.front() == '.' ||
      name.find("..") != std::string_view::npos)
    return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

// refs may hold slashes ("pr/1").
bool plain_revision(std::string_view revision) {
  std::size_t begin = 0;
  while (begin <= revision.size()) {
    const std::size_t end = std::min(revision.find('/', begin), revision.size());
    if (!plain_name(revision.substr(begin, end - begin))) return false;
    begin = end + 1;
  }
  return true;
}

constexpr std::size_t kMaxLocator = 4096;  // PATH_MAX

struct HubId {
  std::string id, revision;
};
// org/name[@revision]; false when the text has another form.
bool parse_id(std::string_view text, HubId* out) {
  const std::size_t at = text.find('@');
  out->id = text.substr(0, at);
  out->revision = at == std::string_view::npos ? "" : text.substr(at + 1);
  const std::size_t slash = out->id.find('/');
  if (slash == std::string::npos) return false;
  const std::string_view id = out->id;
  return plain_name(id.substr(0, slash)) && plain_name(id.substr(slash + 1)) &&
         (at == std::string_view::npos || plain_revision(out->revision));
}

fs::path hub_folder(std::string_view id) {
  std::string name = "models--" + std::string(id);
  name.replace(name.find('/'), 1, "--");
  return hub_cache() / name;
}

bool is_commit(std::string_view text) {
  return text.size() == 40 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

// The snapshot that a ref or a commit names in the shared Hugging Face cache; empty when it is not
// there. `places` gets what was looked at.
fs::path hub_snapshot(std::string_view id, std::string_view revision,
                      std::vector<std::string>* places) {
  const fs::path folder = hub_folder(id);
  const std::string wanted(revision.empty() ? "main" : revision);
  const fs::path ref = folder / "refs" / wanted;
  std::string commit = wanted;
  std::error_code error;
  if (fs::is_regular_file(ref, error)) {
    commit = read_file(ref, 256);
    while (!commit.empty() && (commit.back() == '\n' || commit.back() == ' ')) commit.pop_back();
    if (!is_commit(commit)) {
      fail(ErrorCode::kBadInput, ref.string(),
           "expected a commit of 40 hexadecimal digits, got \"" + printable(commit) +
               "\". Fetch the model into the cache again.");
    }
  } else {
    places->push_back(ref.string());
  }
  if (!is_commit(commit)) return {};
  const fs::path snapshot = folder / "snapshots" / commit;
  if (is_folder(snapshot)) return snapshot;
  places->push_back(snapshot.string());
  return {};
}

// Commits of the model that the shared cache holds, for the message when another one was asked for.
std::string commits_at_hand(std::string_view id) {
  std::string list;
  std::error_code error;
  for (fs::directory_iterator entry(hub_folder(id) / "snapshots", error), end;
       !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!is_commit(name) || list.size() > 400) continue;
    list += (list.empty() ? "" : ", ") + std::string(id) + "@" + name;
  }
  return list;
}

fs::path find_local(std::string_view id, std::string_view revision,
                    std::vector<std::string>* places) {
  // Inlay's own copies have no revisions: a pinned one must come from the shared cache.
  if (revision.empty()) {
    fs::path own = data_home() / "models" / id;
    if (is_folder(own)) return own;
    places->push_back(own.string());
  }
  return hub_snapshot(id, revision, places);
}

[[noreturn]] void not_found(std::string_view locator, const HubId& id,
                            std::vector<std::string> places) {
  std::string message = "expected the model " + id.id +
                        (id.revision.empty() ? "" : " at revision " + id.revision) +
                        " on this machine, got nothing at ";
  if (locator.find('/') != std::string_view::npos) {
    std::error_code error;
    places.insert(places.begin(), fs::absolute(fs::path(locator), error).string());
  }
  for (std::size_t i = 0; i < places.size(); ++i) message += (i == 0 ? "" : ", ") + places[i];
  message += ". This build downloads nothing: ";
  for (const KnownModel& model : known_models()) {
    if (id.id == model.id && id.revision.empty()) {
      message += std::string("run ") + model.remedy + ", or ";
    }
  }
  message += "give the model's folder with -m FOLDER";
  const std::string commits = commits_at_hand(id.id);
  if (!commits.empty()) message += ", or take one that is here: " + commits;
  fail(ErrorCode::kNotFound, "--model", message + ".");
}

}  // namespace

const std::vector<KnownModel>& known_models() {
  static const std::vector<KnownModel> models{{"minilm", "sentence-transformers/all-MiniLM-L6-v2",
                                               "dense", "python3 tools/fetch_model.py minilm"}};
  return models;
}

const KnownModel& default_model() { return known_models().front(); }

fs::path data_home() {
  const std::string own = environment("INLAY_HOME");
  return own.empty() ? xdg("XDG_DATA_HOME", ".local/share") / "inlay" : expand(own);
}

fs::path cache_home() {
  const std::string own = environment("INLAY_HOME");
  return own.empty() ? xdg("XDG_CACHE_HOME", ".cache") / "inlay" : expand(own) / "cache";
}

fs::path hub_cache() {
  for (const char* variable : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    const std::string value = environment(variable);
    if (!value.empty()) return expand(value);
  }
  const std::string hf_home = environment("HF_HOME");
  return hf_home.empty() ? xdg("XDG_CACHE_HOME", ".cache") / "huggingface" / "hub"
                         : expand(hf_home) / "hub";
}

fs::path find_local(std::string_view id, std::string_view revision) {
  HubId parsed;
  const std::string locator =
      std::string(id) + (revision.empty() ? "" : "@" + std::string(revision));
  if (!parse_id(locator, &parsed)) return {};
  std::vector<std::string> places;
  return find_local(id, revision, &places);
}

Located locate(std::string_view locator) {
  if (locator.size() > kMaxLocator || locator.find('\0') != std::string_view::npos) {
    fail(ErrorCode::kUsage, "--model",
         "expected a folder, org/name[@revision] or a short name of at most " +
             std::to_string(kMaxLocator) + " bytes, got another text.");
  }
  if (!locator.empty() && is_folder(fs::path(locator))) {
    return {fs::path(locator), std::string(locator)};
  }
  HubId id;
  if (locator.empty()) id.id = default_model().id;
  for (const KnownModel& model : known_models()) {
    if (locator == model.short_name) id.id = model.id;
  }
  std::error_code error;
  if (id.id.empty() && fs::exists(fs::path(locator), error)) {
    fail(ErrorCode::kUsage, "--model",
         "expected a model's folder, got the file \"" + printable(locator, 400) +
             "\". Give the folder that holds it.");
  }
  if (id.id.empty() && !parse_id(locator, &id)) {
    const bool is_path = locator.find('/') != std::string_view::npos;
    fail(is_path ? ErrorCode::kNotFound : ErrorCode::kUsage, "--model",
         "expected a folder, org/name[@revision] or a short name (" +
             std::string(default_model().short_name) + "), got \"" + printable(locator, 400) +
             (is_path ? "\", where no folder is. Correct the path."
                      : "\". inlay model list prints the short names."));
  }
  std::vector<std::string> places;
  const fs::path folder = find_local(id.id, id.revision, &places);
  if (folder.empty()) not_found(locator, id, std::move(places));
  return {folder, id.id};
}

}  // namespace inlay::files
