// int8 weights as `inlay model convert` writes them: beside a matrix "X" of I8 [n, k] stands
// "X.inlay_scale" of F32 [n]; row r is the inverse mixing (base/mix.h) of bytes times scale.
#pragma once

#include <memory>
#include <string_view>

#include "base/weights.h"

namespace inlay::files {

inline constexpr std::string_view kByteScale = ".inlay_scale";

// The same weights with each such pair as one F32 matrix under its name; the object itself where
// there is none. Throws kBadInput for a scale without its matrix or of another shape.
std::shared_ptr<const Weights> restore_bytes(std::shared_ptr<const Weights> weights);

}  // namespace inlay::files
