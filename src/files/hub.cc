// The order of events: resolve, list, fetch file by file, name.
#include "files/hub.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>

#include "base/error.h"
#include "files/hub_cache.h"
#include "files/hub_download.h"
#include "files/hub_listing.h"
#include "files/places.h"

namespace inlay::files {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMaxAnswer = std::size_t{64} << 20U;
// Whether these are in a commit decides how a folder is read; when they are not, the cache says so.
constexpr std::array<const char*, 3> kTelling{"modules.json", "config_sentence_transformers.json",
                                              "sentence_bert_config.json"};

class Fetch {
 public:
  Fetch(const HubSettings& settings, std::string_view id, std::string_view revision,
        const HubCallback& callback)
      : settings_(settings),
        id_(id),
        revision_(revision.empty() ? "main" : revision),
        callback_(callback),
        cache_(settings.cache, id) {}

  HubModel run() {
    const HubListing listing = list();
    std::vector<HubFile> files = needed_files(listing);
    if (files.empty()) {
      fail(ErrorCode::kUnsupported, settings_.endpoint,
           "expected " + what() + " with config.json and weights, got a repository without them.");
    }
    for (HubFile& file : files) {
      if (file.etag.empty() || file.size < 0) ask_for(listing.commit, &file);
      progress_.total += file.size;
    }
    HubModel model;
    model.folder = cache_.snapshot(listing.commit);
    model.commit = listing.commit;
    model.files = static_cast<std::int64_t>(files.size());
    model.bytes = progress_.total;
    cache_.prepare(listing.commit);
    for (const HubFile& file : files) {
      progress_.file = file.path;
      model.received += bring(listing.commit, file);
      finished_ += file.size;
    }
    for (const char* name : kTelling) {
      const bool exists = std::any_of(listing.files.begin(), listing.files.end(),
                                      [&](const HubFile& file) { return file.path == name; });
      if (!exists) cache_.mark_absent(listing.commit, name);
    }
    cache_.set_ref(revision_, listing.commit);
    return model;
  }

 private:
  std::string what() const {
    return "the model " + id_ + (revision_ == "main" ? "" : " at revision " + revision_);
  }

  bool tell(std::int64_t of_file) {
    progress_.done = finished_ + of_file;
    return !callback_ || callback_(progress_);
  }

  // A request for something small, answered within answer_seconds.
  HttpRequest question(std::string url) {
    HttpRequest request;
    request.url = std::move(url);
    request.token = settings_.token;
    request.connect_seconds = request.stall_seconds = settings_.answer_seconds;
    request.go_on = [this] { return tell(0); };
    return request;
  }

  // The answer to a question, when it is one.
  HttpAnswer ask(const HttpRequest& request, const std::string& subject) {
    HttpAnswer answer = send_patiently(http_, request);
    if (answer.end == HttpEnd::kStopped) {
      fail(ErrorCode::kCancelled, "download", "expected to finish, got cancelled.");
    }
    if (answer.end != HttpEnd::kComplete || answer.status >= 400)
      refuse_answer(answer, settings_, subject);
    return answer;
  }

  HubListing list() {
    std::string revision = url_escape(revision_);
    for (std::size_t at = 0; (at = revision.find('/', at)) != std::string::npos;)
      revision.replace(at, 1, "%2F");
    HttpRequest request = question(settings_.endpoint + "/api/models/" + url_escape(id_) +
                                   "/revision/" + revision + "?blobs=true");
    std::string body;
    request.begin = [&](int, const auto&) {
      body.clear();
      return true;
    };
    request.take = [&](std::string_view bytes) {
      if (body.size() + bytes.size() > kMaxAnswer) {
        fail(ErrorCode::kBadInput, request.url,
             "expected a list of files of at most " + std::to_string(kMaxAnswer) +
                 " bytes, got more.");
      }
      body += bytes;
      return true;
    };
    ask(request, what());
    return parse_listing(body, request.url);
  }

  std::string url_of(const std::string& commit, const HubFile& file) const {
    return settings_.endpoint + "/" + url_escape(id_) + "/resolve/" + commit + "/" +
           url_escape(file.path);
  }

  // Size and hash by a HEAD, for a Hub whose listing does not tell them.
  void ask_for(const std::string& commit, HubFile* file) {
    HttpRequest request = question(url_of(commit, *file));
    request.head = true;
    const HttpAnswer answer = ask(request, file->path);
    const auto header = [&](const char* linked, const char* own) -> std::string {
      for (const char* name : {linked, own}) {
        const auto at = answer.headers.find(name);
        if (at != answer.headers.end()) return at->second;
      }
      return "";
    };
    if (const auto at = answer.headers.find("x-repo-commit");
        at != answer.headers.end() && at->second != commit) {
      fail(ErrorCode::kUnavailable, request.url,
           "expected commit " + commit + ", got " + printable(at->second) + ". Try again.");
    }
    file->etag = clean_etag(header("x-linked-etag", "etag"));
    const std::string size = header("x-linked-size", "content-length");
    const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), file->size);
    if (file->etag.empty() || error != std::errc() || end != size.data() + size.size() ||
        file->size < 0) {
      fail(ErrorCode::kUnavailable, request.url,
           "expected the file's hash and size in the answer's headers, got ETag \"" +
               printable(header("x-linked-etag", "etag")) + "\" and size \"" + printable(size) +
               "\". A file without them cannot be checked; see HF_ENDPOINT.");
    }
  }

  static bool holds(const fs::path& path, const HubFile& file) {
    std::error_code error;
    return fs::is_regular_file(path, error) &&
           fs::file_size(path, error) == static_cast<std::uintmax_t>(file.size) && !error;
  }

  // Makes one file of the snapshot; returns the bytes that came over the network.
  std::int64_t bring(const std::string& commit, const HubFile& file) {
    const fs::path pointer = cache_.snapshot(commit) / file.path;
    if (!tell(0)) fail(ErrorCode::kCancelled, "download", "expected to finish, got cancelled.");
    if (holds(pointer, file)) return 0;
    const HubLock lock(cache_, file.etag, [this] { return tell(0); });
    if (holds(pointer, file)) return 0;  // another process was quicker
    const bool fetched = !holds(cache_.blob(file.etag), file);
    std::int64_t received = 0;
    if (fetched) {
      received = fetch_blob(http_, settings_, cache_, url_of(commit, file), file,
                            [this](std::int64_t bytes) { return tell(bytes); });
    }
    cache_.place(commit, file.path, file.etag,
                 settings_.symlinks ? HubCache::Placing::kLink
                 : fetched          ? HubCache::Placing::kMove
                                    : HubCache::Placing::kCopy);
    return received;
  }

  const HubSettings& settings_;
  const std::string id_, revision_;
  const HubCallback& callback_;
  HubCache cache_;
  HttpClient http_;
  HubProgress progress_;
  std::int64_t finished_ = 0;
};

}  // namespace

HubModel fetch_model(const HubSettings& settings, std::string_view id, std::string_view revision,
                     const HubCallback& callback) {
  return Fetch(settings, id, revision, callback).run();
}

}  // namespace inlay::files
