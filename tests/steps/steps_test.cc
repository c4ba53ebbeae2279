// Every room and instruction set against ref, step by step: small Programs with random weights over
// a batch of awkward lengths. A text alone must give the bits that it gives in the batch, in a room
// that pads what agrees within the tolerance. A new step adds cases, a new room none.
#include <gtest/gtest.h>

#include <cctype>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <ostream>

#include "backend/backend.h"
#include "inlay/inlay.hpp"
#include "small_programs.h"
#include "tolerances.h"
#include "whole_encoders.h"

namespace inlay {
namespace {

using backend::Backend;

// Attention with each thing that may go with it, over all rows and over one row a text.
void add_attention_extras(std::vector<StepCase>* all) {
  struct Extra {
    const char* name;
    int heads, kv_heads, size;
    std::function<void(Maker*, AttentionStep*)> set;
  };
  const auto rope = [](int pairs, bool interleaved) {
    Rope rope;
    rope.interleaved = interleaved;
    for (int i = 0; i < pairs; ++i)
      rope.inv_freq.push_back(std::pow(100.0F, -static_cast<float>(i) / static_cast<float>(pairs)));
    return rope;
  };
  const auto disentangled = [](Maker* m, AttentionStep* a, int span, int buckets, int positions,
                               bool keys, bool queries) {
    const std::int64_t width = a->heads * a->head_size;
    Disentangled& d = a->disentangled;
    d.embeddings = m->weight({2 * span, width}, 1.0F);
    if (keys) {
      d.key = m->weight({width, width});
      d.key_bias = m->weight({width});
    }
    if (queries) {
      d.query = m->weight({width, width});
      d.query_bias = m->weight({width});
    }
    d.buckets = buckets;
    d.max_positions = positions;
  };
  const Extra extras[] = {
      {"rope", 3, 3, 32, [=](Maker*, AttentionStep* a) { a->rope = rope(16, false); }},
      {"rope_gqa_causal", 4, 2, 64,
       [=](Maker*, AttentionStep* a) {
         a->rope = rope(32, false);
         a->causal = true;
       }},
      {"rope_part", 2, 2, 40, [=](Maker*, AttentionStep* a) { a->rope = rope(10, false); }},
      {"rope_interleaved_factor", 2, 1, 24,
       [=](Maker*, AttentionStep* a) {
         a->rope = rope(12, true);
         a->rope.factor = 1.2F;
       }},
      {"head_norms_rope", 4, 2, 16,
       [=](Maker* m, AttentionStep* a) {
         a->query_norm = {NormKind::kRms, m->weight({16}, 0.2F, 1.0F), {}, 1e-6F, false};
         a->key_norm = {NormKind::kRms, m->weight({16}, 0.2F, 1.0F), {}, 1e-6F, false};
         a->rope = rope(8, false);
       }},
      {"whole_norms", 3, 3, 24,
       [](Maker* m, AttentionStep* a) {
         a->query_norm = {NormKind::kLayer, m->weight({72}, 0.2F, 1.0F), m->weight({72}), 1e-5F,
                          true};
         a->key_norm = {NormKind::kLayer, m->weight({72}, 0.2F, 1.0F), m->weight({72}), 1e-5F,
                        true};
       }},
      {"window_0", 2, 2, 32, [](Maker*, AttentionStep* a) { a->window = 0; }},
      {"window_5", 2, 2, 32, [](Maker*, AttentionStep* a) { a->window = 5; }},
      {"window_64_rope", 2, 2, 64,
       [=](Maker*, AttentionStep* a) {
         a->window = 64;
         a->rope = rope(32, false);
       }},
      {"window_9_causal", 4, 1, 16,
       [](Maker*, AttentionStep* a) {
         a->window = 9;
         a->causal = true;
       }},
      {"window_300_head_128", 1, 1, 128, [](Maker*, AttentionStep* a) { a->window = 300; }},
      {"alibi", 3, 3, 32,
       [](Maker*, AttentionStep* a) {
         a->alibi = {0.5F, 0.0625F, 0.01F};
       }},
      {"alibi_window_causal", 2, 2, 32,
       [](Maker*, AttentionStep* a) {
         a->alibi = {0.5F, 0.1F};
         a->window = 40;
         a->causal = true;
       }},
      {"relative_bias", 3, 3, 24,
       [](Maker* m, AttentionStep* a) {
         a->relative_bias = m->weight({2 * 128 + 1, 3}, 1.0F);
       }},
      {"disentangled", 2, 2, 32,
       [=](Maker* m, AttentionStep* a) { disentangled(m, a, 64, 64, 128, true, true); }},
      {"disentangled_keys", 2, 2, 64,
       [=](Maker* m, AttentionStep* a) { disentangled(m, a, 256, 256, 512, true, false); }},
      {"disentangled_queries_plain", 3, 3, 24,
       [=](Maker* m, AttentionStep* a) { disentangled(m, a, 50, 0, 0, false, true); }},
  };
  for (const Extra& extra : extras) {
    const auto step = [extra](Maker* m, ValueId q, ValueId kv, std::int64_t kv_begin) {
      AttentionStep a;
      a.heads = extra.heads;
      a.kv_heads = extra.kv_heads;
      a.head_size = extra.size;
      a.scale = 1.0F / std::sqrt(static_cast<float>(extra.size));
      a.query = {q, 0};
      a.key = {kv, kv_begin};
      a.value = {kv, kv_begin + static_cast<std::int64_t>(extra.kv_heads) * extra.size};
      extra.set(m, &a);
      return a;
    };
    const std::int64_t width = static_cast<std::int64_t>(extra.heads) * extra.size;
    const std::int64_t kv_width = 2LL * extra.kv_heads * extra.size;
    all->push_back({std::string("attention_") + extra.name, [=](Maker* m) {
                      const ValueId x = m->input(width + kv_width);
                      m->program.attention("a", step(m, x, x, width));
                    }});
    all->push_back({std::string("attention_") + extra.name + "_unseen_keys", [=](Maker* m) {
                      const ValueId x = m->input(width + kv_width);
                      m->program.attention("a", step(m, x, x, width));
                    }});
    for (const SelectKind select : {SelectKind::kFirst, SelectKind::kLast}) {
      all->push_back({std::string("attention_") + extra.name +
                          (select == SelectKind::kFirst ? "_first_row" : "_last_row"),
                      [=](Maker* m) {  // the keys are read again: they must not change in place
                        const ValueId x = m->input(width);
                        const ValueId kv = m->input(kv_width);
                        const ValueId row = m->program.select_rows("s", {x, select});
                        AttentionStep a = step(m, row, kv, 0);
                        a.query_row = select;
                        const ValueId context = m->program.attention("a", a);
                        const ValueId keys = m->program.pool("p", {kv, {PoolMode::kMean}});
                        m->program.set_outputs({context, keys});
                      }});
    }
  }
}

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
    for (const char* what :
         {"_first_row", "_last_row", "_probabilities", "_probabilities_unseen_keys"}) {
      const bool weights = std::string_view(what).starts_with("_prob");  // of the first row
      if (weights && h.causal) continue;
      add("attention_" + name + what, [=](Maker* m) {
        const ValueId x = m->input(h.heads * h.size);
        const ValueId kv = m->input(2 * h.kv_heads * h.size);
        const SelectKind select =
            std::string_view(what) == "_last_row" ? SelectKind::kLast : SelectKind::kFirst;
        const ValueId row = m->program.select_rows("s", {x, select});
        AttentionStep a = step(row, kv, 0);
        a.query_row = select;
        a.probabilities = weights;
        if (weights) a.value = {};
        m->program.attention("a", a);
      });
    }
  }
  for (int mode = 0; mode <= static_cast<int>(PoolMode::kLastToken); ++mode) {
    add("pool_" + std::to_string(mode), [mode](Maker* m) {
      m->program.pool("p", {m->input(37), {static_cast<PoolMode>(mode)}});
    });
  }
  for (int mode = 0; mode <= static_cast<int>(PoolMode::kLastToken); ++mode) {
    add("spans_" + std::to_string(mode), [mode](Maker* m) {
      m->program.pool("p", {m->input(37), {static_cast<PoolMode>(mode)}, true});
    });
  }
  add("spans_dense_truncate_normalize", [](Maker* m) {  // wider than it ends, and in slots
    const ValueId pooled = m->program.pool("p", {m->input(32), {PoolMode::kMean}, true});
    const ValueId dense = m->program.linear(
        "l", {pooled, {m->weight({48, 32})}, {m->weight({48})}, Activation::kTanh});
    m->program.normalize("n", {m->program.truncate("t", {dense, 21})});
  });
  add("spans_truncate_normalize", [](Maker* m) {
    m->program.normalize(
        "n", {m->program.truncate(
                 "t", {m->program.pool("p", {m->input(40), {PoolMode::kMean}, true}), 13})});
  });
  add("spans_beside_texts", [](Maker* m) {
    const ValueId x = m->input(24);
    const ValueId spans = m->program.pool("s", {x, {PoolMode::kMax, PoolMode::kMean}, true});
    const ValueId texts = m->program.pool("p", {x, {PoolMode::kMean}});
    m->program.set_outputs({m->program.normalize("n", {spans}), x, texts, spans});
  });
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
  for (const auto& [in, out] : {std::pair<int, int>{16, 16}, {33, 7}, {100, 130}, {384, 320}}) {
    for (const auto activation : {Activation::kGelu, Activation::kSilu, Activation::kTanh}) {
      add("gated_" + std::to_string(in) + "_" + std::to_string(out) + "_" +
              activation_name(activation),
          [in = in, out = out, activation](Maker* m) {
            const ValueId x = m->input(in);
            const float scale = 1.0F / std::sqrt(static_cast<float>(in));
            const WeightRef gate = m->weight({out, in}, scale);
            const WeightRef up = m->weight({out, in}, scale);
            const bool biased = activation == Activation::kGelu;
            m->program.gated_linear("g", {x, gate, up, biased ? m->weight({out}) : WeightRef{},
                                          biased ? m->weight({out}) : WeightRef{}, activation});
          });
    }
  }
  add("gated_slices", [](Maker* m) {  // one tensor of the checkpoint, two halves
    const ValueId x = m->input(48);
    const WeightRef both = m->weight({2 * 40, 48});
    m->program.gated_linear(
        "g", {x, weight_rows(both, 0, 40), weight_rows(both, 40, 40), {}, {}, Activation::kGelu});
  });
  struct Experts {
    int experts, top_k, in, hidden;
    Activation activation;
  };
  for (const Experts& e : {Experts{8, 2, 48, 100, Activation::kGelu},
                           {1, 1, 33, 7, Activation::kNone},
                           {5, 5, 20, 40, Activation::kSilu},
                           {40, 3, 17, 24, Activation::kGeluTanh},
                           {3, 1, 64, 130, Activation::kRelu}}) {
    const auto step = [e](Maker* m, ValueId x, bool biased) {
      const float scale = 1.0F / std::sqrt(static_cast<float>(e.in));
      const WeightRef router = m->weight({e.experts, e.in}, scale);
      const WeightRef up = m->weight({std::int64_t{e.experts} * e.hidden, e.in}, scale);
      const WeightRef down = m->weight({std::int64_t{e.experts} * e.hidden, e.in}, scale);
      const WeightRef bias = biased ? m->weight({e.in}) : WeightRef{};
      m->program.experts("x", {x, router, up, down, bias, e.top_k, e.activation});
    };
    const std::string name = std::to_string(e.experts) + "_top" + std::to_string(e.top_k);
    add("experts_" + name, [=](Maker* m) { step(m, m->input(e.in), true); });
    add("experts_" + name + "_rows", [=](Maker* m) {
      step(m, m->program.select_rows("s", {m->input(e.in), SelectKind::kLast}), false);
    });
  }
  add("experts_tied", [](Maker* m) {  // every expert is liked as much: the first ones are taken
    const ValueId x = m->input(24);
    const WeightRef router = m->program.own("zeros", {6, 24}, std::vector<float>(6 * 24, 0.0F));
    const WeightRef up = m->weight({6 * 16, 24});
    m->program.experts("x", {x, router, up, m->weight({6 * 16, 24}), {}, 2, Activation::kGelu});
  });
  add("embed_scaled", [](Maker* m) {
    m->program.embed("e", {m->weight({97, 40}), {}, {}, 0, -1, 6.3F});
  });
  add_attention_extras(&all);
  for (const bool sum : {false, true}) {
    for (const auto activation :
         {SparseActivation::kLog1pRelu, SparseActivation::kLog1pLog1pRelu}) {
      add(std::string("vocabulary_") + (sum ? "sum" : "max") +
              (activation == SparseActivation::kLog1pRelu ? "" : "_twice"),
          [sum, activation](Maker* m) {
            const ValueId x = m->input(40);
            m->program.vocabulary_max("v",
                                      {x, m->weight({333, 40}), m->weight({333}), activation, sum});
          });
    }
  }
  add("several_outputs", [](Maker* m) {
    const ValueId x = m->input(24);
    const ValueId y = m->program.linear("l", {x, {m->weight({40, 24})}, {}, Activation::kTanh});
    const ValueId tokens = m->program.normalize("n", {y});
    const ValueId row = m->program.select_rows("s", {y, SelectKind::kFirst});
    const ValueId best = m->program.vocabulary_max("v", {y, m->weight({77, 40}), {}, {}, false});
    m->program.set_outputs({tokens, row, best, y});
  });
  return all;
}

