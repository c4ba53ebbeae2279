// Finds libinlay_cuda.so, opens it once and keeps the reason when it cannot be had.
#pragma once

#include <string>
#include <vector>

#include "backend/cuda/device.h"

namespace inlay::backend::cuda {

struct Library {
  const Api* api = nullptr;        // null: `reason` and `remedy` say why
  std::string path;                // of what was opened
  std::string reason, remedy;      // each a sentence without its full stop
  std::vector<std::string> notes;  // every place looked at, with what was found there
};

// Where the library is looked for: beside the program or shared library that holds this code, in
// the lib folder beside its folder, then wherever the system's loader looks.
std::vector<std::string> library_places();

// Opens the first of `places` that exists. A library of another build is refused, not passed over.
Library open_library(const std::vector<std::string>& places);

// Of library_places(), opened by the first caller and never closed. Thread-safe.
const Library& library();

}  // namespace inlay::backend::cuda
