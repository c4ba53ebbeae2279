// Writes an ONNX model (https://onnx.ai/onnx/repo-docs/IR.html, onnx.proto3): nodes of the standard
// operators one after the other, inputs, outputs, small constants inside and large ones by their
// place in a file of weights. What the nodes compute is for its callers.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/protobuf_writer.h"

namespace inlay::backend::onnxruntime {

// 20 is the first with Gelu. Every operator used here is a standard one.
inline constexpr std::int64_t kOpset = 20, kIrVersion = 9;
// The name under which the weights' block is known to the model.
inline constexpr const char* kWeightsFile = "weights";

// A dimension is a number, or a name where it is open.
using Dimension = std::variant<std::int64_t, std::string>;
using Dimensions = std::vector<Dimension>;

struct Attribute {
  std::string name;
  std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>> value;
};

class OnnxWriter {
 public:
  // Adds a node with one output and returns the output's name, which is made of `step` and the
  // operator. An empty input is an optional one that is absent.
  std::string node(std::string_view op, std::vector<std::string> inputs,
                   const std::vector<Attribute>& attributes = {});
  // Later nodes are named after this step.
  void set_step(std::string step) { step_ = std::move(step); }

  void input(const std::string& name, int type, const Dimensions& shape);
  // A value under a name of its own.
  void output(const std::string& name, const std::string& value, const Dimensions& shape);
  std::string scalar(float value);  // of rank 0
  std::string integers(std::span<const std::int64_t> values);
  std::string integers(std::initializer_list<std::int64_t> values) {
    return integers(std::span(values.begin(), values.size()));
  }
  // Floats at `offset` bytes of the weights' block.
  std::string weight(const std::string& name, const std::vector<std::int64_t>& shape,
                     std::int64_t offset);
  void metadata(const std::string& key, const std::string& value);

  // The ModelProto.
  std::string finish() const;

 private:
  std::string constant(const std::string& name, int type, std::span<const std::int64_t> shape,
                       std::string_view bytes);
  std::string step_ = "graph";
  std::int64_t count_ = 0;
  std::map<std::string, std::string> constants_;  // those written, by what they hold
  WireWriter nodes_, initializers_, inputs_, outputs_;
  std::vector<std::pair<std::string, std::string>> metadata_;
};

}  // namespace inlay::backend::onnxruntime
