// The way of a provider that compiles, on the real library's CPU: graphs without open dimensions,
// embeddings by the host, texts that are no member of their group..
#include "backend/onnxruntime/executable.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "backend/onnxruntime/graph.h"
#include "engine/loader.h"
#include "wheel.h"

namespace inlay::backend::onnxruntime {
namespace {

Program program_of(const std::string& name) {
  const files::ModelFiles model =
      files::ModelFiles::open(std::string(INLAY_SOURCE_DIR) + "/tests/golden/models/" + name);
  const auto task = task::make_task(model, task::natural_task(model));
  return engine::build_program(model, task.get());
}

struct Texts {
  std::vector<std::int32_t> ids, offsets{0};
  Texts(const std::vector<int>& lengths, std::int64_t vocabulary) {
    std::mt19937 random(7);
    for (const int length : lengths) {
      for (int i = 0; i < length; ++i)
        ids.push_back(static_cast<std::int32_t>(random() % static_cast<unsigned>(vocabulary)));
      offsets.push_back(static_cast<std::int32_t>(ids.size()));
    }
  }
  PackedBatch batch() const { return {ids, {}, offsets, {}}; }
};

double least_cosine(const std::vector<float>& a, const std::vector<float>& b, std::size_t width) {
  double least = 1;
  for (std::size_t row = 0; row < a.size(); row += width) {
    double dot = 0;
    double aa = 0;
    double bb = 0;
    for (std::size_t d = row; d < row + width; ++d) {
      dot += double{a[d]} * b[d];
      aa += double{a[d]} * a[d];
      bb += double{b[d]} * b[d];
    }
    least = std::min(least, dot / std::sqrt(aa * bb));
  }
  return least;
}

class Compiled : public testing::TestWithParam<const char*> {};

TEST_P(Compiled, SizesAgreeWithRef) {
  if (INLAY_SANITIZED) GTEST_SKIP() << "a library that was built without the sanitizer";
  const std::string file = wheel();
  if (file.empty()) GTEST_SKIP() << "no ONNX Runtime in .venv";
  const Program program = program_of(GetParam());
  const Texts texts({1, 7, 31, 32, 33, 40, 40, 40, 40, 40, 40, 40, 40, 40, 64, 60, 5},
                    program.vocab_size());
  CompileOptions options;
  options.max_tokens = static_cast<std::int64_t>(texts.ids.size());
  options.max_texts = 17;
  options.max_text_tokens = 64;
  const auto width = static_cast<std::size_t>(program.output_width());
  std::vector<float> expected(17 * width);
  std::vector<float> got(17 * width);
  all_backends().back()->compile(program, options)->run(texts.batch(), expected);
  ProviderSetup setup = provider_setup("cpu", {});
  setup.compiles = true;
  const auto executable = make_executable(program, options, library(file), setup);
  executable->run(texts.batch(), got);
  EXPECT_GE(least_cosine(got, expected, width), 0.99999);
  // By length: 8 texts in one of 8 x 64; 4 more that are longer than 32, whose places are filled
  // with 4 shorter ones; and one alone.
  const double computed = 8 * 64 + 8 * 64 + 1 * 32;
  EXPECT_NEAR(executable->padded_share(),
              (computed - static_cast<double>(texts.ids.size())) / computed, 1e-9);
  EXPECT_EQ(executable->partitions(), 1);
}

INSTANTIATE_TEST_SUITE_P(Families, Compiled,
                         testing::Values("bert-mean", "distilbert-mean", "mpnet-mean",
                                         "xlm-roberta-cls", "modernbert-mean", "qwen3-last",
                                         "nomic-bert-mean", "jina-v3-mean"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

// A protobuf ends at 2 GiB, weights do not. Takes 12 GB of memory: INLAY_TEST_HUGE=1 runs it.
TEST(Executable, WeightsMayBeMoreThanTwoGigabytes) {
  if (std::getenv("INLAY_TEST_HUGE") == nullptr) GTEST_SKIP() << "INLAY_TEST_HUGE=1 runs it";
  const std::string file = wheel();
  if (file.empty()) GTEST_SKIP() << "no ONNX Runtime in .venv";
  constexpr std::int64_t kRows = 300000;
  constexpr std::int64_t kWidth = 1000;  // two tables of 1.2 GB
  Program program;
  const auto table = [&](const char* name, std::size_t period) {
    std::vector<float> values(kRows * kWidth);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % period);
    return program.own(name, {kRows, kWidth}, std::move(values));
  };
  const ValueId one = program.embed("one", {table("one", 9973), {}, {}, 0, -1});
  const ValueId two = program.embed("two", {table("two", 8191), {}, {}, 0, -1});
  program.pool("mean", {program.residual("sum", {one, two}), {PoolMode::kMean}});
  const std::vector<std::int32_t> ids{kRows - 1, 0};
  const std::vector<std::int32_t> offsets{0, 1, 2};
  std::vector<float> out(2 * kWidth);
  CompileOptions options;
  options.max_tokens = options.max_texts = options.max_text_tokens = 2;
  make_executable(program, options, library(file), provider_setup("cpu", {}))
      ->run({ids, {}, offsets, {}}, out);
  for (std::int64_t d = 0; d < kWidth; ++d) {
    const std::int64_t last = (kRows - 1) * kWidth + d;
    ASSERT_EQ(out[static_cast<std::size_t>(d)], static_cast<float>(last % 9973 + last % 8191));
    ASSERT_EQ(out[static_cast<std::size_t>(kWidth + d)], static_cast<float>(d % 9973 + d % 8191));
  }
}

TEST(Executable, OneTensorOfMoreThanTwoGigabytesIsRefused) {
  Program program;  // read by nobody, so no memory is behind it
  WeightRef table{"table", {DType::kF32, {600000, 1000}, nullptr}};
  program.embed("embed", {table, {}, {}, 0, -1});
  const std::vector<std::string> reasons = graph_reasons(program);
  ASSERT_EQ(reasons.size(), 1U);
  EXPECT_NE(reasons[0].find("table takes 2400000000 bytes"), std::string::npos) << reasons[0];
}

}  // namespace
}  // namespace inlay::backend::onnxruntime
