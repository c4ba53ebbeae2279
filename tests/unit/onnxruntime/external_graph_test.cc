// What a graph of somebody else's is given and what is made of its values, with graphs that give
// their inputs back, run by the real library.
#include "backend/onnxruntime/external_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "backend/onnxruntime/executable.h"
#include "backend/onnxruntime/graph.h"
#include "backend/onnxruntime/onnx_writer.h"
#include "base/error.h"
#include "wheel.h"

namespace inlay::backend::onnxruntime {
namespace {

using Input = ExternalGraphStep::Input;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::int64_t kToFloat = 1;

// [texts, length, inputs]: each input as it came.
struct Echo {
  std::string model;
  ExternalGraphStep step;
  explicit Echo(std::vector<ExternalGraphStep::Given> inputs) {
    OnnxWriter writer;
    std::vector<std::string> columns;
    for (const ExternalGraphStep::Given& given : inputs) {
      writer.input(given.name, given.wide ? kInt64 : kInt32, {"texts", "length"});
      const std::string real = writer.node("Cast", {given.name}, {{"to", kToFloat}});
      columns.push_back(writer.node("Unsqueeze", {real, writer.integers({2})}));
    }
    const auto width = static_cast<std::int64_t>(columns.size());
    writer.output("hidden", writer.node("Concat", columns, {{"axis", std::int64_t{2}}}),
                  {"texts", "length", width});
    model = writer.finish();
    step.inputs = std::move(inputs);
    step.output = "hidden";
    step.width = width;
    step.vocab_size = 100;
    step.pad_id = 7;
    step.position_offset = 2;
  }
  // Valid while this is.
  ExternalGraphStep made() const {
    ExternalGraphStep out = step;
    out.graph = {"echo.onnx",
                 {DType::kU8, {static_cast<std::int64_t>(model.size())}, model.data()}};
    return out;
  }
};

CompileOptions limits() {
  CompileOptions options;
  options.max_tokens = options.max_texts = options.max_text_tokens = 16;
  return options;
}

class External : public testing::Test {
 protected:
  void SetUp() override {
    if (INLAY_SANITIZED) GTEST_SKIP() << "a library that was built without the sanitizer";
    file_ = wheel();
    if (file_.empty()) GTEST_SKIP() << "no ONNX Runtime in .venv";
  }
  std::unique_ptr<Executable> compile(const Program& program) const {
    return make_executable(program, limits(), library(file_), provider_setup(kCpuUnit, {}));
  }
  std::string file_;
};

const std::vector<std::int32_t> kIds{11, 12, 13, 14, 15, 16, 17};
const std::vector<std::int32_t> kTypes{0, 1, 1, 0, 0, 1, 1};
const std::vector<std::int32_t> kOffsets{0, 3, 7};  // 3 and 4 tokens, which run apart
const std::vector<std::int32_t> kKeys{2, 4};

TEST_F(External, InputsAreThoseOfTheBatch) {
  for (const bool wide : {true, false}) {
    const Echo echo({{Input::kTypes, "token_type_ids", wide},
                     {Input::kIds, "input_ids", !wide},
                     {Input::kMask, "attention_mask", wide},
                     {Input::kPositions, "position_ids", true}});
    Program program;
    program.external_graph("graph", echo.made());
    std::vector<float> out(7 * 4);
    compile(program)->run({kIds, kTypes, kOffsets, {}, kKeys}, out);
    EXPECT_THAT(out, ElementsAre(0, 11, 1, 2, 1, 12, 1, 3, 1, 13, 0, 4,  //
                                 0, 14, 1, 2, 0, 15, 1, 3, 1, 16, 1, 4, 1, 17, 1, 5));
  }
}

// 15 and 14 tokens run together; a graph that sees the whole run tells the padding.
TEST_F(External, PaddingHasTheModelsId) {
  OnnxWriter writer;
  writer.input("input_ids", kInt64, {"texts", "length"});
  const std::string real = writer.node("Cast", {"input_ids"}, {{"to", kToFloat}});
  writer.output("all", writer.node("ReduceSum", {real, writer.integers({1})}), {"texts", 1});
  Echo echo({{Input::kIds, "input_ids", true}});
  echo.model = writer.finish();
  echo.step.output = "all";
  echo.step.rows = Rows::kTexts;
  const std::vector<std::int32_t> ids(29, 1);
  const std::vector<std::int32_t> offsets{0, 15, 29};
  for (const bool alone : {false, true}) {
    echo.step.text_by_text = alone;
    Program program;
    program.external_graph("graph", echo.made());
    CompileOptions options = limits();
    options.max_tokens = 29;
    const auto executable =
        make_executable(program, options, library(file_), provider_setup(kCpuUnit, {}));
    std::vector<float> out(2);
    executable->run({ids, {}, offsets, {}}, out);
    EXPECT_THAT(out, ElementsAre(15, alone ? 14 : 14 + 7));
    EXPECT_NEAR(executable->padded_share(), alone ? 0 : 1.0 / 30, 1e-9);
    const std::vector<std::string> notes = executable->notes();
    EXPECT_THAT(notes[1], HasSubstr("the model's own graph: echo.onnx"));
    EXPECT_EQ(notes[2].starts_with("one text a run"), alone);
  }
}

TEST_F(External, HeadsFollow) {
  const Echo echo({{Input::kIds, "input_ids", true}, {Input::kTypes, "token_type_ids", true}});
  Program pooled;
  const ValueId hidden = pooled.external_graph("graph", echo.made());
  pooled.normalize("normalize", {pooled.pool("pool", {hidden, {PoolMode::kMean}, false})});
  std::vector<float> out(4);
  compile(pooled)->run({kIds, kTypes, kOffsets, {}}, out);
  const auto length = [](float a, float b) { return std::sqrt(a * a + b * b); };
  EXPECT_NEAR(out[0], 12 / length(12, 2.0F / 3), 1e-6);
  EXPECT_NEAR(out[3], 0.5F / length(15.5F, 0.5F), 1e-6);

  for (const bool sum : {false, true}) {  // the values are logits
    Program sparse;
    VocabularyMaxStep step;
    step.input = sparse.external_graph("graph", echo.made());
    step.sum = sum;
    sparse.vocabulary_max("vocabulary", step);
    compile(sparse)->run({kIds, kTypes, kOffsets, {}}, out);
    float expected = 0;
    for (const int id : {11, 12, 13}) expected = std::log1p(id) + (sum ? expected : 0);
    EXPECT_NEAR(out[0], expected, 1e-5);
    EXPECT_NEAR(out[1], (sum ? 2 : 1) * std::log(2.0), 1e-6);
  }
}

TEST_F(External, ALibrarysRefusalOfTheGraphIsTold) {
  Echo echo({{Input::kIds, "input_ids", true}});
  echo.model = "no graph";
  Program program;
  program.external_graph("graph", echo.made());
  try {
    compile(program);
    FAIL() << "compiled";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_THAT(error.what(), HasSubstr("echo.onnx"));
  }
}

TEST(ExternalGroups, AreBoundedByWhatComesOut) {
  ExternalGraphStep step;
  step.width = 384;
  EXPECT_EQ(external_group_texts(step, 128), 16);
  step.width = 30522;
  EXPECT_EQ(external_group_texts(step, 128), 4);
  EXPECT_EQ(external_group_texts(step, 512), 1);
  step.rows = Rows::kTexts;
  EXPECT_EQ(external_group_texts(step, 128), 16);
  step.text_by_text = true;
  EXPECT_EQ(external_group_texts(step, 128), 1);
}

// The other rooms say who could.
TEST(ExternalGroups, OtherRoomsRefuse) {
  const Echo echo({{Input::kIds, "input_ids", true}});
  Program program;
  program.external_graph("graph", echo.made());
  int others = 0;
  for (const Backend* room : all_backends()) {
    CompileOptions options;
    options.dtype = room->default_dtype(program, {});
    const std::vector<std::string> reasons = room->supports(program, options);
    if (room->name() == "onnxruntime") {
      EXPECT_TRUE(reasons.empty()) << reasons.front();
      options.dtype = "int8";
      EXPECT_THAT(room->supports(program, options).front(),
                  HasSubstr("dtype: echo.onnx is in fp32"));
      continue;
    }
    ++others;
    ASSERT_FALSE(reasons.empty()) << room->name();
    EXPECT_THAT(reasons.front(), HasSubstr("only --device onnxruntime runs echo.onnx"));
  }
  EXPECT_GE(others, 2);
}

}  // namespace
}  // namespace inlay::backend::onnxruntime
