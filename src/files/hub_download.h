// One file from the Hub to its blob: resumed, checked by its hash, complete under its name or not
// there at all.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "files/http.h"
#include "files/hub_cache.h"
#include "files/hub_listing.h"
#include "files/hub_settings.h"

namespace inlay::files {

// How far one file has come; false ends the download with kCancelled, keeping what has arrived.
using BlobProgress = std::function<bool(std::int64_t bytes)>;

// Fetches `url` into cache.blob(file.etag). file.size and file.etag must be known. What an earlier
// try left behind is taken up; failures of server and network are tried again a bounded number of
// times, as long as Retry-After asks. Returns the bytes that came over the network. Throws
// kUnavailable (the server does not deliver these bytes), kNotFound (not there, or no permission),
// kCannotWrite, kCancelled.
std::int64_t fetch_blob(HttpClient& http, const HubSettings& settings, const HubCache& cache,
                        const std::string& url, const HubFile& file, const BlobProgress& progress);

// Sends until an answer comes that is not a passing failure (no connection once there was one, 408,
// 429, 5xx). A first connection that cannot be made is not tried again. `go_on` as in HttpRequest.
HttpAnswer send_patiently(HttpClient& http, const HttpRequest& request);

// The error for an answer that is no success: kNotFound for 401, 403, 404, 410, else kUnavailable.
// `what` is what was asked for: "the model org/name".
[[noreturn]] void refuse_answer(const HttpAnswer& answer, const HubSettings& settings,
                                const std::string& what);

}  // namespace inlay::files
