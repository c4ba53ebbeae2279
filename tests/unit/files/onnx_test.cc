// Weights out of ONNX files: names that the graph tells, layouts, quantisation, external data, and
// what is refused. tests/oracles/test_onnx.py has the files that the tools write.
#include "files/onnx.h"

#include <cmath>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "files/checkpoint.h"
#include "onnx_writer.h"
#include "temp_folder.h"

namespace inlay::files {
namespace {

using namespace std::string_literals;
using namespace onnx_writer;

const std::filesystem::path kData = INLAY_TEST_DATA "/files";

std::string_view no_external(std::string_view location) {
  throw Error(ErrorCode::kNotFound, "no external data", location);
}

Weights read(std::string_view bytes) {
  Weights weights;
  read_onnx(bytes, "m.onnx", no_external, &weights);
  return weights;
}

// "name [shape] 1 2 3" for each weight, joined by "; ".
std::string shown(const Weights& weights) {
  std::string out;
  for (const auto& [name, entry] : weights.entries()) {
    out += (out.empty() ? "" : "; ") + name + " " + shape_text(entry.tensor.shape);
    for (const float value : to_float(entry.tensor, name)) {
      char text[32];
      std::snprintf(text, sizeof text, " %g", static_cast<double>(value));
      out += text;
    }
  }
  return out;
}

const std::vector<float> kSix{1, 2, 3, 4, 5, 6};
const std::string kTransposed = "q.weight [3, 2] 1 4 2 5 3 6";

TEST(Onnx, NamesOfLinearLayers) {
  const std::string bias = floats("q.bias", {3}, {7, 8, 9});
  const std::string both = "q.bias [3] 7 8 9; " + kTransposed;
  const std::string anonymous = floats("onnx::MatMul_5", {2, 3}, kSix);
  const struct {
    const char* what;
    std::vector<std::string> nodes, tensors;
    std::string expected;
  } kCases[] = {
      {"the bias behind",
       {node("MatMul", "MatMul_1", {"x", "onnx::MatMul_5"}, "y"),
        node("Add", "Add_1", {"q.bias", "y"}, "z")},
       {anonymous, bias},
       both},
      {"the bias in a fused norm",
       {node("MatMul", "MatMul_1", {"x", "onnx::MatMul_5"}, "y"),
        node("SkipLayerNormalization", "S", {"y", "x", "n.weight", "n.bias", "q.bias"}, "z")},
       {anonymous, bias},
       both},
      {"the bias in a fused activation",
       {node("MatMul", "MatMul_1", {"x", "onnx::MatMul_5"}, "y"),
        node("BiasGelu", "G", {"y", "q.bias"}, "z")},
       {anonymous, bias},
       both},
      {"the scope alone",
       {node("MatMul", "/q/MatMul", {"x", "onnx::MatMul_5"}, "y")},
       {anonymous},
       kTransposed},
      {"onnxruntime's longer scope",
       {node("Gemm", "/q/MatMul/MatMulAddFusion", {"x", "onnx::MatMul_5"}, "y")},
       {anonymous},
       kTransposed},
      {"a bias of the module above",
       {node("MatMul", "/c/q/MatMul", {"x", "onnx::MatMul_5"}, "y"),
        node("Add", "/c/Add", {"y", "c.bias"}, "z")},
       {anonymous, floats("c.bias", {3}, {7, 8, 9})},
       "c.bias [3] 7 8 9; c.q.bias [3] 7 8 9; c." + kTransposed},
      {"transposed by its attribute",
       {node("Gemm", "g", {"x", "q.weight", "q.bias"}, "y", {attribute("transB", 1)})},
       {floats("q.weight", {3, 2}, {1, 4, 2, 5, 3, 6}), bias},
       both},
      {"transposed by a node",
       {node("Transpose", "t", {"q.weight"}, "w"), node("MatMul", "m", {"x", "w"}, "y")},
       {floats("q.weight", {3, 2}, {1, 4, 2, 5, 3, 6})},
       kTransposed},
      {"a constant node",
       {bytes(2, "w") + bytes(4, "Constant") +
            bytes(5, bytes(1, "value") + bytes(5, floats("", {2, 3}, kSix))),
        node("MatMul", "/q/MatMul", {"x", "w"}, "y")},
       {},
       kTransposed},
      {"a merged constant's own name",
       {node("Identity", "i", {"a.bias"}, "b.bias")},
       {floats("a.bias", {1}, {3})},
       "a.bias [1] 3; b.bias [1] 3"},
  };
  for (const auto& item : kCases) {
    SCOPED_TRACE(item.what);
    EXPECT_EQ(shown(read(model(item.nodes, item.tensors))), item.expected);
  }
}

TEST(Onnx, MergedBiasesFollowTheScope) {
  // Two layers whose equal biases became one; the first tells that scopes and names agree.
  const std::string file =
      model({node("MatMul", "/a/MatMul", {"x", "w1"}, "y1"),
             node("Add", "/a/Add", {"y1", "a.bias"}, "z1"),
             node("MatMul", "/b/MatMul", {"x", "w2"}, "y2"),
             node("Add", "/b/Add", {"y2", "a.bias"}, "z2")},
            {floats("w1", {1, 1}, {1}), floats("w2", {1, 1}, {2}), floats("a.bias", {1}, {0})});
  EXPECT_EQ(shown(read(file)), "a.bias [1] 0; a.weight [1, 1] 1; b.bias [1] 0; b.weight [1, 1] 2");
}

TEST(Onnx, PackedAttention) {
  const std::string attention = node("Attention", "Attention_0", {"x", "p", "pb", "mask"},
                                     "/l/attention/self/Reshape_output_0");
  const std::string out = node("MatMul", "m", {"/l/attention/self/Reshape_output_0", "o"}, "y");
  const std::string add = node("Add", "a", {"y", "l.attention.output.dense.bias"}, "z");
  const std::vector<std::string> tensors{
      floats("p", {2, 6}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}),
      floats("pb", {6}, {1, 2, 3, 4, 5, 6}), floats("o", {2, 2}, {1, 2, 3, 4}),
      floats("l.attention.output.dense.bias", {2}, {0, 0})};
  EXPECT_EQ(
      shown(read(model({attention, out, add}, tensors))),
      "l.attention.output.dense.bias [2] 0 0; l.attention.output.dense.weight [2, 2] 1 3 2 4; "
      "l.attention.self.key.bias [2] 3 4; l.attention.self.key.weight [2, 2] 3 9 4 10; "
      "l.attention.self.query.bias [2] 1 2; l.attention.self.query.weight [2, 2] 1 7 2 8; "
      "l.attention.self.value.bias [2] 5 6; l.attention.self.value.weight [2, 2] 5 11 6 12");
  // Without the layer behind it nothing tells the names.
  expect_error([&] { read(model({attention}, tensors)); }, ErrorCode::kUnsupported,
               {"Attention \"Attention_0\" [2, 6]"});
}

TEST(Onnx, Quantised) {
  const std::string weight =
      tensor("onnx::MatMul_5_quantized", 3, {2, 3}, "\x01\x02\x03\x04\x05\xFA"s);
  const std::string scale = floats("s", {3}, {1, 10, 100});
  const std::string zero = tensor("z", 3, {3}, "\x00\x01\x00"s);
  const std::string expected = "q.weight [3, 2] 1 4 10 40 300 -600";
  const struct {
    const char* what;
    std::vector<std::string> nodes, tensors;
    std::string expected;
  } kCases[] = {
      {"dynamic",
       {node("MatMulInteger", "/q/MatMul_quant", {"xq", "onnx::MatMul_5_quantized", "xz", "z"},
             "i"),
        node("Cast", "c", {"i"}, "f", {attribute("to", 1)}), node("Mul", "ss", {"xs", "s"}, "m"),
        node("Mul", "mm", {"f", "m"}, "y")},
       {weight, scale, zero},
       expected},
      {"fused",
       {node("DynamicQuantizeMatMul", "/q/MatMul_quant",
             {"x", "onnx::MatMul_5_quantized", "s", "z"}, "y")},
       {weight, scale, zero},
       expected},
      {"dequantised in the graph, one scale",
       {node("DequantizeLinear", "d", {"onnx::MatMul_5_quantized", "s"}, "w"),
        node("MatMul", "/q/MatMul", {"x", "w"}, "y")},
       {weight, floats("s", {}, {2})},
       "q.weight [3, 2] 2 8 4 10 6 -12"},
      {"dequantised in the graph by rows",
       {node("DequantizeLinear", "d", {"onnx::MatMul_5_quantized", "s"}, "w",
             {attribute("axis", 0)}),
        node("MatMul", "/q/MatMul", {"x", "w"}, "y")},
       {weight, floats("s", {2}, {1, 10})},
       "q.weight [3, 2] 1 40 2 50 3 -60"},
      {"a table",
       {node("Gather", "g", {"e.weight_quantized", "ids"}, "r"),
        node("DequantizeLinear", "d", {"r", "s", "z"}, "y")},
       {tensor("e.weight_quantized", 2, {2, 2}, "\x80\x81\x7F\xFF"s), floats("s", {}, {0.5}),
        tensor("z", 2, {}, "\x80"s)},
       "e.weight [2, 2] 0 0.5 -0.5 63.5"},
  };
  for (const auto& item : kCases) {
    SCOPED_TRACE(item.what);
    EXPECT_EQ(shown(read(model(item.nodes, item.tensors))), item.expected);
  }
}

TEST(Onnx, TypedData) {
  const auto typed = [](std::int64_t type, const std::string& data) {
    return integer(1, 2) + integer(2, type) + bytes(8, "a.weight") + data;
  };
  const std::string one_two = raw(std::vector<float>{1, 2});
  const struct {
    const char* what;
    std::string tensor, expected;
  } kCases[] = {
      {"packed floats", typed(1, bytes(4, one_two)), "1 2"},
      {"floats one by one", typed(1, "\x25" + one_two.substr(0, 4) + "\x25" + one_two.substr(4)),
       "1 2"},
      {"doubles", typed(11, bytes(10, raw(std::vector<double>{1, 2}))), "1 2"},
      {"halves as varints", typed(10, bytes(5, varint(0x3C00) + varint(0x4000))), "1 2"},
      {"bfloats one by one", typed(16, integer(5, 0x3F80) + integer(5, 0x4000)), "1 2"},
  };
  for (const auto& item : kCases) {
    SCOPED_TRACE(item.what);
    EXPECT_EQ(shown(read(model({}, {item.tensor}))), "a.weight [2] " + item.expected);
  }
  for (const std::string& data :
       {bytes(4, one_two.substr(0, 4)), bytes(4, one_two + one_two), bytes(4, one_two.substr(0, 7)),
        bytes(9, one_two.substr(0, 7)), bytes(9, one_two + "x"), std::string()}) {
    expect_error([&] { read(model({}, {typed(1, data)})); }, ErrorCode::kBadInput, {"a.weight"});
  }
}

TEST(Onnx, Refusals) {
  const std::string weight = floats("w", {2, 3}, kSix);
  const std::string packed = tensor("w", 2, {3, 1, 8}, std::string(24, 'x'));
  const auto refused = [](const std::string& file, ErrorCode code,
                          std::initializer_list<std::string_view> parts) {
    Weights weights;
    expect_error([&] { read_onnx(file, "m.onnx", no_external, &weights); }, code, parts);
    EXPECT_TRUE(weights.entries().empty());
  };
  refused("", ErrorCode::kBadInput, {"m.onnx", "empty"});
  refused("version https://git-lfs.github.com/spec/v1\n", ErrorCode::kUnsupported,
          {"git lfs pull"});
  refused("{\"a\": 1}", ErrorCode::kBadInput, {"offset"});
  refused(integer(1, 8), ErrorCode::kBadInput, {"a graph"});
  refused(bytes(7, ""), ErrorCode::kBadInput, {"operator sets"});
  refused(model({}, {weight, weight}), ErrorCode::kBadInput, {"\"w\" twice"});
  refused(model({node("A", "a", {}, "y"), node("A", "b", {}, "y")}, {}), ErrorCode::kBadInput,
          {"\"y\" from two"});
  refused(model({}, {tensor("a.b", 1, {std::int64_t{1} << 62, 4}, "")}), ErrorCode::kBadInput,
          {"2^63"});
  refused(model({}, {tensor("a.b", 1, {-1}, "")}), ErrorCode::kBadInput, {"[-1]"});
  refused(model({}, {tensor("a.b", 1, std::vector<std::int64_t>(9, 1), "")}), ErrorCode::kBadInput,
          {"at most 8"});
  refused(model({node("MatMul", "MatMul_1", {"x", "w"}, "y")}, {weight}), ErrorCode::kUnsupported,
          {"MatMul \"MatMul_1\" [2, 3]", "safetensors"});
  refused(model({node("MatMulNBits", "/q/MatMul", {"x", "w", "s"}, "y")}, {packed}),
          ErrorCode::kUnsupported, {"MatMulNBits \"/q/MatMul\" [3, 1, 8]"});
  refused(model({node("FusedGemm", "/q/Gemm", {"x", "w"}, "y",
                      {bytes(1, "alpha") + "\x15" + raw(std::vector<float>{0.5})})},
                {weight}),
          ErrorCode::kUnsupported, {"FusedGemm"});
  refused(model({node("DynamicQuantizeMatMul", "/q/M", {"x", "w", "s"}, "y")},
                {tensor("w", 3, {2, 3}, "123456"), floats("s", {2}, {1, 1})}),
          ErrorCode::kBadInput, {"expected one scale or 3, got 2"});
  // Two layers that both have a claim to one name.
  refused(model({node("MatMul", "m1", {"x", "w"}, "y1"), node("Add", "a1", {"y1", "q.bias"}, "z1"),
                 node("MatMul", "m2", {"x", "v"}, "y2"), node("Add", "a2", {"y2", "q.bias"}, "z2")},
                {weight, floats("v", {2, 3}, kSix), floats("q.bias", {3}, {0, 0, 0})}),
          ErrorCode::kUnsupported, {"MatMul \"m2\""});
  refused(bytes(7, bytes(15, "")) + bytes(8, ""), ErrorCode::kUnsupported, {"sparse"});
}

// A small file cannot ask for much memory, however often its constants are used.
TEST(Onnx, CopiesAreBounded) {
  std::vector<std::string> nodes;
  for (int i = 0; i < 300; ++i) {
    const std::string number = std::to_string(i);
    nodes.push_back(
        node("MatMul", "/q" + number + "/MatMul", {"x", i % 2 == 0 ? "w" : "t"}, "y" + number));
    nodes.push_back(node("DequantizeLinear", "d" + number, {"q", "s" + number}, "w" + number));
    nodes.push_back(node("MatMul", "/v" + number + "/MatMul", {"x", "w" + number}, "z" + number));
  }
  std::vector<std::string> tensors{floats("w", {100, 100}, std::vector<float>(10000)),
                                   floats("t", {100, 100}, std::vector<float>(10000)),
                                   tensor("q", 3, {100, 1000}, std::string(100000, 'x'))};
  for (int i = 0; i < 300; ++i) tensors.push_back(floats("s" + std::to_string(i), {}, {1}));
  expect_error([&] { read(model(nodes, tensors)); }, ErrorCode::kBadInput,
               {"more than eight times its size"});
}

TEST(Onnx, ExternalData) {
  const TempFolder folder;
  folder.write("onnx/model.onnx_data", "----" + raw(kSix) + "----");
  folder.write("onnx/parts/b.bin", raw(kSix));
  const auto write = [&](std::string_view location, std::string_view offset,
                         std::string_view length) {
    folder.write("onnx/model.onnx",
                 model({}, {external("a.weight", {2, 3}, location, offset, length)}));
  };
  const auto load = [&] {
    const ModelFolder model(folder.path());
    return shown(*load_checkpoint(model, model.root()));
  };
  const std::string expected = "a.weight [2, 3] 1 2 3 4 5 6";
  write("model.onnx_data", "4", "24");
  EXPECT_EQ(load(), expected);
  write("model.onnx_data", "4", "");
  EXPECT_EQ(load(), expected);
  const ModelFolder model_folder(folder.path());
  EXPECT_EQ(checkpoint_bytes(model_folder, model_folder.root()),
            32 + static_cast<std::int64_t>(slurp(folder / "onnx/model.onnx").size()));
  write("parts/b.bin", "", "");
  EXPECT_EQ(load(), expected);

  const auto refused = [&](ErrorCode code, std::initializer_list<std::string_view> parts) {
    expect_error(load, code, parts);
  };
  write("model.onnx_data", "12", "24");
  refused(ErrorCode::kBadInput, {"a.weight", "offset 12", "32 bytes"});
  write("model.onnx_data", "4", "20");
  refused(ErrorCode::kBadInput, {"expected 24 bytes", "got 20"});
  write("model.onnx_data", "18446744073709551615", "24");
  refused(ErrorCode::kBadInput, {"a.weight"});
  write("model.onnx_data", "-4", "24");
  refused(ErrorCode::kBadInput, {"offset of external data", "-4"});
  write("model.onnx_data", "99999999999999999999", "24");
  refused(ErrorCode::kBadInput, {"offset of external data"});
  write("gone.bin", "", "");
  refused(ErrorCode::kNotFound, {"gone.bin", "model.onnx"});
  folder.write("outside.bin", raw(kSix));
  for (const std::string& location :
       {"../outside.bin"s, "parts/../../outside.bin"s, "/etc/passwd"s, ""s, "parts"s, "parts/"s,
        "a\0b"s, std::string(4096, 'x'), "parts//b.bin"s}) {
    SCOPED_TRACE(location.substr(0, 40));
    write(location, "", "");
    refused(ErrorCode::kBadInput, {"onnx"});
  }
  const TempFolder elsewhere;
  elsewhere.write("b.bin", raw(kSix));
  folder.link((elsewhere / "b.bin").string(), "onnx/link.bin");
  write("link.bin", "", "");
  refused(ErrorCode::kBadInput, {"link"});
}

// tests/data/files/make_onnx.py: the same values.
float element(const std::string& name, std::int64_t index) {
  std::int64_t sum = 0;
  for (const char c : name) sum += c;
  return static_cast<float>((37 * index + sum) % 255 - 127) / 256;
}

const std::map<std::string, Shape> kTinyBert{
    {"embeddings.word_embeddings.weight", {20, 8}},
    {"embeddings.position_embeddings.weight", {16, 8}},
    {"embeddings.token_type_embeddings.weight", {2, 8}},
    {"embeddings.LayerNorm.weight", {8}},
    {"embeddings.LayerNorm.bias", {8}},
    {"encoder.layer.0.attention.self.query.weight", {8, 8}},
    {"encoder.layer.0.attention.self.query.bias", {8}},
    {"encoder.layer.0.attention.self.key.weight", {8, 8}},
    {"encoder.layer.0.attention.self.key.bias", {8}},
    {"encoder.layer.0.attention.self.value.weight", {8, 8}},
    {"encoder.layer.0.attention.self.value.bias", {8}},
    {"encoder.layer.0.attention.output.dense.weight", {8, 8}},
    {"encoder.layer.0.attention.output.dense.bias", {8}},
    {"encoder.layer.0.attention.output.LayerNorm.weight", {8}},
    {"encoder.layer.0.attention.output.LayerNorm.bias", {8}},
    {"encoder.layer.0.intermediate.dense.weight", {12, 8}},
    {"encoder.layer.0.intermediate.dense.bias", {12}},
    {"encoder.layer.0.output.dense.weight", {8, 12}},
    {"encoder.layer.0.output.dense.bias", {8}},
    {"encoder.layer.0.output.LayerNorm.weight", {8}},
    {"encoder.layer.0.output.LayerNorm.bias", {8}},
};

TEST(Onnx, FilesOfOnnxruntime) {
  for (const auto& [file, dtype, tolerance] :
       {std::tuple{"bert_half.onnx", DType::kF16, 0.0}, {"bert_int8.onnx", DType::kF32, 0.0021}}) {
    SCOPED_TRACE(file);
    const std::string bytes = slurp(kData / file);
    const Weights weights = read(bytes);
    EXPECT_EQ(weights.entries().size(), kTinyBert.size());
    for (const auto& [name, shape] : kTinyBert) {
      SCOPED_TRACE(name);
      const Weights::Entry* entry = weights.find(name);
      ASSERT_NE(entry, nullptr);
      EXPECT_EQ(entry->tensor.shape, shape);
      EXPECT_EQ(entry->tensor.dtype, dtype);
      const std::vector<float> values = to_float(entry->tensor, name);
      for (std::size_t i = 0; i < values.size(); ++i) {
        ASSERT_NEAR(values[i], element(name, static_cast<std::int64_t>(i)), tolerance) << i;
      }
    }
  }
}

// A model that was cut off anywhere is refused; a damaged one is refused or read, never half.
TEST(Onnx, TruncatedAndDamaged) {
  for (const char* file : {"bert_half.onnx", "bert_int8.onnx"}) {
    const std::string whole = slurp(kData / file);
    ASSERT_FALSE(error_of([&] { read(whole); }).has_value());
    // What follows the first operator set is not needed to know the weights.
    const std::size_t graph_end = whole.find("\x42", whole.size() - 200);
    std::size_t refused = 0;
    for (std::size_t size = 0; size < whole.size(); ++size) {
      Weights weights;
      const auto error = error_of([&] {
        read_onnx(std::string_view(whole).substr(0, size), "m.onnx", no_external, &weights);
      });
      if (error) {
        EXPECT_TRUE(weights.entries().empty());
        ++refused;
      } else {
        EXPECT_EQ(weights.entries().size(), kTinyBert.size()) << size;
      }
    }
    EXPECT_GE(refused, graph_end);
    std::mt19937 random(1);
    for (int round = 0; round < (INLAY_SANITIZED ? 600 : 3000); ++round) {
      std::string damaged = whole;
      for (unsigned i = random() % 4; i < 4; ++i) {
        damaged[random() % damaged.size()] = static_cast<char>(random());
      }
      Weights weights;
      if (error_of([&] { read_onnx(damaged, "m.onnx", no_external, &weights); })) {
        EXPECT_TRUE(weights.entries().empty());
      }
    }
  }
}

TEST(Onnx, SafetensorsComeFirst) {
  const TempFolder folder;
  const ModelFolder model_folder(folder.path());
  folder.write("onnx/model_quantized.onnx", model({}, {floats("c.weight", {1}, {3})}));
  folder.write("onnx/model.onnx", model({}, {floats("b.weight", {1}, {2})}));
  EXPECT_EQ(shown(*load_checkpoint(model_folder, model_folder.root())), "b.weight [1] 2");
  EXPECT_EQ(checkpoint_file(model_folder, model_folder.root()), folder / "onnx/model.onnx");
  folder.write("model.safetensors", tiny_safetensors({"a"}));
  EXPECT_EQ(shown(*load_checkpoint(model_folder, model_folder.root())), "a [1] 0");
}

}  // namespace
}  // namespace inlay::files
