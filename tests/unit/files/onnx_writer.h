// Small ONNX models by hand, for the tests that need one of a certain shape: protobuf messages as
// strings.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace inlay::files::onnx_writer {

inline std::string varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7U) out += static_cast<char>((value & 0x7FU) | 0x80U);
  return out + static_cast<char>(value);
}
inline std::string integer(unsigned id, std::int64_t value) {
  return varint(id << 3U) + varint(static_cast<std::uint64_t>(value));
}
inline std::string bytes(unsigned id, std::string_view value) {
  return varint(id << 3U | 2U) + varint(value.size()) + std::string(value);
}
template <typename T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// TensorProto with raw_data; `data_type` as onnx.proto3 numbers it (1: float32, 2: uint8, 3: int8).
inline std::string tensor(std::string_view name, std::int64_t data_type,
                          const std::vector<std::int64_t>& dims, std::string_view data) {
  std::string out;
  for (const std::int64_t extent : dims) out += integer(1, extent);
  return out + integer(2, data_type) + bytes(8, name) + bytes(9, data);
}
inline std::string floats(std::string_view name, const std::vector<std::int64_t>& dims,
                          const std::vector<float>& values) {
  return tensor(name, 1, dims, raw(values));
}
inline std::string external(std::string_view name, const std::vector<std::int64_t>& dims,
                            std::string_view location, std::string_view offset,
                            std::string_view length) {
  std::string out;
  for (const std::int64_t extent : dims) out += integer(1, extent);
  out += integer(2, 1) + bytes(8, name);
  const auto entry = [&](std::string_view key, std::string_view value) {
    if (!value.empty()) out += bytes(13, bytes(1, key) + bytes(2, value));
  };
  entry("location", location);
  entry("offset", offset);
  entry("length", length);
  return out + integer(14, 1);
}

inline std::string attribute(std::string_view name, std::int64_t value) {
  return bytes(1, name) + integer(3, value) + integer(20, 2);
}
inline std::string node(std::string_view op, std::string_view name,
                        std::initializer_list<std::string_view> inputs, std::string_view output,
                        std::initializer_list<std::string> attributes = {}) {
  std::string out;
  for (const std::string_view value : inputs) out += bytes(1, value);
  out += bytes(2, output) + bytes(3, name) + bytes(4, op);
  for (const std::string& value : attributes) out += bytes(5, value);
  return out;
}

// A ValueInfoProto; 0 is an open dimension.
inline std::string value(std::string_view name, std::int64_t type,
                         const std::vector<std::int64_t>& dims) {
  std::string shape;
  for (const std::int64_t size : dims)
    shape += bytes(1, size == 0 ? bytes(2, "open") : integer(1, size));
  return bytes(1, name) + bytes(2, bytes(1, integer(1, type) + bytes(2, shape)));
}

// `border`: values as fields of the graph, 11 an input's and 12 an output's.
inline std::string model(const std::vector<std::string>& nodes,
                         const std::vector<std::string>& tensors, std::string_view border = {}) {
  std::string graph(border);
  for (const std::string& value : nodes) graph += bytes(1, value);
  for (const std::string& value : tensors) graph += bytes(5, value);
  return integer(1, 8) + bytes(7, graph) + bytes(8, integer(2, 17));
}

}  // namespace inlay::files::onnx_writer
