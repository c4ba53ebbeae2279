// Finding and refusing libraries: places in order, versions, a table that is in another order.
#include "backend/onnxruntime/library.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "environment.h"
#include "wheel.h"

namespace inlay::backend::onnxruntime {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;

class Folder {
 public:
  Folder() : path_(fs::path(testing::TempDir()) / name()) { fs::create_directories(path_); }
  ~Folder() { fs::remove_all(path_); }
  fs::path file(const std::string& name) const {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name) << "no library";
    return path_ / name;
  }
  const fs::path& path() const { return path_; }

 private:
  static std::string name() {
    return std::string("ort_") + testing::UnitTest::GetInstance()->current_test_info()->name();
  }
  fs::path path_;
};

std::vector<std::string> places(const std::string& wish) {
  std::vector<std::string> notes;
  return library_places(wish, &notes);
}

TEST(OrtLibrary, WhatIsNamedIsTheOnlyPlace) {
  const Folder folder;
  EXPECT_EQ(places("/some/libonnxruntime.so"), std::vector<std::string>{"/some/libonnxruntime.so"});
  const std::string file = folder.file("libonnxruntime.so.1.30.0");
  folder.file("libonnxruntime_providers_shared.so");
  EXPECT_EQ(places(folder.path().string()), std::vector<std::string>{file});
  Environment environment;
  environment.set("INLAY_ONNXRUNTIME_LIBRARY", "/other/lib.so");
  EXPECT_EQ(places(""), std::vector<std::string>{"/other/lib.so"});
  EXPECT_EQ(places("/some/libonnxruntime.so"), std::vector<std::string>{"/some/libonnxruntime.so"});
}

TEST(OrtLibrary, PythonEnvironmentsAreSearchedBeforeTheSystem) {
  const Folder folder;
  const std::string packages = "/lib/python3.11/site-packages/onnxruntime/capi/";
  const std::string active = folder.file("active" + packages + "libonnxruntime.so.1.31.0");
  const std::string other = folder.file("other" + packages + "libonnxruntime.so.1.30.0");
  fs::create_directories(folder.path() / "other" / "bin");
  fs::copy_file("/proc/self/exe", folder.path() / "other" / "bin" / "python3");
  Environment environment;
  environment.set("INLAY_ONNXRUNTIME_LIBRARY", "");
  environment.set("VIRTUAL_ENV", (folder.path() / "active").string());
  environment.set("PATH", "/nonexistent:" + (folder.path() / "other" / "bin").string());
  environment.set("HOME", folder.path().string());
  const std::vector<std::string> found = places("");
  const auto first = std::find(found.begin(), found.end(), active);
  const auto second = std::find(found.begin(), found.end(), other);
  ASSERT_NE(first, found.end());
  ASSERT_NE(second, found.end());
  EXPECT_LT(first, second);
  EXPECT_LT(second, std::find(found.begin(), found.end(), "libonnxruntime.so.1"));
}

TEST(OrtLibrary, AbsentOneLeavesReasonAndRemedy) {
  const Library library = open_library({"/nonexistent/libonnxruntime.so"});
  EXPECT_FALSE(library.usable);
  EXPECT_THAT(library.reason, HasSubstr("no library ONNX Runtime"));
  EXPECT_THAT(library.remedy, HasSubstr("pip install onnxruntime"));
  EXPECT_THAT(library.notes, Contains(HasSubstr("not there")));
}

TEST(OrtLibrary, BrokenFileIsTold) {
  const Folder folder;
  const Library library = open_library({folder.file("libonnxruntime.so").string()});
  EXPECT_FALSE(library.usable);
  EXPECT_THAT(library.reason, HasSubstr("cannot be used"));
}

TEST(OrtLibrary, OneThatCannotBeUsedIsPassedOverForTheNext) {
  const Folder folder;
  const Library library = open_library({folder.file("libonnxruntime.so").string(), INLAY_STAND_IN});
  EXPECT_TRUE(library.usable) << library.reason;
  EXPECT_EQ(library.path, INLAY_STAND_IN);
  EXPECT_EQ(library.version, "1.30.0");
  EXPECT_EQ(library.minor, 30);
}

TEST(OrtLibrary, VersionsOutsideTheRuleAreRefused) {
  for (const char* version : {"1.17.3", "2.0.0", "0.9.0", "nonsense", ""}) {
    Environment environment;
    environment.set("INLAY_STAND_IN_VERSION", version);
    const Library library = open_library({INLAY_STAND_IN});
    EXPECT_FALSE(library.usable) << version;
    EXPECT_THAT(library.reason, HasSubstr("takes 1.18 and later of 1")) << version;
  }
}

TEST(OrtLibrary, AnOlderOneTellsNoAssignments) {
  Environment environment;
  environment.set("INLAY_STAND_IN_VERSION", "1.21.0");
  const Library library = open_library({INLAY_STAND_IN});
  EXPECT_TRUE(library.usable) << library.reason;
  EXPECT_FALSE(library.tells_assignments());
}

TEST(OrtLibrary, ATableInAnotherOrderIsFoundOut) {
  Environment environment;
  environment.set("INLAY_STAND_IN_FAULT", "slot");
  const Library library = open_library({INLAY_STAND_IN});
  EXPECT_FALSE(library.usable);
  EXPECT_THAT(library.reason, HasSubstr("not where this room expects them"));
}

TEST(OrtLibrary, TheOneOnThisMachinePassesItsSelfTest) {
  if (INLAY_SANITIZED) GTEST_SKIP() << "a library that was built without the sanitizer";
  const std::string file = wheel();
  if (file.empty()) GTEST_SKIP() << "no ONNX Runtime in .venv";
  const Library& found = library(file);
  ASSERT_TRUE(found.usable) << found.reason;
  EXPECT_EQ(self_test(found), "");
  EXPECT_TRUE(found.has_provider("CPUExecutionProvider"));
}

}  // namespace
}  // namespace inlay::backend::onnxruntime
