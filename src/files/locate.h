// From a locator to a folder: a path, a built-in short name, org/name[@revision] in Inlay's own
// models or the shared Hugging Face cache. Touches the file system, never the network.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace inlay::files {

struct KnownModel {
  const char* short_name;  // "minilm"
  const char* id;          // "sentence-transformers/all-MiniLM-L6-v2"
  const char* task;        // "dense"
  const char* remedy;      // how to obtain it, for the error message
};
const std::vector<KnownModel>& known_models();
const KnownModel& default_model();

struct Located {
  std::filesystem::path folder;
  std::string name;  // id, or the folder as given
};

// An existing folder wins, then a short name, then org/name[@revision] in Inlay's own models (which
// have no revisions), then in the shared cache: refs/<revision>, "main" by default, or a commit.
// Throws kNotFound with every place looked at and the remedy, kUsage for a locator of no known
// form, kBadInput for a broken ref. An empty locator means the default model.
Located locate(std::string_view locator);
// The folder, or empty when it is not on this machine.
std::filesystem::path find_local(std::string_view id, std::string_view revision);

// $INLAY_HOME, else $XDG_DATA_HOME/inlay, else ~/.local/share/inlay; models lie in models/org/name
// below it.
std::filesystem::path data_home();
// $INLAY_HOME/cache, else $XDG_CACHE_HOME/inlay, else ~/.cache/inlay.
std::filesystem::path cache_home();
// HF_HUB_CACHE, else HUGGINGFACE_HUB_CACHE, else $HF_HOME/hub, else
// $XDG_CACHE_HOME/huggingface/hub, else ~/.cache/...
std::filesystem::path hub_cache();

}  // namespace inlay::files
