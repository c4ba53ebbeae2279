// Looking for a model on this machine.
#include "files/locate.h"

#include <algorithm>
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
  return value.empty() ? fs::path("/") : fs::path(value);
}

fs::path xdg(const char* variable, const char* fallback) {
  const std::string value = environment(variable);
  return value.empty() ? home() / fallback : fs::path(value);
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

// The snapshot that a ref or commit names in the shared Hugging Face cache; empty when it is not
// there.
fs::path hub_snapshot(std::string_view id, std::string_view revision) {
  const fs::path folder = hub_folder(id);
  if (!is_folder(folder)) return {};
  const std::string wanted(revision.empty() ? "main" : revision);
  std::string commit = wanted;
  std::error_code error;
  if (fs::is_regular_file(folder / "refs" / wanted, error)) {
    commit = read_file(folder / "refs" / wanted, 256);
    while (!commit.empty() && (commit.back() == '\n' || commit.back() == ' ')) commit.pop_back();
  }
  if (!plain_name(commit)) return {};
  const fs::path snapshot = folder / "snapshots" / commit;
  return is_folder(snapshot) ? snapshot : fs::path();
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
  return own.empty() ? xdg("XDG_DATA_HOME", ".local/share") / "inlay" : fs::path(own);
}

fs::path cache_home() {
  const std::string own = environment("INLAY_HOME");
  return own.empty() ? xdg("XDG_CACHE_HOME", ".cache") / "inlay" : fs::path(own) / "cache";
}

fs::path hub_cache() {
  for (const char* variable : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    const std::string value = environment(variable);
    if (!value.empty()) return value;
  }
  const std::string hf_home = environment("HF_HOME");
  return hf_home.empty() ? xdg("XDG_CACHE_HOME", ".cache") / "huggingface" / "hub"
                         : fs::path(hf_home) / "hub";
}

fs::path find_local(std::string_view id, std::string_view revision) {
  // Inlay's own copies have no revisions: a pinned one must come from the shared cache.
  if (revision.empty()) {
    const fs::path own = data_home() / "models" / id;
    if (is_folder(own)) return own;
  }
  return hub_snapshot(id, revision);
}

Located locate(std::string_view locator) {
  if (locator.find('\0') != std::string_view::npos || locator.size() > 4096) {
    fail(
        ErrorCode::kUsage, "--model",
        "expected a folder, org/name[@revision] or a short name, got a text that is none of them.");
  }
  if (!locator.empty() && is_folder(fs::path(locator)))
    return {fs::path(locator), std::string(locator)};
  const KnownModel* known = locator.empty() ? &default_model() : nullptr;
  for (const KnownModel& model : known_models()) {
    if (locator == model.short_name || locator == model.id) known = &model;
  }
  HubId id;
  if (known != nullptr) {
    id.id = known->id;
  } else if (!parse_id(locator, &id)) {
    const bool path_like = locator.find('/') != std::string_view::npos;
    fail(path_like ? ErrorCode::kNotFound : ErrorCode::kUsage, "--model",
         "expected a folder, org/name[@revision] or a short name (minilm), got \"" +
             printable(locator, 200) + "\"" + (path_like ? ", and there is no such folder." : "."));
  }
  const fs::path folder = find_local(id.id, id.revision);
  if (!folder.empty()) return {folder, id.id};
  std::string message =
      "expected the model " + id.id + (id.revision.empty() ? "" : " at " + id.revision) +
      " on this machine, got nothing at " +
      (locator.empty() || known != nullptr ? "" : std::string(locator) + ", ") +
      (data_home() / "models" / id.id).string() + " and " + hub_folder(id.id).string() +
      ". This build downloads nothing: give a folder with -m";
  for (const KnownModel& model : known_models()) {
    if (id.id == model.id) message += std::string(", or obtain it with: ") + model.remedy;
  }
  fail(ErrorCode::kNotFound, "--model", message + ".");
}

}  // namespace inlay::files
