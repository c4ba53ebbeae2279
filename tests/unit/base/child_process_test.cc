// This test program as its own child: the tests named DISABLED_Child are what it does then.
#include "base/child_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <iterator>

namespace inlay {
namespace {

using testing::HasSubstr;

// The child runs the test that is asked for, whichever shard this is.
ChildResult child(const char* name, const std::string& input, double seconds) {
  for (const char* name : {"GTEST_TOTAL_SHARDS", "GTEST_SHARD_INDEX"}) ::unsetenv(name);
  return run_self(
      {"--gtest_also_run_disabled_tests", std::string("--gtest_filter=DISABLED_Child.") + name},
      input, seconds);
}

TEST(DISABLED_Child, Echoes) {
  std::string text(std::istreambuf_iterator<char>(std::cin), {});
  std::printf("[%s]", text.c_str());
  std::fprintf(stderr, "said on the side");
  std::fflush(nullptr);
  ::_exit(7);
}
TEST(DISABLED_Child, Crashes) {
  std::signal(SIGSEGV, SIG_DFL);
  std::raise(SIGSEGV);
}
TEST(DISABLED_Child, Hangs) {
  std::printf("begun\n");
  std::fflush(nullptr);
  for (;;) ::pause();
}
TEST(DISABLED_Child, ClosesAndHangs) {
  ::close(STDOUT_FILENO);
  ::close(STDERR_FILENO);
  for (;;) ::pause();
}
TEST(DISABLED_Child, WritesMuch) {
  const std::string line(999, 'x');
  for (int i = 0; i < 2000; ++i) std::fprintf(stderr, "%s\n", line.c_str());
  std::fprintf(stderr, "last");
  std::fflush(nullptr);
  ::_exit(0);
}

TEST(ChildProcess, TakesInputAndTellsHowItEnded) {
  const ChildResult result = child("Echoes", "some\ninput", 20);
  EXPECT_TRUE(result.started);
  EXPECT_FALSE(result.timed_out);
  EXPECT_EQ(result.signal, 0);
  EXPECT_EQ(result.exit_code, 7);
  EXPECT_THAT(result.output, HasSubstr("[some\ninput]"));
  EXPECT_EQ(result.errors, "said on the side");
  const std::string much(3 << 20, 'a');
  EXPECT_THAT(child("Echoes", much, 20).output, HasSubstr("[" + much + "]"));
}

TEST(ChildProcess, ACrashIsASignal) {
  const ChildResult result = child("Crashes", "", 20);
  EXPECT_EQ(result.signal, SIGSEGV);
  EXPECT_FALSE(result.timed_out);
}

TEST(ChildProcess, WhatHangsIsKilled) {
  for (const char* name : {"Hangs", "ClosesAndHangs"}) {
    const ChildResult result = child(name, "", 0.5);
    EXPECT_TRUE(result.timed_out) << name;
    EXPECT_EQ(result.signal, 0);
    EXPECT_LT(result.seconds, 15);
  }
  EXPECT_THAT(child("Hangs", "", 2).output, HasSubstr("begun"));
  EXPECT_TRUE(child("Hangs", "", -1).timed_out);
}

TEST(ChildProcess, OfErrorsTheEndIsKept) {
  const ChildResult result = child("WritesMuch", "", 20);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_LE(result.errors.size(), 4096U);
  EXPECT_TRUE(result.errors.ends_with("last"));
}

}  // namespace
}  // namespace inlay
