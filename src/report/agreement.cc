// Cosines and differences text by text, then the nearest of each query by both results.
#include "report/agreement.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "base/error.h"

namespace inlay::report {
namespace {

// fp32's are what rooms are held to by the tests of the engine; the others leave room for what the
// dtype's rounding does to models of twelve and more layers.
constexpr std::array<Tolerance, 5> kTolerances{{
    {"fp32", 0.99999, 1e-3, 1.0, 1e-5},
    {"fp16", 0.9999, 1e-2, 1.0, 1e-3},
    {"bf16", 0.999, 3e-2, 1.0, 1e-2},
    {"int8", 0.99, 1e-1, 0.9, 2e-2},
    {"fp8", 0.98, 2e-1, 0.85, 3e-2},
}};
constexpr std::size_t kNearest = 10;
constexpr std::size_t kMostQueries = 200;

struct Sums {
  double dot = 0, a = 0, b = 0, max_abs = 0, scale = 0;

  void add(double x, double y) {
    dot += x * y;
    a += x * x;
    b += y * y;
    max_abs = std::max(max_abs, std::abs(x - y));
    scale = std::max(scale, std::abs(x));
  }
  double cosine() const {
    if (a == 0 && b == 0) return 1;
    if (a == 0 || b == 0) return 0;
    return dot / std::sqrt(a * b);
  }
};

// Adds the products and squares of two sparse vectors, which have their indices ascending.
void add_sparse(const SparseVector& a, const SparseVector& b, Sums* sums) {
  std::size_t i = 0, j = 0;
  while (i < a.indices.size() || j < b.indices.size()) {
    const bool left =
        j == b.indices.size() || (i < a.indices.size() && a.indices[i] < b.indices[j]);
    const bool both = !left && i < a.indices.size() && a.indices[i] == b.indices[j];
    sums->add(left || both ? a.values[i] : 0, left ? 0 : b.values[j]);
    if (left || both) ++i;
    if (!left) ++j;
  }
}

std::span<const float> row(const Result& result, std::size_t index) {
  const auto dim = static_cast<std::size_t>(result.dim);
  return std::span(result.vectors).subspan(index * dim, dim);
}

// Of text `index` in two results.
Sums compare_text(const Answers& reference, const Answers& other, std::size_t index) {
  Sums sums;
  const Result& a = reference.result;
  const Result& b = other.result;
  if (reference.task == "dense") {
    const std::span<const float> x = row(a, index);
    const std::span<const float> y = row(b, index);
    for (std::size_t i = 0; i < x.size(); ++i) sums.add(x[i], y[i]);
  } else if (reference.task == "sparse") {
    add_sparse(a.sparse[index], b.sparse[index], &sums);
  } else if (a.late[index].values.size() == b.late[index].values.size()) {
    // The text's worst token stands for it.
    const auto dim = static_cast<std::size_t>(a.late[index].dim);
    double worst = 2;
    Sums all;
    for (std::size_t at = 0; at < a.late[index].values.size(); at += dim) {
      Sums token;
      for (std::size_t i = at; i < at + dim; ++i)
        token.add(a.late[index].values[i], b.late[index].values[i]);
      all.max_abs = std::max(all.max_abs, token.max_abs);
      all.scale = std::max(all.scale, token.scale);
      if (token.cosine() >= worst) continue;
      worst = token.cosine();
      sums = token;
    }
    sums.max_abs = all.max_abs;
    sums.scale = all.scale;
  } else {
    sums.a = 1;  // another number of rows: nothing in common
  }
  return sums;
}

double similarity(const Answers& answers, std::size_t query, std::size_t document) {
  const Result& result = answers.result;
  if (answers.task == "late") {
    const TokenVectors& q = result.late[query];
    return max_sim(q.values, result.late[document].values, q.dim);
  }
  Sums sums;
  if (answers.task == "sparse") {
    add_sparse(result.sparse[query], result.sparse[document], &sums);
    return sums.dot;
  }
  const std::span<const float> x = row(result, query);
  const std::span<const float> y = row(result, document);
  for (std::size_t i = 0; i < x.size(); ++i) sums.add(x[i], y[i]);
  return sums.cosine();
}

// How many of the `count` best by `reference` are among the best by `other`, where those that the
// reference cannot tell from the last of them count as being there.
std::size_t shared_best(std::span<const double> reference, std::span<const double> other,
                        std::size_t count, double tie) {
  const auto best = [&](std::span<const double> values) {
    std::vector<std::size_t> order(values.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return values[a] > values[b]; });
    return order;
  };
  double largest = 0;
  for (const double value : reference) largest = std::max(largest, std::abs(value));
  const double border = reference[best(reference)[count - 1]];
  const std::vector<std::size_t> order = best(other);
  std::size_t shared = 0;
  for (std::size_t i = 0; i < count; ++i)
    shared += reference[order[i]] >= border - tie * largest ? 1 : 0;
  return shared;
}

// Goes on over queries: how many of the nearest were the same.
class Ranks {
 public:
  Ranks(const Tolerance& tolerance, Agreement* agreement)
      : tie_(tolerance.tie), agreement_(*agreement) {}
  void add(std::span<const double> reference, std::span<const double> other) {
    const std::size_t count = std::min(kNearest, reference.size());
    if (count == 0) return;
    agreement_.nearest = static_cast<std::int64_t>(count);
    shared_ += shared_best(reference, other, count, tie_);
    wanted_ += count;
    agreement_.same_nearest = static_cast<double>(shared_) / static_cast<double>(wanted_);
  }

