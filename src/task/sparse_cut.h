// What SparseOptions keep of a sparse vector.
#pragma once

#include "inlay/inlay.hpp"

namespace inlay::task {

// Drops weights below min_weight, then all but the top_k largest: of equal ones the lower ids stay.
// Ids stay ascending. Weights below zero count by their size.
void cut_sparse(const SparseOptions& options, SparseVector* sparse);

}  // namespace inlay::task
