// ModelProto -> GraphProto -> NodeProto and TensorProto, each level one function over its fields.
// Field numbers are onnx.proto3's.
#include "files/onnx_graph.h"

#include <charconv>
#include <utility>

#include "base/error.h"

namespace inlay::files::onnx {
namespace {

// Published encoders have up to some ten thousand nodes; the limits keep a hostile file from
// costing many times its size.
constexpr std::size_t kMaxNodes = 100'000;
constexpr std::size_t kMaxConstants = 100'000;
constexpr std::size_t kMaxEdges = 500'000;
constexpr std::size_t kMaxRank = 8;

std::uint64_t decimal(std::string_view text, const char* what, const WireReader& reader) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    reader.refuse(std::string("expected a whole number as ") + what + " of external data, got \"" +
                  printable(text) + "\".");
  }
  return value;
}

std::pair<std::string_view, std::string_view> parse_entry(std::string_view message,
                                                          const WireFile& file) {
  std::pair<std::string_view, std::string_view> entry;
  WireReader reader(message, file);
  for (WireField field; reader.next(&field);) {
    if (field.id == 1) entry.first = reader.bytes(field);
    if (field.id == 2) entry.second = reader.bytes(field);
  }
  return entry;
}

void parse_external(std::string_view message, const WireFile& file, Tensor* tensor) {
  const WireReader place(message, file);
  const auto [key, value] = parse_entry(message, file);
  if (key == "location") tensor->location = value;
  if (key == "offset") tensor->offset = decimal(value, "offset", place);
  if (key == "length") tensor->length = decimal(value, "length", place);
}

// The typed fields whose packed form is the elements as they lie in memory.
bool lies_packed(std::uint32_t field, std::int64_t data_type) {
  return (field == 4 && data_type == kFloat) || (field == 10 && data_type == kDouble);
}

Tensor parse_tensor(std::string_view message, const WireFile& file) {
  Tensor tensor;
  tensor.message = message;
  WireReader reader(message, file);
  std::string_view packed;
  std::uint32_t packed_field = 0;
  int pieces = 0;
  for (WireField field; reader.next(&field);) {
    switch (field.id) {
      case 1:
        reader.integers(field, kMaxRank, &tensor.dims);
        break;
      case 2:
        tensor.data_type = reader.integer(field);
        break;
      case 3:
        reader.refuse("expected a whole tensor, got a segment of one.");
      case 4:
      case 10:
        ++pieces;
        packed_field = field.id;
        if (field.type == WireType::kBytes) packed = field.bytes;
        break;
      case 8:
        tensor.name = reader.bytes(field);
        break;
      case 9:
        tensor.raw = reader.bytes(field);
        break;
      case 13:
        parse_external(reader.bytes(field), file, &tensor);
        break;
      case 14:
        tensor.external = reader.integer(field) == 1;
        break;
      default:
        break;
    }
  }
  if (!tensor.raw && pieces == 1 && packed.data() != nullptr &&
      lies_packed(packed_field, tensor.data_type)) {
    tensor.raw = packed;
  }
  std::int64_t count = 0;
  if (!element_count(tensor.dims, &count)) {
    reader.refuse("expected a shape of less than 2^63 elements, got " +
                  printable(shape_text(tensor.dims)) + " for tensor \"" + printable(tensor.name) +
                  "\".");
  }
  return tensor;
}

// The attribute's name and, when it is a tensor, that.
std::pair<std::string_view, std::optional<std::string_view>> attribute_tensor(
    std::string_view message, const WireFile& file) {
  std::pair<std::string_view, std::optional<std::string_view>> found;
  WireReader reader(message, file);
  for (WireField field; reader.next(&field);) {
    if (field.id == 1) found.first = reader.bytes(field);
    if (field.id == 5) found.second = reader.bytes(field);
  }
  return found;
}

// The dimensions of a TensorShapeProto.
void parse_dims(std::string_view message, const WireFile& file, ValueInfo* value) {
  value->has_shape = true;
  WireReader reader(message, file);
  for (WireField field; reader.next(&field);) {
    if (field.id != 1) continue;
    if (value->dims.size() >= kMaxRank) {
      reader.refuse("expected at most " + std::to_string(kMaxRank) + " dimensions, got more.");
    }
    std::int64_t size = -1;
    WireReader dimension(reader.bytes(field), file);
    for (WireField part; dimension.next(&part);) {
      if (part.id == 1) size = dimension.integer(part);
    }
    value->dims.push_back(size < 0 ? -1 : size);
  }
}

// ValueInfoProto -> TypeProto -> TypeProto.Tensor.
ValueInfo parse_value(std::string_view message, const WireFile& file) {
  ValueInfo value;
  WireReader reader(message, file);
  for (WireField field; reader.next(&field);) {
    if (field.id == 1) value.name = reader.bytes(field);
    if (field.id != 2) continue;
    WireReader type(reader.bytes(field), file);
    for (WireField kind; type.next(&kind);) {
      if (kind.id != 1) continue;
      WireReader tensor(type.bytes(kind), file);
      for (WireField part; tensor.next(&part);) {
        if (part.id == 1) value.type = tensor.integer(part);
        if (part.id == 2) parse_dims(tensor.bytes(part), file, &value);
      }
    }
  }
  return value;
}

class Parser {
 public:
  explicit Parser(const WireFile& file) { graph_.file = file; }

