// The folder of compiled models stays within its size; what was used last stays.
#include "backend/onnxruntime/compiled_cache.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <string>

namespace inlay::backend::onnxruntime {
namespace {

namespace fs = std::filesystem;

TEST(CompiledCache, TheOldestGoFirstUntilTheRestFits) {
  const fs::path folder = fs::path(testing::TempDir()) / "compiled_cache_test";
  fs::remove_all(folder);
  trim_compiled(folder, 100);  // makes it
  ASSERT_TRUE(fs::is_directory(folder));
  const auto now = fs::file_time_type::clock::now();
  for (int i = 0; i < 4; ++i) {
    const fs::path entry = folder / ("key" + std::to_string(i));
    fs::create_directories(entry / "inside");
    std::ofstream(entry / "inside" / "model") << std::string(1000, 'x');
    fs::last_write_time(entry, now - std::chrono::hours(10 - i));
  }
  std::ofstream(folder / "a file of somebody else") << "stays";
  trim_compiled(folder, 4000);
  EXPECT_TRUE(fs::exists(folder / "key0"));
  touch_compiled(folder, "key0");
  touch_compiled(folder, "no such key");
  trim_compiled(folder, 2500);
  EXPECT_TRUE(fs::exists(folder / "key0"));  // used last
  EXPECT_FALSE(fs::exists(folder / "key1"));
  EXPECT_FALSE(fs::exists(folder / "key2"));
  EXPECT_TRUE(fs::exists(folder / "key3"));
  EXPECT_TRUE(fs::exists(folder / "a file of somebody else"));
  fs::remove_all(folder);
}

}  // namespace
}  // namespace inlay::backend::onnxruntime
