// Files that appear complete or not at all.
#include "io/output_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"

namespace inlay::io {
namespace {

namespace fs = std::filesystem;
using testing::StartsWith;

std::string content(const fs::path& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

class OutputFileTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("inlay_output_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directory(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  fs::path folder_;
};

TEST_F(OutputFileTest, AppearsAtCommit) {
  const fs::path path = folder_ / "out.txt";
  OutputFile out(path.string());
  out.write("hello ");
  out.write(std::string(1 << 20, 'x'));
  EXPECT_FALSE(fs::exists(path));
  EXPECT_EQ(fs::path(out.temporary_path()).parent_path(), folder_);
  out.commit();
  EXPECT_EQ(content(path), "hello " + std::string(1 << 20, 'x'));
  EXPECT_EQ(files(), 1U);
}

TEST_F(OutputFileTest, WithoutCommitNothingIsLeftAndTheOldFileStays) {
  const fs::path path = folder_ / "out.txt";
  write_file(path.string(), "old");
  {
    OutputFile out(path.string());
    out.write("new");
    out.flush();
    EXPECT_EQ(files(), 2U);
  }
  EXPECT_EQ(content(path), "old");
  EXPECT_EQ(files(), 1U);
}

TEST_F(OutputFileTest, ReplacesAndKeepsPermissions) {
  const fs::path path = folder_ / "out.txt";
  write_file(path.string(), "old");
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
  write_file(path.string(), "new");
  EXPECT_EQ(content(path), "new");
  EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(OutputFileTest, FollowsASymbolicLink) {
  write_file((folder_ / "real.txt").string(), "old");
  fs::create_symlink("real.txt", folder_ / "link.txt");
  write_file((folder_ / "link.txt").string(), "new");
  EXPECT_TRUE(fs::is_symlink(folder_ / "link.txt"));
  EXPECT_EQ(content(folder_ / "real.txt"), "new");
}

TEST_F(OutputFileTest, PatchesWhatItWrote) {
  const fs::path path = folder_ / "out.txt";
  OutputFile out(path.string());
  ASSERT_TRUE(out.can_patch());
  out.write("0000 rest");
  out.patch(0, "1234");
  out.write("!");
  out.commit();
  EXPECT_EQ(content(path), "1234 rest!");
}

TEST_F(OutputFileTest, DevicesAreWrittenDirectly) {
  OutputFile out("/dev/null");
  EXPECT_FALSE(out.can_patch());
  out.write("gone");
  out.commit();
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST_F(OutputFileTest, FailuresNameThePlace) {
  const auto message = [](const std::string& path) {
    try {
      write_file(path, "text");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCannotWrite);
      return std::string(error.what());
    }
    return std::string("no error");
  };
  const std::string missing = (folder_ / "no" / "out.txt").string();
  EXPECT_THAT(message(missing), StartsWith("[" + missing + "] expected a folder to write in"));
  EXPECT_THAT(message(folder_.string()), StartsWith("[" + folder_.string() + "]"));
  EXPECT_THAT(message("/dev/full"), StartsWith("[/dev/full] expected to write 4 bytes"));
  EXPECT_THAT(message(""), StartsWith("[]"));
}

TEST_F(OutputFileTest, AReaderThatWentAwayIsNoError) {
  const fs::path path = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  ::signal(SIGPIPE, SIG_IGN);
  const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK);
  OutputFile out(path.string());
  ::close(reader);
  out.write("text");
  out.flush();
  EXPECT_TRUE(out.reader_gone());
  out.write(std::string(1 << 20, 'x'));
  out.commit();
}

TEST_F(OutputFileTest, SpoolGivesBackWhatItTook) {
  SpoolFile spool;
  std::string all;
  for (int i = 0; i < 3000; ++i) {
    const std::string piece = std::string(200, static_cast<char>('a' + i % 26)) + std::to_string(i);
    spool.write(piece);
    all += piece;
  }
  OutputFile out((folder_ / "out").string());
  out.write("head ");
  spool.copy_to(out);
  out.commit();
  EXPECT_EQ(content(folder_ / "out"), "head " + all);
}

}  // namespace
}  // namespace inlay::io
