// Attention with everything that may go with it, one query row and head at a time: head norms,
// rotary positions, then scores with their biases, softmax, the sum of values.
#include <algorithm>
#include <cmath>

#include "backend/ref/steps.h"

namespace inlay::backend::ref {
namespace {

void norm_columns(double* x, std::int64_t width, const HeadNorm& norm, const float* weight,
                  const float* bias) {
  double mean = 0;
  if (norm.kind == NormKind::kLayer) {
    for (std::int64_t d = 0; d < width; ++d) mean += x[d];
    mean /= static_cast<double>(width);
  }
  double squares = 0;
  for (std::int64_t d = 0; d < width; ++d) squares += (x[d] - mean) * (x[d] - mean);
  const double scale = 1.0 / std::sqrt(squares / static_cast<double>(width) + norm.eps);
  for (std::int64_t d = 0; d < width; ++d)
    x[d] = (x[d] - mean) * scale * weight[d] + (bias != nullptr ? bias[d] : 0.0F);
}

void rotate(double* head, std::int64_t position, const Rope& rope) {
  const std::size_t pairs = rope.inv_freq.size();
  for (std::size_t i = 0; i < pairs; ++i) {
    const float angle = static_cast<float>(position) * rope.inv_freq[i];
    const double cosine = std::cos(static_cast<double>(angle)) * rope.factor;
    const double sine = std::sin(static_cast<double>(angle)) * rope.factor;
    double& a = head[rope.interleaved ? 2 * i : i];
    double& b = head[rope.interleaved ? 2 * i + 1 : i + pairs];
    const double turned = a * cosine - b * sine;
    b = b * cosine + a * sine;
    a = turned;
  }
}

// The columns of one row as queries or keys: normed, turned, in float as a value would be.
std::vector<float> prepare(const Context& c, const AttentionStep& step, const HeadNorm& norm,
                           const float* row, std::int64_t heads, std::int64_t position) {
  const std::int64_t width = heads * step.head_size;
  std::vector<double> x(row, row + width);
  if (norm.weight.present()) {
    const std::int64_t part = norm.whole ? width : step.head_size;
    for (std::int64_t begin = 0; begin < width; begin += part)
      norm_columns(x.data() + begin, part, norm, c.weight(norm.weight), c.weight(norm.bias));
  }
  for (std::int64_t h = 0; h < heads; ++h)
    rotate(x.data() + h * step.head_size, position, step.rope);
  return {x.begin(), x.end()};
}

struct Scorer {
  const Context& c;
  const AttentionStep& step;
  const float* position_keys;     // [2 span, heads * head_size] or null
  const float* position_queries;  // likewise

