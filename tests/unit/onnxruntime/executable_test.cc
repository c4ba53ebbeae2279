// The way of a provider that compiles, on the real library's CPU: graphs without open dimensions,
// embeddings by the host, texts that are no member of their group..
#include "backend/onnxruntime/executable.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <random>

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

}  // namespace
}  // namespace inlay::backend::onnxruntime
