// The public Model's finding, fetching and listing: the table of known models joined with what this
// build can run and what lies on this machine.
#include <cmath>

#include "arch/arch.h"
#include "base/options.h"
#include "files/folder.h"
#include "files/locate.h"
#include "inlay/inlay.hpp"

namespace inlay {
namespace {

// The same word; '-' and '_' are one, as config.json and Python's module names spell types.
bool same_type(std::string_view a, std::string_view b) {
  const auto plain = [](char c) { return c == '-' ? '_' : c; };
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [&](char x, char y) { return plain(x) == plain(y); });
}

// Whether arch/ has the family: each Architecture lists the types that it takes, "a, b, c".
bool has_family(std::string_view family) {
  for (const arch::Architecture* architecture : arch::all()) {
    std::string_view types = architecture->families;
    while (!types.empty()) {
      const std::size_t end = std::min(types.find(','), types.size());
      std::string_view type = types.substr(0, end);
      types.remove_prefix(std::min(end + 1, types.size()));
      while (type.starts_with(' ')) type.remove_prefix(1);
      type = type.substr(0, type.find(' '));  // what follows a type is a remark
      if (same_type(type, family)) return true;
    }
  }
  return false;
}

// Whether this build has the task: a command that does it.
bool has_task(std::string_view task) {
  const std::string_view command = task == "dense" ? "embed" : task;
  for (const CommandInfo& info : command_table()) {
    if (command == info.name) return true;
  }
  return false;
}

std::string missing_for(const files::KnownModel& known) {
  std::string missing;
  if (files::needs_files(known) && !has_family(known.family))
    missing = std::string("family ") + known.family;
  if (!has_task(known.task)) {
    missing += (missing.empty() ? "" : ", ") + std::string("task ") + known.task;
  }
  return missing;
}

std::string revision_of(const std::string& folder) {
  return folder.empty() ? "" : files::ModelFolder(folder).revision();
}

}  // namespace

std::string Model::find(std::string_view locator) {
  return files::locate(locator, files::Ask::kNever).folder.string();
}

GetResult Model::get(std::string_view locator, const GetOptions& options) {
  files::HubCallback callback;
  if (options.progress) {
    callback = [&](const files::HubProgress& progress) {
      return options.progress({progress.file, progress.done, progress.total});
    };
  }
  const files::Located located = files::locate(
      locator, options.update ? files::Ask::kAlways : files::Ask::kWhenMissing, callback);
  GetResult result;
  result.name = located.name;
  result.path = located.folder.string();
  result.revision = revision_of(result.path);
  result.files = located.files;
  result.bytes = located.bytes;
  result.received = located.received;
  result.note = located.note;
  return result;
}

std::vector<ModelEntry> Model::list() {
  std::vector<ModelEntry> entries;
  for (const files::KnownModel& known : files::known_models()) {
    ModelEntry entry;
    entry.name = known.short_name;
    entry.id = known.id;
    entry.task = known.task;
    entry.path = files::find_local(known.id, "", &entry.complete).string();
    entry.revision = revision_of(entry.path);
    entry.family = known.family;
    entry.parameters = std::llround(known.millions * 1e6);
    entry.dimensions = known.dimensions;
    entry.max_tokens = known.max_tokens;
    entry.query = known.query;
    entry.document = known.document;
    entry.licence = known.licence;
    entry.missing = missing_for(known);
    entry.support = !entry.missing.empty() ? "not supported yet"
                    : known.real_weights   ? "real weights"
                                           : "layout only";
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace inlay
