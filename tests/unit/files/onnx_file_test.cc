// What an ONNX file says of itself, and which file of a folder a name means.
#include "files/onnx_file.h"

#include "files/model_files.h"
#include "onnx_writer.h"
#include "temp_folder.h"

namespace inlay::files {
namespace {

using namespace onnx_writer;

OnnxFile described(const std::string& file) {
  return describe_onnx(onnx::parse_graph({file, "m.onnx"}));
}

TEST(OnnxFileTest, TheBorderWithoutConstants) {
  const std::string weight = floats("w", {1, 2}, {1, 2});
  const OnnxFile file = described(model(
      {node("MatMul", "m", {"x", "w"}, "y")}, {weight},
      bytes(11, value("input_ids", 7, {0, 0})) + bytes(11, value("w", 1, {1, 2})) +
          bytes(12, value("last_hidden_state", 10, {0, 0, 2})) + bytes(12, bytes(1, "no type"))));
  ASSERT_EQ(file.inputs.size(), 1U);
  EXPECT_EQ(file.inputs[0].name, "input_ids");
  EXPECT_EQ(file.inputs[0].type, 7);
  EXPECT_EQ(file.inputs[0].dims, (std::vector<std::int64_t>{-1, -1}));
  ASSERT_EQ(file.outputs.size(), 2U);
  EXPECT_EQ(file.outputs[0].dims, (std::vector<std::int64_t>{-1, -1, 2}));
  EXPECT_EQ(file.outputs[0].type, 10);
  EXPECT_FALSE(file.outputs[1].has_shape);
  EXPECT_EQ(file.operators, "MatMul x 1");
  EXPECT_EQ(file.dtype, "fp32");
  EXPECT_FALSE(file.quantizes_activations);
}

TEST(OnnxFileTest, PrecisionAndWhatQuantizesActivations) {
  const std::string half = tensor("w", 10, {1, 2}, raw(std::vector<std::uint16_t>{1, 2}));
  const auto contrib = [](const std::string& op, const std::string& more = "") {
    return node(op, "n", {"x", "w"}, "y") + bytes(7, "com.microsoft") + more;
  };
  const struct {
    std::vector<std::string> nodes, tensors;
    const char* dtype;
    const char* operators;
    bool quantizes;
  } kCases[] = {
      {{node("MatMul", "m", {"x", "w"}, "y")}, {half}, "fp16", "MatMul x 1", false},
      {{contrib("Attention"), contrib("Attention")},
       {floats("w", {1, 1}, {1})},
       "fp32",
       "com.microsoft.Attention x 2",
       false},
      {{node("DynamicQuantizeLinear", "q", {"x"}, "a"),
        node("MatMulInteger", "m", {"a", "w"}, "y")},
       {},
       "int8",
       "DynamicQuantizeLinear x 1, MatMulInteger x 1",
       true},
      {{contrib("DynamicQuantizeMatMul")},
       {},
       "int8",
       "com.microsoft.DynamicQuantizeMatMul x 1",
       true},
      {{node("DequantizeLinear", "d", {"w"}, "y")}, {}, "int8", "DequantizeLinear x 1", false},
      {{contrib("MatMulNBits", bytes(5, attribute("bits", 4)))},
       {},
       "int4",
       "com.microsoft.MatMulNBits x 1",
       false},
      {{contrib("MatMulNBits", bytes(5, attribute("bits", 8)))},
       {},
       "int8",
       "com.microsoft.MatMulNBits x 1",
       false},
      {{node("If", "i", {"x"}, "y")}, {}, "fp32", "If x 1", true},
  };
  for (const auto& item : kCases) {
    SCOPED_TRACE(item.operators);
    const OnnxFile file = described(model(item.nodes, item.tensors));
    EXPECT_EQ(file.dtype, item.dtype);
    EXPECT_EQ(file.operators, item.operators);
    EXPECT_EQ(file.quantizes_activations, item.quantizes);
  }
}

TEST(OnnxFileTest, NamesAndExternalData) {
  const TempFolder folder;
  folder.write("config.json", "{}");
  const std::string plain = model({node("Relu", "r", {"x"}, "y")}, {});
  folder.write("onnx/model.onnx", plain);
  folder.write("onnx/model_quantized.onnx", plain);
  folder.write("onnx/big.onnx", model({}, {external("w", {2}, "big.onnx_data", "0", "8")}));
  folder.write("onnx/big.onnx_data", "12345678");
  folder.write("other.onnx", plain);
  const ModelFiles files = ModelFiles::open(folder.path());
  EXPECT_EQ(files.onnx_file("auto").name, "onnx/model.onnx");
  EXPECT_EQ(files.onnx_file("model_quantized.onnx").name, "onnx/model_quantized.onnx");
  EXPECT_EQ(files.onnx_file("onnx/model.onnx").name, "onnx/model.onnx");
  EXPECT_EQ(files.onnx_file("other.onnx").bytes.elements(),
            static_cast<std::int64_t>(plain.size()));
  const OnnxFile big = files.onnx_file("big.onnx");
  const Weights::Entry* data = big.data->find("big.onnx_data");
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(std::string(static_cast<const char*>(data->tensor.data), 8), "12345678");
  expect_error([&] { files.onnx_file("model_O2.onnx"); }, ErrorCode::kNotFound,
               {"\"model_O2.onnx\"", "other.onnx, onnx/big.onnx, onnx/model.onnx"});
  expect_error([&] { files.onnx_file("../other.onnx"); }, ErrorCode::kBadInput, {"--onnx-file"});
}

}  // namespace
}  // namespace inlay::files
