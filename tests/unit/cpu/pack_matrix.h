// One weight matrix as products want it, without a Program around it.
#pragma once

#include <utility>
#include <vector>

#include "backend/cpu/pack.h"

namespace inlay::backend::cpu {

// The panels of w [n, k] in `element`, as pack_weights() makes them for this table.
inline Buffer pack_matrix(const Kernels& kernels, Element element, const std::vector<float>& w,
                          Index n, Index k) {
  WeightSpec spec;
  spec.kind = WeightSpec::Kind::kPanels;
  spec.element = element;
  spec.parts = {{"w", {DType::kF32, {n, k}, w.data()}}};
  spec.n = n;
  spec.k = k;
  spec.floats = round_up(n, kernels.panel) * kernels.weight_lines(element, k);
  Plan plan;
  plan.weight_floats = spec.floats;
  plan.weights.push_back(std::move(spec));
  return pack_weights(plan, kernels);
}

}  // namespace inlay::backend::cpu
