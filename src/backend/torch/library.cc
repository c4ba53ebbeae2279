// Opening libtorch_cpu. It is looked for when a device of this room is asked for or its status is,
// never when Inlay starts.
#include "backend/torch/library.h"

#include <dlfcn.h>

#include <filesystem>
#include <map>
#include <mutex>
#include <utility>

#include "backend/torch/tensors.h"
#include "base/error.h"
#include "base/library_places.h"

namespace inlay::backend::torch {
namespace {

namespace fs = std::filesystem;

#ifdef __APPLE__
constexpr const char* kSystemNames[] = {"libtorch_cpu.dylib"};
constexpr const char* kCudaFile = "libtorch_cuda.dylib";
#else
constexpr const char* kSystemNames[] = {"libtorch_cpu.so"};
constexpr const char* kCudaFile = "libtorch_cuda.so";
#endif
constexpr const char* kRemedy =
    "install it with pip install torch (2.10 or later) into the active Python environment, or name "
    "libtorch_cpu or its folder in INLAY_TORCH_LIBRARY; or use --device cpu";
constexpr std::size_t kMessage = 400;  // characters of the library's words

std::string last_error() {
  const char* why = ::dlerror();
  return why != nullptr ? why : "it could not be opened";
}

// Fills in what one opened library is; returns why it cannot be used, or nothing.
std::string examine(void* handle, Library* library) {
  Shim& shim = library->shim;
  std::string missing;
#define INLAY_TORCH_TAKE(name, needed, ...)                                  \
  shim.name = reinterpret_cast<decltype(shim.name)>(::dlsym(handle, #name)); \
  if ((needed) && shim.name == nullptr && missing.empty()) missing = #name;
  INLAY_TORCH_FUNCTIONS(INLAY_TORCH_TAKE)
#undef INLAY_TORCH_TAKE
  shim.set_num_threads = reinterpret_cast<decltype(shim.set_num_threads)>(
      ::dlsym(handle, "_ZN2at15set_num_threadsEi"));
  shim.global_context =
      reinterpret_cast<decltype(shim.global_context)>(::dlsym(handle, "_ZN2at13globalContextEv"));
  shim.set_cudnn_attention = reinterpret_cast<decltype(shim.set_cudnn_attention)>(
      ::dlsym(handle, "_ZN2at7Context14setSDPUseCuDNNEb"));
  const std::string wanted = ", and Inlay takes " + std::to_string(kMajor) + "." +
                             std::to_string(kLeastMinor) + " and later of " +
                             std::to_string(kMajor);
  if (shim.aoti_torch_abi_version != nullptr) {
    const std::uint64_t version = shim.aoti_torch_abi_version();
    const auto part = [&](unsigned shift) { return static_cast<int>(version >> shift & 0xFFU); };
    library->version =
        std::to_string(part(56)) + "." + std::to_string(part(48)) + "." + std::to_string(part(40));
    if (part(56) != kMajor || part(48) < kLeastMinor)
      return "it is version " + library->version + wanted;
  }
  if (!missing.empty()) return "it has no " + missing + wanted;
  const std::string wrong = self_test(shim);
  return wrong.empty() ? "" : "its functions do not do what this room expects: " + wrong;
}

}  // namespace

std::vector<std::string> library_places(std::vector<std::string>* notes) {
  return find_library_places({"", "INLAY_TORCH_LIBRARY", "libtorch_cpu", "torch/lib", kSystemNames},
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
    const bool named = places.size() == 1 && places.front().find('/') != std::string::npos;
    library.reason = !search.worst.empty() ? search.worst
                     : named               ? "no LibTorch at " + printable(places.front())
                                           : "no LibTorch (libtorch_cpu) was found on this machine";
    library.remedy = kRemedy;
  }
  library.notes = std::move(notes);
  return library;
}

const Library& library() {
  static std::mutex mutex;
  static auto* opened = new std::map<std::vector<std::string>, Library>;  // until the end
  std::vector<std::string> notes;
  std::vector<std::string> places = library_places(&notes);
  const std::lock_guard lock(mutex);
  const auto found = opened->find(places);
  if (found != opened->end()) return found->second;
  Library made = open_library(places, std::move(notes));
  return opened->emplace(std::move(places), std::move(made)).first->second;
}

std::string device_refusal(const Library& library, std::string_view unit) {
  if (unit == kCudaUnit) {
    const fs::path beside = fs::path(library.path).parent_path() / kCudaFile;
    std::error_code error;
    if (!fs::exists(beside, error)) return "this LibTorch was built without CUDA";
    if (::dlopen(beside.c_str(), RTLD_NOW | RTLD_LOCAL) == nullptr)
      return printable(last_error(), kMessage);
  }
  try {
    const Tensors tensors(library.shim, std::string(unit).c_str(), "fp32");
    const float one = 1;
    const Tensor there = tensors.upload(&one, false, {});
    float two = 0;
    tensors.download(tensors.add(there, there), &two, 1);
    return two == 2 ? "" : "one and one made " + std::to_string(two) + " there";
  } catch (const std::exception& error) {
    return printable(error.what(), kMessage);
  }
}

}  // namespace inlay::backend::torch
