// Whole Programs: against ref, fused against plain, bit-equality over batches, places and threads,
// nothing allocated in a run, memory as announced, bad batches refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "backend/backend.h"
#include "backend/cpu/executable.h"
#include "base/error.h"
#include "encoder.h"
#include "isa_table.h"

namespace inlay {
std::int64_t allocation_count();  // ../allocations.cc; -1: not counted in this build
}  // namespace inlay

namespace inlay::backend {
const Backend& ref_backend();
const Backend& cpu_backend();
namespace cpu {
namespace {

CompileOptions options_for(int threads, std::int64_t max_tokens = 6000) {
  CompileOptions options;
  options.threads = threads;
  options.max_tokens = max_tokens;
  options.max_texts = 400;
  options.max_text_tokens = 1100;
  return options;
}

std::vector<float> run(Executable* executable, const TestBatch& batch, std::int64_t width) {
  std::vector<float> out((batch.offsets.size() - 1) * static_cast<std::size_t>(width), NAN);
  executable->run(batch.view(), out);
  return out;
}

std::vector<EncoderShape> shapes() {
  std::vector<EncoderShape> all(1);
  EncoderShape s;
  s.hidden = 128;
  s.heads = 4;  // head size 32
  s.inner = 512;
  s.roberta = true;
  s.pool = {PoolMode::kMax, PoolMode::kWeightedMean, PoolMode::kMeanSqrtLen};
  s.dimensions = 100;
  all.push_back(s);
  s = {};
  s.hidden = 64;
  s.heads = 1;
  s.read_row = SelectKind::kFirst;
  s.activation = Activation::kGeluTanh;
  all.push_back(s);
  s.read_row = SelectKind::kLast;
  s.activation = Activation::kMish;  // without a vector form
  s.heads = 4;
  all.push_back(s);
  s = {};
  s.hidden = 40;
  s.heads = 5;
  s.inner = 33;
  s.activation = Activation::kSilu;
  all.push_back(s);
  return all;
}

class Run : public EveryIsa {};

TEST_P(Run, AgreesWithRef) {
  const TestBatch batch(
      {1, 2, 7, 14, 15, 16, 17, 31, 33, 64, 130, 257, INLAY_SANITIZED ? 520 : 600, 3, 1});
  for (const EncoderShape& shape : shapes()) {
    Encoder encoder(shape);
    const std::int64_t width = encoder.program.output_width();
    const auto ref = ref_backend().compile(encoder.program, options_for(1));
    const std::vector<float> expected = run(ref.get(), batch, width);
    for (const int threads : {1, 2}) {
      const auto ours = make_executable(make_plan(encoder.program, kernels(), 512), kernels(),
                                        options_for(threads));
      const std::vector<float> got = run(ours.get(), batch, width);
      for (std::size_t i = 0; i < got.size(); ++i)
        ASSERT_NEAR(got[i], expected[i], 3e-6) << kernels().name << " element " << i;
    }
  }
}

TEST_P(Run, FusedAndPlainGiveTheSameBits) {
  const TestBatch batch({5, 1, 40, 14, 300, 2});
  for (const EncoderShape& shape : shapes()) {
    Encoder encoder(shape);
    const std::int64_t width = encoder.program.output_width();
    const Plan fused = make_plan(encoder.program, kernels(), 512, true);
    const Plan plain = make_plan(encoder.program, kernels(), 512, false);
    ASSERT_LT(fused.ops.size(), plain.ops.size());
    ASSERT_LE(fused.token_width, plain.token_width);
    const auto a = make_executable(fused, kernels(), options_for(1));
    const auto b = make_executable(plain, kernels(), options_for(1));
    ASSERT_EQ(run(a.get(), batch, width), run(b.get(), batch, width)) << kernels().name;
  }
}

// The promise: alone, in any batch, at any place, with any number of threads.
TEST_P(Run, ATextsBitsDependOnTheTextAlone) {
  std::vector<int> lengths{600, 512, 300, 257, 256, 255, 130, 64, 33, 32, 31, 17, 16, 15, 14, 2, 1};
  for (int i = 0; i < 20; ++i) lengths.push_back(1 + i * 37 % 90);
  if (INLAY_SANITIZED) lengths.erase(lengths.begin(), lengths.begin() + 2);
  const TestBatch all(lengths);
  for (const EncoderShape& shape : {shapes()[1], shapes()[3]}) {
    Encoder encoder(shape);
    const auto width = static_cast<std::size_t>(encoder.program.output_width());
    const Plan plan = make_plan(encoder.program, kernels(), 512);
    const auto one = make_executable(plan, kernels(), options_for(1));
    const std::vector<float> expected = run(one.get(), all, static_cast<std::int64_t>(width));
    std::vector<std::size_t> order(lengths.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (const int threads : INLAY_SANITIZED ? std::vector{1, 3, 5} : std::vector{1, 2, 3, 4, 5}) {
      const auto executable = make_executable(plan, kernels(), options_for(threads));
      const auto check = [&](const std::vector<std::size_t>& texts) {
        const std::vector<float> got =
            run(executable.get(), all.pick(texts), static_cast<std::int64_t>(width));
        for (std::size_t i = 0; i < texts.size(); ++i) {
          ASSERT_EQ(
              0, std::memcmp(&got[i * width], &expected[texts[i] * width], width * sizeof(float)))
              << kernels().name << " text " << texts[i] << " at place " << i << " of "
              << texts.size() << ", " << threads << " threads";
        }
      };
      check(order);
      std::vector<std::size_t> reversed(order.rbegin(), order.rend());
      check(reversed);
      std::mt19937 random(static_cast<unsigned>(threads));
      for (int i = 0; i < 3; ++i) {
        std::shuffle(reversed.begin(), reversed.end(), random);
        check({reversed.begin(), reversed.begin() + 5 + 14 * i});
      }
      for (const std::size_t t : order) check({t});
    }
  }
}

TEST_P(Run, AllocatesNothing) {
  Encoder encoder(shapes()[1]);
  const TestBatch mixed({600, 30, 14, 1, 200, 90});
  const TestBatch small({14});
  for (const int threads : {1, 2}) {
    const auto executable = make_executable(make_plan(encoder.program, kernels(), 512), kernels(),
                                            options_for(threads));
    std::vector<float> out(6 * static_cast<std::size_t>(encoder.program.output_width()));
    const std::span<float> first(out.data(), out.size() / 6);
    executable->run(mixed.view(), out);
    executable->run(small.view(), first);
    const std::int64_t before = allocation_count();
    if (before < 0) GTEST_SKIP() << "ThreadSanitizer replaces operator new";
    for (int i = 0; i < 3; ++i) {
      executable->run(mixed.view(), out);
      executable->run(small.view(), first);
    }
    EXPECT_EQ(allocation_count(), before) << threads << " threads";
  }
}

TEST_P(Run, SmallLimitsAndFullBatches) {
  Encoder encoder(shapes()[0]);
  const std::int64_t width = encoder.program.output_width();
  const auto wide =
      make_executable(make_plan(encoder.program, kernels(), 512), kernels(), options_for(1));
  for (const int threads : {1, 3}) {
    CompileOptions options;
    options.threads = threads;
    options.max_tokens = 20;
    options.max_texts = 20;
    options.max_text_tokens = 20;
    const auto narrow =
        make_executable(make_plan(encoder.program, kernels(), 512), kernels(), options);
    for (const std::vector<int>& lengths :
         {std::vector<int>{20}, std::vector<int>(20, 1), {19, 1}, {3, 3, 3, 3, 3, 3, 2}}) {
      const TestBatch batch(lengths);
      EXPECT_EQ(run(narrow.get(), batch, width), run(wide.get(), batch, width));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, Run, testing::ValuesIn(runnable()), isa_name);

TEST(Memory, IsAsAnnounced) {
  Encoder encoder(shapes()[1]);
  for (const int threads : {1, 4}) {
    const CompileOptions options = options_for(threads);
    const MemoryPlan announced = cpu_backend().plan(encoder.program, options);
    const auto executable = cpu_backend().compile(encoder.program, options);
    EXPECT_EQ(announced.packed, executable->memory().packed);
    EXPECT_EQ(announced.arena, executable->memory().arena);
    std::int64_t weights = 0;
    for (const Step& step : encoder.program.steps()) {
      visit_weights(step.args, [&](const WeightRef& ref) {
        if (ref.present()) weights += ref.tensor.elements() * 4;
      });
    }
    EXPECT_GE(announced.packed, weights);
    EXPECT_LT(announced.packed, weights + weights / 4);  // narrow matrices pad to whole panels
    EXPECT_GT(announced.arena, 0);
  }
  // One more thread costs a slice and its scratch, not a batch.
  const std::int64_t one = cpu_backend().plan(encoder.program, options_for(2)).arena;
  const std::int64_t two = cpu_backend().plan(encoder.program, options_for(3)).arena;
  EXPECT_LT(two - one, one);
}

TEST(Memory, TheCheckpointMayGo) {
  std::unique_ptr<Executable> executable;
  std::vector<float> expected;
  const TestBatch batch({4, 9});
  std::int64_t width = 0;
  {
    Encoder encoder(shapes()[0]);
    width = encoder.program.output_width();
    executable = cpu_backend().compile(encoder.program, options_for(1));
    expected = run(executable.get(), batch, width);
    encoder.program.release_weights();
  }
  EXPECT_EQ(run(executable.get(), batch, width), expected);
}

TEST(Batches, OutsideTheLimitsAreRefused) {
  Encoder encoder(shapes()[1]);
  const auto executable = cpu_backend().compile(encoder.program, options_for(1, 1200));
  const auto width = static_cast<std::size_t>(encoder.program.output_width());
  const auto refused = [&](const TestBatch& batch, std::size_t floats) {
    std::vector<float> out(floats);
    try {
      executable->run(batch.view(), out);
    } catch (const Error& error) {
      return error.code() == ErrorCode::kInternal;
    }
    return false;
  };
  EXPECT_FALSE(refused(TestBatch({3, 4}), 2 * width));
  EXPECT_FALSE(refused(TestBatch({}), 0));
  EXPECT_TRUE(refused(TestBatch({3, 4}), 2 * width - 1)) << "output too short";
  EXPECT_TRUE(refused(TestBatch({700, 600}), 2 * width)) << "too many tokens";
  EXPECT_TRUE(refused(TestBatch({1099}), width)) << "past the position table, which starts at 2";
  EXPECT_TRUE(refused(TestBatch({3, 0}), 2 * width)) << "empty text";
  TestBatch bad({5});
  bad.ids[2] = Encoder::kVocab;
  EXPECT_TRUE(refused(bad, width)) << "id past the vocabulary";
  bad.ids[2] = -1;
  EXPECT_TRUE(refused(bad, width)) << "negative id";
  bad.ids[2] = 0;
  bad.types[1] = 2;
  EXPECT_TRUE(refused(bad, width)) << "type past the table";
  bad.types[1] = 1;
  bad.pool_begin[0] = -1;
  EXPECT_TRUE(refused(bad, width)) << "negative pool_begin";
  bad.pool_begin[0] = 9;
  EXPECT_FALSE(refused(bad, width)) << "nothing left to pool is zeros, not an error";
}

TEST(Batches, SpansOutsideTheirTextsAreRefused) {
  Encoder encoder(shapes()[1]);
  const auto executable = cpu_backend().compile(encoder.program, options_for(1));
  const auto width = static_cast<std::size_t>(encoder.program.output_width());
  const TestBatch batch({3, 4});
  using Spans = std::vector<std::pair<std::int32_t, std::int32_t>>;
  const auto refused = [&](const Spans& spans, const std::vector<std::int32_t>& offsets) {
    PackedBatch packed = batch.view();
    packed.spans = spans;
    packed.span_offsets = offsets;
    std::vector<float> out(2 * width);
    try {
      executable->run(packed, out);
    } catch (const Error& error) {
      return error.code() == ErrorCode::kInternal;
    }
    return false;
  };
  EXPECT_FALSE(refused({{0, 3}, {3, 7}}, {0, 1, 2}));
  EXPECT_TRUE(refused({{0, 3}, {2, 7}}, {0, 1, 2})) << "begins in the text before";
  EXPECT_TRUE(refused({{0, 4}, {3, 7}}, {0, 1, 2})) << "ends in the next text";
  EXPECT_TRUE(refused({{0, 3}, {3, 3}}, {0, 1, 2})) << "empty";
  EXPECT_TRUE(refused({{0, 3}, {3, 8}}, {0, 1, 2})) << "past the batch";
  EXPECT_TRUE(refused({{0, 3}, {3, 7}}, {0, 1})) << "offsets of fewer texts";
  EXPECT_TRUE(refused({{0, 3}, {3, 7}}, {0, 1, 3})) << "offsets past the spans";
  EXPECT_TRUE(refused({{0, 3}, {0, 1}, {0, 1}, {0, 1}}, {0, 4, 4})) << "more than tokens";
}

TEST(Programs, ThatCannotRunAreRefusedWithReasons) {
  Encoder encoder(shapes()[0]);
  EXPECT_TRUE(cpu_backend().supports(encoder.program, options_for(1)).empty());
  CompileOptions options = options_for(1);
  options.dtype = "int8";
  EXPECT_TRUE(cpu_backend().supports(encoder.program, options).empty());
  options.dtype = "fp16";
  ASSERT_EQ(cpu_backend().supports(encoder.program, options).size(), 1U);
  EXPECT_TRUE(cpu_backend().supports(encoder.program, options)[0].starts_with("dtype:"));
}

// Tokens of width 8, experts of 4 columns, the mean of their rows.
Program experts_program(std::int64_t experts, float router) {
  Program p;
  const auto filled = [&](const char* name, std::int64_t rows, float value) {
    return p.own(name, {rows, 8}, std::vector<float>(static_cast<std::size_t>(rows * 8), value));
  };
  const ValueId x = p.embed("e", {filled("words", Encoder::kVocab, 0.5F), {}, {}, 0, -1});
  const ValueId y = p.experts("x", {x,
                                    filled("router", experts, router),
                                    filled("up", experts * 4, 0.25F),
                                    filled("down", experts * 4, 0.125F),
                                    {},
                                    2,
                                    Activation::kNone});
  p.pool("p", {y, {PoolMode::kMean}});
  return p;
}

TEST(Experts, AreWeightedByTheirSharesAndNothingIsAllocated) {
  const Program program = experts_program(4, 0.0F);
  const auto executable = cpu_backend().compile(program, options_for(2));
  const TestBatch batch({3, 200, 1});
  std::vector<float> out(3 * 8, NAN);
  executable->run(batch.view(), out);
  const std::int64_t before = allocation_count();
  executable->run(batch.view(), out);
  EXPECT_EQ(allocation_count(), before);
  // Two shares of a quarter, each of 4 columns: 8 * 0.5 * 0.25 up, 0.125 down.
  for (const float value : out) EXPECT_FLOAT_EQ(value, 2 * 0.25F * 4 * 1.0F * 0.125F);
}

TEST(Experts, ALogitThatIsNotANumberShowsInTheResult) {
  const Program program = experts_program(4, NAN);
  const auto executable = cpu_backend().compile(program, options_for(2));
  const std::vector<float> out = run(executable.get(), TestBatch({3, 40}), 8);
  for (const float value : out) EXPECT_TRUE(std::isnan(value));
}

TEST(Experts, TooManyAreRefused) {
  EXPECT_TRUE(cpu_backend().supports(experts_program(256, 0), options_for(1)).empty());
  const auto reasons = cpu_backend().supports(experts_program(257, 0), options_for(1));
  ASSERT_EQ(reasons.size(), 1U);
  EXPECT_EQ(reasons[0], "step x: 257 experts, more than 256");
}

}  // namespace
}  // namespace cpu
}  // namespace inlay::backend
