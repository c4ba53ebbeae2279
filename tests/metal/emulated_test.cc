// The Metal kernels' texts on the emulator against ref: odd shapes, a thousand schedules, and
// faults planted in the real texts, each of which the emulator must find.
#include "metal/emulated.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "backend/mlx/kernels/kernels.h"
#include "metal/cases.h"

namespace inlay::metal {
namespace {

using metal_emulator::Fault;
using metal_emulator::Options;
using metal_emulator::Site;

// What a run says: empty when all was right.
std::string outcome(const Case& test, const Options& options) {
  EmulatedEngine engine(options);
  try {
    return test.run(engine);
  } catch (const Fault& fault) {
    return fault.what();
  }
}

TEST(MetalKernels, OddShapesAreWhatRefSays) {
  for (const Case& test : odd_cases()) {
    Options options;
    for (options.seed = 1; options.seed <= 2; ++options.seed)
      ASSERT_EQ(outcome(test, options), "") << test.name << ", seed " << options.seed;
  }
}

TEST(MetalKernels, AThousandSchedulesGiveTheSame) {
  for (const Case& test : small_cases()) {
    Options options;
    for (options.seed = 1; options.seed <= 1000; ++options.seed)
      ASSERT_EQ(outcome(test, options), "") << test.name << ", seed " << options.seed;
  }
}

// The results of a text are the same bits beside other texts.
TEST(MetalKernels, ATextHasItsBitsInAnyBatch) {
  EmulatedEngine engine({});
  AttentionCall all = attention_call(Type::kF32, 32, 2, {70, 5});
  engine.run(all);
  AttentionCall alone = attention_call(Type::kF32, 32, 2, {70});
  alone.qkv.assign(all.qkv.begin(), all.qkv.begin() + 70 * all.stride);
  engine.run(alone);
  all.out.resize(alone.out.size());
  EXPECT_EQ(alone.out, all.out);
}

// Those of the texts that the small cases come by, which are all that the texts have.
std::vector<Site> barriers_of_texts() {
  for (const Case& test : small_cases()) outcome(test, {});
  std::vector<Site> barriers;
  for (const Site& site : metal_emulator::barriers_seen()) {
    if (std::string_view(site.file).ends_with(".metal")) barriers.push_back(site);
  }
  std::string texts(backend::mlx::kernel_prelude());
  for (const backend::mlx::MetalKernel& kernel : backend::mlx::metal_kernels())
    texts += kernel.source;
  std::size_t written = 0;
  for (std::size_t at = 0; (at = texts.find("_barrier(mem_flags", at)) != std::string::npos; ++at)
    ++written;
  EXPECT_EQ(barriers.size(), written);
  return barriers;
}

TEST(MetalKernels, EveryBarrierIsNeededAndItsLossIsFound) {
  for (const Site& barrier : barriers_of_texts()) {
    std::string found;
    for (const Case& test : small_cases()) {
      for (Options options{1, barrier, false, ""}; options.seed <= 4 && found.empty();
           ++options.seed)
        found = outcome(test, options);
    }
    EXPECT_NE(found, "") << "nothing is wrong without " << barrier.text();
    EXPECT_TRUE(found.find("race") != std::string::npos ||
                found.find("read before it was written") != std::string::npos)
        << barrier.text() << ": " << found;
  }
}

TEST(MetalKernels, ABarrierThatOneThreadMissesIsFound) {
  for (const Site& barrier : barriers_of_texts()) {
    std::string found;
    for (const Case& test : small_cases()) {
      if (found.empty()) found = outcome(test, {1, barrier, true, ""});
    }
    EXPECT_NE(found, "") << barrier.text();
  }
}

TEST(MetalKernels, AnAccessPastABufferIsFound) {
  const auto found = [](const Case& test, const char* buffer) {
    Options options;
    options.shortened = buffer;
    return outcome(test, options);
  };
  const std::vector<Case>& cases = small_cases();
  const std::pair<std::size_t, std::vector<const char*>> buffers[] = {
      {0, {"items", "out"}},
      {2, {"input", "residual", "weight", "bias", "out"}},
      {4, {"input", "bias", "out"}},
      {5, {"input", "ranges", "out"}},
      {6, {"logits", "bias", "offsets", "out"}}};
  for (const auto& [index, names] : buffers) {
    for (const char* name : names) {
      const std::string fault = found(cases[index], name);
      EXPECT_NE(fault.find(" outside: element"), std::string::npos)
          << cases[index].name << ", " << name << ": " << fault;
      EXPECT_NE(fault.find(std::string(" of ") + name), std::string::npos) << fault;
    }
  }
  // Values of the last row end before the row does: the columns behind them are another's.
  AttentionCall call = attention_call(Type::kF32, 32, 1, {5});
  call.qkv.resize(call.qkv.size() - 8);
  EmulatedEngine exact({});
  EXPECT_NO_THROW(exact.run(call));
  call.qkv.pop_back();
  EXPECT_THROW(exact.run(call), Fault);
}

TEST(MetalKernels, TwoThreadgroupsAtOneRowAreFound) {
  AttentionCall call = attention_call(Type::kF32, 32, 1, {5});
  const std::vector<std::int32_t> again = call.items;
  call.items.insert(call.items.end(), again.begin(), again.end());
  EmulatedEngine engine({});
  try {
    engine.run(call);
    FAIL() << "two threadgroups wrote one row";
  } catch (const Fault& fault) {
    EXPECT_NE(std::string(fault.what()).find("race of two writes"), std::string::npos)
        << fault.what();
  }
}

TEST(MetalKernels, AWrongLengthIsAWrongResult) {
  AttentionCall call = attention_call(Type::kF32, 32, 1, {40, 40});
  AttentionCall wrong = call;
  for (std::size_t i = 3; i < wrong.items.size(); i += 4) --wrong.items[i];
  EmulatedEngine engine({});
  engine.run(wrong);
  wrong.items = call.items;
  EXPECT_NE(compare(wrong), "");
}

}  // namespace
}  // namespace inlay::metal
