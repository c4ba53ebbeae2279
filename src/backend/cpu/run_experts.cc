// Mixture of experts: rows are routed, gathered by expert, go through that expert's two products
// as rows of one matrix, and come back as a sum weighted by their shares. A row's sum goes over its
// experts in ascending order, and no product's bits depend on the rows beside it: neighbours and
// threads change nothing.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "backend/cpu/runner.h"

namespace inlay::backend::cpu {
namespace {

// A route's fields. Between two meetings a field is written by its row's thread alone.
enum Field : Index { kExpert, kPair, kShare };
std::size_t expert_of(const float* route) { return std::bit_cast<std::uint32_t>(route[kExpert]); }

// How many experts the row likes better than `expert`; ties go to the lower one.
Index better(const float* logits, Index experts, Index expert) {
  Index count = 0;
  for (Index e = 0; e < experts; ++e) {
    if (logits[e] > logits[expert] || (logits[e] == logits[expert] && e < expert)) ++count;
  }
  return count;
}

// The best top_k experts in ascending order, with their part in the softmax over all of them. A
// logit that is not a number has no better one, so that there are always top_k, and makes every
// share not a number: the result shows it.
void choose(const float* logits, Index experts, Index top_k, float* routes) {
  const double largest = *std::max_element(logits, logits + experts);
  double total = 0;
  for (Index e = 0; e < experts; ++e) total += std::exp(logits[e] - largest);
  Index chosen = 0;
  for (Index e = 0; e < experts && chosen < top_k; ++e) {
    if (better(logits, experts, e) >= top_k) continue;
    float* route = routes + kRouteFloats * chosen++;
    route[kExpert] = std::bit_cast<float>(static_cast<std::uint32_t>(e));
    route[kShare] = static_cast<float>(std::exp(logits[e] - largest) / total);
  }
}

}  // namespace

void Runner::route(const ExpertsOp& op) const {
  const Range rows = share(rows_of(op.in.rows));
  float* routes = slot(op.route_slot) + rows.begin * op.route_ld;
  GemmArgs args;
  args.a = at(op.in) + rows.begin * op.in.ld;
  args.lda = op.in.ld;
  args.m = rows.end - rows.begin;
  args.n = op.experts;
  args.k = op.width;
  args.weights = weight(op.router);
  args.bias = weight(op.router_bias);
  args.c = routes;
  args.ldc = op.route_ld;
  args.row_block = gemm_rows(args.element, args.m, args.lda);
  run_.kernels.gemm(args, 0, args.units(run_.kernels.panel));
  for (Index r = 0; r < args.m; ++r, routes += op.route_ld)
    choose(routes, op.experts, op.top_k, routes + op.experts);
}

// The first pair of each expert, and behind them the number of pairs.
Runner::Begins Runner::pair_begins(const ExpertsOp& op) const {
  Begins begins{};
  const float* routes = slot(op.route_slot) + op.experts;
  const Index rows = rows_of(op.in.rows);
  for (Index r = 0; r < rows; ++r, routes += op.route_ld) {
    for (Index i = 0; i < op.top_k; ++i) ++begins[expert_of(routes + kRouteFloats * i) + 1];
  }
  for (std::size_t e = 1; e < begins.size(); ++e) begins[e] += begins[e - 1];
  return begins;
}

// Numbers the pairs of this thread's rows and copies the rows to their places.
void Runner::gather(const ExpertsOp& op) const {
  const Range mine = share(rows_of(op.in.rows));
  float* routes = slot(op.route_slot) + op.experts;
  Begins next = pair_begins(op);
  for (Index r = 0; r < mine.end; ++r) {
    for (Index i = 0; i < op.top_k; ++i) {
      float* route = routes + r * op.route_ld + kRouteFloats * i;
      const Index pair = next[expert_of(route)]++;
      if (r < mine.begin) continue;
      route[kPair] = std::bit_cast<float>(static_cast<std::uint32_t>(pair));
      std::memcpy(slot(op.pair_slot) + pair * op.pair_ld, at(op.in) + r * op.in.ld,
                  static_cast<std::size_t>(op.width) * sizeof(float));
    }
  }
}

// One of the two products for the pairs of every expert: gathered rows to what lies between, or
// that to results, which take the gathered rows' place. Threads share the units of all experts.
void Runner::multiply(const ExpertsOp& op, bool up) const {
  GemmArgs args;
  args.n = up ? op.hidden : op.width;
  args.k = up ? op.width : op.hidden;
  args.lda = up ? op.pair_ld : op.middle_ld;
  args.ldc = up ? op.middle_ld : op.pair_ld;
  args.bias = weight(up ? op.up_bias : op.down_bias);
  args.activation = up ? op.activation : Activation::kNone;
  const float* in = slot(up ? op.pair_slot : op.middle_slot);
  float* out = slot(up ? op.middle_slot : op.pair_slot);
  const Begins begins = pair_begins(op);
  const auto take = [&](std::size_t expert) {  // its number of units
    args.m = begins[expert + 1] - begins[expert];
    args.row_block = gemm_rows(args.element, args.m, args.lda);
    return args.units(run_.kernels.panel);
  };
  const auto experts = static_cast<std::size_t>(op.experts);
  Index all = 0;
  for (std::size_t e = 0; e < experts; ++e) all += take(e);
  const Range mine = share(all);
  Index first = 0;  // unit of the expert
  for (std::size_t e = 0; e < experts; ++e) {
    const Index units = take(e);
    const Index begin = std::max(mine.begin - first, Index{0});
    const Index end = std::min(mine.end - first, units);
    first += units;
    if (begin >= end) continue;
    args.a = in + begins[e] * args.lda;
    args.c = out + begins[e] * args.ldc;
    args.weights = weight(up ? op.up[e] : op.down[e]);
    run_.kernels.gemm(args, begin, end);
  }
}

void Runner::combine(const ExpertsOp& op) const {
  const Range rows = share(rows_of(op.out.rows));
  const float* bias = weight(op.bias);
  for (Index r = rows.begin; r < rows.end; ++r) {
    float* out = at(op.out) + r * op.out.ld;
    std::copy(bias, bias + op.width, out);
    const float* route = slot(op.route_slot) + r * op.route_ld + op.experts;
    for (Index i = 0; i < op.top_k; ++i, route += kRouteFloats) {
      const Index pair = std::bit_cast<std::uint32_t>(route[kPair]);
      const float* from = slot(op.pair_slot) + pair * op.pair_ld;
      for (Index d = 0; d < op.width; ++d) out[d] += route[kShare] * from[d];
    }
  }
}

void Runner::operator()(const ExpertsOp& op) const {
  route(op);
  meet();
  gather(op);
  meet();
  multiply(op, true);
  meet();
  multiply(op, false);
  meet();
  combine(op);
}

}  // namespace inlay::backend::cpu
