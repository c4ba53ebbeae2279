// The calibration file of int8 and uint8 output: the range of each dimension of one model's
// vectors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "inlay/inlay.hpp"

namespace inlay::io {

struct Calibration {
  std::string model;                    // what the ranges were measured with
  std::int64_t dim = 0, count = 0;      // width; how many vectors were seen
  std::vector<float> minimum, maximum;  // [dim]

  void add(const Result& result);  // texts without a result are passed over
};

std::string calibration_json(const Calibration& calibration);
// Throws kNotFound, or kBadInput naming file and place. `dim` is the width that the ranges are
// wanted for.
Calibration read_calibration(const std::string& path, std::int64_t dim);

}  // namespace inlay::io
