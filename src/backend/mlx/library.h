// Finds libinlay_mlx and the MLX that it needs, opens both once and keeps the reason when they
// cannot be had.
#pragma once

#include <string>
#include <vector>

#include "backend/mlx/device.h"

namespace inlay::backend::mlx {

struct Library {
  const Api* api = nullptr;        // null: `reason` and `remedy` say why
  std::string path;                // of libinlay_mlx
  std::string mlx;                 // of libmlx, where this room opened it itself
  std::string reason, remedy;      // each a sentence without its full stop
  std::vector<std::string> notes;  // every place looked at, with what was found there
};

// Where libinlay_mlx is looked for: beside the program or shared library that holds this code, in
// the lib folder beside its folder, then wherever the system's loader looks.
std::vector<std::string> library_places();

// Opens the first of `places` that exists. libmlx is taken from the place that libinlay_mlx was
// linked with or, where that is gone, from what $INLAY_MLX_LIBRARY names or a Python package mlx
// (base/library_places.h). A library of another build, or another version of MLX, is refused.
Library open_library(const std::vector<std::string>& places);

// Of library_places(), opened by the first caller and never closed. Thread-safe.
const Library& library();

}  // namespace inlay::backend::mlx
