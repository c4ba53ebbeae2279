// Encoders of a few layers, as rooms with one launch for a whole short text know them (post-norm,
// GELU, one pooling), and their neighbours that such a launch must leave alone.
#pragma once

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "small_programs.h"

namespace inlay {

struct EncoderShape {
  const char* name;
  int layers, hidden, heads, head_size, middle;
  PoolMode pool;
  bool types, unit;
};

inline void build_encoder(const EncoderShape& s, Maker* m) {
  Program& p = m->program;
  const auto matrix = [&](std::int64_t n, std::int64_t k) {
    return m->weight({n, k}, 1.0F / std::sqrt(static_cast<float>(k)));
  };
  const auto norm = [&](const std::string& name, ValueId x, ValueId residual) {
    return p.norm(name, {NormKind::kLayer, x, residual, m->weight({s.hidden}, 0.1F, 1.0F),
                         m->weight({s.hidden}, 0.1F), 1e-6F});
  };
  ValueId x = p.embed("embed", {matrix(Maker::kVocab, s.hidden), matrix(1200, s.hidden),
                                s.types ? matrix(2, s.hidden) : WeightRef{}, 0, -1});
  x = norm("embed.norm", x, kNoValue);
  const std::int64_t width = std::int64_t{s.heads} * s.head_size;
  for (int i = 0; i < s.layers; ++i) {
    const std::string at = "layer." + std::to_string(i) + ".";
    const ValueId qkv = p.linear(
        at + "qkv", {x,
                     {matrix(width, s.hidden), matrix(width, s.hidden), matrix(width, s.hidden)},
                     {m->weight({width}), m->weight({width}), m->weight({width})},
                     Activation::kNone});
    AttentionStep a;
    a.query = {qkv, 0};
    a.key = {qkv, width};
    a.value = {qkv, 2 * width};
    a.heads = a.kv_heads = s.heads;
    a.head_size = s.head_size;
    a.scale = 1.0F / std::sqrt(static_cast<float>(a.head_size));
    const ValueId context = p.attention(at + "attention", a);
    x = norm(
        at + "norm1",
        p.linear(at + "out",
                 {context, {matrix(s.hidden, width)}, {m->weight({s.hidden})}, Activation::kNone}),
        x);
    const ValueId up =
        p.linear(at + "up", {x, {matrix(s.middle, s.hidden)}, {}, Activation::kGelu});
    x = norm(
        at + "norm2",
        p.linear(at + "down",
                 {up, {matrix(s.hidden, s.middle)}, {m->weight({s.hidden})}, Activation::kNone}),
        x);
  }
  const ValueId pooled = p.pool("pool", {x, {s.pool}});
  if (s.unit) p.normalize("unit", {pooled});
}

inline std::vector<StepCase> encoder_cases() {
  static constexpr EncoderShape kShapes[] = {
      {"pool_encoder_128_mean", 3, 128, 4, 32, 512, PoolMode::kMean, true, true},
      {"encoder_320_cls", 1, 320, 5, 64, 1088, PoolMode::kCls, false, true},
      {"encoder_576_last", 1, 576, 3, 64, 640, PoolMode::kLastToken, true, false},
      {"encoder_800_mean_unseen_keys", 1, 800, 9, 32, 864, PoolMode::kMean, false, true},
      {"encoder_96_max", 1, 96, 3, 32, 160, PoolMode::kMax, true, true}};
  std::vector<StepCase> cases;
  for (const EncoderShape& shape : kShapes)
    cases.push_back({shape.name, [shape](Maker* m) { build_encoder(shape, m); }});
  return cases;
}

// The first texts alone, as one batch, have the bits that they have among all.
inline void expect_same_together(backend::Executable* executable, const Program& program,
                                 const PackedBatch& all, const Outputs& expected,
                                 std::size_t texts) {
  const auto tokens = static_cast<std::size_t>(all.offsets[texts]);
  PackedBatch some{all.ids.first(tokens), {}, all.offsets.first(texts + 1), {}};
  if (!all.type_ids.empty()) some.type_ids = all.type_ids.first(tokens);
  if (!all.pool_begin.empty()) some.pool_begin = all.pool_begin.first(texts);
  if (!all.key_counts.empty()) some.key_counts = all.key_counts.first(texts);
  Outputs got(program, some);
  executable->run(some, got.spans());
  for (std::size_t i = 0; i < got.values.size(); ++i) {
    ASSERT_EQ(0, std::memcmp(got.values[i].data(), expected.values[i].data(),
                             got.values[i].size() * sizeof(float)))
        << "output " << i << " of the first " << texts << " texts differs from the whole batch's";
  }
}

}  // namespace inlay
