// How batches are cut, what a Program becomes on a tape, and what a room's table of tensors is
// asked for: by a table that records.
#include "backend/padded/groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>

#include "backend/padded/executable.h"
#include "backend/padded/tape.h"
#include "base/error.h"

namespace inlay::backend::padded {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<std::int32_t> kOffsets{0, 3, 13, 15, 24};  // texts of 3, 10, 2 and 9 tokens
PackedBatch batch_of(const std::vector<std::int32_t>& ids) { return {ids, {}, kOffsets, {}}; }

// Each group's texts, "1 3" for two of them, and its size as [texts, length].
std::vector<std::string> groups_of(Grouper* grouper, const PackedBatch& batch,
                                   const std::function<Cut(std::int64_t)>& cut) {
  std::vector<std::string> all;
  grouper->each(batch, cut, [&](const Group& group) {
    std::string& text = all.emplace_back();
    for (const std::int32_t member : group.members) text += std::to_string(member) + " ";
    text += "[" + std::to_string(group.texts) + "," + std::to_string(group.length) + "]";
    return true;
  });
  return all;
}

TEST(Groups, TextsOfLikeLengthRunTogether) {
  const std::vector<std::int32_t> ids(24, 1);
  const PackedBatch batch = batch_of(ids);
  Grouper grouper(8);
  const auto like = [](std::int64_t length) { return Cut{length, least_of_group(length), 8}; };
  // 9 tokens are 7/8 of 10, and 2 are not of 3
  EXPECT_THAT(groups_of(&grouper, batch, like), ElementsAre("1 3 [2,10]", "0 [1,3]", "2 [1,2]"));
  TokenCounts counts;
  const auto count_first = [&](const Group& group) {
    count_tokens(batch, group, &counts);
    return false;  // nothing follows
  };
  EXPECT_FALSE(grouper.each(batch, like, count_first));
  EXPECT_EQ(counts.padded_share(), 1.0 / 20);
  const auto alone = [](std::int64_t length) { return Cut{length, 1, 1}; };
  EXPECT_THAT(groups_of(&grouper, batch, alone),
              ElementsAre("1 [1,10]", "3 [1,9]", "0 [1,3]", "2 [1,2]"));
}

TEST(Groups, PlacesOfAFixedSizeAreComputedFilledOrNot) {
  const std::vector<std::int32_t> ids(24, 1);
  Grouper grouper(8);
  const auto fixed = [](std::int64_t) { return Cut{32, 1, 3, true}; };
  // The last is alone and takes no other's place.
  EXPECT_THAT(groups_of(&grouper, batch_of(ids), fixed), ElementsAre("1 3 0 [3,32]", "2 [1,32]"));
  const auto places = [](std::int64_t) { return Cut{32, 3, 4, true}; };  // 2 tokens may not join
  EXPECT_THAT(groups_of(&grouper, batch_of(ids), places), ElementsAre("1 3 0 [4,32]", "2 [1,32]"));
}

TEST(Groups, RowsComeBackInTheBatchsOrder) {
  const std::vector<std::int32_t> ids(24, 1);
  const PackedBatch batch = batch_of(ids);
  const std::vector<std::int32_t> members{0, 2};  // padded to 4 tokens
  const Group group{members, 2, 4};
  const std::vector<float> padded{1, 2, 3, 0, 4, 5, 0, 0};
  std::vector<float> out(24, -1);
  take_rows(batch, group, {Rows::kTokens, 1}, padded.data(), out);
  EXPECT_THAT(std::span(out).first(4), ElementsAre(1, 2, 3, -1));
  EXPECT_THAT(std::span(out).subspan(13, 3), ElementsAre(4, 5, -1));
}

TEST(Groups, ABatchOverTheLimitsIsRefused) {
  const std::vector<std::int32_t> ids(24, 1);
  CompileOptions limits;
  limits.max_tokens = 23;
  EXPECT_THROW(check_batch("mlx", batch_of(ids), limits, {}, {}), Error);
  limits.max_tokens = 24;
  EXPECT_NO_THROW(check_batch("mlx", batch_of(ids), limits, {}, {}));
  limits.max_text_tokens = 9;
  EXPECT_THROW(check_batch("mlx", batch_of(ids), limits, {}, {}), Error);
}

TEST(Groups, FewLengthsWhereAShapeCosts) {
  EXPECT_EQ(rounded_length(1, 512), 16);
  EXPECT_EQ(rounded_length(17, 512), 32);
  EXPECT_EQ(rounded_length(129, 512), 160);
  EXPECT_EQ(rounded_length(260, 512), 320);
  EXPECT_EQ(rounded_length(500, 510), 510);  // never beyond the limit
  std::vector<std::int64_t> all;
  for (std::int64_t length = 1; length <= 512; ++length) all.push_back(rounded_length(length, 512));
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
  all.erase(std::unique(all.begin(), all.end()), all.end());
  EXPECT_LE(all.size(), 16U);
}

WeightRef weight(Program* program, const char* name, const Shape& shape) {
  std::int64_t count = 1;
  for (const std::int64_t dimension : shape) count *= dimension;
  return program->own(name, shape, std::vector<float>(static_cast<std::size_t>(count), 0.5F));
}

Program small_encoder(bool normalize) {
  Program p;
  const ValueId x = p.embed("e", {weight(&p, "t", {11, 64}), {}, {}, 0, -1});
  const ValueId y = p.linear("l", {x, {weight(&p, "w", {64, 64})}, {}, Activation::kGelu});
  const ValueId n =
      p.norm("n", {NormKind::kLayer, y, x, weight(&p, "g", {64}), weight(&p, "b", {64}), 1e-12F});
  const ValueId pooled = p.pool("p", {n, {PoolMode::kMean}});
  if (normalize) p.normalize("u", {pooled});
  return p;
}

TEST(Tape, PoolingAndNormalisingAreOneCall) {
  const Program program = small_encoder(true);
  const Tape tape = make_tape(program);
  std::vector<Op> ops;
  for (const Instruction& instruction : tape.instructions) ops.push_back(instruction.op);
  EXPECT_THAT(ops, ElementsAre(Op::kTake, Op::kLinear, Op::kNorm, Op::kPool, Op::kReshape));
  EXPECT_THAT(tape.instructions[3].integers,
              ElementsAre(1, static_cast<std::int64_t>(PoolMode::kMean)));
  const Tape plain = make_tape(small_encoder(false));
  EXPECT_EQ(plain.instructions[3].integers[0], 0);
}

TEST(Tape, ARegisterDiesWithItsLastReader) {
  const Tape tape = make_tape(small_encoder(true));
  const Register rows = tape.instructions[0].out;  // read by the linear layer and as the residual
  EXPECT_THAT(tape.instructions[1].dead, testing::Not(testing::Contains(rows)));
  EXPECT_THAT(tape.instructions[2].dead, testing::Contains(rows));
}

TEST(Tape, EpsilonsThatPrintAlikeAreNotOneCall) {
  Program p;
  const ValueId x = p.embed("e", {weight(&p, "t", {11, 8}), {}, {}, 0, -1});
  const ValueId a = p.norm("a", {NormKind::kRms, x, kNoValue, {}, {}, 1e-12F});
  const ValueId b = p.norm("b", {NormKind::kRms, x, kNoValue, {}, {}, 1e-8F});
  p.residual("r", {a, b});
  const Tape tape = make_tape(p);
  EXPECT_EQ(std::count_if(tape.instructions.begin(), tape.instructions.end(),
                          [](const Instruction& i) { return i.op == Op::kNorm; }),
            2);
}

TEST(Tape, BytesOfFewerBits) {
  const Tape tape = make_tape(small_encoder(true));
  const std::int64_t table = 11 * 64;
  const std::int64_t matrix = 64 * 64;
  EXPECT_EQ(weight_bytes(tape, "fp32", 0), (table + matrix + 128) * 4);
  EXPECT_EQ(weight_bytes(tape, "fp16", 0), (table + matrix + 128) * 2);
  // One scale and one offset for 64 elements.
  EXPECT_EQ(weight_bytes(tape, "fp16", 4),
            matrix / 2 + matrix / 64 * 4 + table + table / 64 * 4 + 128 * 2);
}

TEST(Tape, ReasonsNameTheStepAndTheRoom) {
  Program p = small_encoder(false);
  PoolStep spans{0, {PoolMode::kMean}};
  spans.spans = true;
  p.pool("late", spans);
  EXPECT_THAT(tape_reasons(p, "mlx"), ElementsAre(HasSubstr("step late: mlx has no pooling of")));
}

// A table of tensors that refuses to open.
TEST(PaddedExecutable, ADeviceThatIsRefusedIsAnErrorWithTheLibrarysWords) {
  TensorApi api{};
  api.open = [](const SessionOptions*, Message* message) -> SessionHandle* {
    std::snprintf(message->text, sizeof message->text, "the GPU is on holiday");
    return nullptr;
  };
  RoomSetup setup;
  setup.room = "mlx";
  setup.api = &api;
  try {
    make_executable(small_encoder(true), {}, {"fp32", 0}, std::move(setup));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
    EXPECT_THAT(error.what(), HasSubstr("on holiday"));
  }
}

}  // namespace
}  // namespace inlay::backend::padded