 private:
  double tie_;
  Agreement& agreement_;
  std::size_t shared_ = 0, wanted_ = 0;
};

// Goes on over texts, or queries.
class Cosines {
 public:
  explicit Cosines(Agreement* agreement) : agreement_(*agreement) {}
  void add(const Sums& sums, bool valid) {
    double cosine = valid ? std::min(sums.cosine(), 1.0) : 0;
    if (std::isnan(cosine)) cosine = 0;  // of results that are not finite
    if (cosine < agreement_.min_cosine) {
      agreement_.min_cosine = cosine;
      agreement_.worst = count_;
    }
    sum_ += cosine;
    ++count_;
    agreement_.mean_cosine = sum_ / static_cast<double>(count_);
    if (!valid) return;
    agreement_.max_abs = std::max(agreement_.max_abs, sums.max_abs);
    agreement_.scale = std::max(agreement_.scale, sums.scale);
  }

 private:
  Agreement& agreement_;
  double sum_ = 0;
  std::int64_t count_ = 0;
};

void compare_scores(const Answers& reference, const Answers& other, Ranks ranks,
                    Agreement* agreement) {
  Cosines cosines(agreement);
  const std::size_t pairs = reference.size() / std::max<std::size_t>(1, reference.queries);
  const auto labels = static_cast<std::size_t>(std::max<std::int64_t>(1, reference.result.dim));
  for (std::size_t begin = 0; begin + pairs <= reference.size() && pairs != 0; begin += pairs) {
    bool valid = true;
    for (std::size_t i = begin; i < begin + pairs; ++i)
      valid =
          valid && reference.result.texts[i].error.empty() == other.result.texts[i].error.empty();
    const auto part = [&](const Result& result) {
      return std::span(result.scores).subspan(begin * labels, pairs * labels);
    };
    const std::span<const float> a = part(reference.result);
    const std::span<const float> b = part(other.result);
    Sums sums;
    for (std::size_t i = 0; i < a.size(); ++i) sums.add(a[i], b[i]);
    cosines.add(sums, valid);
    for (std::size_t label = 0; label < labels; ++label) {
      std::vector<double> x, y;
      for (std::size_t i = label; i < a.size(); i += labels) {
        x.push_back(a[i]);
        y.push_back(b[i]);
      }
      ranks.add(x, y);
    }
  }
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.7g", value);
  return text;
}

}  // namespace

std::span<const Tolerance> tolerances() { return kTolerances; }

const Tolerance& tolerance_of(std::string_view dtype) {
  for (const Tolerance& tolerance : kTolerances) {
    if (tolerance.dtype == dtype) return tolerance;
  }
  return kTolerances[0];
}

Agreement compare(const Answers& reference, const Answers& other, const Tolerance& tolerance) {
  if (reference.task != other.task || reference.size() != other.size() ||
      reference.result.dim != other.result.dim) {
    fail(ErrorCode::kInternal, "compare", "expected results of the same texts and task.");
  }
  Agreement agreement;
  Ranks ranks(tolerance, &agreement);
  if (reference.task == "rerank") {
    compare_scores(reference, other, ranks, &agreement);
    return agreement;
  }
  Cosines cosines(&agreement);
  const std::size_t count = reference.size();
  std::vector<bool> usable(count);
  for (std::size_t i = 0; i < count; ++i) {
    const bool a = reference.result.texts[i].error.empty();
    const bool b = other.result.texts[i].error.empty();
    usable[i] = a && b;
    if (a || b) cosines.add(usable[i] ? compare_text(reference, other, i) : Sums{}, usable[i]);
  }
  const bool search = reference.queries != 0;
  const std::size_t queries = search ? reference.queries : std::min(count, kMostQueries);
  for (std::size_t query = 0; query < queries; ++query) {
    std::vector<double> x, y;
    for (std::size_t i = search ? queries : 0; usable[query] && i < count; ++i) {
      if (i == query || !usable[i]) continue;
      x.push_back(similarity(reference, query, i));
      y.push_back(similarity(other, query, i));
    }
    ranks.add(x, y);
  }
  return agreement;
}

std::vector<std::string> disagreements(const Agreement& agreement, const Tolerance& tolerance) {
  std::vector<std::string> reasons;
  if (!(agreement.min_cosine >= tolerance.min_cosine)) {
    reasons.push_back("least cosine " + number(agreement.min_cosine) + ", expected at least " +
                      number(tolerance.min_cosine));
  }
  if (!(agreement.max_abs <= tolerance.max_abs * agreement.scale)) {
    reasons.push_back("largest difference " + number(agreement.max_abs) + ", expected at most " +
                      number(tolerance.max_abs * agreement.scale));
  }
  if (!(agreement.same_nearest >= tolerance.same_nearest)) {
    reasons.push_back("share of the " + std::to_string(agreement.nearest) +
                      " nearest that are the same " + number(agreement.same_nearest) +
                      ", expected at least " + number(tolerance.same_nearest));
  }
  return reasons;
}

}  // namespace inlay::report
