// Two walks. The first finds every linear layer, normalisation and table, with what tells its name:
// the constant's own name, the name of the bias that is added to its product, the module that the
// node was exported from. The second, when linear layers have names, gives the parts of packed
// attention theirs from the layer behind it.
#include "files/onnx_names.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"
#include "files/onnx_index.h"

namespace inlay::files::onnx {
namespace {

// Where a node has the parts of a linear layer; -1: it has none.
struct LinearForm {
  std::string_view op;
  int weight, bias, scale, zero, input_scale;
};
constexpr std::array<LinearForm, 10> kLinear{{{"MatMul", 1, -1, -1, -1, -1},
                                              {"FusedMatMul", 1, -1, -1, -1, -1},
                                              {"Gemm", 1, 2, -1, -1, -1},
                                              {"FusedGemm", 1, 2, -1, -1, -1},
                                              {"GemmFastGelu", 1, 2, -1, -1, -1},
                                              {"MatMulInteger", 1, -1, -1, 3, -1},
                                              {"MatMulIntegerToFloat", 1, 6, 3, 5, -1},
                                              {"DynamicQuantizeMatMul", 1, 4, 2, 3, -1},
                                              {"QLinearMatMul", 3, -1, 4, 5, -1},
                                              {"QGemm", 3, 6, 4, 5, 1}}};
// Queries, keys and values in one matrix [in, 3 * out].
constexpr std::array<LinearForm, 2> kAttention{
    {{"Attention", 1, 2, -1, -1, -1}, {"QAttention", 1, 2, 4, 7, -1}}};

struct NormForm {
  std::string_view op;
  std::size_t weight, bias;
};
constexpr std::array<NormForm, 6> kNorms{{{"LayerNormalization", 1, 2},
                                          {"SkipLayerNormalization", 2, 3},
                                          {"SimplifiedLayerNormalization", 1, 99},
                                          {"SkipSimplifiedLayerNormalization", 2, 99},
                                          {"RMSNormalization", 1, 99},
                                          {"EmbedLayerNormalization", 5, 6}}};

// The module behind attention -> its queries, keys and values, in each family's spelling.
struct AttentionNames {
  std::string_view output, query, key, value;
};
constexpr std::array<AttentionNames, 7> kAttentionNames{
    {{"attention.output.dense", "attention.self.query", "attention.self.key",
      "attention.self.value"},
     {"attention.out_lin", "attention.q_lin", "attention.k_lin", "attention.v_lin"},
     {"attention.attn.o", "attention.attn.q", "attention.attn.k", "attention.attn.v"},
     {"self_attn.out_proj", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},
     {"self_attn.o_proj", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},
     {"attention.dense", "attention.query", "attention.key", "attention.value"},
     {"SelfAttention.o", "SelfAttention.q", "SelfAttention.k", "SelfAttention.v"}}};

// Nodes that hold weights in forms that are not read.
constexpr std::array<std::string_view, 5> kUnread{"MatMulNBits", "MatMulBnb4", "MatMulFpQ4",
                                                  "GatherBlockQuantized", "QOrderedMatMul"};

template <typename Form, std::size_t N>
const Form* form_of(const std::array<Form, N>& forms, std::string_view op) {
  const auto found =
      std::find_if(forms.begin(), forms.end(), [&](const Form& form) { return form.op == op; });
  return found == forms.end() ? nullptr : &*found;
}

bool one_of(std::string_view op, std::initializer_list<std::string_view> ops) {
  return std::find(ops.begin(), ops.end(), op) != ops.end();
}

struct Linear {
  const Node* node = nullptr;
  Constant weight;
  std::optional<Constant> bias;
  std::int64_t out = 0;
  std::string owner;  // the module's name; empty: nothing tells it
};

class Walk {
 public:
  explicit Walk(const Graph& graph) : graph_(&graph), index_(graph) {}

