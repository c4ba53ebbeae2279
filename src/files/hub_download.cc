// A part file belongs to one living process, whose id is in its name: whoever comes later takes the
// part of a dead one over by renaming it. So no two write to one file even where locks do not hold,
// and nothing but checked bytes is ever renamed to a blob.
#include "files/hub_download.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <optional>
#include <thread>

#include "base/error.h"
#include "files/digest.h"

namespace inlay::files {
namespace fs = std::filesystem;
namespace {

constexpr int kMaxFailures = 5;                         // in a row, without getting ahead
constexpr std::int64_t kAhead = std::int64_t{1} << 20;  // bytes that make up for earlier failures
constexpr std::chrono::milliseconds kFirstPause{500};
constexpr std::chrono::milliseconds kTick{100};
constexpr std::int64_t kLongestWait = 300;  // seconds that Retry-After may ask for
constexpr std::string_view kPartEnding = ".inlay-part";
// A living owner writes at least this often: its transfer is cut when it stalls, and it touches its
// part while it waits.
constexpr std::int64_t kAbandonedAfter = 120;  // seconds, beyond the stall limit

bool passing(int status) { return status == 408 || status == 429 || status >= 500; }

// Waits, asking go_on and doing `meanwhile` every tick.
template <typename Meanwhile>
void wait_for(std::chrono::milliseconds time, const std::function<bool()>& go_on,
              const Meanwhile& meanwhile) {
  for (; time.count() > 0; time -= kTick) {
    if (go_on && !go_on()) {
      fail(ErrorCode::kCancelled, "download", "expected to finish, got cancelled.");
    }
    meanwhile();
    std::this_thread::sleep_for(std::min(time, kTick));
  }
}

// How long to wait after the `failures`-th failure in a row; nothing: not worth another try.
std::optional<std::chrono::milliseconds> pause_after(const HttpAnswer& answer, int failures) {
  if (failures > kMaxFailures) return std::nullopt;
  const std::int64_t asked = answer.status == 0 ? -1 : retry_after(answer);
  if (asked > kLongestWait) return std::nullopt;
  if (asked >= 0) return std::chrono::seconds(asked);
  return kFirstPause * (1 << (failures - 1));
}

// Machine and process-id space: two processes compare ids only when these are equal.
std::string place_name() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  std::error_code error;
  const std::string space = fs::read_symlink("/proc/self/ns/pid", error).string();
  Digest digest(Digest::Kind::kSha256);
  digest.update(host.data());
  digest.update(space);
  return digest.hex().substr(0, 12);
}

// "<etag>.<place>-<process>-<number>.inlay-part"
struct PartName {
  std::string place;
  long process = 0;
};
std::optional<PartName> parse_part(const std::string& name, const std::string& etag) {
  if (!name.starts_with(etag + ".") || !name.ends_with(kPartEnding)) return std::nullopt;
  const std::string_view middle = std::string_view(name).substr(
      etag.size() + 1, name.size() - etag.size() - 1 - kPartEnding.size());
  const std::size_t dash = middle.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  PartName part{std::string(middle.substr(0, dash)), 0};
  const auto [end, error] =
      std::from_chars(middle.data() + dash + 1, middle.data() + middle.size(), part.process);
  if (error != std::errc() || part.process <= 0) return std::nullopt;
  return part;
}

bool abandoned(const fs::path& path, const PartName& part, int stall_seconds) {
  if (part.place == place_name() && ::kill(static_cast<pid_t>(part.process), 0) != 0 &&
      errno == ESRCH)
    return true;
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 &&
         ::time(nullptr) - status.st_mtime > stall_seconds + kAbandonedAfter;
}

// The part file of this download, and the hash of what is in it.
class Part {
 public:
  Part(const HubFile& file, const fs::path& blob, int stall_seconds)
      : file_(file), blob_(blob), digest_(fresh_digest()) {
    static std::atomic<int> count{0};
    path_ = blob_.string() + "." + place_name() + "-" + std::to_string(::getpid()) + "-" +
            std::to_string(count++) + std::string(kPartEnding);
    const std::vector<fs::path> leftovers = find_leftovers(stall_seconds);
    if (!leftovers.empty()) ::rename(leftovers.front().c_str(), path_.c_str());
    for (const fs::path& other : leftovers) ::unlink(other.c_str());  // smaller ones
    fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd_ < 0) cannot_write(path_, needed() + " written", errno);
    take_up();
    check_space();
  }
  // What has arrived stays for the next try; an empty file does not.
  ~Part() {
    if (fd_ >= 0) ::close(fd_);
    if (size_ == 0) ::unlink(path_.c_str());
  }
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

  std::int64_t size() const { return size_; }

