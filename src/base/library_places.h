// Where a shared library that Inlay opens at run time may lie: beside Inlay, in a Python
// environment's packages, where the system's loader looks.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace inlay {

struct LibraryWish {
  std::string named;          // by the caller: a file, or a folder with one in it; or empty
  const char* variable = "";  // of the environment, which names one likewise
  std::string_view stem;      // "libonnxruntime": of lib*.so, lib*.so.1.2, lib*.1.2.dylib
  std::string_view package;   // the folder below site-packages: "onnxruntime/capi"
  std::span<const char* const> system_names;  // as the loader takes them
};

// Files to try, in order: the one named by the caller or the environment alone when there is such;
// else those beside the program or shared library that holds this code, those of the package in
// $VIRTUAL_ENV, $CONDA_PREFIX, the python on PATH, ~/.local and /usr/local, and the system's names.
// `notes` gets the folders in which there was none. Thread-safe as getenv is.
std::vector<std::string> find_library_places(const LibraryWish& wish,
                                             std::vector<std::string>* notes);

// Where a library of Inlay's own lies: beside the program or shared library that holds this code,
// in lib and lib64 beside that folder, then wherever the system's loader finds `file`.
std::vector<std::string> own_library_places(const std::string& file);

// Opens the first of `places` that exists, for good; `notes` gets what was wrong with those before.
// A path at which something lies that cannot be opened ends the search: `error` then says why in
// the loader's words, and `path` which it was.
struct OpenedLibrary {
  void* handle = nullptr;
  std::string path, error;
};
OpenedLibrary open_first(const std::vector<std::string>& places, std::vector<std::string>* notes);

// Opens `places` one after the other until `examine`, which is given the handle and the place, has
// nothing against one. Those before it stay open: a library may not bear to be closed.
struct LibrarySearch {
  bool found = false;
  std::string worst;  // of the first that lay there and was not taken: "PLACE cannot be used: ..."
};
LibrarySearch open_usable(const std::vector<std::string>& places, std::vector<std::string>* notes,
                          const std::function<std::string(void*, const std::string&)>& examine);

}  // namespace inlay