  Recovered run() && {
    for (const Node& node : graph_->nodes) {
      if (const LinearForm* form = form_of(kLinear, node.op_type)) find_linear(node, *form);
    }
    judge_scopes();
    for (auto& [node, linear] : linears_) linear.owner = owner_of(linear);
    for (const Node& node : graph_->nodes) name_node(node);
    for (auto& [node, linear] : linears_) add_linear(linear);
    add_named_constants();
    for (auto& [name, source] : aliases_) weights_.try_emplace(name, source);
    note_unread();
    Recovered recovered;
    for (auto& [name, source] : weights_) recovered.weights.push_back({name, source});
    recovered.unnamed = std::move(unnamed_);
    return recovered;
  }

 private:
  std::optional<Constant> input(const Node& node, int index) const {
    if (index < 0) return std::nullopt;
    return index_.constant(node.input(static_cast<std::size_t>(index)));
  }

  // Gives `constant` the scale and zero point that stand beside it in a quantised node.
  void scale_with(Constant* constant, const std::optional<Constant>& scale,
                  const std::optional<Constant>& zero) const {
    Source& source = constant->source;
    if (!scale || !scale->readable() || source.scale != nullptr) return;
    source.scale = scale->source.tensor;
    if (zero) source.zero_point = zero->source.tensor;
    source.axis = source.transposed ? 0 : 1;  // the node's scales are for its columns
  }

  bool scaled(const Node& node) const {  // multiplies by more than the weights
    return graph_->real(node, "alpha", 1) != 1 || graph_->real(node, "beta", 1) != 1;
  }

  void find_linear(const Node& node, const LinearForm& form) {
    auto weight = input(node, form.weight);
    if (!weight || weight->rank() != 2) return;
    Linear linear{&node, *weight, input(node, form.bias), 0, {}};
    const auto zero = input(node, form.zero);
    scale_with(&linear.weight, input(node, form.scale), zero);
    // The node multiplies with [in, out]; the checkpoint has [out, in].
    Source& source = linear.weight.source;
    const bool as_stored = graph_->integer(node, "transB", 0) != 0;
    if (as_stored && source.scale != nullptr && form.scale >= 0) source.axis = 1 - source.axis;
    if (!as_stored) source.transposed = !source.transposed;
    linear.out = source.shape()[0];
    std::optional<Constant> product_scale;
    follow_product(node, &linear, &product_scale);
    if (linear.weight.source.scale == nullptr && product_scale) {
      source.transposed = !source.transposed;
      scale_with(&linear.weight, product_scale, zero);
      source.transposed = !source.transposed;
    }
    if (linear.bias && form.input_scale >= 0 && !linear.bias->readable()) {
      linear.bias->source.scale = linear.weight.source.scale;
      const auto input_scale = input(node, form.input_scale);
      if (input_scale) linear.bias->source.second_scale = input_scale->source.tensor;
    }
    linears_.emplace(&node, std::move(linear));
  }

  // From a product to the constant that is added to it, and to the scale of an integer product.
  void follow_product(const Node& node, Linear* linear, std::optional<Constant>* scale) const {
    std::string_view value = node.output();
    for (int depth = 0; depth < 8 && !value.empty(); ++depth) {
      std::string_view next;
      for (const Node* taker : index_.consumers(value)) {
        const std::string_view op = taker->op_type;
        const std::string_view other = taker->input(0) == value ? taker->input(1) : taker->input(0);
        std::optional<Constant> bias;
        if (op == "Add" || one_of(op, {"BiasGelu", "FastGelu", "QuickGelu", "BiasAdd"})) {
          bias = index_.constant(other);
        } else if (op == "SkipLayerNormalization" || op == "SkipSimplifiedLayerNormalization") {
          bias = index_.constant(taker->input(op.starts_with("SkipS") ? 3 : 4));
        } else if (op == "Mul" && !linear->weight.readable() && !*scale) {
          *scale = product_scale(other);
          next = taker->output();
        } else if (one_of(op, {"Cast", "Identity", "Reshape", "DequantizeLinear"}) &&
                   taker->input(0) == value) {
          next = taker->output();
        }
        if (bias && bias->rank() == 1 && bias->readable() &&
            bias->source.tensor->dims[0] == linear->out && !linear->bias) {
          linear->bias = bias;
          return;
        }
      }
      value = next;
    }
  }

