// libcurl behind a dozen function pointers. Redirects are followed here, not by libcurl, so that it
// can be read who gets the token.
#include "files/http.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <ctime>
#include <exception>
#include <utility>

#include "base/error.h"
#include "files/places.h"

namespace inlay::files {
namespace {

constexpr int kMaxRedirects = 10;
constexpr std::size_t kMaxHeaders = std::size_t{256} << 10U;  // bytes of one answer's headers
constexpr long kBufferBytes = 256L << 10;
constexpr curl_off_t kSlowest = 16;  // bytes a second; less for stall_seconds is a stall

#ifdef __APPLE__
constexpr std::array<const char*, 2> kLibraries{"libcurl.4.dylib", "libcurl.dylib"};
#else
constexpr std::array<const char*, 2> kLibraries{"libcurl.so.4", "libcurl-gnutls.so.4"};
#endif

struct Curl {
  decltype(&::curl_global_init) global_init = nullptr;
  decltype(&::curl_easy_init) easy_init = nullptr;
  decltype(&::curl_easy_cleanup) easy_cleanup = nullptr;
  decltype(&::curl_easy_reset) easy_reset = nullptr;
  decltype(&::curl_easy_setopt) easy_setopt = nullptr;
  decltype(&::curl_easy_perform) easy_perform = nullptr;
  decltype(&::curl_easy_getinfo) easy_getinfo = nullptr;
  decltype(&::curl_easy_strerror) easy_strerror = nullptr;
  decltype(&::curl_slist_append) slist_append = nullptr;
  decltype(&::curl_slist_free_all) slist_free_all = nullptr;
  decltype(&::curl_getdate) getdate = nullptr;
  std::string error;  // why it is not here
};

template <typename Function>
void bind(void* library, const char* name, Function* function, Curl* curl) {
  *function = reinterpret_cast<Function>(::dlsym(library, name));
  if (*function == nullptr && curl->error.empty()) curl->error = std::string("no ") + name;
}

Curl open_curl() {
  Curl curl;
  void* library = nullptr;
  for (const char* name : kLibraries) {
    library = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) break;
    const char* reason = ::dlerror();
    if (curl.error.empty() && reason != nullptr) curl.error = reason;
  }
  if (library == nullptr) {
    if (curl.error.empty()) curl.error = std::string("no ") + kLibraries.front();
    return curl;
  }
  curl.error.clear();
  bind(library, "curl_global_init", &curl.global_init, &curl);
  bind(library, "curl_easy_init", &curl.easy_init, &curl);
  bind(library, "curl_easy_cleanup", &curl.easy_cleanup, &curl);
  bind(library, "curl_easy_reset", &curl.easy_reset, &curl);
  bind(library, "curl_easy_setopt", &curl.easy_setopt, &curl);
  bind(library, "curl_easy_perform", &curl.easy_perform, &curl);
  bind(library, "curl_easy_getinfo", &curl.easy_getinfo, &curl);
  bind(library, "curl_easy_strerror", &curl.easy_strerror, &curl);
  bind(library, "curl_slist_append", &curl.slist_append, &curl);
  bind(library, "curl_slist_free_all", &curl.slist_free_all, &curl);
  bind(library, "curl_getdate", &curl.getdate, &curl);
  if (curl.error.empty() && curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
    curl.error = "curl_global_init failed";
  }
  return curl;
}

const Curl& curl() {
  static const Curl opened = open_curl();  // never closed: threads of it may live
  return opened;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

// "https://host:port" of an address.
std::string origin_of(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return "";
  const std::size_t end = std::min(url.find_first_of("/?#", scheme + 3), url.size());
  std::string origin = lower(url.substr(0, end));
  if (origin.starts_with("https://") && origin.ends_with(":443")) origin.resize(origin.size() - 4);
  if (origin.starts_with("http://") && origin.ends_with(":80")) origin.resize(origin.size() - 3);
  return origin;
}

using Clock = std::chrono::steady_clock;

// What the callbacks of one hop share.
struct Hop {
  const HttpRequest* request;
  HttpAnswer* answer;
  CURL* handle;
  std::size_t header_bytes = 0;
  bool began = false, stopped = false, stalled = false;
  // A window of stall_seconds, begun anew whenever enough has arrived in it.
  Clock::time_point window = Clock::now();
  curl_off_t window_bytes = 0;
  int socket_error = 0;         // of this machine, not of the network
  std::exception_ptr thrown{};  // by a callback; must not cross libcurl

  // Asks a callback; false when it said so or threw.
  template <typename Callback>
  bool ask(Callback callback) noexcept {
    try {
      if (!stopped && !callback()) stopped = true;
    } catch (...) {
      thrown = std::current_exception();
      stopped = true;
    }
    return !stopped;
  }
  int status() const {
    long code = 0;
    curl().easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &code);
    return static_cast<int>(code);
  }
};

void read_header(std::string_view line, std::map<std::string, std::string>* headers) {
  if (line.starts_with("HTTP/"))
    headers->clear();  // also after "100 Continue": the last one counts
  const std::size_t colon = line.find(':');
  if (line.starts_with("HTTP/") || colon == std::string_view::npos) return;
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && static_cast<unsigned char>(value.front()) <= ' ') value.remove_prefix(1);
  while (!value.empty() && static_cast<unsigned char>(value.back()) <= ' ') value.remove_suffix(1);
  (*headers)[lower(line.substr(0, colon))] = std::string(value);
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) noexcept {
  Hop& hop = *static_cast<Hop*>(user);
  const std::size_t bytes = size * count;
  hop.header_bytes += bytes;
  if (hop.header_bytes > kMaxHeaders) return 0;
  const bool read = hop.ask([&] {
    read_header({data, bytes}, &hop.answer->headers);
    return true;
  });
  return read ? bytes : 0;
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) noexcept {
  Hop& hop = *static_cast<Hop*>(user);
  const int status = hop.status();
  if (status >= 300 && status < 400) return size * count;
  const bool wanted = hop.ask([&] {
    const bool first = !std::exchange(hop.began, true);
    if (first && hop.request->begin && !hop.request->begin(status, hop.answer->headers))
      return false;
    return !hop.request->take || hop.request->take({data, size * count});
  });
  return wanted ? size * count : 0;
}

