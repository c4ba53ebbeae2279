// Opening LibTorch: every way in which it cannot be had is a sentence with a remedy. What it
// computes is held against ref by tests/oracles/test_torch.py, where the wheel is.
#include "backend/torch/library.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace inlay::backend::torch {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

TEST(TorchLibrary, AbsentSaysHowToHaveIt) {
  const Library library = open_library({"/nowhere/libtorch_cpu.so", "libtorch_cpu_absent.so"});
  EXPECT_FALSE(library.usable);
  EXPECT_THAT(library.reason, HasSubstr("no LibTorch"));
  EXPECT_THAT(library.remedy,
              AllOf(HasSubstr("pip install torch"), HasSubstr("INLAY_TORCH_LIBRARY")));
  EXPECT_THAT(library.notes, Contains(HasSubstr("/nowhere/libtorch_cpu.so: not there")));
}

TEST(TorchLibrary, AnOlderVersionIsRefusedByItsNumber) {
  const Library library = open_library({INLAY_OLD_LIBRARY});
  EXPECT_FALSE(library.usable);
  EXPECT_THAT(library.reason, AllOf(HasSubstr("version 2.9.1"), HasSubstr("2.10 and later")));
}

TEST(TorchLibrary, OneThatAnswersOtherwiseIsNotBelieved) {
  const Library library = open_library({INLAY_OTHER_LIBRARY});
  EXPECT_FALSE(library.usable);
  EXPECT_THAT(library.reason,
              AllOf(HasSubstr("do not do what this room expects"), HasSubstr("a sum gave 1.0")));
}

TEST(TorchLibrary, TheNextPlaceIsTried) {
  const Library library = open_library({INLAY_OLD_LIBRARY, INLAY_OTHER_LIBRARY});
  EXPECT_THAT(library.notes, Contains(HasSubstr("a sum gave")));
  EXPECT_THAT(library.reason, HasSubstr("2.9.1"));  // the first that was there
}

}  // namespace
}  // namespace inlay::backend::torch
