// Arrays in NumPy's .npy form (NEP 1): versions 1 to 3, little-endian floats in C order.
#pragma once

#include <string>
#include <string_view>

#include "base/tensor.h"

namespace inlay::files {

// The array in a file's bytes, which the view points into. `where` names the file in messages.
// Throws kBadInput for what is no such file or holds less than it says, kUnsupported for other
// elements and for Fortran's order.
TensorView parse_npy(std::string_view bytes, const std::string& where);

}  // namespace inlay::files