  Graph parse() && {
    WireReader reader(graph_.file.bytes, graph_.file);
    std::optional<std::string_view> graph;
    bool opset = false;
    for (WireField field; reader.next(&field);) {
      if (field.id == 8) opset = true;
      if (field.id != 7) continue;
      if (graph) reader.refuse("expected one graph in the ONNX model, got a second.");
      graph = reader.bytes(field);
    }
    if (!graph || !opset) {  // a model has both; without the second it is cut off
      reader.refuse(std::string("expected an ONNX model with ") +
                    (graph ? "its operator sets" : "a graph") + ", got none.");
    }
    parse_graph(*graph);
    return std::move(graph_);
  }

 private:
  void parse_graph(std::string_view message) {
    WireReader reader(message, graph_.file);
    for (WireField field; reader.next(&field);) {
      if (field.id == 1) {
        add_node(reader.bytes(field), reader);
      } else if (field.id == 5) {
        Tensor tensor = parse_tensor(reader.bytes(field), graph_.file);
        const std::string_view name = tensor.name;
        add_constant(name, std::move(tensor), reader);
      } else if (field.id == 11 || field.id == 12) {
        count_edge(reader);
        (field.id == 11 ? graph_.inputs : graph_.outputs)
            .push_back(parse_value(reader.bytes(field), graph_.file));
      } else if (field.id == 15) {
        fail(ErrorCode::kUnsupported, graph_.file.name,
             "expected dense initialisers in the ONNX graph, got a sparse one. Take the model's "
             "safetensors, or an ONNX file without sparse weights.");
      }
    }
  }

  void count_edge(const WireReader& reader) {
    if (++edges_ > kMaxEdges) {
      reader.refuse("expected at most " + std::to_string(kMaxEdges) +
                    " inputs, outputs and attributes in the ONNX graph, got more.");
    }
  }

  void add_node(std::string_view message, const WireReader& graph) {
    if (graph_.nodes.size() >= kMaxNodes) {
      graph.refuse("expected at most " + std::to_string(kMaxNodes) +
                   " nodes in the ONNX graph, got more.");
    }
    Node node;
    WireReader reader(message, graph_.file);
    for (WireField field; reader.next(&field);) {
      switch (field.id) {
        case 1:
          count_edge(reader);
          node.inputs.push_back(reader.bytes(field));
          break;
        case 2:
          count_edge(reader);
          node.outputs.push_back(reader.bytes(field));
          break;
        case 3:
          node.name = reader.bytes(field);
          break;
        case 4:
          node.op_type = reader.bytes(field);
          break;
        case 5:
          count_edge(reader);
          node.attributes.push_back(reader.bytes(field));
          break;
        case 7:
          node.domain = reader.bytes(field);
          break;
        case 9: {
          const auto [key, value] = parse_entry(reader.bytes(field), graph_.file);
          if (key == "pkg.torch.onnx.name_scopes") node.scopes = value;
          break;
        }
        default:
          break;
      }
    }
    if (node.op_type == "Constant" && !node.output().empty()) {
      for (const std::string_view attribute : node.attributes) {
        const auto [name, tensor] = attribute_tensor(attribute, graph_.file);
        if (name != "value" || !tensor) continue;
        add_constant(node.output(), parse_tensor(*tensor, graph_.file), reader);
      }
    }
    graph_.nodes.push_back(std::move(node));
  }

  void add_constant(std::string_view name, Tensor&& tensor, const WireReader& reader) {
    if (graph_.constants.size() >= kMaxConstants) {
      reader.refuse("expected at most " + std::to_string(kMaxConstants) +
                    " constants in the ONNX graph, got more.");
    }
    if (name.empty() || !graph_.constants.try_emplace(name, std::move(tensor)).second) {
      reader.refuse("expected each constant under its own name, got \"" + printable(name) + "\"" +
                    (name.empty() ? "." : " twice."));
    }
  }

  Graph graph_;
  std::size_t edges_ = 0;
};

// The attribute of that name; empty when there is none.
std::string_view find_attribute(const Node& node, std::string_view name, const WireFile& file) {
  for (const std::string_view attribute : node.attributes) {
    WireReader reader(attribute, file);
    for (WireField field; reader.next(&field);) {
      if (field.id == 1 && reader.bytes(field) == name) return attribute;
    }
  }
  return {};
}

}  // namespace

std::int64_t Graph::integer(const Node& node, std::string_view name, std::int64_t fallback) const {
  WireReader reader(find_attribute(node, name, file), file);
  for (WireField field; reader.next(&field);) {
    if (field.id == 3) return reader.integer(field);
  }
  return fallback;
}

std::vector<std::int64_t> Graph::integers(const Node& node, std::string_view name) const {
  constexpr std::size_t kMax = 64;
  std::vector<std::int64_t> values;
  WireReader reader(find_attribute(node, name, file), file);
  for (WireField field; reader.next(&field);) {
    if (field.id == 8) reader.integers(field, kMax, &values);
  }
  return values;
}

float Graph::real(const Node& node, std::string_view name, float fallback) const {
  WireReader reader(find_attribute(node, name, file), file);
  for (WireField field; reader.next(&field);) {
    if (field.id == 2) return reader.real(field);
  }
  return fallback;
}

Graph parse_graph(const WireFile& file) { return Parser(file).parse(); }

}  // namespace inlay::files::onnx
