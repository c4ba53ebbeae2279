// Opening libinlay_cuda.so. It is opened when a device is asked for or its status is, never when
// Inlay starts.
#include "backend/cuda/library.h"

#include <dlfcn.h>

#include <cstring>
#include <utility>

#include "base/library_places.h"
#include "inlay/inlay.hpp"

namespace inlay::backend::cuda {
namespace {

constexpr const char* kFile = "libinlay_cuda.so";

Library refused(Library library, std::string reason, std::string remedy) {
  library.reason = std::move(reason);
  library.remedy = std::move(remedy);
  return library;
}

}  // namespace

std::vector<std::string> library_places() { return own_library_places(kFile); }

Library open_library(const std::vector<std::string>& places) {
  Library library;
  const OpenedLibrary opened = open_first(places, &library.notes);
  if (!opened.error.empty()) {
    return refused(std::move(library), "the CUDA library could not be opened: " + opened.error,
                   "build libinlay_cuda.so again on this system (cmake -DINLAY_CUDA=ON), or use "
                   "--device cpu");
  }
  if (opened.handle == nullptr) {
    return refused(std::move(library),
                   "the CUDA library libinlay_cuda.so is not beside Inlay, so this installation "
                   "runs on CPUs alone",
                   "build Inlay with cmake -DINLAY_CUDA=ON (nvcc 13), or put libinlay_cuda.so of "
                   "this version beside it; or use --device cpu");
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
    return refused(std::move(library),
                   "the CUDA library is of another build: expected version " +
                       std::string(version()) + ", interface " + std::to_string(kInterface) +
                       ", got " + got,
                   "put libinlay_cuda.so of this build beside Inlay, or use --device cpu");
  }
  library.api = api;
  return library;
}

const Library& library() {
  static const Library opened = open_library(library_places());
  return opened;
}

}  // namespace inlay::backend::cuda
