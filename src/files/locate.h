// From a locator to a folder: a path, a built-in short name, org/name[@revision] in Inlay's own
// models, the shared Hugging Face cache or the Hub.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "files/hub.h"
#include "files/known_models.h"
#include "files/places.h"

namespace inlay::files {

struct Located {
  std::filesystem::path folder;  // empty: none is here, and the model needs none (BM25)
  std::string name;              // id, or the folder as given
  // Set when the Hub was asked.
  std::int64_t files = 0, bytes = 0;  // of the model
  std::int64_t received = 0;          // over the network
  std::string note;  // why the Hub's answer was not had and what is here was taken; else empty
};

enum class Ask {
  kNever,        // this machine only
  kWhenMissing,  // the Hub for what this machine lacks
  kAlways,  // the Hub for the newest commit of the revision; what is here when it is unreachable
};

// An existing folder wins, then a short name, then org/name[@revision] in Inlay's own models (which
// have no revisions), then in the shared cache: refs/<revision>, "main" by default, or a commit;
// then on the Hub, unless HF_HUB_OFFLINE is set. A complete folder is found without the network. A
// snapshot that may lack files is completed where the Hub can be asked, and else taken as it is.
// Throws kNotFound with every place looked at and the remedy, kUsage for a locator of no known
// form, kBadInput for a broken ref, and what fetch_model throws; an unreachable Hub is kNotFound,
// but kUnavailable under kAlways. An empty locator means the default model.
Located locate(std::string_view locator, Ask ask = Ask::kWhenMissing,
               const HubCallback& callback = {});

// What is on this machine, without the network; empty when it is not. `*complete` says whether
// nothing can be missing from it. Never throws for a broken cache.
std::filesystem::path find_local(std::string_view id, std::string_view revision,
                                 bool* complete = nullptr);

}  // namespace inlay::files
