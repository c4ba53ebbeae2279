// Looking values up. Chains are followed a few nodes far: exporters and optimisers leave one or two
// nodes between a constant and its use.
#include "files/onnx_index.h"

#include <algorithm>

#include "base/error.h"

namespace inlay::files::onnx {
namespace {

constexpr int kMaxChain = 8;
constexpr std::size_t kMaxConsumers = 64;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

// "a.b.c" of "/a/b/c/MatMul" and of "/a/b/c/MatMul_output_0". onnxruntime appends segments of its
// own when it fuses: "/a/b/c/MatMul/MatMulAddFusion".
std::string path_scope(std::string_view path) {
  if (!path.starts_with('/')) return {};
  path.remove_prefix(1);
  for (;;) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string_view::npos) return {};
    path = path.substr(0, slash);
    const std::string_view last = path.substr(path.rfind('/') + 1);
    if (!last.starts_with("MatMul") && !last.starts_with("Gemm")) break;
  }
  std::string module(path);
  std::replace(module.begin(), module.end(), '/', '.');
  return module;
}

// The last module of "['', 'encoder', 'encoder.layer.0', 'linear']": the last entry is the call.
std::string list_scope(std::string_view list) {
  std::vector<std::string_view> entries;
  std::size_t at = 0;
  while ((at = list.find('\'', at)) != std::string_view::npos) {
    const std::size_t end = list.find('\'', at + 1);
    if (end == std::string_view::npos) break;
    entries.push_back(list.substr(at + 1, end - at - 1));
    at = end + 1;
  }
  if (entries.size() < 2) return {};
  const std::string_view module = entries[entries.size() - 2];
  return module.starts_with('_') ? std::string() : std::string(module);
}

}  // namespace

bool Constant::readable() const {
  return is_real(source.tensor->data_type) ? source.scale == nullptr : source.scale != nullptr;
}

Index::Index(const Graph& graph) : graph_(&graph) {
  for (const Node& node : graph.nodes) {
    for (const std::string_view value : node.outputs) {
      if (value.empty()) continue;
      if (!producers_.try_emplace(value, &node).second) {
        fail(ErrorCode::kBadInput, graph.file.name,
             "expected each value of the ONNX graph from one node, got \"" + printable(value) +
                 "\" from two. The file is damaged; fetch it again.");
      }
    }
    for (const std::string_view value : node.inputs) {
      if (value.empty()) continue;
      auto& nodes = consumers_[value];
      if (nodes.size() < kMaxConsumers) nodes.push_back(&node);
    }
  }
}

const Node* Index::producer(std::string_view value) const {
  const auto found = producers_.find(value);
  return found == producers_.end() ? nullptr : found->second;
}

const std::vector<const Node*>& Index::consumers(std::string_view value) const {
  static const std::vector<const Node*> kNone;
  const auto found = consumers_.find(value);
  return found == consumers_.end() ? kNone : found->second;
}

std::optional<Constant> Index::constant(std::string_view value) const {
  return constant(value, kMaxChain);
}

std::optional<Constant> Index::constant(std::string_view value, int depth) const {
  if (value.empty() || depth == 0) return std::nullopt;
  std::optional<Constant> found;
  bool renames = true;  // Identity gives a merged constant its own name back
  if (const auto stored = graph_->constants.find(value); stored != graph_->constants.end()) {
    found.emplace();
    found->source.tensor = &stored->second;
  } else {
    const Node* node = producer(value);
    if (node == nullptr) return std::nullopt;
    const std::string_view op = node->op_type;
    if (op != "Identity" && op != "Cast" && op != "Transpose" && op != "DequantizeLinear") {
      return std::nullopt;
    }
    found = constant(node->input(0), depth - 1);
    if (!found) return std::nullopt;
    renames = op == "Identity" || found->name.empty();
    if (op == "Cast") {
      if (!found->readable() || !is_real(graph_->integer(*node, "to", 0))) return std::nullopt;
    } else if (op == "Transpose") {
      const std::vector<std::int64_t> perm = graph_->integers(*node, "perm");
      if (found->rank() != 2 || (!perm.empty() && perm != std::vector<std::int64_t>{1, 0})) {
        return std::nullopt;
      }
      found->source.transposed = !found->source.transposed;
    } else if (op == "DequantizeLinear" && !dequantise(*node, &*found, depth)) {
      return std::nullopt;
    }
  }
  if (const std::string_view name = parameter_name(value); renames && !name.empty()) {
    found->name = name;
    found->name_transposed = found->source.transposed;
  }
  return found;
}

bool Index::dequantise(const Node& node, Constant* constant, int depth) const {
  Source& source = constant->source;
  const int short_chain = std::min(depth - 1, 2);  // of scales: no tree of look-ups
  const auto scale = this->constant(node.input(1), short_chain);
  const auto zero = this->constant(node.input(2), short_chain);
  if (source.scale != nullptr || !scale || !scale->readable() ||
      (!node.input(2).empty() && !zero) || graph_->integer(node, "block_size", 0) != 0) {
    return false;
  }
  std::int64_t axis = graph_->integer(node, "axis", 1);
  if (axis < 0) axis += static_cast<std::int64_t>(constant->rank());
  if (source.transposed) axis = 1 - axis;
  if (axis != 0 && axis != 1) return false;
  source.axis = static_cast<int>(axis);
  source.scale = scale->source.tensor;
  if (zero) source.zero_point = zero->source.tensor;
  return true;
}

std::string_view parameter_name(std::string_view name) {
  constexpr std::string_view kQuantised = "_quantized";
  if (name.ends_with(kQuantised)) name.remove_suffix(kQuantised.size());
  if (name.ends_with("_scale") || name.ends_with("_zero_point")) return {};
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0 || dot + 1 == name.size() ||
      !is_letter(name[dot + 1])) {
    return {};
  }
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '-';
  });
  return plain ? name : std::string_view();
}

std::string_view module_of(std::string_view parameter) {
  const std::size_t dot = parameter.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : parameter.substr(0, dot);
}

std::string scope(const Node& node) {
  std::string found = list_scope(node.scopes);
  if (found.empty()) found = path_scope(node.name);
  if (found.empty()) found = path_scope(node.output());
  return found;
}

bool is_inside(std::string_view module, std::string_view outer) {
  return module.size() > outer.size() && module.starts_with(outer) && module[outer.size()] == '.';
}

}  // namespace inlay::files::onnx
