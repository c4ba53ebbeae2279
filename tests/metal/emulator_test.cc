// The emulator finds each kind of fault in kernels that were made to have it.
#include "metal/emulator.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace inlay::metal_emulator {
namespace {

std::string fault_of(const std::function<void()>& body, unsigned threads = 64,
                     std::uint64_t seed = 1) {
  Options options;
  options.seed = seed;
  try {
    launch(options, {threads, 1, 1}, {threads, 1, 1}, body);
  } catch (const Fault& fault) {
    return fault.what();
  }
  return {};
}

constexpr Site kHere{"here", 1};
constexpr Site kThere{"here", 2};

int index_here() { return here().simd * 32 + here().lane; }

TEST(Emulator, AReductionThatIsRightHasNoFault) {
  float sum = 0;
  const auto body = [&] {
    const auto parts = shared<float>("parts", 2);
    const Slots slots = meet(kHere, static_cast<float>(index_here()));
    float mine = 0;
    for (int i = 0; i < 32; ++i) mine += slots[i][0];
    if (here().lane == 0) parts[here().simd] = mine;
    threadgroup_barrier(kThreadgroup, kHere);
    if (index_here() == 0) sum = static_cast<float>(parts[0]) + static_cast<float>(parts[1]);
  };
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    ASSERT_EQ(fault_of(body, 64, seed), "");
    ASSERT_EQ(sum, 2016.0F);
  }
}

TEST(Emulator, AWriteAndAReadWithoutABarrier) {
  const auto body = [] {
    const auto cells = shared<float>("cells", 64);
    cells[index_here()] = 1;
    simdgroup_barrier(kThreadgroup, kHere);
    const float x = cells[(index_here() + 32) % 64];  // of the other SIMD group
    static_cast<void>(x);
  };
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const std::string fault = fault_of(body, 64, seed);
    // Who comes first finds nothing written, who comes second a write that is not in order.
    EXPECT_TRUE(fault.find("race") != std::string::npos ||
                fault.find("before it was written") != std::string::npos)
        << fault;
  }
}

TEST(Emulator, ABarrierThatOrdersOtherMemoryOrdersNothing) {
  const auto body = [](unsigned flags) {
    return [flags] {
      const auto cells = shared<float>("cells", 64);
      cells[index_here()] = 1;
      threadgroup_barrier(flags, kHere);
      const float x = cells[63 - index_here()];
      static_cast<void>(x);
    };
  };
  EXPECT_EQ(fault_of(body(kThreadgroup)), "");
  EXPECT_NE(fault_of(body(kDevice)).find("race of a read with a write"), std::string::npos);
}

TEST(Emulator, AWriteOverWhatOthersStillRead) {
  const auto body = [] {
    const auto cell = shared<float>("cell", 1);
    if (index_here() == 0) cell[0] = 1;
    threadgroup_barrier(kThreadgroup, kHere);
    const float x = cell[0];
    static_cast<void>(x);
    if (index_here() == 40) cell[0] = 2;
  };
  EXPECT_NE(fault_of(body).find("race"), std::string::npos);
}

TEST(Emulator, ThreadgroupMemoryThatNobodyWrote) {
  const auto body = [] {
    const auto cells = shared<float>("cells", 2);
    const float x = cells[1];
    static_cast<void>(x);
  };
  EXPECT_NE(fault_of(body).find("read before it was written: element 1 of cells [2]"),
            std::string::npos);
}

TEST(Emulator, ThreadsThatWaitForOthersThatDoNotCome) {
  const auto ended = [] {
    if (index_here() != 5) threadgroup_barrier(kThreadgroup, kHere);
  };
  EXPECT_NE(fault_of(ended).find("1 have ended"), std::string::npos) << fault_of(ended);
  const auto elsewhere = [] {
    threadgroup_barrier(kThreadgroup, index_here() < 32 ? kHere : kThere);
  };
  EXPECT_NE(fault_of(elsewhere).find("different barriers"), std::string::npos);
  const auto parted = [] { meet(here().lane < 7 ? kHere : kThere, 0); };
  EXPECT_NE(fault_of(parted).find("part"), std::string::npos);
  const auto passed = [] {
    if (here().lane < 7) pass(kThere);
    meet(kHere, 0);
  };
  EXPECT_NE(fault_of(passed).find("part"), std::string::npos);
  const auto half_of_a_group = [] {
    if (here().lane < 16) meet(kHere, 0);
  };
  EXPECT_NE(fault_of(half_of_a_group).find("of a SIMD group at"), std::string::npos);
}

TEST(Emulator, AfterAFaultTheNextLaunchIsWhole) {
  EXPECT_NE(fault_of([] { throw Fault("planted"); }), "");
  int runs = 0;
  EXPECT_EQ(fault_of([&] { ++runs; }), "");
  EXPECT_EQ(runs, 64);
}

}  // namespace
}  // namespace inlay::metal_emulator
