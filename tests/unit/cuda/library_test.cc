// Opening libinlay_cuda.so: every way in which it cannot be had is a sentence with a remedy.
#include "backend/cuda/library.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace inlay::backend::cuda {
namespace {

using testing::Contains;
using testing::HasSubstr;

TEST(Library, AbsentSaysHowToHaveIt) {
  const Library library = open_library({"/nowhere/libinlay_cuda.so", "libinlay_cuda_absent.so"});
  EXPECT_EQ(library.api, nullptr);
  EXPECT_THAT(library.reason, HasSubstr("not beside Inlay"));
  EXPECT_THAT(library.remedy, HasSubstr("-DINLAY_CUDA=ON"));
  EXPECT_THAT(library.notes, Contains(HasSubstr("/nowhere/libinlay_cuda.so: not there")));
}

TEST(Library, BrokenFileIsNotPassedOver) {
  const auto path = std::filesystem::path(testing::TempDir()) / "libinlay_cuda.so";
  std::ofstream(path) << "no library";
  const Library library = open_library({path.string(), INLAY_OTHER_LIBRARY});
  std::filesystem::remove(path);
  EXPECT_EQ(library.api, nullptr);
  EXPECT_THAT(library.reason, HasSubstr("could not be opened"));
  EXPECT_THAT(library.remedy, HasSubstr("build"));
}

TEST(Library, OtherBuildIsRefused) {
  const Library library = open_library({INLAY_OTHER_LIBRARY});
  EXPECT_EQ(library.api, nullptr);
  EXPECT_THAT(library.reason, HasSubstr("another build"));
  EXPECT_THAT(library.reason, HasSubstr("0.0.1"));
}

TEST(Library, IsLookedForBesideTheProgramFirst) {
  const std::vector<std::string> places = library_places();
  ASSERT_GE(places.size(), 2U);
  const auto self = std::filesystem::canonical("/proc/self/exe").parent_path();
  EXPECT_EQ(places.front(), (self / "libinlay_cuda.so").string());
  EXPECT_EQ(places.back(), "libinlay_cuda.so");
}

}  // namespace
}  // namespace inlay::backend::cuda