  void append(std::string_view bytes) {
    digest_.update(bytes);
    while (!bytes.empty()) {
      const ssize_t wrote = ::pwrite(fd_, bytes.data(), bytes.size(), size_);
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0) cannot_write(path_, needed() + " written", errno);
      size_ += wrote;
      bytes.remove_prefix(static_cast<std::size_t>(wrote));
    }
  }

  void start_over() {
    if (::ftruncate(fd_, 0) != 0) cannot_write(path_, "a file to empty", errno);
    size_ = 0;
    digest_ = fresh_digest();
  }

  void touch() { ::futimens(fd_, nullptr); }

  // The hash of all bytes; the file can only be started over or promoted after it.
  std::string hash() { return digest_.hex(); }

  // Makes it the blob.
  void promote() {
    if (::fsync(fd_) != 0) cannot_write(path_, needed() + " on disk", errno);
    if (::rename(path_.c_str(), blob_.c_str()) != 0) cannot_write(blob_, needed(), errno);
    const int folder = ::open(blob_.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
      ::fsync(folder);
      ::close(folder);
    }
  }

 private:
  Digest fresh_digest() const {
    Digest digest(file_.is_sha256() ? Digest::Kind::kSha256 : Digest::Kind::kSha1);
    if (!file_.is_sha256()) {
      const std::string header = "blob " + std::to_string(file_.size);
      digest.update({header.c_str(), header.size() + 1});  // with the NUL, as git has it
    }
    return digest;
  }

  std::string needed() const { return std::to_string(file_.size - size_) + " bytes"; }

  // Parts of processes that are gone, the longest first.
  std::vector<fs::path> find_leftovers(int stall_seconds) const {
    std::vector<std::pair<std::uintmax_t, fs::path>> found;
    std::error_code error;
    for (fs::directory_iterator entry(blob_.parent_path(), error), end; !error && entry != end;
         entry.increment(error)) {
      const auto part = parse_part(entry->path().filename().string(), file_.etag);
      std::error_code ignored;
      if (part && abandoned(entry->path(), *part, stall_seconds)) {
        found.emplace_back(fs::file_size(entry->path(), ignored), entry->path());
      }
    }
    std::sort(found.begin(), found.end(), std::greater<>());
    std::vector<fs::path> paths;
    paths.reserve(found.size());
    for (auto& [size, path] : found) paths.push_back(std::move(path));
    return paths;
  }

  // Reads what an earlier try left into the hash.
  void take_up() {
    struct stat status {};
    if (::fstat(fd_, &status) != 0 || status.st_size > file_.size) return start_over();
    std::string buffer(std::size_t{1} << 20, '\0');
    while (size_ < status.st_size) {
      const ssize_t got = ::pread(fd_, buffer.data(), buffer.size(), size_);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return start_over();
      digest_.update({buffer.data(), static_cast<std::size_t>(got)});
      size_ += got;
    }
  }

  void check_space() {
    struct statvfs space {};
    if (::fstatvfs(fd_, &space) != 0 || space.f_blocks == 0) return;  // it does not say
    const auto free = static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize;
    if (free >= static_cast<std::uint64_t>(file_.size - size_)) return;
    fail(ErrorCode::kCannotWrite, blob_.parent_path().string(),
         "expected " + needed() + " free for " + file_.path + ", got " + std::to_string(free) +
             ". Free space there, or name another cache with HF_HUB_CACHE.");
  }

  const HubFile& file_;
  fs::path blob_, path_;
  Digest digest_;
  int fd_ = -1;
  std::int64_t size_ = 0;
};

// Whether "bytes 100-199/200" begins at `offset` and is of a file of `size` bytes.
bool range_fits(const std::map<std::string, std::string>& headers, std::int64_t offset,
                std::int64_t size) {
  const auto at = headers.find("content-range");
  if (at == headers.end()) return false;
  const std::string begin = "bytes " + std::to_string(offset) + "-";
  return at->second.starts_with(begin) &&
         (at->second.ends_with("/" + std::to_string(size)) || at->second.ends_with("/*"));
}

// One request for what is missing. The part grows by what arrives; what does not fit (`*misfit`)
// empties it.
HttpAnswer fetch_rest(HttpClient& http, const HubSettings& settings, const std::string& url,
                      const HubFile& file, Part* part, std::int64_t* received, bool* misfit,
                      const BlobProgress& progress) {
  bool cancelled = false;
  HttpRequest request;
  request.url = url;
  request.token = settings.token;
  request.offset = part->size();
  request.connect_seconds = settings.answer_seconds;
  request.stall_seconds = settings.stall_seconds;
  request.begin = [&](int status, const std::map<std::string, std::string>& headers) {
    if (status == 200 && part->size() > 0) part->start_over();  // it gives all or nothing
    *misfit = status == 206 && !range_fits(headers, part->size(), file.size);
    return (status == 200 || status == 206) && !*misfit;
  };
  request.take = [&](std::string_view bytes) {
    *misfit = part->size() + static_cast<std::int64_t>(bytes.size()) > file.size;
    if (*misfit) return false;
    part->append(bytes);
    *received += static_cast<std::int64_t>(bytes.size());
    return true;
  };
  request.go_on = [&] {
    cancelled = !progress(part->size());
    return !cancelled;
  };
  HttpAnswer answer = http.send(request);
  if (cancelled) fail(ErrorCode::kCancelled, "download", "expected to finish, got cancelled.");
  if (answer.status == 416 || *misfit) {
    part->start_over();
    answer.end = HttpEnd::kBroken;
    answer.error = *misfit ? "bytes that do not fit the file" : "416 for a part of the file";
  }
  return answer;
}

