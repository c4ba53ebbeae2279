// Packing runs once a model; it goes through a weight by blocks of rows, so that only a block
// exists in row order beside the packed copy.
#include "backend/cpu/pack.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "base/half.h"

namespace inlay::backend::cpu {
namespace {

constexpr Index kRowsAtOnce = 64;

// Rows [begin, begin + rows) of a matrix [, k] as floats.
void read_rows(const WeightRef& ref, Index k, Index begin, Index rows, float* out) {
  TensorView view = ref.tensor;
  const std::int64_t row_bytes = k * static_cast<std::int64_t>(dtype_bytes(view.dtype));
  view.data = static_cast<const char*>(view.data) + begin * row_bytes;
  view.shape[0] = rows;
  to_float(view, out, ref.name);
}

// A row of the checkpoint, `k` floats, as one column of a panel: a line every `panel` words.
void pack_fp32(const float* row, Index k, Index panel, float* column) {
  for (Index i = 0; i < k; ++i) column[i * panel] = row[i];
}

void pack_bf16(const float* row, Index k, Index panel, float* column) {
  for (Index i = 0; i < k; ++i)
    reinterpret_cast<std::uint16_t*>(column + i / 2 * panel)[i % 2] = float_to_bf16(row[i]);
}

// The column's scale is the row's, less the factor that mixing both sides leaves.
void pack_int8(float* row, Index k, const Kernels& kernels, float* column) {
  const Index panel = kernels.panel;
  std::vector<std::int8_t> bytes(static_cast<std::size_t>(k));
  const float scale = mix_to_bytes(row, k, bytes.data());
  std::int32_t sum = 0;
  std::int32_t negative = 0;  // sizes of negative weights
  for (Index i = 0; i < k; ++i) {
    const std::int8_t byte = bytes[static_cast<std::size_t>(i)];
    reinterpret_cast<std::int8_t*>(column + i / 4 * panel)[i % 4] = byte;
    sum += byte;
    negative += byte < 0 ? -byte : 0;
  }
  const Index words = element_words(Element::kInt8, k);
  column[words * panel] = scale / static_cast<float>(mix_runs(k));
  const std::int32_t start = kernels.int8_complements ? negative : -kernels.int8_offset * sum;
  std::memcpy(column + (words + 1) * panel, &start, sizeof start);
}

// Puts a panel's words in the order of Kernels::int8_pairs. What two words need together, they need
// in each of 2 * panel places of 16 bits; words that come near the bound in one choose first, from
// those that need least. Partners are at most kNear words apart: a tile's rows of so many stay in
// the L1 cache. Words without one stand at the end, alone.
void order_words(Index words, Index panel, float* lines) {
  constexpr int kMost = 255;  // of sizes that meet rows' -128: 32,640
  constexpr std::size_t kNear = 128;
  const auto count = static_cast<std::size_t>(words);
  const auto places = static_cast<std::size_t>(2 * panel);
  std::vector<std::uint8_t> sizes(count * places);  // of both weights that share a place
  std::vector<std::uint8_t> largest(count, 0);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const auto* two = reinterpret_cast<const std::int8_t*>(lines) + 2 * i;
    sizes[i] = static_cast<std::uint8_t>(std::abs(two[0]) + std::abs(two[1]));
    largest[i / places] = std::max(largest[i / places], sizes[i]);
  }
  const auto fit = [&](std::uint16_t a, std::uint16_t b) {
    const std::uint8_t* x = sizes.data() + a * places;
    const std::uint8_t* y = sizes.data() + b * places;
    int most = 0;
    for (std::size_t i = 0; i < places; ++i) most = std::max(most, x[i] + y[i]);
    return most <= kMost;
  };
  std::vector<std::uint16_t> order;
  std::vector<std::uint16_t> alone;
  std::vector<bool> taken(count, false);
  for (std::size_t first = 0; first < count; first += kNear) {
    std::vector<std::uint16_t> left(std::min(kNear, count - first));
    std::iota(left.begin(), left.end(), static_cast<std::uint16_t>(first));
    std::sort(left.begin(), left.end(), [&](std::uint16_t a, std::uint16_t b) {
      return largest[a] != largest[b] ? largest[a] > largest[b] : a < b;
    });
    for (std::size_t i = 0; i < left.size(); ++i) {
      if (taken[left[i]]) continue;
      std::size_t partner = left.size() - 1;
      while (partner > i && (taken[left[partner]] || !fit(left[i], left[partner]))) --partner;
      if (partner == i) {
        alone.push_back(left[i]);
        continue;
      }
      taken[left[partner]] = true;
      order.insert(order.end(), {left[i], left[partner]});
    }
  }
  const auto pairs = static_cast<std::uint16_t>(order.size() / 2);
  order.insert(order.end(), alone.begin(), alone.end());
  const std::vector<float> before(lines, lines + words * panel);
  for (const std::uint16_t word : order) {
    const auto line = before.begin() + word * panel;
    lines = std::copy(line, line + panel, lines);
  }
  auto* to = reinterpret_cast<std::uint16_t*>(lines + 2 * panel);
  *to++ = pairs;
  std::copy(order.begin(), order.end(), to);
}

// Stacked parts, or (kPairs) two parts whose panels take turns.
void pack_panels(const WeightSpec& spec, const Kernels& kernels, float* out) {
  std::fill(out, out + spec.floats, 0.0F);
  const Index panel = kernels.panel;
  const Index stride = kernels.weight_lines(spec.element, spec.k) * panel;
  const bool pairs = spec.kind == WeightSpec::Kind::kPairs;
  std::vector<float> rows(static_cast<std::size_t>(kRowsAtOnce * spec.k));
  Index column = 0;
  for (std::size_t i = 0; i < spec.parts.size(); ++i) {
    const WeightRef& part = spec.parts[i];
    if (pairs) column = 0;
    const Index count = part.present() ? part.tensor.shape[0] : 0;
    for (Index begin = 0; begin < count; begin += kRowsAtOnce) {
      const Index n = std::min(kRowsAtOnce, count - begin);
      read_rows(part, spec.k, begin, n, rows.data());
      for (Index r = 0; r < n; ++r, ++column) {
        const Index at = column / panel;
        float* to = out + (pairs ? 2 * at + static_cast<Index>(i) : at) * stride + column % panel;
        float* from = rows.data() + r * spec.k;
        switch (spec.element) {
          case Element::kFp32:
            pack_fp32(from, spec.k, panel, to);
            break;
          case Element::kBf16:
            pack_bf16(from, spec.k, panel, to);
            break;
          case Element::kInt8:
            pack_int8(from, spec.k, kernels, to);
            break;
        }
      }
    }
  }
  if (!kernels.int8_pairs || spec.element != Element::kInt8) return;
  for (Index at = 0; at < spec.floats; at += stride)
    order_words(element_words(Element::kInt8, spec.k), panel, out + at);
}

// A part [k, n]: its rows are cut into the panels' rows as they are.
void pack_turned_panels(const WeightSpec& spec, Index panel, float* out) {
  std::fill(out, out + spec.floats, 0.0F);
  std::vector<float> row(static_cast<std::size_t>(spec.n));
  for (Index k = 0; k < spec.k; ++k) {
    read_rows(spec.parts[0], spec.n, k, 1, row.data());
    for (Index n = 0; n < spec.n; n += panel) {
      const auto from = row.begin() + n;
      std::copy(from, from + std::min(panel, spec.n - n), out + n * spec.k + k * panel);
    }
  }
}

void pack_columns(const WeightSpec& spec, float* out) {
  const std::vector<float> table = to_float(spec.parts[0].tensor, spec.parts[0].name);
  for (Index r = 0; r < spec.n; ++r) {
    for (Index k = 0; k < spec.k; ++k)
      out[k * spec.n + r] = table[static_cast<std::size_t>(r * spec.k + k)] * spec.factor;
  }
}

// The angle is rounded to float before its cosine is taken: transformers' arithmetic.
void pack_turns(const WeightSpec& spec, float* out) {
  const Index pairs = spec.k / 2;
  for (Index position = 0; position < spec.n; ++position, out += spec.k) {
    for (Index i = 0; i < pairs; ++i) {
      const float angle =
          static_cast<float>(position) * spec.rope.inv_freq[static_cast<std::size_t>(i)];
      out[i] = static_cast<float>(std::cos(static_cast<double>(angle)) * spec.rope.factor);
      out[pairs + i] = static_cast<float>(std::sin(static_cast<double>(angle)) * spec.rope.factor);
    }
  }
}

// What depends on weights alone is multiplied once, with the room's own kernels.
void pack_positions(const WeightSpec& spec, const Kernels& kernels, float* out) {
  const WeightRef& embeddings = spec.parts[0];
  const std::vector<float> rows = to_float(embeddings.tensor, embeddings.name);
  const Index panel = kernels.panel;
  WeightSpec matrix;
  matrix.kind = WeightSpec::Kind::kPanels;
  matrix.parts = {spec.parts[1]};
  matrix.n = spec.parts[1].tensor.shape[0];
  matrix.k = embeddings.tensor.shape[1];
  const Index wide = (matrix.n + panel - 1) / panel * panel;
  matrix.floats = wide * matrix.k;
  std::vector<float> weights(static_cast<std::size_t>(matrix.floats));
  pack_panels(matrix, kernels, weights.data());
  std::vector<float> bias(static_cast<std::size_t>(wide), 0.0F);
  if (spec.parts[2].present()) to_float(spec.parts[2].tensor, bias.data(), spec.parts[2].name);
  std::vector<float> product(static_cast<std::size_t>(spec.n * matrix.n));
  GemmArgs args;
  args.a = rows.data();
  args.lda = matrix.k;
  args.m = spec.n;
  args.n = matrix.n;
  args.k = matrix.k;
  args.weights = weights.data();
  args.bias = bias.data();
  args.c = product.data();
  args.ldc = matrix.n;
  args.row_block = spec.n;
  kernels.gemm(args, 0, args.units(panel));
  std::fill(out, out + spec.floats, 0.0F);
  const Index heads = matrix.n / spec.k;
  const Index panels = (spec.n + panel - 1) / panel;
  for (Index head = 0; head < heads; ++head) {
    for (Index position = 0; position < spec.n; ++position) {
      const float* from = product.data() + position * matrix.n + head * spec.k;
      float* to = out + (head * panels + position / panel) * spec.k * panel + position % panel;
      for (Index d = 0; d < spec.k; ++d) to[d * panel] = from[d] * spec.factor;
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

// A finite value beyond half precision has no place in such a table.
std::uint16_t checked_half(float value, const std::string& name) {
  if (overflows_half(value)) {
    fail(ErrorCode::kUnsupported, name,
         "expected values of at most 65504, which half precision holds, got " +
             std::to_string(value) + ". Use --dtype fp32.");
  }
  return float_to_half(value);
}

void pack_table(const WeightSpec& spec, float* out) {
  const WeightRef& part = spec.parts[0];
  if (spec.table == TableElement::kFp32) {
    to_float(part.tensor, out, part.name);
    for (Index i = 0; spec.halves && i < spec.n * spec.k; ++i)
      out[i] = half_to_float(checked_half(out[i], part.name));
    return;
  }
  auto* halves = reinterpret_cast<std::uint16_t*>(out);
  if (part.tensor.dtype == DType::kF16 || part.tensor.dtype == DType::kBF16) {
    std::memcpy(halves, part.tensor.data, part.tensor.bytes());
    return;
  }
  std::vector<float> rows(static_cast<std::size_t>(kRowsAtOnce * spec.k));
  for (Index begin = 0; begin < spec.n; begin += kRowsAtOnce) {
    const Index count = std::min(kRowsAtOnce, spec.n - begin) * spec.k;
    read_rows(part, spec.k, begin, count / spec.k, rows.data());
    for (Index i = 0; i < count; ++i, ++halves)
      *halves = checked_half(rows[static_cast<std::size_t>(i)], part.name);
  }
}

}  // namespace

Buffer pack_weights(const Plan& plan, const Kernels& kernels) {
  Buffer block(static_cast<std::size_t>(plan.weight_floats) * sizeof(float));
  for (const WeightSpec& spec : plan.weights) {
    float* out = block.as<float>() + spec.offset;
    // Up to the next weight, and beside an odd last half: the block is also written to files.
    std::fill(out + std::max<Index>(spec.floats - 1, 0), out + round_up(spec.floats, kLanes), 0.0F);
    switch (spec.kind) {
      case WeightSpec::Kind::kPanels:
      case WeightSpec::Kind::kPairs:
        pack_panels(spec, kernels, out);
        break;
      case WeightSpec::Kind::kTurnedPanels:
        pack_turned_panels(spec, kernels.panel, out);
        break;
      case WeightSpec::Kind::kPadded:
        pack_padded(spec, out);
        break;
      case WeightSpec::Kind::kTable:
        pack_table(spec, out);
        break;
      case WeightSpec::Kind::kColumns:
        pack_columns(spec, out);
        break;
      case WeightSpec::Kind::kTurns:
        pack_turns(spec, out);
        break;
      case WeightSpec::Kind::kPositionPanels:
        pack_positions(spec, kernels, out);
        break;
    }
  }
  return block;
}

}  // namespace inlay::backend::cpu