struct RoomCase {
  const Backend* room;
  std::string isa;  // or, of a room that has but one, the dtype
  StepCase step;
  std::string dtype = "fp32";
};

void PrintTo(const RoomCase& c, std::ostream* out) {
  *out << c.room->name() << " " << c.isa << " " << c.step.name;
}

// A room on a device of its own is tested in each of its dtypes, where it has that device, and with
// whole encoders, which it may run otherwise than step by step; on the CPU models do that.
void add_device_cases(const Backend& room, std::vector<RoomCase>* all) {
  const backend::Probe probe = room.probe();
  if (probe.state != backend::State::kOk) return;
  for (const std::string& dtype : probe.dtypes) {
    if (dtype.starts_with("int")) continue;  // weights of fewer bits are held against whole models
    for (const StepCase& step : step_cases()) all->push_back({&room, dtype, step, dtype});
    for (const StepCase& step : encoder_cases()) all->push_back({&room, dtype, step, dtype});
  }
}

// Engines of others, given padded texts: their sums are in another order for another shape.
bool pads(const Backend& room) {
  return room.name() == "onnxruntime" || room.name() == "mlx" || room.name() == "torch";
}

// INLAY_TORCH_LIBRARY of torch
std::string library_variable(const Backend& room) {
  std::string name = "INLAY_";
  for (const char c : room.name()) name += static_cast<char>(std::toupper(c));
  return name + "_LIBRARY";
}

