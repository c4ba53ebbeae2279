// Looking for a model on this machine, then on the Hub.
#include "files/locate.h"

#include <system_error>
#include <vector>

#include "base/error.h"
#include "files/hub_cache.h"
#include "files/hub_settings.h"

namespace inlay::files {
namespace {

namespace fs = std::filesystem;

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

// What this machine has of a model.
struct Local {
  fs::path folder;                  // empty: nothing
  bool complete = false;            // nothing that a model needs can be missing
  std::vector<std::string> places;  // looked at in vain
};

Local look(const HubId& id) {
  Local local;
  // Inlay's own copies have no revisions: a pinned one must come from the shared cache.
  if (id.revision.empty()) {
    fs::path own = data_home() / "models" / id.id;
    if (is_folder(own)) {
      local.folder = std::move(own);
      local.complete = true;
      return local;
    }
    local.places.push_back(own.string());
  }
  const HubCache cache(hub_cache(), id.id);
  const std::string wanted = id.revision.empty() ? "main" : id.revision;
  std::string commit = cache.commit_of(wanted);
  if (commit.empty()) {
    local.places.push_back(cache.ref(wanted).string());
    if (!is_commit(wanted)) return local;
    commit = wanted;
  }
  const fs::path snapshot = cache.snapshot(commit);
  if (is_folder(snapshot)) {
    local.folder = snapshot;
    local.complete = cache.complete(commit);
  } else {
    local.places.push_back(snapshot.string());
  }
  return local;
}

// Commits of the model that the shared cache holds, for the message when another one was asked for.
std::string commits_at_hand(const std::string& id) {
  std::string list;
  std::error_code error;
  const HubCache cache(hub_cache(), id);
  for (fs::directory_iterator entry(cache.folder() / "snapshots", error), end;
       !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!is_commit(name) || list.size() > 400) continue;
    list += (list.empty() ? "" : ", ") + id + "@" + name;
  }
  return list;
}

// `hub` says why the Hub did not help.
[[noreturn]] void not_found(std::string_view locator, const HubId& id,
                            std::vector<std::string> places, const std::string& hub) {
  std::string message = "expected the model " + id.id +
                        (id.revision.empty() ? "" : " at revision " + id.revision) +
                        " on this machine, got nothing at ";
  if (locator.find('/') != std::string_view::npos) {
    std::error_code error;
    places.insert(places.begin(), fs::absolute(fs::path(locator), error).string());
  }
  for (std::size_t i = 0; i < places.size(); ++i) message += (i == 0 ? "" : ", ") + places[i];
  message += ". " + hub + (hub.ends_with('.') ? " " : ". ") + "To have it, ";
  const KnownModel* known = find_known_model(id.id);
  if (known != nullptr && *known->remedy != '\0' && id.revision.empty()) {
    message += std::string("run ") + known->remedy + ", or ";
  }
  message += "give the model's folder with -m FOLDER";
  const std::string commits = commits_at_hand(id.id);
  if (!commits.empty()) message += ", or take one that is here: " + commits;
  fail(ErrorCode::kNotFound, "--model", message + ".");
}

HubId read_locator(std::string_view locator) {
  HubId id;
  if (locator.empty()) id.id = default_model().id;
  for (const KnownModel& model : known_models()) {
    if (!locator.empty() && locator == model.short_name) id.id = model.id;
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
  id.id = std::string(hub_id(id.id));
  return id;
}

// Found on this machine.
Located at(fs::path folder, std::string name) {
  Located located;
  located.folder = std::move(folder);
  located.name = std::move(name);
  return located;
}

}  // namespace

fs::path find_local(std::string_view id, std::string_view revision, bool* complete) {
  if (complete != nullptr) *complete = false;
  HubId parsed;
  const std::string locator =
      std::string(id) + (revision.empty() ? "" : "@" + std::string(revision));
  if (!parse_id(locator, &parsed)) return {};
  try {
    Local local = look(parsed);
    if (complete != nullptr) *complete = local.complete;
    return std::move(local.folder);
  } catch (const Error&) {
    return {};
  }
}

Located locate(std::string_view locator, Ask ask, const HubCallback& callback) {
  if (locator.size() > kMaxLocator || locator.find('\0') != std::string_view::npos) {
    fail(ErrorCode::kUsage, "--model",
         "expected a folder, org/name[@revision] or a short name of at most " +
             std::to_string(kMaxLocator) + " bytes, got another text.");
  }
  if (!locator.empty() && is_folder(fs::path(locator))) {
    return at(fs::path(locator), std::string(locator));
  }
  const HubId id = read_locator(locator);
  const Local local = look(id);
  const bool own = !local.folder.empty() && local.folder.parent_path().filename() != "snapshots";
  const bool pinned = is_commit(id.revision);
  const KnownModel* known = find_known_model(id.id);
  // Without a folder it is a model all the same.
  const bool formula = known != nullptr && !needs_files(*known) && id.revision.empty();
  const bool enough = !local.folder.empty() || (formula && ask != Ask::kAlways);
  if (local.complete && (ask != Ask::kAlways || own || pinned)) return at(local.folder, id.id);
  if (ask == Ask::kNever) {
    if (enough) return at(local.folder, id.id);
    not_found(locator, id, local.places, "This command downloads nothing; inlay model get does");
  }
  if (hub_offline()) {
    if (enough) return at(local.folder, id.id);
    not_found(locator, id, local.places, "HF_HUB_OFFLINE forbids downloads");
  }
  try {
    HubModel model = fetch_model(HubSettings::from_environment(), id.id, id.revision, callback);
    return {std::move(model.folder), id.id, model.files, model.bytes, model.received, ""};
  } catch (const Error& error) {
    const bool unreachable = error.code() == ErrorCode::kUnavailable;
    // What is here is taken where the Hub cannot be had; a wish for the newest does not hide that
    // the Hub lacks the model.
    const bool usable =
        ask == Ask::kAlways
            ? local.complete && (unreachable || error.code() == ErrorCode::kCannotWrite)
            : enough && error.code() != ErrorCode::kCancelled;
    if (usable) return {local.folder, id.id, 0, 0, 0, error.what()};
    if (!unreachable || ask == Ask::kAlways) throw;
    not_found(locator, id, local.places,
              std::string("It could not be downloaded either: ") + error.what());
  }
}

}  // namespace inlay::files
