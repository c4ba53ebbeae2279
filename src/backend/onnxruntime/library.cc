// Opening libonnxruntime. It is looked for when a device of this room is asked for or its status
// is, never when Inlay starts.
#include "backend/onnxruntime/library.h"

#include <dlfcn.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/error.h"
#include "base/library_places.h"

namespace inlay::backend::onnxruntime {
namespace {

#ifdef __APPLE__
constexpr const char* kSystemNames[] = {"libonnxruntime.dylib"};
#else
constexpr const char* kSystemNames[] = {"libonnxruntime.so.1", "libonnxruntime.so"};
#endif
constexpr const char* kVariable = "INLAY_ONNXRUNTIME_LIBRARY";
constexpr const char* kRemedy =
    "install it with pip install onnxruntime into the active Python environment, or name the "
    "library with --onnxruntime-library or INLAY_ONNXRUNTIME_LIBRARY; or use --device cpu";

// "1.32.0" to 32; -1: not a version of kMajor.
int minor_of(std::string_view version) {
  int numbers[2] = {0, 0};
  const char* at = version.data();
  const char* const end = version.data() + version.size();
  for (int& number : numbers) {
    const auto [rest, error] = std::from_chars(at, end, number);
    if (error != std::errc()) return -1;
    at = rest != end && *rest == '.' ? rest + 1 : rest;
  }
  return numbers[0] == kMajor ? numbers[1] : -1;
}

// Fills in what one opened library is; returns why it cannot be used, or nothing.
std::string examine(void* handle, Library* library) {
  using Entry = const ApiBase* (*)();
  const auto entry = reinterpret_cast<Entry>(::dlsym(handle, kEntry));
  if (entry == nullptr) return std::string("it has no ") + kEntry;
  const ApiBase* base = entry();
  library->version = base->version();
  library->minor = minor_of(library->version);
  if (library->minor < kLeastMinor) {
    return "it is version " + printable(library->version) + ", and Inlay takes " +
           std::to_string(kMajor) + "." + std::to_string(kLeastMinor) + " and later of " +
           std::to_string(kMajor);
  }
  // Every version of a table is the same memory; asking for more than there is makes the library
  // print.
  const auto asked = static_cast<std::uint32_t>(std::min(library->minor, kNewestMinor));
  const void* const* table = base->get_api(asked);
  if (table == nullptr) return "it gives no API " + std::to_string(asked);
  library->api = read_table(table, library->minor);
  const Api& api = library->api;
  std::string error = take_error(api, api.create_env(&LogLines::receive, &LogLines::instance(),
                                                     kLogWarning, "inlay", &library->env));
  if (!error.empty()) return error;
  error = take_error(api, api.create_cpu_memory(kArenaAllocator, kDefaultMemory, &library->memory));
  if (!error.empty()) return error;
  char** names = nullptr;
  int count = 0;
  error = take_error(api, api.providers(&names, &count));
  if (!error.empty()) return error;
  for (int i = 0; i < count; ++i) library->providers.emplace_back(names[i]);
  error = take_error(api, api.release_providers(names, count));
  if (!error.empty()) return error;
  const std::string wrong = self_test(*library);
  return wrong.empty() ? "" : "its functions are not where this room expects them: " + wrong;
}

}  // namespace

LogLines& LogLines::instance() {
  static auto* lines = new LogLines;  // never deleted: the library may log until the process ends
  return *lines;
}

void LogLines::begin(const std::string& logid) {
  const std::lock_guard lock(mutex_);
  lines_[logid].clear();
}

std::vector<std::string> LogLines::end(const std::string& logid) {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> lines = std::move(lines_[logid]);
  lines_.erase(logid);
  return lines;
}

void LogLines::receive(void* self, int, const char*, const char* logid, const char*,
                       const char* message) {
  auto* log = static_cast<LogLines*>(self);
  if (logid == nullptr || message == nullptr) return;
  const std::lock_guard lock(log->mutex_);
  const auto found = log->lines_.find(logid);
  if (found != log->lines_.end()) found->second.emplace_back(message);
}

bool Library::has_provider(std::string_view name) const {
  return std::find(providers.begin(), providers.end(), name) != providers.end();
}

std::string take_error(const Api& api, Status* status) {
  if (status == nullptr) return {};
  const char* message = api.error_message(status);
  std::string text = message != nullptr && *message != '\0' ? message : "an error without a text";
  api.release_status(status);
  return text;
}

Api read_table(const void* const* table, int minor) {
  Api api;
#define INLAY_ORT_TAKE(slot, since, name, ...) \
  if (minor >= (since))                        \
    api.name = reinterpret_cast<decltype(api.name)>(const_cast<void*>(table[slot]));
  INLAY_ORT_FUNCTIONS(INLAY_ORT_TAKE)
#undef INLAY_ORT_TAKE
  return api;
}

std::vector<std::string> library_places(const std::string& wish, std::vector<std::string>* notes) {
  return find_library_places({wish, kVariable, "libonnxruntime", "onnxruntime/capi", kSystemNames},
                             notes);
}

Library open_library(const std::vector<std::string>& places, std::vector<std::string> notes) {
  Library library;
  const LibrarySearch search =
      open_usable(places, &notes, [&](void* handle, const std::string& place) {
        library = {};
        library.path = place;
        return examine(handle, &library);
      });
  library.usable = search.found;
  if (search.found) {
    notes.push_back(library.path + ": opened, version " + library.version);
  } else {
    library = {};
    library.reason = !search.worst.empty() ? search.worst
                     : places.size() == 1
                         ? "no library ONNX Runtime at " + printable(places.front())
                         : "no library ONNX Runtime (libonnxruntime) was found on this machine";
    library.remedy = kRemedy;
  }
  library.notes = std::move(notes);
  return library;
}

const Library& library(const std::string& wish) {
  static std::mutex mutex;
  static auto* opened = new std::map<std::vector<std::string>, Library>;  // until the end, as above
  std::vector<std::string> notes;
  std::vector<std::string> places = library_places(wish, &notes);
  const std::lock_guard lock(mutex);
  const auto found = opened->find(places);
  if (found != opened->end()) return found->second;
  Library made = open_library(places, std::move(notes));
  return opened->emplace(std::move(places), std::move(made)).first->second;
}

}  // namespace inlay::backend::onnxruntime
