// Where a shared library that Inlay opens at run time may lie: beside Inlay, in a Python
// environment's packages, where the system's loader looks.
#pragma once

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

}  // namespace inlay
