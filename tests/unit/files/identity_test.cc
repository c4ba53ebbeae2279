// A folder's identity stays while its files do, and moves with each kind of change to one.
#include "files/identity.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "temp_folder.h"

namespace inlay::files {
namespace {

const auto kLater = std::chrono::system_clock::now() + std::chrono::hours(1);

TEST(Identity, StaysWithTheFiles) {
  const TempFolder folder;
  folder.write("config.json", "{}");
  folder.write("1_Pooling/config.json", "{}");
  const std::string first = folder_identity(folder.path(), kLater);
  EXPECT_FALSE(first.empty());
  EXPECT_EQ(folder_identity(folder.path(), kLater + std::chrono::hours(1)), first);
}

TEST(Identity, MovesWithContentSizeNameAndTime) {
  const TempFolder folder, stores;
  const auto weights = folder.write("model.safetensors", "abcd");
  const auto blob = stores.write("blob", "x");
  folder.link(blob.string(), "linked");
  std::string before = folder_identity(folder.path(), kLater);
  const auto moved = [&] {
    std::string now = folder_identity(folder.path(), kLater);
    const bool changed = now != before;
    before = std::move(now);
    return changed;
  };
  EXPECT_FALSE(moved());
  // Written in place, of the same size, with the old time put back: the time of change tells.
  struct stat info {};
  ASSERT_EQ(::stat(weights.c_str(), &info), 0);
  std::fstream(weights, std::ios::in | std::ios::out | std::ios::binary) << "abce";
  const timespec times[2] = {{info.st_mtime, 0}, {info.st_mtime, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, weights.c_str(), times, 0), 0);
  EXPECT_TRUE(moved());
  folder.write("model.safetensors", "abcde");
  EXPECT_TRUE(moved());
  std::filesystem::rename(folder / "model.safetensors", folder / "other.safetensors");
  EXPECT_TRUE(moved());
  folder.write("2_Dense/model.safetensors", "");
  EXPECT_TRUE(moved());
  stores.write("blob", "y");  // behind a link
  EXPECT_TRUE(moved());
  EXPECT_FALSE(moved());
}

TEST(Identity, IsNotToldOfYoungFilesOrMissingFolders) {
  const TempFolder folder;
  folder.write("config.json", "{}");
  EXPECT_TRUE(folder_identity(folder.path(), std::chrono::system_clock::now()).empty());
  EXPECT_TRUE(folder_identity(folder / "none", kLater).empty());
}

}  // namespace
}  // namespace inlay::files
