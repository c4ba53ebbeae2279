// HTTP by libcurl, which is opened when first needed: a machine without it runs everything but
// downloads, and what downloads nothing pays nothing for it. Proxies are libcurl's own
// (https_proxy, no_proxy); SSL_CERT_FILE, SSL_CERT_DIR and CURL_CA_BUNDLE name other certificates.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace inlay::files {

struct HttpRequest {
  std::string url;
  std::string token;        // sent as Authorization to `url`'s own scheme, host and port, no other
  bool head = false;        // ask for the headers alone
  std::int64_t offset = 0;  // > 0: ask for the bytes from here on
  int connect_seconds = 10;
  int stall_seconds = 30;  // without bytes for so long: given up
  // What a callback throws leaves send().
  // Asked before the first byte of an answer's body; false: the transfer ends there.
  std::function<bool(int status, const std::map<std::string, std::string>& headers)> begin;
  // Gets the body of an answer; false: the transfer ends there. Bodies of redirects do not arrive.
  std::function<bool(std::string_view bytes)> take;
  // Asked several times a second; false: the transfer ends there.
  std::function<bool()> go_on;
};

enum class HttpEnd {
  kComplete,     // an answer, whatever its status
  kUnreachable,  // no connection
  kBroken,       // a connection that ended early, stalled or made no sense
  kStopped,      // begin, take or go_on said so
};

struct HttpAnswer {
  HttpEnd end = HttpEnd::kBroken;
  int status = 0;                              // 0: none arrived
  std::map<std::string, std::string> headers;  // of the last answer; names in lower case
  std::string error;                           // what went wrong, for people; empty when complete
  bool same_host = true;                       // the answer came from the url's own scheme and host
};

// Keeps connections between requests. Not thread-safe.
class HttpClient {
 public:
  // Throws kUnavailable when this machine has no libcurl.
  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;
  // Follows at most ten redirects, none from https to http. Never throws for what a server does.
  HttpAnswer send(const HttpRequest& request);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Seconds that an answer asks to wait (Retry-After: a number or a date); -1: it does not say.
std::int64_t retry_after(const HttpAnswer& answer);

// A path for a url: every byte but letters, digits and -._~/ as %XX.
std::string url_escape(std::string_view path);

}  // namespace inlay::files
