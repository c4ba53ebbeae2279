// Packing runs once a model; it goes through a weight by blocks of rows, so that only a block
// exists in row order beside the packed copy.
#include "backend/cpu/pack.h"

#include <algorithm>

namespace inlay::backend::cpu {
namespace {

constexpr Index kRowsAtOnce = 64;

// Rows [begin, begin + rows) of a matrix as floats.
void read_rows(const WeightRef& ref, Index begin, Index rows, float* out) {
  TensorView view = ref.tensor;
  const std::int64_t row_bytes =
      ref.tensor.shape[1] * static_cast<std::int64_t>(dtype_bytes(view.dtype));
  view.data = static_cast<const char*>(view.data) + begin * row_bytes;
  view.shape[0] = rows;
  to_float(view, out, ref.name);
}

void pack_panels(const WeightSpec& spec, Index panel, float* out) {
  std::fill(out, out + spec.floats, 0.0F);
  std::vector<float> rows(static_cast<std::size_t>(kRowsAtOnce * spec.k));
  Index column = 0;
  for (const WeightRef& part : spec.parts) {
    const Index count = part.tensor.shape[0];
    for (Index begin = 0; begin < count; begin += kRowsAtOnce) {
      const Index n = std::min(kRowsAtOnce, count - begin);
      read_rows(part, begin, n, rows.data());
      for (Index r = 0; r < n; ++r, ++column) {
        float* to = out + column / panel * panel * spec.k + column % panel;
        const float* from = rows.data() + r * spec.k;
        for (Index k = 0; k < spec.k; ++k) to[k * panel] = from[k];
      }
    }
  }
}

void pack_padded(const WeightSpec& spec, float* out) {
  std::fill(out, out + spec.floats, spec.fill);
  for (const WeightRef& part : spec.parts) {
    if (part.present()) to_float(part.tensor, out, part.name);
    out += part.tensor.elements();
  }
}

void pack_table(const WeightSpec& spec, float* out) {
  to_float(spec.parts[0].tensor, out, spec.parts[0].name);
}

}  // namespace

Buffer pack_weights(const Plan& plan, const Kernels& kernels) {
  Buffer block(static_cast<std::size_t>(plan.weight_floats) * sizeof(float));
  for (const WeightSpec& spec : plan.weights) {
    float* out = block.as<float>() + spec.offset;
    switch (spec.kind) {
      case WeightSpec::Kind::kPanels:
        pack_panels(spec, kernels.panel, out);
        break;
      case WeightSpec::Kind::kPadded:
        pack_padded(spec, out);
        break;
      case WeightSpec::Kind::kTable:
        pack_table(spec, out);
        break;
    }
  }
  return block;
}

}  // namespace inlay::backend::cpu
