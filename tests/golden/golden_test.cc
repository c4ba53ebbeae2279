// Golden cases as data: tiny random models by transformers and sentence-transformers, expected
// vectors beside them. Each case runs on every room and instruction set of this machine; a text
// alone gives the bits it gives in a batch.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <ostream>

#include "base/json.h"
#include "base/mapped_file.h"
#include "inlay/inlay.hpp"

namespace inlay {
namespace {

// float32 against sentence-transformers' float32: the sums differ in order only. Random weights of
// scale 0.3 make activations of a few units, hence a bound relative to the vector's largest
// element.
constexpr double kMaxAbs = 1e-5;
constexpr double kMinCosine = 0.999999;

std::vector<std::string> rooms() {
  // The instruction sets are the CPU room's own: each test asserts the one that ran.
  std::vector<std::string> names{"ref"};
  for (const char* isa : {"generic", "avx2", "avx512", "neon"}) {
    ::setenv("INLAY_CPU_ISA", isa, 1);
    const std::string status = status_json("", "", false);
    const JsonDocument document = JsonDocument::parse(status, "status");
    for (const JsonValue& device : document.root().at("devices").items()) {
      if (device.at("device").string() == "cpu" && device.at("state").string() == "ok" &&
          device.at("isa").string() == isa) {
        names.push_back(std::string("cpu:") + isa);
      }
    }
  }
  ::unsetenv("INLAY_CPU_ISA");
  return names;
}

struct Case {
  std::string file, room;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.file << " on " << c.room; }

std::vector<Case> cases() {
  std::vector<Case> all;
  std::vector<std::filesystem::path> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(INLAY_GOLDEN_DIR) + "/cases"))
    files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  const std::vector<std::string> here = rooms();
  for (const auto& file : files) {
    for (const std::string& room : here) all.push_back({file.string(), room});
  }
  return all;
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
  std::string name = std::filesystem::path(info.param.file).stem().string() + "_" + info.param.room;
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

class Golden : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (GetParam().room.starts_with("cpu:"))
      ::setenv("INLAY_CPU_ISA", GetParam().room.substr(4).c_str(), 1);
  }
  void TearDown() override { ::unsetenv("INLAY_CPU_ISA"); }
};

std::vector<float> floats(const JsonValue& array) {
  std::vector<float> values;
  for (const JsonValue& item : array.items()) values.push_back(static_cast<float>(item.number()));
  return values;
}

void expect_close(std::span<const float> got, const std::vector<float>& expected,
                  const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  double dot = 0;
  double a = 0;
  double b = 0;
  double worst = 0;
  double largest = 1;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    dot += static_cast<double>(got[i]) * expected[i];
    a += static_cast<double>(got[i]) * got[i];
    b += static_cast<double>(expected[i]) * expected[i];
    worst = std::max(worst, std::fabs(static_cast<double>(got[i]) - expected[i]));
    largest = std::max(largest, std::fabs(static_cast<double>(expected[i])));
  }
  EXPECT_GE(dot / std::sqrt(a * b), kMinCosine) << what;
  EXPECT_LE(worst / largest, kMaxAbs) << what;
}

TEST_P(Golden, VectorsAndTokensEqualTheReference) {
  const JsonDocument document =
      JsonDocument::parse(read_file(GetParam().file, std::size_t{8} << 20U), GetParam().file);
  const JsonValue root = document.root();
  std::vector<std::string> texts;
  for (const JsonValue& text : root.at("texts").items()) texts.emplace_back(text.string());
  for (const JsonValue& run : root.at("runs").items()) {
    const JsonValue wanted = run.at("request");
    EngineOptions options;
    options.model =
        std::string(INLAY_GOLDEN_DIR) + "/models/" + std::string(root.at("model").string());
    options.device = GetParam().room.substr(0, 3);
    options.threads = 2;
    options.max_length = static_cast<int>(wanted.integer_or("max_length", 0));
    EmbedOptions embed;
    embed.dimensions = static_cast<int>(wanted.integer_or("dimensions", 0));
    Engine engine(options, embed);
    const Stats stats = engine.stats();
    EXPECT_EQ(stats.backend, options.device);
    if (GetParam().room.starts_with("cpu:")) {
      EXPECT_EQ("cpu:" + stats.isa, GetParam().room);
    }

    Request request;
    request.texts = texts;
    request.prompt = wanted.string_or("prompt", "none");
    const Result together = engine.run(request);
    const std::vector<JsonValue> expected = run.at("vectors").items();
    const std::vector<JsonValue> counts = run.at("tokens").items();
    const auto dim = static_cast<std::size_t>(together.dim);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const std::string what = GetParam().room + ", text " + std::to_string(i);
      EXPECT_EQ(together.texts[i].tokens, counts[i].integer()) << what;
      const std::span<const float> vector(together.vectors.data() + i * dim, dim);
      expect_close(vector, floats(expected[i]), what);
      Request single = request;
      single.texts = {texts[i]};
      const Result alone = engine.run(single);
      EXPECT_TRUE(std::equal(vector.begin(), vector.end(), alone.vectors.begin()))
          << what << ": alone differs from in a batch";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, Golden, testing::ValuesIn(cases()), case_name);

}  // namespace
}  // namespace inlay