  // The weight's scale, alone or times the input's.
  std::optional<Constant> product_scale(std::string_view value) const {
    if (auto scale = index_.constant(value)) return scale;
    const Node* node = index_.producer(value);
    if (node == nullptr || node->op_type != "Mul") return std::nullopt;
    if (auto scale = index_.constant(node->input(1))) return scale;
    return index_.constant(node->input(0));
  }

  // Scopes are believed where at least one agrees with a bias's own name: their root may be another
  // than the names'.
  void judge_scopes() {
    bool agree = false;
    bool differ = false;
    for (const auto& [node, linear] : linears_) {
      const std::string module = scope(*node);
      if (module.empty() || !linear.bias || linear.bias->name.empty()) continue;
      const std::string_view owner = module_of(linear.bias->name);
      if (module == owner) {
        agree = true;
      } else if (!is_inside(module, owner) && !is_inside(owner, module)) {
        differ = true;
      }
    }
    scopes_hold_ = agree || !differ;
  }

  // The module of something whose constant is called `name` and that was exported from `module`.
  // Exporters merge constants of equal value under one name, so a scope that holds says more; but a
  // bias may stand one module above its linear layer (the decoder of a masked-language head), and a
  // scope one above its parameter (functional calls).
  std::string_view choose(std::string_view name, std::string_view module) const {
    const std::string_view owner = module_of(name);
    if (owner.empty() || module.empty()) return owner.empty() ? module : owner;
    if (!scopes_hold_ || is_inside(owner, module)) return owner;
    return module;
  }

  std::string owner_of(const Linear& linear) const {
    const std::string module = scope(*linear.node);
    if (!linear.weight.name.empty()) {
      return std::string(choose(linear.weight.name, module));
    }
    return std::string(choose(linear.bias ? linear.bias->name : std::string_view(), module));
  }

  void add(std::string name, const Source& source, const Node& node) {
    used_.insert(source.tensor);
    const auto [at, added] = weights_.try_emplace(std::move(name), source);
    if (added || at->second == source) return;
    // Tied weights: the exporter kept one of the two names and stored the other's product apart.
    const std::string_view kept = parameter_name(at->second.tensor->name);
    if (kept == at->first && at->second.shape() == source.shape()) return;
    note(node, source.tensor->dims);
  }

  // Adds a constant under its own name, and under the module's where that is another.
  void add_constant(const Constant& constant, std::string_view kind, const std::string& module,
                    const Node& node) {
    if (!constant.name.empty()) {
      Source source = constant.source;
      source.transposed = constant.name_transposed;
      add(std::string(constant.name), source, node);
    }
    if (module.empty()) {
      if (constant.name.empty()) note(node, constant.source.tensor->dims);
      return;
    }
    const std::string name = module + "." + std::string(kind);
    if (constant.name.empty()) {
      add(name, constant.source, node);
    } else if (scopes_hold_ && module != module_of(constant.name)) {
      aliases_.try_emplace(name, constant.source);
    }
  }

  void add_linear(const Linear& linear) {
    const Node& node = *linear.node;
    if (!linear.weight.readable() || scaled(node) ||
        (linear.owner.empty() && linear.weight.name.empty())) {
      note(node, linear.weight.source.tensor->dims);
      return;
    }
    add_constant(linear.weight, "weight", linear.owner, node);
    if (linear.bias && linear.bias->readable()) {
      add_constant(*linear.bias, "bias", linear.owner, node);
    }
  }