// libcurl's own limit of speed averages over some seconds more than it is told.
int on_progress(void* user, curl_off_t, curl_off_t received, curl_off_t, curl_off_t) noexcept {
  Hop& hop = *static_cast<Hop*>(user);
  const auto now = Clock::now();
  if (received - hop.window_bytes >= kSlowest * hop.request->stall_seconds) {
    hop.window = now;
    hop.window_bytes = received;
  } else if (now - hop.window >= std::chrono::seconds(hop.request->stall_seconds)) {
    hop.stalled = true;
    return 1;
  }
  return hop.ask([&] { return !hop.request->go_on || hop.request->go_on(); }) ? 0 : 1;
}

curl_socket_t on_socket(void* user, curlsocktype, curl_sockaddr* address) noexcept {
  const int opened = ::socket(address->family, address->socktype, address->protocol);
  if (opened < 0) static_cast<Hop*>(user)->socket_error = errno;
  return opened < 0 ? CURL_SOCKET_BAD : opened;
}

HttpEnd end_of(CURLcode code, bool stopped) {
  if (stopped) return HttpEnd::kStopped;
  switch (code) {
    case CURLE_OK:
      return HttpEnd::kComplete;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return HttpEnd::kUnreachable;
    default:
      return HttpEnd::kBroken;
  }
}

}  // namespace

struct HttpClient::Impl {
  CURL* handle = nullptr;
  std::array<char, CURL_ERROR_SIZE> error{};

  template <typename Value>
  void set(CURLoption option, Value value) {
    curl().easy_setopt(handle, option, value);
  }
  void set_up(const std::string& url, bool with_token, curl_slist* headers, Hop* hop);
  // One request without redirects. `*next` becomes where a redirect leads, else empty.
  void hop(const HttpRequest& request, const std::string& url, bool with_token, HttpAnswer* answer,
           std::string* next);
};

void HttpClient::Impl::set_up(const std::string& url, bool with_token, curl_slist* headers,
                              Hop* hop) {
  const HttpRequest& request = *hop->request;
  curl().easy_reset(handle);  // connections stay
  error[0] = '\0';
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_ERRORBUFFER, error.data());
  set(CURLOPT_HTTPHEADER, headers);
  set(CURLOPT_USERAGENT, (std::string("inlay/") + version()).c_str());
  set(CURLOPT_NOBODY, request.head ? 1L : 0L);
  set(CURLOPT_BUFFERSIZE, kBufferBytes);
  set(CURLOPT_CONNECTTIMEOUT, static_cast<long>(request.connect_seconds));
  set(CURLOPT_HEADERFUNCTION, on_header);
  set(CURLOPT_HEADERDATA, hop);
  set(CURLOPT_WRITEFUNCTION, on_body);
  set(CURLOPT_WRITEDATA, hop);
  set(CURLOPT_OPENSOCKETFUNCTION, on_socket);
  set(CURLOPT_OPENSOCKETDATA, hop);
  set(CURLOPT_XFERINFOFUNCTION, on_progress);
  set(CURLOPT_XFERINFODATA, hop);
  set(CURLOPT_NOPROGRESS, 0L);
  if (request.offset > 0) set(CURLOPT_RANGE, (std::to_string(request.offset) + "-").c_str());
  if (with_token) {
    set(CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BEARER));
    set(CURLOPT_XOAUTH2_BEARER, request.token.c_str());
  }
  for (const char* variable : {"CURL_CA_BUNDLE", "SSL_CERT_FILE"}) {
    const std::string bundle = environment(variable);
    if (bundle.empty()) continue;
    set(CURLOPT_CAINFO, bundle.c_str());
    break;
  }
  const std::string folder = environment("SSL_CERT_DIR");
  if (!folder.empty()) set(CURLOPT_CAPATH, folder.c_str());
}