  bool sees(std::int64_t i, std::int64_t j) const {
    if (step.causal && j > i) return false;
    return step.window < 0 || std::abs(i - j) <= step.window;
  }
  double operator()(std::int64_t head, const float* q, std::int64_t i, const float* k,
                    std::int64_t j) const {
    double dots = dot(q, k, step.head_size);
    const Disentangled& d = step.disentangled;
    if (d.embeddings.present()) {
      const std::int64_t at =
          (relative_row(d.span(), d.buckets, d.max_positions, i - j) * step.heads + head) *
          step.head_size;
      if (position_keys != nullptr) dots += dot(q, position_keys + at, step.head_size);
      if (position_queries != nullptr) dots += dot(k, position_queries + at, step.head_size);
    }
    double score = static_cast<double>(step.scale) * dots;
    if (!step.alibi.empty()) {
      score -= static_cast<double>(step.alibi[static_cast<std::size_t>(head)]) *
               static_cast<double>(std::abs(i - j));
    }
    if (step.relative_bias.present()) {
      const std::int64_t reach = step.relative_bias.tensor.shape[0] / 2;
      const std::int64_t row = std::clamp(j - i, -reach, reach) + reach;
      score += c.weight(step.relative_bias)[row * step.heads + head];
    }
    return score;
  }
};

const float* table(const Context& c, const std::string& name) {
  const auto found = c.weights.find(name);
  return found == c.weights.end() ? nullptr : found->second.data();
}

std::int64_t kv_column(const AttentionStep& step, std::int64_t head) {
  return head / (step.heads / step.kv_heads) * step.head_size;
}

// The softmax of the scores of i and the keys that it sees, zero for others; empty when it sees
// none.
std::vector<double> softmax(const Scorer& score, std::int64_t head, const float* q, std::int64_t i,
                            const std::vector<std::vector<float>>& keys) {
  const std::int64_t kv = kv_column(score.step, head);
  const auto rows = static_cast<std::int64_t>(keys.size());
  std::vector<double> weights(keys.size(), -INFINITY);
  for (std::int64_t j = 0; j < rows; ++j) {
    const auto at = static_cast<std::size_t>(j);
    if (score.sees(i, j)) weights[at] = score(head, q, i, keys[at].data() + kv, j);
  }
  const double largest = *std::max_element(weights.begin(), weights.end());
  if (largest == -INFINITY) return {};
  double total = 0;
  for (double& weight : weights) {
    weight = std::exp(weight - largest);
    total += weight;
  }
  for (double& weight : weights) weight /= total;
  return weights;
}

// out[d] = sum over the keys that i sees of softmax(score)[j] * value[j][d].
void attend(const Scorer& score, std::int64_t head, const float* q, std::int64_t i,
            const std::vector<std::vector<float>>& keys, const Matrix& value, float* out) {
  const AttentionStep& step = score.step;
  const std::int64_t kv = kv_column(step, head);
  const std::vector<double> weights = softmax(score, head, q, i, keys);
  const auto rows = static_cast<std::int64_t>(weights.size());
  for (std::int64_t d = 0; d < step.head_size; ++d) {
    double sum = 0;
    for (std::int64_t j = 0; j < rows; ++j)
      sum += weights[static_cast<std::size_t>(j)] * value.row(j)[step.value.begin + kv + d];
    out[d] = static_cast<float>(sum);
  }
}

// out[j] = the mean over heads of softmax(score)[j].
void heed(const Scorer& score, const std::vector<float>& q, std::int64_t i,
          const std::vector<std::vector<float>>& keys, Matrix* out) {
  const AttentionStep& step = score.step;
  std::vector<double> sums(keys.size());
  for (std::int64_t h = 0; h < step.heads; ++h) {
    const std::vector<double> weights = softmax(score, h, q.data() + h * step.head_size, i, keys);
    for (std::size_t j = 0; j < weights.size(); ++j) sums[j] += weights[j];
  }
  for (std::size_t j = 0; j < sums.size(); ++j)
    *out->row(static_cast<std::int64_t>(j)) =
        static_cast<float>(sums[j] / static_cast<double>(step.heads));
}

}  // namespace

void add_position_tables(const Step& step, WeightMap* weights) {
  const auto* attention = std::get_if<AttentionStep>(&step.args);
  if (attention == nullptr || !attention->disentangled.embeddings.present()) return;
  const Disentangled& d = attention->disentangled;
  const std::vector<float>& rows = weights->at(d.embeddings.name);
  const std::int64_t hidden = d.embeddings.tensor.shape[1];
  const auto multiply = [&](const WeightRef& weight, const WeightRef& bias, const char* suffix) {
    if (!weight.present()) return;
    const std::int64_t width = attention->heads * attention->head_size;
    std::vector<float> out;
    for (std::int64_t r = 0; r < 2 * d.span(); ++r) {
      for (std::int64_t j = 0; j < width; ++j) {
        const float sum =
            dot(rows.data() + r * hidden, weights->at(weight.name).data() + j * hidden, hidden);
        out.push_back(
            sum + (bias.present() ? weights->at(bias.name)[static_cast<std::size_t>(j)] : 0.0F));
      }
    }
    (*weights)[step.name + suffix] = std::move(out);
  };
  multiply(d.key, d.key_bias, kPositionKeys);
  multiply(d.query, d.query_bias, kPositionQueries);
}

void run_step(const Context& c, const AttentionStep& step, Matrix* out) {
  const Matrix& query = c.value(step.query.value);
  const Matrix& key = c.value(step.key.value);
  std::vector<std::vector<float>> keys;
  for (std::int64_t j = 0; j < c.text.key_count; ++j) {
    keys.push_back(prepare(c, step, step.key_norm, key.row(j) + step.key.begin, step.kv_heads, j));
  }
  const Scorer score{c, step, table(c, c.step_name + kPositionKeys),
                     table(c, c.step_name + kPositionQueries)};
  // Where a query stands in its text: a single selected row stands first or last.
  const bool selected = c.program.value(step.query.value).rows == Rows::kTexts;
  for (std::int64_t r = 0; r < query.rows; ++r) {
    const std::int64_t i = !selected ? r : step.query_row == SelectKind::kFirst ? 0 : key.rows - 1;
    const std::vector<float> q =
        prepare(c, step, step.query_norm, query.row(r) + step.query.begin, step.heads, i);
    if (step.probabilities) {
      heed(score, q, i, keys, out);
      continue;
    }
    for (std::int64_t h = 0; h < step.heads; ++h) {
      attend(score, h, q.data() + h * step.head_size, i, keys, c.value(step.value.value),
             out->row(r) + h * step.head_size);
    }
  }
}

}  // namespace inlay::backend::ref