std::vector<RoomCase> room_cases() {
  std::vector<RoomCase> all;
  for (const Backend* room : backend::all_backends()) {
    if (room->name() == "ref") continue;
    // Opening a library of others takes longer than most cases: only a run of its own does it.
    if (pads(*room) && std::getenv(library_variable(*room).c_str()) == nullptr) continue;
    if (room->name() != "cpu") {
      add_device_cases(*room, &all);
      continue;
    }
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
  const Batch batch = make_batch(INLAY_SANITIZED ? 310 : 600);
  const bool types = c.step.name == "embed_positions_types" || c.step.name == "encoder_576_last";
  const bool pools = c.step.name.starts_with("pool");
  const bool unseen = c.step.name.ends_with("_unseen_keys");
  PackedBatch packed = batch.view(types || pools || unseen);
  if (!types) packed.type_ids = {};
  if (!pools) packed.pool_begin = {};
  if (!unseen) packed.key_counts = {};
  if (c.step.name.starts_with("spans")) {
    packed.spans = batch.spans;
    packed.span_offsets = batch.span_offsets;
  }
  const Outputs shape(maker.program, packed);

  backend::CompileOptions options;
  options.max_tokens = packed.tokens();
  options.max_texts = packed.texts();
  options.max_text_tokens = 600;
  const Backend* ref = backend::all_backends().back();
  ASSERT_EQ(ref->name(), "ref");
  Outputs expected = shape;
  ref->compile(maker.program, options)->run(packed, expected.spans());

  options.dtype = c.dtype;
  const std::vector<std::string> lacks = c.room->supports(maker.program, options);
  if (!lacks.empty() && c.room->name() != "cpu") GTEST_SKIP() << lacks[0];
  ASSERT_TRUE(lacks.empty()) << lacks[0];
  Outputs first;
  for (const int threads : {1, 3}) {
    if (threads > 1 && c.room->name() != "cpu") continue;
    options.threads = threads;
    const auto executable = c.room->compile(maker.program, options);
    Outputs got = shape;
    executable->run(packed, got.spans());
    for (std::size_t i = 0; i < got.values.size(); ++i)
      expect_close(got.values[i].data(), expected.values[i].data(), got.values[i].size(),
                   got.widths[i], i, tolerance_of(c.dtype));
    if (first.values.empty()) first = got;
    for (std::size_t i = 0; i < got.values.size(); ++i) {
      ASSERT_EQ(0, std::memcmp(first.values[i].data(), got.values[i].data(),
                               got.values[i].size() * sizeof(float)))
          << "the number of threads changes bits of output " << i;
    }
    if (INLAY_SANITIZED && threads == 1) continue;
    if (packed.spans.empty()) expect_same_together(executable.get(), maker.program, packed, got, 7);
    // Each text alone, or where none of the bits depends on it every fourth.
    for (std::int64_t t = 0; t < packed.texts(); t += pads(*c.room) ? 4 : 1) {
      const auto begin = static_cast<std::size_t>(packed.offsets[static_cast<std::size_t>(t)]);
      const std::size_t count =
          static_cast<std::size_t>(packed.offsets[static_cast<std::size_t>(t + 1)]) - begin;
      const std::vector<std::int32_t> offsets{0, static_cast<std::int32_t>(count)};
      PackedBatch one{packed.ids.subspan(begin, count), {}, offsets, {}};
      if (!packed.type_ids.empty()) one.type_ids = packed.type_ids.subspan(begin, count);
      if (!packed.pool_begin.empty())
        one.pool_begin = packed.pool_begin.subspan(static_cast<std::size_t>(t), 1);
      if (!packed.key_counts.empty())
        one.key_counts = packed.key_counts.subspan(static_cast<std::size_t>(t), 1);
      std::vector<std::pair<std::int32_t, std::int32_t>> spans;
      std::vector<std::int32_t> span_offsets;
      std::size_t first_span = 0;
      if (!packed.spans.empty()) {
        const auto text = static_cast<std::size_t>(t);
        first_span = static_cast<std::size_t>(packed.span_offsets[text]);
        const auto end_span = static_cast<std::size_t>(packed.span_offsets[text + 1]);
        const std::int32_t row = packed.offsets[text];
        for (std::size_t s = first_span; s < end_span; ++s)
          spans.emplace_back(packed.spans[s].first - row, packed.spans[s].second - row);
        span_offsets = {0, static_cast<std::int32_t>(spans.size())};
        one.spans = spans;
        one.span_offsets = span_offsets;
      }
      Outputs alone(maker.program, one);
      executable->run(one, alone.spans());
      for (std::size_t i = 0; i < alone.values.size(); ++i) {
        if (alone.values[i].empty()) continue;  // a text without spans
        const std::size_t row = got.rows[i] == Rows::kTokens  ? begin
                                : got.rows[i] == Rows::kTexts ? static_cast<std::size_t>(t)
                                                              : first_span;
        if (pads(*c.room)) {
          expect_close(alone.values[i].data(), &got.values[i][row * got.widths[i]],
                       alone.values[i].size(), got.widths[i], i, tolerance_of(c.dtype));
          continue;
        }
        ASSERT_EQ(0, std::memcmp(alone.values[i].data(), &got.values[i][row * got.widths[i]],
                                 alone.values[i].size() * sizeof(float)))
            << "output " << i << " of text " << t << " alone differs, " << threads << " threads";
      }
    }
  }
  ::unsetenv("INLAY_CPU_ISA");
}

std::string room_case_name(const testing::TestParamInfo<RoomCase>& info) {
  return std::string(info.param.room->name()) + "_" + info.param.isa + "_" + info.param.step.name;
}

TEST(Rooms, ThatHaveNoDeviceHereAreSkipped) {
  std::string reasons;
  for (const Backend* room : backend::all_backends()) {
    const backend::Probe probe = room->probe();
    if (probe.state != backend::State::kOk)
      reasons += std::string(room->name()) + ": " + probe.reason + ". ";
  }
  if (!reasons.empty()) GTEST_SKIP() << reasons;
}

INSTANTIATE_TEST_SUITE_P(Rooms, Steps, testing::ValuesIn(room_cases()), room_case_name);

}  // namespace
}  // namespace inlay