  void name_node(const Node& node) {
    const std::string_view op = node.op_type;
    const bool embed = op == "EmbedLayerNormalization" || op == "QEmbedLayerNormalization";
    if (embed) {
      for (int i = 2; i <= 6; ++i) {  // word, position and type tables, norm weight and bias
        auto table = input(node, i);
        if (!table) continue;
        if (op.starts_with('Q')) scale_with(&*table, input(node, i + 6), input(node, i + 11));
        if (table->name.empty() || !table->readable()) {
          note(node, table->source.tensor->dims);
        } else {
          add_constant(*table, "weight", "", node);
        }
      }
    } else if (const NormForm* norm = form_of(kNorms, op)) {
      name_norm(node, *norm);
    } else if (op == "Gather") {
      name_table(node);
    } else if (const LinearForm* form = form_of(kAttention, op)) {
      name_attention(node, *form);
    } else if (op == "MultiHeadAttention") {
      name_heads(node);
    }
  }

  void name_norm(const Node& node, const NormForm& form) {
    const auto weight = index_.constant(node.input(form.weight));
    const auto bias = index_.constant(node.input(form.bias));
    const std::string module =
        weight ? std::string(choose(weight->name, scope(node))) : std::string();
    if (weight && weight->readable()) add_constant(*weight, "weight", module, node);
    if (bias && bias->readable()) add_constant(*bias, "bias", module, node);
  }

  // Rows of a table by index. Constants that nothing names are no parameters (masks, angles).
  void name_table(const Node& node) {
    auto table = index_.constant(node.input(0));
    if (!table || table->rank() != 2) return;
    for (const Node* taker : index_.consumers(node.output())) {
      if (!table->readable() && taker->op_type == "DequantizeLinear") {
        scale_with(&*table, index_.constant(taker->input(1)), index_.constant(taker->input(2)));
      }
    }
    if (!table->readable()) return;
    const std::string module(choose(table->name, scope(node)));
    if (!table->name.empty() || !module.empty()) add_constant(*table, "weight", module, node);
  }

  // The linear layer that takes a value, behind nodes that only change its form.
  const Linear* linear_behind(std::string_view value) const {
    for (int depth = 0; depth < 8 && !value.empty(); ++depth) {
      std::string_view next;
      for (const Node* taker : index_.consumers(value)) {
        if (const auto found = linears_.find(taker); found != linears_.end()) {
          return &found->second;
        }
        if (taker->input(0) == value &&
            one_of(taker->op_type, {"Cast", "Identity", "Reshape", "Transpose", "QuantizeLinear",
                                    "DynamicQuantizeLinear", "DequantizeLinear"})) {
          next = taker->output();
        }
      }
      value = next;
    }
    return nullptr;
  }

  // The modules of queries, keys and values of an attention node; empty when nothing tells them.
  std::vector<std::string> attention_modules(const Node& node) const {
    const Linear* output = linear_behind(node.output());
    if (output == nullptr) return {};
    for (const AttentionNames& names : kAttentionNames) {
      const std::string_view owner = output->owner;
      if (owner != names.output && !(owner.ends_with(names.output) &&
                                     owner[owner.size() - names.output.size() - 1] == '.')) {
        continue;
      }
      const std::string prefix(owner.substr(0, owner.size() - names.output.size()));
      return {prefix + std::string(names.query), prefix + std::string(names.key),
              prefix + std::string(names.value)};
    }
    return {};
  }

  void name_attention(const Node& node, const LinearForm& form) {
    auto weight = input(node, form.weight);
    if (!weight || weight->rank() != 2) return;
    scale_with(&*weight, input(node, form.scale), input(node, form.zero));
    const auto bias = input(node, form.bias);
    const std::int64_t width = weight->source.tensor->dims[1];
    std::vector<std::int64_t> sizes = graph_->integers(node, "qkv_hidden_sizes");
    if (sizes.empty() && width % 3 == 0) sizes.assign(3, width / 3);
    const std::vector<std::string> modules = attention_modules(node);
    if (modules.empty() || !weight->readable() || weight->source.transposed ||
        !fills(sizes, width) || (bias && !packed_bias(*bias, width))) {
      note(node, weight->source.tensor->dims);
      return;
    }
    std::int64_t first = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      Source part = weight->source;
      part.first = first;
      part.count = sizes[i];
      part.transposed = true;
      add(modules[i] + ".weight", part, node);
      if (bias) add_part(*bias, first, sizes[i], modules[i] + ".bias", node);
      first += sizes[i];
    }
  }

