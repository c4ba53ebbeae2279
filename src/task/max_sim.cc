// MaxSim (Khattab and Zaharia 2020, arXiv:2004.12832).
#include <algorithm>
#include <limits>

#include "base/error.h"
#include "inlay/inlay.hpp"

namespace inlay {

double max_sim(std::span<const float> query, std::span<const float> document, std::int64_t dim) {
  const auto width = static_cast<std::size_t>(std::max<std::int64_t>(dim, 1));
  if (dim < 1 || query.size() % width != 0 || document.size() % width != 0) {
    fail(ErrorCode::kUsage, "max_sim",
         "expected whole rows of a positive width, got " + std::to_string(query.size()) + " and " +
             std::to_string(document.size()) + " values at width " + std::to_string(dim) + ".");
  }
  if (document.empty()) return 0;
  double sum = 0;
  for (std::size_t q = 0; q < query.size(); q += width) {
    double best = -std::numeric_limits<double>::infinity();
    for (std::size_t d = 0; d < document.size(); d += width) {
      double dot = 0;
      for (std::size_t i = 0; i < width; ++i)
        dot += static_cast<double>(query[q + i]) * static_cast<double>(document[d + i]);
      best = std::max(best, dot);
    }
    sum += best;
  }
  return sum;
}

}  // namespace inlay
