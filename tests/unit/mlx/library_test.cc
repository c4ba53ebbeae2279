// Opening libinlay_mlx: every way in which it cannot be had is a sentence with a remedy. What it
// computes is held against ref by the step tests and tests/cli/test_mlx.py.
#include "backend/mlx/library.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace inlay::backend::mlx {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

TEST(MlxLibrary, AbsentSaysHowToHaveIt) {
  const Library library = open_library({"/nowhere/libinlay_mlx.so", "libinlay_mlx_absent.so"});
  EXPECT_EQ(library.api, nullptr);
  EXPECT_THAT(library.reason, HasSubstr("not beside Inlay"));
  EXPECT_THAT(library.remedy, HasSubstr("-DINLAY_MLX_FOLDER"));
  EXPECT_THAT(library.notes, Contains(HasSubstr("/nowhere/libinlay_mlx.so: not there")));
}

TEST(MlxLibrary, AnotherMlxThanItWasBuiltWithIsRefused) {
  const Library library = open_library({INLAY_OTHER_LIBRARY});
  EXPECT_EQ(library.api, nullptr);
  EXPECT_THAT(library.reason, AllOf(HasSubstr("built with MLX 0.32.4"), HasSubstr("0.40.0")));
  EXPECT_THAT(library.remedy, HasSubstr("INLAY_MLX_LIBRARY"));
}

TEST(MlxLibrary, AnotherBuildOfInlayIsRefused) {
  ::setenv("INLAY_TEST_OLD", "1", 1);
  const Library library = open_library({INLAY_OTHER_LIBRARY});
  ::unsetenv("INLAY_TEST_OLD");
  EXPECT_EQ(library.api, nullptr);
  EXPECT_THAT(library.reason, AllOf(HasSubstr("another build"), HasSubstr("0.0.1")));
}

}  // namespace
}  // namespace inlay::backend::mlx
