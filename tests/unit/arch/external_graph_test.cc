// Which inputs and outputs of a folder's own ONNX file are taken for what, and which are refused.
#include "arch/external_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../files/onnx_writer.h"
#include "../files/temp_folder.h"
#include "files/model_files.h"

namespace inlay::arch {
namespace {

using files::onnx_writer::bytes;
using files::onnx_writer::node;
using files::onnx_writer::value;

constexpr std::int64_t kFloat = 1, kInt32 = 6, kInt64 = 7, kHalf = 10;
const std::string kIds = bytes(11, value("input_ids", kInt64, {0, 0}));
const std::string kMask = bytes(11, value("attention_mask", kInt32, {0, 0}));
const std::string kTypes = bytes(11, value("token_type_ids", kInt64, {0, 0}));
const std::string kHidden = bytes(12, value("last_hidden_state", kFloat, {0, 0, 8}));
const std::string kPooler = bytes(12, value("pooler_output", kFloat, {0, 8}));
const std::string kSentence = bytes(12, value("sentence_embedding", kHalf, {0, 5}));
const std::string kLogits = bytes(12, value("logits", kFloat, {0, 0, 30}));
const std::string kLabels = bytes(12, value("logits", kFloat, {0, 0}));

class ExternalGraphBody : public testing::Test {
 protected:
  Body build(const std::string& border, const ExternalOptions& options,
             const std::string& op = "Relu") {
    folder_.write("model.onnx", files::onnx_writer::model({node(op, "n", {"x"}, "y")}, {}, border));
    folder_.write("config.json",
                  R"({"model_type":"roberta","vocab_size":30,"hidden_size":8,"pad_token_id":1,)"
                  R"("max_position_embeddings":18,"type_vocab_size":1,)"
                  R"("id2label":{"0":"a","1":"b","2":"c"}})");
    return build_external_graph(files::ModelFiles::open(folder_.path()), "auto", options);
  }
  std::string refusal(const std::string& border, const ExternalOptions& options) {
    const auto error = files::error_of([&] { build(border, options); });
    if (!error) return "taken";
    EXPECT_EQ(error->code(), ErrorCode::kUnsupported);
    return error->what();
  }
  files::TempFolder folder_;
};

TEST_F(ExternalGraphBody, HiddenStatesComeFirst) {
  const Body body = build(kMask + kIds + kTypes + kSentence + kPooler + kHidden, {});
  const ExternalGraphStep& step = *find_external_graph(body.program);
  ASSERT_EQ(step.inputs.size(), 3U);
  EXPECT_EQ(step.inputs[0].input, ExternalGraphStep::Input::kMask);
  EXPECT_FALSE(step.inputs[0].wide);
  EXPECT_TRUE(step.inputs[1].wide);
  EXPECT_EQ(step.output, "last_hidden_state");
  EXPECT_EQ(body.program.value(body.hidden).rows, Rows::kTokens);
  EXPECT_EQ(body.program.value(body.hidden).width, 8);
  EXPECT_FALSE(body.finished || step.half || step.text_by_text);
  // Positions count from behind the padding id.
  EXPECT_EQ(body.program.max_tokens(), 16);
  EXPECT_EQ(step.position_offset, 2);
  EXPECT_EQ(step.pad_id, 1);
  EXPECT_EQ(body.program.vocab_size(), 30);
  EXPECT_EQ(body.program.type_count(), 1);
}

TEST_F(ExternalGraphBody, OtherOutputs) {
  const struct {
    std::string border;
    ExternalOptions options;
    const char* output;
    Rows rows;
    std::int64_t width;
    bool finished, half;
  } kCases[] = {
      {kSentence + kPooler,
       {Head::kHidden, true},
       "sentence_embedding",
       Rows::kTexts,
       5,
       true,
       true},
      {bytes(12, value("vectors", kFloat, {0, 6})),
       {Head::kHidden, true},
       "vectors",
       Rows::kTexts,
       6,
       true,
       false},
      // A width that is left open is the config's.
      {bytes(12, value("token_embeddings", kFloat, {0, 0, 0})) + kSentence,
       {},
       "token_embeddings",
       Rows::kTokens,
       8,
       false,
       false},
      {bytes(12, value("output_0", kFloat, {0, 0, 8})) + kPooler,
       {},
       "output_0",
       Rows::kTokens,
       8,
       false,
       false},
      {kLogits, {Head::kMaskedLm}, "logits", Rows::kTokens, 30, false, false},
      {kLabels, {Head::kClassifier}, "logits", Rows::kTexts, 3, false, false},
  };
  for (const auto& item : kCases) {
    SCOPED_TRACE(item.output);
    const Body body = build(kIds + kMask + item.border, item.options);
    const ExternalGraphStep& step = *find_external_graph(body.program);
    EXPECT_EQ(step.output, item.output);
    EXPECT_EQ(step.rows, item.rows);
    EXPECT_EQ(step.width, item.width);
    EXPECT_EQ(body.finished, item.finished);
    EXPECT_EQ(step.half, item.half);
  }
}

TEST_F(ExternalGraphBody, ATextRunsAloneWhereOthersWouldChangeIt) {
  const auto alone = [&](const std::string& border, const std::string& op) {
    return find_external_graph(build(border, {}, op).program)->text_by_text;
  };
  EXPECT_FALSE(alone(kIds + kMask + kHidden, "MatMul"));
  EXPECT_TRUE(alone(kIds + kHidden, "MatMul"));
  EXPECT_TRUE(alone(kIds + kMask + kHidden, "DynamicQuantizeLinear"));
}

TEST_F(ExternalGraphBody, RefusalsNameInputsAndOutputs) {
  using testing::HasSubstr;
  const std::string in = kIds + kMask;
  EXPECT_THAT(refusal(kMask + kHidden, {}), HasSubstr("expected an input input_ids"));
  EXPECT_THAT(refusal(in + bytes(11, value("past", kFloat, {0, 2, 0, 4})) + kHidden, {}),
              HasSubstr("inputs input_ids [?, ?], attention_mask [?, ?], past [?, 2, ?, 4] and "
                        "outputs last_hidden_state [?, ?, 8]"));
  EXPECT_THAT(refusal(bytes(11, value("input_ids", kInt64, {1, 128})) + kHidden, {}),
              HasSubstr("both open, got a graph with inputs input_ids [1, 128]"));
  EXPECT_THAT(refusal(bytes(11, value("input_ids", kFloat, {0, 0})) + kHidden, {}),
              HasSubstr("of integers"));
  EXPECT_THAT(refusal(in + kSentence, {}), HasSubstr("sentence_embedding [?, 5]"));
  EXPECT_THAT(refusal(in + kPooler, {Head::kHidden, true}), HasSubstr("pooler_output [?, 8]"));
  EXPECT_THAT(refusal(in + kLogits, {}), HasSubstr("last_hidden_state or token_embeddings"));
  EXPECT_THAT(refusal(in + kHidden, {Head::kMaskedLm}), HasSubstr("logits [texts, tokens, 30]"));
  EXPECT_THAT(refusal(in + kHidden, {Head::kClassifier}), HasSubstr("logits [texts, labels]"));
  EXPECT_THAT(refusal(in + kLogits, {Head::kCausalLm}), HasSubstr("expected a task"));
  EXPECT_THAT(refusal(in + bytes(12, value("last_hidden_state", kInt64, {0, 0, 8})), {}),
              HasSubstr("of float32 or float16"));
}

}  // namespace
}  // namespace inlay::arch