  // Attention over separate projections whose biases were moved into it.
  void name_heads(const Node& node) {
    const auto bias = index_.constant(node.input(3));
    if (!bias) return;
    std::vector<std::string> modules = attention_modules(node);
    const std::int64_t width = bias->rank() == 1 ? bias->source.tensor->dims[0] : 0;
    if (modules.empty() || width % 3 != 0 || !packed_bias(*bias, width)) {
      note(node, bias->source.tensor->dims);
      return;
    }
    for (std::size_t i = 0; i < 3; ++i) {
      add_part(*bias, static_cast<std::int64_t>(i) * width / 3, width / 3, modules[i] + ".bias",
               node);
      const auto found = linears_.find(index_.producer(node.input(i)));
      if (found != linears_.end() && found->second.weight.name.empty()) {
        found->second.owner = modules[i];
      }
    }
  }

  static bool fills(const std::vector<std::int64_t>& sizes, std::int64_t width) {
    if (sizes.size() != 3) return false;
    return std::all_of(sizes.begin(), sizes.end(),
                       [&](std::int64_t size) { return size >= 0 && size <= width; }) &&
           sizes[0] <= width - sizes[1] && sizes[0] + sizes[1] == width - sizes[2];
  }
  static bool packed_bias(const Constant& bias, std::int64_t width) {
    return bias.rank() == 1 && bias.readable() && bias.source.tensor->dims[0] == width;
  }
  void add_part(const Constant& bias, std::int64_t first, std::int64_t count, std::string name,
                const Node& node) {
    Source part = bias.source;
    part.first = first;
    part.count = count;
    add(std::move(name), part, node);
  }

  // What kept its name, and what Identity nodes give a name back to after equal constants were
  // merged.
  void add_named_constants() {
    const auto add_value = [&](std::string_view value) {
      const auto constant = index_.constant(value);
      if (!constant || constant->name.empty() || !constant->readable()) return;
      Source source = constant->source;
      source.transposed = constant->name_transposed;
      if (weights_.try_emplace(std::string(constant->name), source).second) {
        used_.insert(source.tensor);
      }
    };
    for (const auto& [name, tensor] : graph_->constants) add_value(name);
    for (const Node& node : graph_->nodes) {
      if (one_of(node.op_type, {"Identity", "DequantizeLinear"})) add_value(node.output());
    }
  }

  // Quantised matrices that nothing above has read.
  void note_unread() {
    for (const Node& node : graph_->nodes) {
      const bool unread = std::find(kUnread.begin(), kUnread.end(), node.op_type) != kUnread.end();
      for (const std::string_view value : node.inputs) {
        const auto found = graph_->constants.find(value);
        if (found == graph_->constants.end() || used_.contains(&found->second)) continue;
        const Tensor& tensor = found->second;
        if (tensor.dims.size() < 2) continue;
        if (unread || tensor.data_type == kInt8 || tensor.data_type == kUint8 ||
            tensor.data_type > kBfloat16) {
          note(node, tensor.dims);
          break;
        }
      }
    }
  }

  void note(const Node& node, const Shape& shape) {
    const std::string_view name = node.name.empty() ? node.output() : node.name;
    std::string text =
        printable(node.op_type) + " \"" + printable(name) + "\" " + printable(shape_text(shape));
    if (noted_.insert(&node).second) unnamed_.push_back(std::move(text));
  }

  const Graph* graph_;
  Index index_;
  std::map<const Node*, Linear> linears_;  // in the order of the graph: nodes lie in one vector
  bool scopes_hold_ = true;
  std::map<std::string, Source> weights_, aliases_;
  std::set<const Tensor*> used_;
  std::set<const Node*> noted_;
  std::vector<std::string> unnamed_;
};

}  // namespace

Recovered recover_names(const Graph& graph) { return Walk(graph).run(); }

}  // namespace inlay::files::onnx
