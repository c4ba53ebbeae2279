// Small BERT-like Programs of random weights, and batches, for tests of whole runs.
#pragma once

#include <cmath>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "batch/packed_batch.h"
#include "program/program.h"

namespace inlay::backend::cpu {

struct EncoderShape {
  int layers = 2;
  std::int64_t hidden = 48, heads = 4, inner = 112;
  Activation activation = Activation::kGelu;
  bool roberta = false;                // position numbering that skips padding ids
  std::optional<SelectKind> read_row;  // the last layer for one row a text
  std::vector<PoolMode> pool = {PoolMode::kMean};
  std::int64_t dimensions = 0;  // truncate before normalising
};

class Encoder {
 public:
  static constexpr std::int64_t kVocab = 211;
  static constexpr std::int64_t kPositions = 1100;

  explicit Encoder(const EncoderShape& s) {
    const std::int64_t h = s.hidden;
    EmbedStep embed{matrix(kVocab, h, 1), matrix(kPositions, h, 1), matrix(2, h, 1), 0, -1};
    if (s.roberta) {
      embed.position_offset = 2;
      embed.position_pad_id = 1;
    }
    ValueId x = norm("embed.norm", program.embed("embed", embed), kNoValue, h);
    for (int i = 0; i < s.layers; ++i) {
      const bool last = i + 1 == s.layers && s.read_row.has_value();
      x = layer("layer" + std::to_string(i) + ".", x, s, last);
    }
    if (!s.read_row) x = program.pool("pool", {x, s.pool});
    if (s.dimensions > 0) x = program.truncate("truncate", {x, s.dimensions});
    program.normalize("normalize", {x});
  }

  Program program;

 private:
  WeightRef matrix(std::int64_t n, std::int64_t k, float scale = 0) {
    return weight({n, k}, scale > 0 ? scale : 1.0F / std::sqrt(static_cast<float>(k)), 0);
  }
  WeightRef vector(std::int64_t n, float offset = 0) { return weight({n}, 0.2F, offset); }
  WeightRef weight(Shape shape, float scale, float offset) {
    std::int64_t count = 0;
    element_count(shape, &count);
    auto values = std::make_shared<std::vector<float>>(static_cast<std::size_t>(count));
    std::normal_distribution<float> normal(offset, scale);
    for (float& v : *values) v = normal(random_);
    auto weights = std::make_shared<Weights>();
    weights->keep_alive(values);
    program.hold(weights);
    return {"w" + std::to_string(next_++), {DType::kF32, std::move(shape), values->data()}};
  }
  ValueId norm(const std::string& name, ValueId x, ValueId residual, std::int64_t h) {
    return program.norm(name, {NormKind::kLayer, x, residual, vector(h, 1), vector(h), 1e-12F});
  }
  ValueId layer(const std::string& name, ValueId x, const EncoderShape& s, bool last) {
    const std::int64_t h = s.hidden;
    AttentionStep a;
    a.heads = a.kv_heads = s.heads;
    a.head_size = h / s.heads;
    a.scale = 1.0F / std::sqrt(static_cast<float>(a.head_size));
    ValueId rows = x;
    if (last) {
      rows = program.select_rows(name + "rows", {x, *s.read_row});
      const ValueId q =
          program.linear(name + "q", {rows, {matrix(h, h)}, {vector(h)}, Activation::kNone});
      const ValueId kv = program.linear(
          name + "kv",
          {x, {matrix(h, h), matrix(h, h)}, {vector(h), vector(h)}, Activation::kNone});
      a.query = {q, 0};
      a.key = {kv, 0};
      a.value = {kv, h};
      a.query_row = *s.read_row;
    } else {
      const ValueId qkv = program.linear(name + "qkv", {x,
                                                        {matrix(h, h), matrix(h, h), matrix(h, h)},
                                                        {vector(h), {}, vector(h)},
                                                        Activation::kNone});
      a.query = {qkv, 0};
      a.key = {qkv, h};
      a.value = {qkv, 2 * h};
    }
    const ValueId context = program.attention(name + "attention", a);
    const ValueId out =
        program.linear(name + "out", {context, {matrix(h, h)}, {vector(h)}, Activation::kNone});
    const ValueId mid = norm(name + "mid", out, rows, h);
    const ValueId up =
        program.linear(name + "up", {mid, {matrix(s.inner, h)}, {vector(s.inner)}, s.activation});
    const ValueId down =
        program.linear(name + "down", {up, {matrix(h, s.inner)}, {vector(h)}, Activation::kNone});
    return norm(name + "norm", down, mid, h);
  }

  std::mt19937 random_{17};
  int next_ = 0;
};

struct TestBatch {
  std::vector<std::int32_t> ids, types, offsets{0}, pool_begin;

  explicit TestBatch(const std::vector<int>& lengths, unsigned seed = 3) {
    std::mt19937 random(seed);
    for (const int length : lengths) {
      for (int i = 0; i < length; ++i) {
        ids.push_back(static_cast<std::int32_t>(random() % Encoder::kVocab));
        types.push_back(static_cast<std::int32_t>(random() % 2));
      }
      offsets.push_back(static_cast<std::int32_t>(ids.size()));
      pool_begin.push_back(static_cast<std::int32_t>(random() % 3));
    }
  }
  PackedBatch view() const { return {ids, types, offsets, pool_begin}; }
  // Texts in the order given, some perhaps left out.
  TestBatch pick(const std::vector<std::size_t>& order) const {
    TestBatch out({});
    for (const std::size_t t : order) {
      for (auto i = static_cast<std::size_t>(offsets[t]);
           i < static_cast<std::size_t>(offsets[t + 1]); ++i) {
        out.ids.push_back(ids[i]);
        out.types.push_back(types[i]);
      }
      out.offsets.push_back(static_cast<std::int32_t>(out.ids.size()));
      out.pool_begin.push_back(pool_begin[t]);
    }
    return out;
  }
};

// What rooms of narrow numbers run: few, they are compared at length.
inline std::vector<EncoderShape> narrow_shapes() {
  std::vector<EncoderShape> all(1);
  all[0].hidden = 96;
  all[0].heads = 3;
  all[0].inner = 384;
  EncoderShape s;
  s.hidden = 40;  // rows end within a line, heads' bytes in an odd word
  s.heads = 2;
  s.inner = 33;
  s.activation = Activation::kSilu;
  s.read_row = SelectKind::kFirst;
  all.push_back(s);
  s = {};
  s.hidden = 64;
  s.heads = 1;
  s.activation = Activation::kGeluTanh;
  s.pool = {PoolMode::kMax, PoolMode::kMean};
  all.push_back(s);
  return all;
}

}  // namespace inlay::backend::cpu
