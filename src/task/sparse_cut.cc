// The largest weights of a sparse vector.
#include "task/sparse_cut.h"

#include <algorithm>

namespace inlay::task {

void cut_sparse(const SparseOptions& options, SparseVector* sparse) {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < sparse->values.size(); ++i) {
    if (options.min_weight <= 0 || sparse->values[i] >= options.min_weight) places.push_back(i);
  }
  const auto keep = static_cast<std::size_t>(options.top_k);
  if (keep != 0 && places.size() > keep) {
    std::stable_sort(places.begin(), places.end(), [&](std::size_t a, std::size_t b) {
      return sparse->values[a] > sparse->values[b];
    });
    places.resize(keep);
    std::sort(places.begin(), places.end());
  }
  if (places.size() == sparse->values.size()) return;
  SparseVector kept;
  for (const std::size_t i : places) {
    kept.indices.push_back(sparse->indices[i]);
    kept.values.push_back(sparse->values[i]);
  }
  *sparse = std::move(kept);
}

}  // namespace inlay::task
