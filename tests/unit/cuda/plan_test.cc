// Plans: values that live at one time never share memory, outputs and heads get fp32, and what a
// submission holds follows the options.
#include "backend/cuda/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "backend/cuda/planner.h"

namespace inlay::backend::cuda {
namespace {

WeightRef weight(Program* program, const std::string& name, Shape shape) {
  std::int64_t count = 0;
  EXPECT_TRUE(element_count(shape, &count));
  return program->own(name, std::move(shape),
                      std::vector<float>(static_cast<std::size_t>(count), 0.5F));
}

// Embedding, a layer of attention with post-norm, mean, normalise.
Program encoder() {
  Program p;
  const ValueId embedded = p.embed("embed", {weight(&p, "words", {100, 64}), {}, {}, 0, -1});
  const ValueId x = p.norm("embed.norm", {NormKind::kLayer, embedded, kNoValue,
                                          weight(&p, "g", {64}), weight(&p, "b", {64}), 1e-12F});
  const ValueId qkv = p.linear(
      "qkv", {x, {weight(&p, "q", {64, 64}), weight(&p, "kv", {128, 64})}, {}, Activation::kNone});
  AttentionStep a;
  a.query = {qkv, 0};
  a.key = {qkv, 64};
  a.value = {qkv, 128};
  a.heads = a.kv_heads = 2;
  a.head_size = 32;
  a.scale = 1;
  const ValueId context = p.attention("attention", a);
  const ValueId dense =
      p.linear("dense", {context, {weight(&p, "d", {64, 64})}, {}, Activation::kNone});
  const ValueId sum = p.norm("norm", {NormKind::kLayer, dense, x, {}, {}, 1e-12F});
  p.normalize("unit", {p.pool("mean", {sum, {PoolMode::kMean}})});
  return p;
}

CompileOptions options_of(const char* dtype) {
  CompileOptions options;
  options.dtype = dtype;
  options.max_tokens = 1000;
  options.max_texts = 100;
  options.max_text_tokens = 128;
  return options;
}

TEST(Addresses, FirstFitAndNeverTwice) {
  Addresses addresses;
  const std::int64_t a = addresses.take(1000);
  const std::int64_t b = addresses.take(256);
  const std::int64_t c = addresses.take(10);
  EXPECT_EQ(a, 0);
  EXPECT_EQ(b, 1024);
  EXPECT_EQ(c, 1280);
  addresses.give(a);
  EXPECT_EQ(addresses.take(512), 0);
  EXPECT_EQ(addresses.take(512), 512);
  EXPECT_EQ(addresses.take(512), 1536);
  EXPECT_EQ(addresses.most(), 2048);
}

TEST(Plan, EncoderIsEmbedProductAttentionProductNormPoolRow) {
  const Program program = encoder();
  const Plan plan = make_plan(program, options_of("fp16"));
  std::vector<OpKind> kinds;
  for (const Op& op : plan.ops) kinds.push_back(op.kind);
  const std::vector<OpKind> expected{OpKind::kEmbed,  OpKind::kLinear, OpKind::kAttention,
                                     OpKind::kLinear, OpKind::kNorm,   OpKind::kPool,
                                     OpKind::kRow};
  ASSERT_EQ(kinds, expected);
  EXPECT_EQ(plan.ops[1].linear.n, 192);
  EXPECT_EQ(plan.ops[1].linear.out.type, Type::kF16);
  EXPECT_EQ(plan.ops[5].pool.out.type, Type::kF32);  // nothing behind pooling multiplies
  EXPECT_EQ(plan.ops[6].row.out.block, Block::kOutputs);
  EXPECT_EQ(plan.ops[6].row.out.type, Type::kF32);
  // The rows that the norm adds are not where the products wrote in between.
  const NormOp& norm = plan.ops[4].norm;
  const std::int64_t bytes = plan.capacity.tokens * 64 * 2;
  for (const Place& written :
       {plan.ops[1].linear.out, plan.ops[2].attention.out, plan.ops[3].linear.out}) {
    EXPECT_GE(std::abs(written.offset - norm.residual.offset), bytes);
  }
}

TEST(Plan, CapacityHoldsTheLongestTextAndNoMoreThanABatch) {
  CompileOptions options = options_of("fp32");
  EXPECT_EQ(capacity_of(options).tokens, 1000);
  options.max_tokens = std::int64_t{1} << 20;
  options.max_text_tokens = 2 * kChunkTokens;
  EXPECT_EQ(capacity_of(options).tokens, 2 * kChunkTokens);
  EXPECT_EQ(capacity_of(options).texts, 100);
}

TEST(Plan, HalfTheChunkTakesLessAndHoldsTheSame) {
  const Program program = encoder();
  CompileOptions options = options_of("fp16");
  options.max_tokens = 4 * kChunkTokens;
  const Plan whole = make_plan(program, options);
  const Plan half = make_plan(program, options, kChunkTokens / 2);
  EXPECT_EQ(whole.capacity.tokens, kChunkTokens);
  EXPECT_EQ(half.capacity.tokens, kChunkTokens / 2);
  EXPECT_LT(half.slot_bytes, whole.slot_bytes);
  EXPECT_EQ(half.weight_bytes, whole.weight_bytes);
}

// --memory-limit is about the process: a model larger than it may lie on the device.
TEST(Plan, WeightsCountTowardTheDevice) {
  const Program program = encoder();
  CompileOptions options = options_of("fp16");
  const Plan small = make_plan(program, options);
  const MemoryPlan memory = memory_of(small);
  EXPECT_EQ(memory.packed, 0);
  EXPECT_GE(memory.device, small.weight_bytes + small.slot_bytes);
  EXPECT_GE(memory.arena, kStages * small.output_bytes + kBounceBytes);
  options.max_tokens *= 4;
  options.max_text_tokens = options.max_tokens;
  const MemoryPlan larger = memory_of(make_plan(program, options));
  EXPECT_GT(larger.device - memory.device, small.slot_bytes);
  EXPECT_LT(larger.arena - memory.arena, larger.device - memory.device);
}

// Every product of this encoder is of 8-bit factors: norms and attention write them, and the norm's
// weight and bias lie in the product's.
TEST(Plan, Fp8ProductsReadWhatNormsAndAttentionRound) {
  const Program program = encoder();
  const Plan plan = make_plan(program, options_of("fp8"));
  EXPECT_EQ(plan.type, Type::kF16);
  ASSERT_EQ(plan.ops.size(), 7U);
  const EmbedOp& embed = plan.ops[0].embed;
  const LinearOp& qkv = plan.ops[1].linear;
  const AttentionOp& attention = plan.ops[2].attention;
  const LinearOp& dense = plan.ops[3].linear;
  const NormOp& norm = plan.ops[4].norm;
  EXPECT_EQ(embed.quantized.type, Type::kE4M3);
  EXPECT_EQ(embed.out.type, Type::kF16);  // the norm behind attention adds it
  EXPECT_EQ(qkv.in.offset, embed.quantized.offset);
  EXPECT_EQ(qkv.in.type, Type::kE4M3);
  EXPECT_EQ(qkv.weight.type, Type::kE4M3);
  EXPECT_EQ(qkv.out.type, Type::kF16);
  EXPECT_TRUE(present(qkv.scales) && present(qkv.bias_f32));
  EXPECT_EQ(attention.out.type, Type::kE4M3);
  EXPECT_EQ(dense.in.offset, attention.out.offset);
  EXPECT_FALSE(present(norm.quantized));  // pooling reads it, no product
  // The bound of attention is that of the values' columns.
  const auto is_qkv = [](const WeightSpec& spec) {
    return spec.type == Type::kE4M3 && spec.n == 192;
  };
  const auto spec = std::find_if(plan.weights.begin(), plan.weights.end(), is_qkv);
  ASSERT_NE(spec, plan.weights.end());
  EXPECT_EQ(spec->e4m3.factor.name, "g");
  EXPECT_EQ(spec->e4m3.shift.name, "b");
  EXPECT_EQ(spec->e4m3.bound_begin, 128);
  EXPECT_EQ(spec->e4m3.bound_end, 192);
  EXPECT_EQ(spec->e4m3.out_scale, attention.out_scale.offset);
}

TEST(Plan, Fp8LeavesWhatItHasNoScaleForIn16Bits) {
  Program p;
  const ValueId x = p.embed("embed", {weight(&p, "words", {100, 64}), {}, {}, 0, -1});
  const ValueId up = p.linear("up", {x, {weight(&p, "u", {128, 64})}, {}, Activation::kGelu});
  p.linear("down", {up, {weight(&p, "d", {64, 128})}, {}, Activation::kNone});
  const Plan plan = make_plan(p, options_of("fp8"));
  for (const Op& op : plan.ops) {
    if (op.kind == OpKind::kLinear) {
      EXPECT_EQ(op.linear.in.type, Type::kF16);
    }
  }
}

TEST(Plan, Fp8GeluWritesWhatTheNextProductReads) {
  Program p;
  const ValueId x = p.embed("embed", {weight(&p, "words", {100, 64}), {}, {}, 0, -1});
  const ValueId n = p.norm("norm", {NormKind::kLayer, x, kNoValue, weight(&p, "g", {64}),
                                    weight(&p, "b", {64}), 1e-12F});
  const ValueId up = p.linear("up", {n, {weight(&p, "u", {128, 64})}, {}, Activation::kGelu});
  const ValueId down = p.linear("down", {up, {weight(&p, "d", {64, 128})}, {}, Activation::kNone});
  p.pool("mean", {down, {PoolMode::kMean}});
  const Plan plan = make_plan(p, options_of("fp8"));
  const LinearOp& first = plan.ops[1].linear;
  const LinearOp& second = plan.ops[2].linear;
  EXPECT_FALSE(present(plan.ops[0].embed.out));  // products alone read it
  EXPECT_EQ(first.out.type, Type::kE4M3);
  EXPECT_TRUE(present(first.out_scale));
  EXPECT_EQ(second.in.offset, first.out.offset);
  EXPECT_EQ(second.out.type, Type::kF16);
}

TEST(Plan, TiedMatricesAreStoredOnce) {
  Program p;
  const WeightRef words = weight(&p, "words", {100, 64});
  const ValueId x = p.embed("embed", {words, {}, {}, 0, -1});
  p.vocabulary_max("head", {x, words, {}, SparseActivation::kLog1pRelu, false});
  const Plan plan = make_plan(p, options_of("bf16"));
  EXPECT_EQ(plan.weights.size(), 1U);
  EXPECT_EQ(plan.weight_bytes, 100 * 64 * 2);
}

}  // namespace
}  // namespace inlay::backend::cuda
