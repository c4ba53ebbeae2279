// Finds libonnxruntime, opens it, holds its table of functions against a self-test and keeps the
// reason when it cannot be had.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "backend/onnxruntime/ort_api.h"

namespace inlay::backend::onnxruntime {

// What the library logs while a session is made, kept apart by the session's log id. Thread-safe.
class LogLines {
 public:
  void begin(const std::string& logid);                    // starts to keep lines of that id
  std::vector<std::string> end(const std::string& logid);  // those kept; stops
  // The one of this process: ONNX Runtime has one environment in it, and so one logger.
  static LogLines& instance();
  static void receive(void* self, int severity, const char* category, const char* logid,
                      const char* place, const char* message);

 private:
  std::mutex mutex_;
  std::map<std::string, std::vector<std::string>> lines_;
};

// An opened library, or why there is none. Never closed: sessions of it may outlive everything.
struct Library {
  bool usable = false;
  Api api;
  Env* env = nullptr;
  MemoryInfo* memory = nullptr;        // of the CPU
  std::string path, version;           // "1.32.0"
  int minor = 0;                       // of the version
  std::vector<std::string> providers;  // "CPUExecutionProvider"
  std::string reason, remedy;          // when not usable; each a sentence without its full stop
  std::vector<std::string> notes;      // every place looked at, with what was found there

  bool has_provider(std::string_view name) const;
  // Whether sessions tell which provider took which node (1.24 and later).
  bool tells_assignments() const { return api.assignments != nullptr; }
};

// A status as text, released. Empty: success.
std::string take_error(const Api& api, Status* status);

// Files to try, in order: the caller's or $INLAY_ONNXRUNTIME_LIBRARY alone when given; else beside
// the program or shared library that holds this code, the Python packages onnxruntime and
// onnxruntime-gpu of $VIRTUAL_ENV, $CONDA_PREFIX, the python on PATH, ~/.local and /usr/local, and
// what the system's loader finds.
// `notes` gets the folders in which there was none.
std::vector<std::string> library_places(const std::string& wish, std::vector<std::string>* notes);

// Opens the first of `places` that is a library of a version and behaviour this room can use.
Library open_library(const std::vector<std::string>& places, std::vector<std::string> notes = {});

// Of library_places(wish), opened by the first caller for whom those are the places. Thread-safe.
const Library& library(const std::string& wish);

// Calls every group of functions once so that it must succeed and once so that it must fail, with a
// model of one node. Returns what is wrong; empty: nothing.
std::string self_test(const Library& library);

}  // namespace inlay::backend::onnxruntime
