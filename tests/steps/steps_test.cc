// Every room and instruction set against ref, step by step: small Programs with random weights over
// a batch of awkward lengths. A text alone must give the bits that it gives in the batch. A new
// step adds cases, a new room none.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <ostream>
#include <random>

#include "backend/backend.h"
#include "inlay/inlay.hpp"

namespace inlay {
namespace {

using backend::Backend;

// Largest allowed difference to ref (float values, double sums), relative to the largest element of
// the result, and least cosine of a row. fp32 rooms differ by the order of at most a few thousand
// additions.
struct Tolerance {
  const char* dtype;
  double relative, cosine;
};
constexpr Tolerance kTolerances[] = {{"fp32", 1e-5, 0.9999999}};

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

std::vector<StepCase> step_cases() {
  std::vector<StepCase> all;
  const auto add = [&](std::string name, std::function<void(Maker*)> build) {
    all.push_back({std::move(name), std::move(build)});
  };
  add("embed_positions_types", [](Maker* m) {
    m->program.embed("e", {m->weight({97, 48}), m->weight({1200, 48}), m->weight({2, 48}), 0, -1});
  });
  add("embed_roberta_positions", [](Maker* m) {
    m->program.embed("e", {m->weight({97, 40}), m->weight({1200, 40}), {}, 2, 1});
  });
  for (const auto& [in, out] : {std::pair<int, int>{1, 1},
                                {16, 16},
                                {33, 7},
                                {384, 1536},
                                {384, 384},
                                {100, 130},
                                {768, 96}}) {
    add("linear_" + std::to_string(in) + "_" + std::to_string(out), [in = in, out = out](Maker* m) {
      const ValueId x = m->input(in);
      m->program.linear("l", {x,
                              {m->weight({out, in}, 1.0F / std::sqrt(static_cast<float>(in)))},
                              {m->weight({out})},
                              Activation::kNone});
    });
  }
  for (int a = 0; a <= static_cast<int>(Activation::kLaplace); ++a) {
    const auto activation = static_cast<Activation>(a);
    add(std::string("linear_act_") + activation_name(activation), [activation](Maker* m) {
      const ValueId x = m->input(24);
      m->program.linear("l", {x, {m->weight({50, 24}, 0.6F)}, {m->weight({50})}, activation});
    });
  }
  add("linear_stacked_no_bias", [](Maker* m) {
    const ValueId x = m->input(64);
    m->program.linear("l", {x,
                            {m->weight({48, 64}), m->weight({17, 64}), m->weight({64, 64})},
                            {},
                            Activation::kNone});
  });
  for (const int width : {1, 15, 16, 17, 384, 768, 1000}) {
    add("layer_norm_" + std::to_string(width), [width](Maker* m) {
      const ValueId x = m->input(width, 3.0F);
      m->program.norm("n", {NormKind::kLayer, x, kNoValue, m->weight({width}, 0.2F, 1.0F),
                            m->weight({width}), 1e-12F});
    });
  }
  add("rms_norm_residual", [](Maker* m) {
    const ValueId x = m->input(72);
    const ValueId y = m->program.linear("l", {x, {m->weight({72, 72})}, {}, Activation::kNone});
    m->program.norm("n", {NormKind::kRms, y, x, m->weight({72}, 0.2F, 1.0F), {}, 1e-6F});
  });
  add("norm_no_weights", [](Maker* m) {
    m->program.norm("n", {NormKind::kLayer, m->input(20), kNoValue, {}, {}, 1e-5F});
  });
  struct Heads {
    int heads, kv_heads, size;
    bool causal;
  };
  for (const Heads& h : {Heads{12, 12, 32, false},
                         {2, 2, 64, false},
                         {1, 1, 128, false},
                         {3, 3, 24, false},
                         {4, 2, 16, false},
                         {2, 2, 80, false},
                         {2, 1, 64, true},
                         {5, 5, 1, false}}) {
    const std::string name = std::to_string(h.heads) + "x" + std::to_string(h.size) + "_kv" +
                             std::to_string(h.kv_heads) + (h.causal ? "_causal" : "");
    const auto step = [h](ValueId q, ValueId kv, std::int64_t kv_begin) {
      AttentionStep a;
      a.heads = h.heads;
      a.kv_heads = h.kv_heads;
      a.head_size = h.size;
      a.scale = 1.0F / std::sqrt(static_cast<float>(h.size));
      a.causal = h.causal;
      a.query = {q, 0};
      a.key = {kv, kv_begin};
      a.value = {kv, kv_begin + h.kv_heads * h.size};
      return a;
    };
    add("attention_" + name, [=](Maker* m) {
      const std::int64_t width = (h.heads + 2 * h.kv_heads) * h.size;
      const ValueId x = m->input(width);
      m->program.attention("a", step(x, x, h.heads * h.size));
    });
    for (const SelectKind select : {SelectKind::kFirst, SelectKind::kLast}) {
      add("attention_" + name + (select == SelectKind::kFirst ? "_first_row" : "_last_row"),
          [=](Maker* m) {
            const ValueId x = m->input(h.heads * h.size);
            const ValueId kv = m->input(2 * h.kv_heads * h.size);
            const ValueId row = m->program.select_rows("s", {x, select});
            AttentionStep a = step(row, kv, 0);
            a.query_row = select;
            m->program.attention("a", a);
          });
    }
  }
  for (int mode = 0; mode <= static_cast<int>(PoolMode::kLastToken); ++mode) {
    add("pool_" + std::to_string(mode), [mode](Maker* m) {
      m->program.pool("p", {m->input(37), {static_cast<PoolMode>(mode)}});
    });
  }
  add("pool_several_normalize", [](Maker* m) {
    m->program.normalize(
        "n",
        {m->program.pool("p", {m->input(32), {PoolMode::kMax, PoolMode::kMean, PoolMode::kCls}})});
  });
  add("truncate_normalize", [](Maker* m) {
    m->program.normalize(
        "n",
        {m->program.truncate("t", {m->program.pool("p", {m->input(40), {PoolMode::kMean}}), 13})});
  });
  add("residual", [](Maker* m) {
    const ValueId x = m->input(31);
    m->program.residual(
        "r", {x, m->program.linear("l", {x, {m->weight({31, 31})}, {}, Activation::kRelu})});
  });
  add("post_norm_layer", [](Maker* m) {  // what rooms fuse most
    const ValueId x = m->input(64);
    const ValueId up =
        m->program.linear("up", {x, {m->weight({256, 64})}, {m->weight({256})}, Activation::kGelu});
    const ValueId down = m->program.linear(
        "down", {up, {m->weight({64, 256})}, {m->weight({64})}, Activation::kNone});
    m->program.norm(
        "n", {NormKind::kLayer, down, x, m->weight({64}, 0.2F, 1.0F), m->weight({64}), 1e-12F});
  });
  add("value_read_twice", [](Maker* m) {  // a fused intermediate that someone else reads too
    const ValueId x = m->input(32);
    const ValueId y =
        m->program.linear("l", {x, {m->weight({32, 32})}, {m->weight({32})}, Activation::kTanh});
    const ValueId z =
        m->program.norm("n", {NormKind::kLayer, y, x, m->weight({32}), m->weight({32}), 1e-5F});
    m->program.residual("r", {y, z});
  });
  return all;
}

// A head that turns token rows into something run() can return: last rows, so that every length's
// tail is seen.
void close(Maker* m) {
  Program& p = m->program;
  if (p.value(p.output()).rows == Rows::kTokens) {
    p.pool("close", {p.output(), {PoolMode::kLastToken, PoolMode::kWeightedMean}});
  }
}

struct Batch {
  std::vector<std::int32_t> ids, types, offsets{0}, pool_begin;
  PackedBatch view(bool extras) const {
    PackedBatch batch{ids, {}, offsets, {}};
    if (extras) {
      batch.type_ids = types;
      batch.pool_begin = pool_begin;
    }
    return batch;
  }
};

Batch make_batch() {
  Batch batch;
  std::mt19937 random(5);
  std::int32_t index = 0;
  for (const int length :
       {1, 2, 3, 5, 7, 13, 14, 15, 16, 17, 28, 31, 32, 33, 63, 64, 65, 127, 130, 255, 257, 600}) {
    for (int i = 0; i < length; ++i) {
      batch.ids.push_back(static_cast<std::int32_t>(random() % Maker::kVocab));
      batch.types.push_back(static_cast<std::int32_t>(random() % 2));
    }
    batch.offsets.push_back(static_cast<std::int32_t>(batch.ids.size()));
    batch.pool_begin.push_back(std::min(index++ % 4, length));
  }
  return batch;
}

struct RoomCase {
  const Backend* room;
  std::string isa;
  StepCase step;
};

void PrintTo(const RoomCase& c, std::ostream* out) {
  *out << c.room->name() << " " << c.isa << " " << c.step.name;
}

std::vector<RoomCase> room_cases() {
  std::vector<RoomCase> all;
  for (const Backend* room : backend::all_backends()) {
    if (room->name() == "ref") continue;
    for (const char* isa : {"generic", "avx2", "avx512", "neon"}) {
      ::setenv("INLAY_CPU_ISA", isa, 1);
      const backend::Probe probe = room->probe();
      if (probe.state != backend::State::kOk || probe.isa != isa) continue;
      for (const StepCase& step : step_cases()) all.push_back({room, isa, step});
    }
  }
  ::unsetenv("INLAY_CPU_ISA");
  return all;
}

class Steps : public testing::TestWithParam<RoomCase> {};

TEST_P(Steps, AgreeWithRefAndDoNotDependOnNeighbours) {
  const RoomCase& c = GetParam();
  ::setenv("INLAY_CPU_ISA", c.isa.c_str(), 1);
  Maker maker(11);
  c.step.build(&maker);
  close(&maker);
  const Batch batch = make_batch();
  const bool types = c.step.name == "embed_positions_types";
  const bool pools = c.step.name.starts_with("pool");
  PackedBatch packed = batch.view(types || pools);
  if (!types) packed.type_ids = {};
  if (!pools) packed.pool_begin = {};
  const auto width = static_cast<std::size_t>(maker.program.output_width());
  const auto texts = static_cast<std::size_t>(packed.texts());

  backend::CompileOptions options;
  options.max_tokens = packed.tokens();
  options.max_texts = packed.texts();
  options.max_text_tokens = 600;
  const Backend* ref = backend::all_backends().back();
  ASSERT_EQ(ref->name(), "ref");
  std::vector<float> expected(texts * width);
  ref->compile(maker.program, options)->run(packed, expected);
  double largest = 1e-3;
  for (const float v : expected) largest = std::max(largest, std::fabs(static_cast<double>(v)));

  ASSERT_TRUE(c.room->supports(maker.program, options).empty())
      << c.room->supports(maker.program, options)[0];
  std::vector<float> first;
  for (const int threads : {1, 3}) {
    options.threads = threads;
    const auto executable = c.room->compile(maker.program, options);
    std::vector<float> got(texts * width, NAN);
    executable->run(packed, got);
    const Tolerance& tolerance = kTolerances[0];
    for (std::size_t t = 0; t < texts; ++t) {
      double dot = 0;
      double a = 0;
      double b = 0;
      for (std::size_t d = 0; d < width; ++d) {
        const double x = got[t * width + d];
        const double y = expected[t * width + d];
        ASSERT_LE(std::fabs(x - y), tolerance.relative * largest)
            << "text " << t << ", column " << d << ", " << threads << " threads";
        dot += x * y;
        a += x * x;
        b += y * y;
      }
      if (width > 1 && b > 1e-6) {
        ASSERT_GE(dot / std::sqrt(a * b), tolerance.cosine) << "text " << t;
      }
    }
    if (first.empty()) first = got;
    ASSERT_EQ(0, std::memcmp(first.data(), got.data(), got.size() * sizeof(float)))
        << "the number of threads changes bits";
    std::vector<float> alone(width);
    for (std::size_t t = 0; t < texts; ++t) {  // each text alone
      const auto begin = static_cast<std::size_t>(packed.offsets[t]);
      const std::size_t count = static_cast<std::size_t>(packed.offsets[t + 1]) - begin;
      const std::vector<std::int32_t> offsets{0, static_cast<std::int32_t>(count)};
      PackedBatch one{packed.ids.subspan(begin, count), {}, offsets, {}};
      if (!packed.type_ids.empty()) one.type_ids = packed.type_ids.subspan(begin, count);
      if (!packed.pool_begin.empty()) one.pool_begin = packed.pool_begin.subspan(t, 1);
      executable->run(one, alone);
      ASSERT_EQ(0, std::memcmp(alone.data(), &got[t * width], width * sizeof(float)))
          << "text " << t << " alone differs, " << threads << " threads";
    }
  }
  ::unsetenv("INLAY_CPU_ISA");
}

std::string room_case_name(const testing::TestParamInfo<RoomCase>& info) {
  return std::string(info.param.room->name()) + "_" + info.param.isa + "_" + info.param.step.name;
}

INSTANTIATE_TEST_SUITE_P(Rooms, Steps, testing::ValuesIn(room_cases()), room_case_name);

}  // namespace
}  // namespace inlay