bool refusal(const HttpAnswer& answer) {
  return answer.status >= 400 && !passing(answer.status) && answer.status != 416;
}

}  // namespace

HttpAnswer send_patiently(HttpClient& http, const HttpRequest& request) {
  for (int failures = 1;; ++failures) {
    HttpAnswer answer = http.send(request);
    const bool settled = answer.end == HttpEnd::kUnreachable || answer.end == HttpEnd::kStopped ||
                         (answer.end == HttpEnd::kComplete && !passing(answer.status));
    if (settled) return answer;
    const auto pause = pause_after(answer, failures);
    if (!pause) return answer;
    wait_for(*pause, request.go_on, [] {});
  }
}

void refuse_answer(const HttpAnswer& answer, const HubSettings& settings, const std::string& what) {
  const auto header = [&](const char* name) {
    const auto at = answer.headers.find(name);
    return at == answer.headers.end() ? std::string() : printable(at->second, 200);
  };
  if (answer.end != HttpEnd::kComplete && answer.status < 400) {
    fail(ErrorCode::kUnavailable, settings.endpoint,
         "expected " + what + ", got: " + printable(answer.error, 300) +
             ". See network, proxy and HF_ENDPOINT, or try again later.");
  }
  const std::string code = header("x-error-code"), said = header("x-error-message");
  const std::string got = std::to_string(answer.status) + (said.empty() ? "" : " (" + said + ")");
  if (answer.status == 404 || answer.status == 410) {
    fail(ErrorCode::kNotFound, settings.endpoint,
         "expected " + what + ", got " + got + ". Correct the name or the revision.");
  }
  if (answer.status == 401 || answer.status == 403) {
    const bool gated = code == "GatedRepo";
    fail(
        ErrorCode::kNotFound, settings.endpoint,
        "expected " + what + ", got " + got + ". " +
            (gated ? "Accept its conditions on the Hub and set HF_TOKEN to a token of that account."
             : settings.token.empty()
                 ? "It does not exist, or is private: then set HF_TOKEN."
                 : "It does not exist, or the token (HF_TOKEN) may not read it."));
  }
  const std::int64_t wait = retry_after(answer);
  fail(ErrorCode::kUnavailable, settings.endpoint,
       "expected " + what + ", got " + got +
           (wait > 0 ? ". Try again in " + std::to_string(wait) + " s." : ". Try again later."));
}

std::int64_t fetch_blob(HttpClient& http, const HubSettings& settings, const HubCache& cache,
                        const std::string& url, const HubFile& file, const BlobProgress& progress) {
  Part part(file, cache.blob(file.etag), settings.stall_seconds);
  std::int64_t received = 0;
  int failures = 0;
  bool damaged = false;
  while (true) {
    HttpAnswer answer;
    const std::int64_t before = received;
    bool misfit = false;
    if (part.size() < file.size || file.size == 0) {
      answer = fetch_rest(http, settings, url, file, &part, &received, &misfit, progress);
      if (refusal(answer)) refuse_answer(answer, settings, file.path);
    }
    if (part.size() == file.size && answer.status < 400) {
      const std::string hash = part.hash();
      if (hash == file.etag) break;
      part.start_over();
      if (std::exchange(damaged, true)) {
        fail(ErrorCode::kUnavailable, url,
             "expected " + file.path + " with the hash " + file.etag + ", got " + hash +
                 " twice. A proxy or the server changes its bytes.");
      }
      continue;
    }
    if (received - before >= kAhead) failures = 0;
    if (misfit && std::exchange(damaged, true)) refuse_answer(answer, settings, file.path);
    const auto pause = pause_after(answer, ++failures);
    if (!pause) {
      if (answer.error.empty() && answer.status < 400) {
        answer.error = std::to_string(part.size()) + " of " + std::to_string(file.size) + " bytes";
        answer.end = HttpEnd::kBroken;
      }
      refuse_answer(answer, settings, file.path);
    }
    wait_for(
        *pause, [&] { return progress(part.size()); }, [&] { part.touch(); });
  }
  part.promote();
  progress(file.size);
  return received;
}

}  // namespace inlay::files
