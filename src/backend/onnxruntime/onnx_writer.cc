// Field numbers are those of onnx.proto3. A GraphProto's fields of one kind follow each other, so
// they are collected apart and joined at the end.
#include "backend/onnxruntime/onnx_writer.h"

#include <array>
#include <bit>

#include "backend/onnxruntime/ort_api.h"
#include "inlay/inlay.hpp"

namespace inlay::backend::onnxruntime {
namespace {

// AttributeProto.AttributeType, TensorProto.DataLocation.
constexpr std::int64_t kAttributeFloat = 1, kAttributeInt = 2, kAttributeString = 3,
                       kAttributeInts = 7;
constexpr std::int64_t kExternal = 1;

static_assert(std::endian::native == std::endian::little, "raw data is little-endian");

WireWriter attribute_message(const Attribute& attribute) {
  WireWriter out;
  out.bytes(1, attribute.name);
  if (const auto* real = std::get_if<float>(&attribute.value)) {
    out.real(2, *real);
    out.integer(20, kAttributeFloat);
  } else if (const auto* integer = std::get_if<std::int64_t>(&attribute.value)) {
    out.integer(3, *integer);
    out.integer(20, kAttributeInt);
  } else if (const auto* text = std::get_if<std::string>(&attribute.value)) {
    out.bytes(4, *text);
    out.integer(20, kAttributeString);
  } else {
    out.integers(8, std::get<std::vector<std::int64_t>>(attribute.value));
    out.integer(20, kAttributeInts);
  }
  return out;
}

WireWriter value_message(const std::string& name, int type, const Dimensions& shape) {
  WireWriter dims;
  for (const Dimension& dimension : shape) {
    WireWriter one;
    if (const auto* number = std::get_if<std::int64_t>(&dimension)) {
      one.integer(1, *number);
    } else {
      one.bytes(2, std::get<std::string>(dimension));
    }
    dims.message(1, one);
  }
  WireWriter tensor;
  tensor.integer(1, type);
  tensor.message(2, dims);
  WireWriter kind;
  kind.message(1, tensor);
  WireWriter out;
  out.bytes(1, name);
  out.message(2, kind);
  return out;
}

WireWriter pair_message(const std::string& key, const std::string& value) {
  WireWriter out;
  out.bytes(1, key);
  out.bytes(2, value);
  return out;
}

}  // namespace

std::string OnnxWriter::node(std::string_view op, std::vector<std::string> inputs,
                             const std::vector<Attribute>& attributes) {
  const std::string name = step_ + "/" + std::string(op) + "_" + std::to_string(count_++);
  WireWriter node;
  while (!inputs.empty() && inputs.back().empty()) inputs.pop_back();
  for (const std::string& input : inputs) node.bytes(1, input);
  node.bytes(2, name);  // its output
  node.bytes(3, name);
  node.bytes(4, op);
  for (const Attribute& attribute : attributes) node.message(5, attribute_message(attribute));
  nodes_.message(1, node);
  return name;
}

void OnnxWriter::input(const std::string& name, int type, const Dimensions& shape) {
  inputs_.message(11, value_message(name, type, shape));
}

void OnnxWriter::output(const std::string& name, const std::string& value,
                        const Dimensions& shape) {
  WireWriter node;
  node.bytes(1, value);
  node.bytes(2, name);
  node.bytes(3, name + "/Identity");
  node.bytes(4, "Identity");
  nodes_.message(1, node);
  outputs_.message(12, value_message(name, kFloat, shape));
}

std::string OnnxWriter::constant(const std::string& name, int type,
                                 std::span<const std::int64_t> shape, std::string_view bytes) {
  std::string key = std::to_string(type) + ":" + std::to_string(shape.size()) + ":";
  key += bytes;
  const auto [at, added] = constants_.try_emplace(std::move(key), name);
  if (!added) return at->second;
  WireWriter tensor;
  for (const std::int64_t dimension : shape) tensor.integer(1, dimension);
  tensor.integer(2, type);
  tensor.bytes(8, name);
  tensor.bytes(9, bytes);
  initializers_.message(5, tensor);
  return name;
}

std::string OnnxWriter::scalar(float value) {
  const auto bytes = std::bit_cast<std::array<char, sizeof value>>(value);
  return constant("scalar_" + std::to_string(constants_.size()), kFloat, {},
                  {bytes.data(), bytes.size()});
}

std::string OnnxWriter::integers(std::span<const std::int64_t> values) {
  const auto count = static_cast<std::int64_t>(values.size());
  return constant("integers_" + std::to_string(constants_.size()), kInt64, {&count, 1},
                  {reinterpret_cast<const char*>(values.data()), values.size_bytes()});
}

std::string OnnxWriter::weight(const std::string& name, const std::vector<std::int64_t>& shape,
                               std::int64_t offset) {
  if (!constants_.try_emplace("weight:" + name, name).second) return name;
  std::int64_t bytes = sizeof(float);
  WireWriter tensor;
  for (const std::int64_t dimension : shape) {
    tensor.integer(1, dimension);
    bytes *= dimension;
  }
  tensor.integer(2, kFloat);
  tensor.bytes(8, name);
  tensor.message(13, pair_message("location", kWeightsFile));
  tensor.message(13, pair_message("offset", std::to_string(offset)));
  tensor.message(13, pair_message("length", std::to_string(bytes)));
  tensor.integer(14, kExternal);
  initializers_.message(5, tensor);
  return name;
}

void OnnxWriter::metadata(const std::string& key, const std::string& value) {
  metadata_.emplace_back(key, value);
}

std::string OnnxWriter::finish() const {
  WireWriter graph_name;
  graph_name.bytes(2, "inlay");
  WireWriter opset;
  opset.bytes(1, "");
  opset.integer(2, kOpset);
  WireWriter model;
  model.integer(1, kIrVersion);
  model.bytes(2, "inlay");
  model.bytes(3, version());
  model.bytes(7, nodes_.text() + graph_name.text() + initializers_.text() + inputs_.text() +
                     outputs_.text());
  model.message(8, opset);
  for (const auto& [key, value] : metadata_) model.message(14, pair_message(key, value));
  return model.text();
}

}  // namespace inlay::backend::onnxruntime
