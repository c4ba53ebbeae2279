// What the step tests are made of: small Programs with random weights, a batch of awkward lengths,
// room for outputs.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "batch/packed_batch.h"
#include "program/program.h"

namespace inlay {

// Random weights that live as long as the Program.
class Maker {
 public:
  explicit Maker(unsigned seed) : random_(seed) {}
  WeightRef weight(Shape shape, float scale = 0.2F, float offset = 0) {
    std::int64_t count = 0;
    EXPECT_TRUE(element_count(shape, &count));
    auto values = std::make_shared<std::vector<float>>(static_cast<std::size_t>(count));
    std::normal_distribution<float> normal(offset, scale);
    for (float& v : *values) v = normal(random_);
    const std::string name = "w" + std::to_string(next_++);
    auto weights = std::make_shared<Weights>();
    TensorView view{DType::kF32, std::move(shape), values->data()};
    weights->keep_alive(values);
    program.hold(weights);
    return {name, view};
  }
  // Rows to work on: an embedding of `width`.
  ValueId input(std::int64_t width, float scale = 1.0F) {
    return program.embed("input" + std::to_string(next_),
                         {weight({kVocab, width}, scale), {}, {}, 0, -1});
  }
  static constexpr std::int64_t kVocab = 97;
  Program program;

 private:
  std::mt19937 random_;
  int next_ = 0;
};

struct StepCase {
  std::string name;
  std::function<void(Maker*)> build;
};

// A head that turns token rows into something run() can return: last rows, so that every length's
// tail is seen.
inline void close(Maker* m) {
  Program& p = m->program;
  if (p.outputs().size() == 1 && p.value(p.output()).rows == Rows::kTokens) {
    p.pool("close", {p.output(), {PoolMode::kLastToken, PoolMode::kWeightedMean}});
  }
}

struct Batch {
  std::vector<std::int32_t> ids, types, offsets{0}, pool_begin, key_counts, span_offsets{0};
  std::vector<std::pair<std::int32_t, std::int32_t>> spans;  // of the batch's rows
  PackedBatch view(bool extras) const {
    PackedBatch batch{ids, {}, offsets, {}};
    if (extras) {
      batch.type_ids = types;
      batch.pool_begin = pool_begin;
      batch.key_counts = key_counts;
    }
    return batch;
  }
};

// Whose longest text has `longest` tokens.
inline Batch make_batch(int longest = 600) {
  Batch batch;
  std::mt19937 random(5);
  std::int32_t index = 0;
  for (const int length : {1,  2,  3,  5,  7,  13, 14,  15,  16,  17,  28,
                           31, 32, 33, 63, 64, 65, 127, 130, 255, 257, longest}) {
    for (int i = 0; i < length; ++i) {
      batch.ids.push_back(static_cast<std::int32_t>(random() % Maker::kVocab));
      batch.types.push_back(static_cast<std::int32_t>(random() % 2));
    }
    batch.offsets.push_back(static_cast<std::int32_t>(batch.ids.size()));
    batch.pool_begin.push_back(std::min(index++ % 4, length));
    batch.key_counts.push_back(index % 3 == 0 ? length : 1 + length / 2);
    // None in every fifth text; else the whole, and as many others as there are tokens at most.
    const std::int32_t first = batch.offsets.back() - length;
    for (int s = 0; index % 5 != 0 && s < std::min(length, 40); ++s) {
      const auto begin = s == 0 ? 0 : static_cast<std::int32_t>(random() % length);
      const auto count = 1 + static_cast<std::int32_t>(random() % (length - begin));
      batch.spans.emplace_back(first + begin, first + (s == 0 ? length : begin + count));
    }
    batch.span_offsets.push_back(static_cast<std::int32_t>(batch.spans.size()));
  }
  return batch;
}

// Room for every output of a Program over a batch, filled with NaN.
struct Outputs {
  std::vector<std::vector<float>> values;
  std::vector<std::size_t> widths;
  std::vector<Rows> rows;
  std::vector<std::span<float>> views;

  Outputs() = default;
  Outputs(const Program& program, const PackedBatch& batch) {
    for (const ValueId id : program.outputs()) {
      const Value& value = program.value(id);
      rows.push_back(value.rows);
      widths.push_back(static_cast<std::size_t>(value.width));
      const std::int64_t count = value.rows == Rows::kTokens  ? batch.tokens()
                                 : value.rows == Rows::kTexts ? batch.texts()
                                                              : batch.span_count();
      values.emplace_back(static_cast<std::size_t>(count) * widths.back(), NAN);
    }
  }
  std::span<const std::span<float>> spans() {
    views.assign(values.begin(), values.end());
    return views;
  }
};

}  // namespace inlay
