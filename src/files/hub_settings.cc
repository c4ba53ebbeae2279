// The HF_* variables.
#include "files/hub_settings.h"

#include <algorithm>
#include <array>
#include <system_error>

#include "base/error.h"
#include "base/mapped_file.h"
#include "base/options.h"
#include "files/places.h"

namespace inlay::files {
namespace {

constexpr std::size_t kMaxToken = 4096;
constexpr std::int64_t kMaxSeconds = 86400;

// As huggingface_hub reads a switch: anything else is off.
bool is_on(std::string value) {
  for (char& c : value) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  static constexpr std::array<const char*, 4> kOn{"1", "ON", "YES", "TRUE"};
  return std::find(kOn.begin(), kOn.end(), value) != kOn.end();
}

int seconds(const char* name, int fallback) {
  const std::string value = environment(name);
  return value.empty() ? fallback : static_cast<int>(parse_integer(value, 1, kMaxSeconds, name));
}

std::string trimmed(std::string text) {
  while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.pop_back();
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  return begin == std::string::npos ? "" : text.substr(begin);
}

std::string find_token() {
  if (is_on(environment("HF_HUB_DISABLE_IMPLICIT_TOKEN"))) return "";
  std::string where = "HF_TOKEN";
  std::string token = trimmed(environment("HF_TOKEN"));
  if (token.empty()) {
    const std::string named = environment("HF_TOKEN_PATH");
    const std::filesystem::path path =
        named.empty() ? hugging_face_home() / "token" : expand_home(named);
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error)) return "";
    where = path.string();
    token = trimmed(read_file(path, kMaxToken));
  }
  // It becomes a header: nothing in it may end the line.
  for (const char c : token) {
    if (c <= ' ' || c > '~') {
      fail(ErrorCode::kUsage, where,
           "expected a token of printable characters, got another byte in it.");
    }
  }
  return token;
}

std::string find_endpoint() {
  std::string endpoint = environment("HF_ENDPOINT");
  if (endpoint.empty()) return "https://huggingface.co";
  while (endpoint.ends_with('/')) endpoint.pop_back();
  const bool plain = std::all_of(endpoint.begin(), endpoint.end(), [](char c) {
    return c > ' ' && c <= '~' && c != '?' && c != '#';
  });
  if (!plain || (!endpoint.starts_with("https://") && !endpoint.starts_with("http://"))) {
    fail(ErrorCode::kUsage, "HF_ENDPOINT",
         "expected an address that begins with https:// or http://, got \"" + printable(endpoint) +
             "\".");
  }
  return endpoint;
}

}  // namespace

bool hub_offline() {
  const std::string own = environment("HF_HUB_OFFLINE");
  return is_on(own.empty() ? environment("TRANSFORMERS_OFFLINE") : own);
}

HubSettings HubSettings::from_environment() {
  HubSettings settings;
  settings.endpoint = find_endpoint();
  settings.token = find_token();
  settings.offline = hub_offline();
  settings.symlinks = !is_on(environment("HF_HUB_DISABLE_SYMLINKS"));
  settings.answer_seconds = seconds("HF_HUB_ETAG_TIMEOUT", settings.answer_seconds);
  settings.stall_seconds = seconds("HF_HUB_DOWNLOAD_TIMEOUT", settings.stall_seconds);
  settings.cache = hub_cache();
  return settings;
}

}  // namespace inlay::files
