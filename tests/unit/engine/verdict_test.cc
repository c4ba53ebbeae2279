// Verdicts on disk, and what auto makes of them; measuring is tests/cli/test_auto.py's.
#include "engine/verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace inlay::engine {
namespace {

namespace fs = std::filesystem;
using testing::IsEmpty;

class Verdicts : public testing::Test {
 protected:
  void SetUp() override {
    const char* before = std::getenv("INLAY_HOME");
    if (before != nullptr) before_ = before;
    home_ = fs::temp_directory_path() / ("inlay_verdicts_" + std::to_string(::getpid()));
    fs::create_directories(home_);
    ::setenv("INLAY_HOME", home_.c_str(), 1);
  }
  void TearDown() override {
    fs::remove_all(home_);
    if (before_.empty()) {
      ::unsetenv("INLAY_HOME");
    } else {
      ::setenv("INLAY_HOME", before_.c_str(), 1);
    }
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> found;
    if (!fs::exists(home_ / "cache")) return found;
    for (const auto& entry : fs::recursive_directory_iterator(home_ / "cache"))
      if (entry.is_regular_file()) found.push_back(entry.path());
    return found;
  }
  fs::path home_;
  std::string before_;
};

DeviceVerdict device(const char* name, const char* dtype, double ms, double load,
                     const char* state = "ok") {
  DeviceVerdict out;
  out.device = name;
  out.dtype = dtype;
  out.version = "1";
  out.state = state;
  out.ms_per_text = ms;
  out.load_seconds = load;
  return out;
}

Verdict some_verdict() {
  Verdict verdict;
  verdict.key = {"org/model", "abc", "files", "dense", "Some CPU avx2", 4};
  verdict.measured = "2026-01-01T00:00:00Z";
  verdict.texts = 64;
  verdict.devices = {device("cpu", "fp32", 10, 0.1), device("cuda", "fp16", 1, 3),
                     device("mlx", "fp32", 4, 0.5)};
  verdict.devices[1].recommend = {256, 4, "fp16", 0.9};
  verdict.devices[1].fallback_ops = 3;
  return verdict;
}

std::vector<std::string> names(const std::vector<backend::Preferred>& preferred) {
  std::vector<std::string> out;
  for (const backend::Preferred& one : preferred) out.push_back(one.device + " " + one.dtype);
  return out;
}

TEST_F(Verdicts, ComeBackAsTheyWereForTheSameKeyAlone) {
  const Verdict verdict = some_verdict();
  EXPECT_FALSE(read_verdict(verdict.key));
  EXPECT_EQ(write_verdict(verdict), "");
  const auto read = read_verdict(verdict.key);
  ASSERT_TRUE(read);
  EXPECT_EQ(verdict_json(*read), verdict_json(verdict));
  EXPECT_EQ(read->devices[1].recommend.batch, 256);
  VerdictKey other = verdict.key;
  for (std::string* part :
       {&other.model, &other.revision, &other.identity, &other.task, &other.cpu}) {
    const std::string before = *part;
    *part += "x";
    EXPECT_FALSE(read_verdict(other)) << *part;
    *part = before;
  }
  other.threads = 5;
  EXPECT_FALSE(read_verdict(other));
  EXPECT_EQ(files().size(), 1U);
}

TEST_F(Verdicts, OfFilesThatCannotBeToldApartNoneIsKept) {
  Verdict verdict = some_verdict();
  verdict.key.identity.clear();
  EXPECT_NE(write_verdict(verdict), "");
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(Verdicts, DamageIsNoVerdict) {
  const Verdict verdict = some_verdict();
  ASSERT_EQ(write_verdict(verdict), "");
  const fs::path path = files().at(0);
  std::ostringstream whole;
  whole << std::ifstream(path).rdbuf();
  const std::string text = whole.str();
  for (std::size_t size = 0; size + 2 < text.size(); size += 7) {
    std::ofstream(path, std::ios::trunc) << text.substr(0, size);
    ASSERT_FALSE(read_verdict(verdict.key)) << size;
  }
  for (const char* bad : {"null", "[]", "{\"format\":1}", "{\"format\":2,\"key\":{}}"}) {
    std::ofstream(path, std::ios::trunc) << bad;
    EXPECT_FALSE(read_verdict(verdict.key)) << bad;
  }
  // Another key's file under this name.
  Verdict other = verdict;
  other.key.model = "org/other";
  std::ofstream(path, std::ios::trunc) << verdict_json(other);
  EXPECT_FALSE(read_verdict(verdict.key));
  EXPECT_EQ(write_verdict(verdict), "");
  EXPECT_TRUE(read_verdict(verdict.key));
}

TEST(Preferred, IsTheFastestThatAgrees) {
  const Verdict verdict = some_verdict();
  EXPECT_EQ(names(preferred_devices(verdict, "auto", 0, 0)),
            (std::vector<std::string>{"cuda fp16", "mlx fp32"}));
  // The CPU takes 0.1 s and 10 ms a text, cuda 3 s and 1, mlx 0.5 s and 4.
  EXPECT_THAT(preferred_devices(verdict, "auto", 10, 0), IsEmpty());
  EXPECT_EQ(names(preferred_devices(verdict, "auto", 100, 0)),
            (std::vector<std::string>{"mlx fp32"}));
  EXPECT_EQ(names(preferred_devices(verdict, "auto", 1000, 0)),
            (std::vector<std::string>{"cuda fp16", "mlx fp32"}));
  EXPECT_EQ(names(preferred_devices(verdict, "auto", 400, 0)),
            (std::vector<std::string>{"mlx fp32", "cuda fp16"}));
}

TEST(Preferred, NeverWhatIsSlowerWrongOrBroken) {
  Verdict verdict = some_verdict();
  for (const char* state : {"slower", "disagrees", "failed"}) {
    verdict.devices[1].state = verdict.devices[2].state = state;
    EXPECT_THAT(preferred_devices(verdict, "auto", 0, 0), IsEmpty()) << state;
  }
  verdict = some_verdict();
  verdict.devices[0].ms_per_text = 0.5;
  EXPECT_THAT(preferred_devices(verdict, "auto", 0, 0), IsEmpty());
  verdict = some_verdict();
  verdict.devices.erase(verdict.devices.begin());  // nothing to be faster than
  EXPECT_THAT(preferred_devices(verdict, "auto", 0, 0), IsEmpty());
}

TEST(Preferred, ADtypeThatWasAskedForIsComparedWithItself) {
  Verdict verdict = some_verdict();
  EXPECT_EQ(names(preferred_devices(verdict, "fp32", 0, 0)),
            (std::vector<std::string>{"mlx fp32"}));
  EXPECT_THAT(preferred_devices(verdict, "int8", 0, 0), IsEmpty());
  verdict.devices[1].dtype = "int8";
  EXPECT_EQ(names(preferred_devices(verdict, "auto", 0, 0)),
            (std::vector<std::string>{"mlx fp32"}));                 // int8 is never auto's
  EXPECT_THAT(preferred_devices(verdict, "int8", 0, 0), IsEmpty());  // the CPU has no int8 figure
}

TEST(Preferred, MoreThreadsThanMeasuredAreAnotherCpu) {
  EXPECT_THAT(preferred_devices(some_verdict(), "auto", 0, 5), IsEmpty());
  EXPECT_EQ(preferred_devices(some_verdict(), "auto", 0, 2).size(), 2U);
}

}  // namespace
}  // namespace inlay::engine
