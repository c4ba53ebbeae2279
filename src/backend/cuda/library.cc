// Opening libinlay_cuda.so. It is opened when a device is asked for or its status is, never when
// Inlay starts.
#include "backend/cuda/library.h"

#include <dlfcn.h>

#include <cstring>
#include <filesystem>

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

std::vector<std::string> library_places() {
  std::vector<std::string> places;
  Dl_info info{};
  if (::dladdr(reinterpret_cast<void*>(&library_places), &info) != 0 && info.dli_fname != nullptr) {
    std::error_code error;
    const auto self = std::filesystem::canonical(info.dli_fname, error);
    if (!error) {
      const std::filesystem::path folder = self.parent_path();
      places.push_back((folder / kFile).string());
      places.push_back((folder.parent_path() / "lib" / kFile).string());
      places.push_back((folder.parent_path() / "lib64" / kFile).string());
    }
  }
  places.emplace_back(kFile);
  return places;
}

Library open_library(const std::vector<std::string>& places) {
  Library library;
  void* handle = nullptr;
  for (const std::string& place : places) {
    const bool is_path = place.find('/') != std::string::npos;
    std::error_code error;
    if (is_path && !std::filesystem::exists(place, error)) {
      library.notes.push_back(place + ": not there");
      continue;
    }
    handle = ::dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle != nullptr) {
      library.path = place;
      break;
    }
    const char* why = ::dlerror();
    library.notes.push_back(place + ": " + (why != nullptr ? why : "could not be opened"));
    if (is_path) {
      return refused(std::move(library),
                     "the CUDA library could not be opened: " + std::string(why),
                     "build libinlay_cuda.so again on this system (cmake -DINLAY_CUDA=ON), or use "
                     "--device cpu");
    }
  }
  if (handle == nullptr) {
    return refused(std::move(library),
                   "the CUDA library libinlay_cuda.so is not beside Inlay, so this installation "
                   "runs on CPUs alone",
                   "build Inlay with cmake -DINLAY_CUDA=ON (nvcc 13), or put libinlay_cuda.so of "
                   "this version beside it; or use --device cpu");
  }
  using Entry = const Api* (*)();
  const auto entry = reinterpret_cast<Entry>(::dlsym(handle, kEntry));
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
