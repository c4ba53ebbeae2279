// Opening libinlay_mlx. It is opened when a device is asked for or its status is, never when Inlay
// starts.
#include "backend/mlx/library.h"

#include <dlfcn.h>

#include <cstring>
#include <utility>

#include "base/library_places.h"
#include "inlay/inlay.hpp"

namespace inlay::backend::mlx {
namespace {

#ifdef __APPLE__
constexpr const char* kFile = "libinlay_mlx.dylib";
constexpr const char* kSystemNames[] = {"libmlx.dylib"};
constexpr const char* kPackage = "mlx-metal";
#else
constexpr const char* kFile = "libinlay_mlx.so";
constexpr const char* kSystemNames[] = {"libmlx.so"};
constexpr const char* kPackage = "mlx-cpu";
#endif

Library refused(Library library, std::string reason, std::string remedy) {
  library.reason = std::move(reason);
  library.remedy = std::move(remedy);
  return library;
}

std::string last_error() {
  const char* why = ::dlerror();
  return why != nullptr ? why : "it could not be opened";
}

// Opens a libmlx by itself, so that the loader has it when libinlay_mlx asks for the name.
std::string open_mlx(std::vector<std::string>* notes) {
  const std::vector<std::string> places =
      find_library_places({"", "INLAY_MLX_LIBRARY", "libmlx", "mlx/lib", kSystemNames}, notes);
  for (const std::string& place : places) {
    if (::dlopen(place.c_str(), RTLD_NOW | RTLD_GLOBAL) != nullptr) return place;
    notes->push_back(place + ": " + last_error());
  }
  return {};
}

}  // namespace

std::vector<std::string> library_places() { return own_library_places(kFile); }

Library open_library(const std::vector<std::string>& places) {
  const std::string install = "install the Python package " + std::string(kPackage) +
                              " that Inlay was built with, or name its libmlx in "
                              "INLAY_MLX_LIBRARY; or use --device cpu";
  Library library;
  OpenedLibrary opened = open_first(places, &library.notes);
  if (!opened.error.empty()) {  // it lacks libmlx, most likely
    library.mlx = open_mlx(&library.notes);
    if (!library.mlx.empty()) opened = open_first({opened.path}, &library.notes);
  }
  if (!opened.error.empty()) {
    return refused(std::move(library), "the MLX library could not be opened: " + opened.error,
                   install);
  }
  if (opened.handle == nullptr) {
    return refused(std::move(library),
                   "the MLX library " + std::string(kFile) +
                       " is not beside Inlay, so this installation runs without MLX",
                   "build Inlay with cmake -DINLAY_MLX_FOLDER=FOLDER (the folder mlx of the Python "
                   "package " +
                       std::string(kPackage) + "); or use --device cpu");
  }
  library.path = opened.path;
  using Entry = const Api* (*)();
  const auto entry = reinterpret_cast<Entry>(::dlsym(opened.handle, kEntry));
  const Api* api = entry != nullptr ? entry() : nullptr;
  if (api == nullptr || api->interface != kInterface || std::strcmp(api->version, version()) != 0) {
    const std::string got = api == nullptr ? "no Inlay library"
                                           : "one of version " + std::string(api->version) +
                                                 ", interface " + std::to_string(api->interface);
    library.notes.push_back(library.path + ": " + got);
    return refused(
        std::move(library),
        "the MLX library is of another build: expected version " + std::string(version()) +
            ", interface " + std::to_string(kInterface) + ", got " + got,
        "put " + std::string(kFile) + " of this build beside Inlay, or use --device cpu");
  }
  if (std::strcmp(api->running(), api->mlx_version) != 0) {
    return refused(std::move(library),
                   "Inlay's MLX library was built with MLX " + std::string(api->mlx_version) +
                       " and found " + api->running(),
                   install);
  }
  library.notes.push_back(library.path + ": opened, MLX " + api->running());
  library.api = api;
  return library;
}

const Library& library() {
  static const Library opened = open_library(library_places());
  return opened;
}

}  // namespace inlay::backend::mlx