void HttpClient::Impl::hop(const HttpRequest& request, const std::string& url, bool with_token,
                           HttpAnswer* answer, std::string* next) {
  Hop hop{&request, answer, handle};
  curl_slist* headers = curl().slist_append(nullptr, "Accept-Encoding: identity");
  set_up(url, with_token, headers, &hop);
  const CURLcode code = curl().easy_perform(handle);
  answer->status = hop.status();
  answer->end = end_of(code, hop.stopped);
  answer->error.clear();
  if (code != CURLE_OK) {
    answer->error = error[0] != '\0' ? error.data() : curl().easy_strerror(code);
    if (hop.stalled) answer->error = "no bytes for " + std::to_string(request.stall_seconds) + " s";
  }
  next->clear();
  char* redirect = nullptr;
  curl().easy_getinfo(handle, CURLINFO_REDIRECT_URL, &redirect);
  if (code == CURLE_OK && redirect != nullptr) *next = redirect;
  if (code == CURLE_OPERATION_TIMEDOUT || hop.stalled) {
    double connected = 0;
    curl().easy_getinfo(handle, CURLINFO_CONNECT_TIME, &connected);
    if (connected == 0 && !hop.stopped) answer->end = HttpEnd::kUnreachable;
  }
  curl().slist_free_all(headers);
  if (hop.thrown) std::rethrow_exception(hop.thrown);
  if (hop.socket_error == EMFILE || hop.socket_error == ENFILE) {
    fail(ErrorCode::kUnavailable, "download",
         std::string("expected a socket, got: ") + std::strerror(hop.socket_error) +
             ". Raise the limit (ulimit -n), or close files.");
  }
}

HttpClient::HttpClient() : impl_(std::make_unique<Impl>()) {
  if (curl().error.empty()) impl_->handle = curl().easy_init();
  if (impl_->handle == nullptr) {
    fail(ErrorCode::kUnavailable, "download",
         "expected the library libcurl to download with, got: " +
             (curl().error.empty() ? std::string("no memory") : curl().error) +
             ". Install it (Debian: libcurl4), or fetch the model on another machine and give its "
             "folder.");
  }
}

HttpClient::~HttpClient() {
  if (impl_->handle != nullptr) curl().easy_cleanup(impl_->handle);
}

HttpAnswer HttpClient::send(const HttpRequest& request) {
  HttpAnswer answer;
  std::string url = request.url;
  const std::string own = origin_of(url);
  for (int redirects = 0;; ++redirects) {
    std::string next;
    answer.same_host = origin_of(url) == own;
    const bool with_token = !request.token.empty() && answer.same_host;
    impl_->hop(request, url, with_token, &answer, &next);
    if (next.empty()) return answer;
    // A question about headers is answered by the first host: the Hub names a file's hash before it
    // sends the asker to its store.
    if (request.head && origin_of(next) != own) return answer;
    if (redirects == kMaxRedirects ||
        (url.starts_with("https://") && !next.starts_with("https://"))) {
      answer.end = HttpEnd::kBroken;
      answer.error = redirects == kMaxRedirects ? "more than ten redirects"
                                                : "a redirect from https to " + origin_of(next);
      return answer;
    }
    url = next;
  }
}

std::int64_t retry_after(const HttpAnswer& answer) {
  const auto at = answer.headers.find("retry-after");
  if (at == answer.headers.end()) return -1;
  const std::string& text = at->second;
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc() && end == text.data() + text.size())
    return std::max<std::int64_t>(seconds, 0);
  const std::time_t date = curl().getdate(text.c_str(), nullptr);
  if (date < 0) return -1;
  return std::max<std::int64_t>(static_cast<std::int64_t>(date - std::time(nullptr)), 0);
}

std::string url_escape(std::string_view path) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~' || c == '/';
    if (plain) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', kDigits[byte >> 4U], kDigits[byte & 0xFU]};
    }
  }
  return out;
}

}  // namespace inlay::files
