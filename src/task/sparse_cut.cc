// The largest weights of a sparse vector.
#include "task/sparse_cut.h"

#include <algorithm>
#include <cmath>

namespace inlay::task {

void cut_sparse(const SparseOptions& options, SparseVector* sparse) {
  const auto size_of = [&](std::size_t i) { return std::fabs(sparse->values[i]); };
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < sparse->values.size(); ++i) {
    if (options.min_weight <= 0 || size_of(i) >= options.min_weight) places.push_back(i);
  }
  const auto keep = static_cast<std::size_t>(options.top_k);
  if (keep != 0 && places.size() > keep) {
    std::stable_sort(places.begin(), places.end(),
                     [&](std::size_t a, std::size_t b) { return size_of(a) > size_of(b); });
    places.resize(keep);
    std::sort(places.begin(), places.end());
  }
  if (places.size() == sparse->values.size()) return;
  SparseVector kept;
  for (const std::size_t i : places) {
    kept.indices.push_back(sparse->indices[i]);
    kept.values.push_back(sparse->values[i]);
    if (!sparse->words.empty()) kept.words.push_back(std::move(sparse->words[i]));
  }
  *sparse = std::move(kept);
}

}  // namespace inlay::task
