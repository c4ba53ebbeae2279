// Fetching a model from a Hugging Face Hub into the shared cache. Prints nothing; writes nothing
// but the cache.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "files/hub_settings.h"

namespace inlay::files {

struct HubProgress {
  std::string_view file;             // under way
  std::int64_t done = 0, total = 0;  // bytes of all files of the model
};
// Called from the fetching thread, several times a second; false ends the fetch with kCancelled.
// What had arrived is taken up by the next fetch.
using HubCallback = std::function<bool(const HubProgress&)>;

struct HubModel {
  std::filesystem::path folder;  // snapshots/<commit>
  std::string commit;
  std::int64_t files = 0, bytes = 0;  // of the model
  std::int64_t received = 0;          // bytes that came over the network
};

// Resolves `revision` ("main" when empty) once, fetches what is missing of that commit, and then
// names it in refs/. Several processes at once fetch a file once. Throws kNotFound (no such model
// or revision, or no permission), kUnavailable (no libcurl, no network, a server that does not
// deliver), kCannotWrite, kCancelled, kBadInput (an answer that is not a Hub's), kUnsupported (a
// repository without a model's files). Thread-safe.
HubModel fetch_model(const HubSettings& settings, std::string_view id, std::string_view revision,
                     const HubCallback& callback);

}  // namespace inlay::files
