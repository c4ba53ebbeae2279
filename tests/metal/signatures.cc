// Prints a Metal kernel's whole source as MLX's fast::metal_kernel makes it
// (mlx/backend/common/metal_kernel.cpp of 0.32): prelude, template, signature, body, instance. For
// each kernel: every type, and inputs of few elements, which come in the address space `constant`,
// as well as of many, in `device`.
//   metal_signatures FOLDER     writes FOLDER/KERNEL_N.metal.cc and prints how many
// Built with INLAY_WITH_MLX and libmlx (mlx_signatures.sh), each is held against what MLX itself
// generates, which it does without Metal when a function is exported.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "backend/mlx/kernels/kernels.h"

#ifdef INLAY_WITH_MLX
#include <mlx/mlx.h>

#include <filesystem>
#include <functional>
#include <iostream>
#include <sstream>
#endif

namespace inlay::backend::mlx {
namespace {

struct Variant {
  std::string type;               // of T
  bool few = false;               // elements of the inputs that may have few
  std::vector<std::string> rest;  // template arguments after T
};

// Built by MLX into the signature when the body names them.
constexpr const char* kAttributes[][2] = {
    {"simdgroup_index_in_threadgroup", "uint"},  {"thread_index_in_simdgroup", "uint"},
    {"thread_index_in_threadgroup", "uint"},     {"thread_position_in_grid", "uint3"},
    {"thread_position_in_threadgroup", "uint3"}, {"threadgroup_position_in_grid", "uint3"},
    {"threadgroups_per_grid", "uint3"},          {"threads_per_grid", "uint3"},
    {"threads_per_threadgroup", "uint3"}};

bool names(std::string_view source, const std::string& word) {
  return source.find(word) != std::string_view::npos;
}

std::string element_type(std::string_view input, const std::string& type) {
  if (input == "items" || input == "ranges" || input == "offsets") return "int32_t";
  if (input == "scale" || input == "eps") return "float";
  if (input == "weight" || input == "bias") return "float";
  return type;
}
bool scalar(std::string_view input) { return input == "scale" || input == "eps"; }
// Texts by the tens of rows have inputs of eight elements and more; what counts texts or columns
// may have fewer.
bool may_be_few(std::string_view input) {
  return input == "items" || input == "ranges" || input == "offsets" || input == "weight" ||
         input == "bias";
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string source_of(const MetalKernel& kernel, const Variant& variant) {
  std::string text(kernel_prelude());
  std::vector<std::string> parameters;
  std::vector<std::string> arguments{variant.type};
  arguments.insert(arguments.end(), variant.rest.begin(), variant.rest.end());
  for (std::size_t i = 0; i < kernel.template_names.size(); ++i) {
    const std::string& value = arguments[i];
    const char* kind = i == 0 ? "typename" : value == "true" || value == "false" ? "bool" : "int";
    parameters.push_back(std::string(kind) + " " + kernel.template_names[i]);
  }
  text +=
      "template <" + joined(parameters) + ">\n[[kernel]] void custom_kernel_" + kernel.name + "(\n";
  parameters.clear();
  const auto add = [&](const std::string& parameter) {
    parameters.push_back(parameter + " [[buffer(" + std::to_string(parameters.size()) + ")]]");
  };
  for (const char* input : kernel.inputs) {
    const std::string name(input);
    const bool in_constant = scalar(name) || (variant.few && may_be_few(name));
    add("  const " + std::string(in_constant ? "constant " : "device ") +
        element_type(name, variant.type) + (scalar(name) ? "& " : "* ") + name);
    if (scalar(name)) continue;
    if (names(kernel.source, name + "_shape")) add("  const constant int* " + name + "_shape");
    if (names(kernel.source, name + "_strides"))
      add("  const constant int64_t* " + name + "_strides");
    if (names(kernel.source, name + "_ndim")) add("  const constant int& " + name + "_ndim");
  }
  const std::string_view name(kernel.name);
  const bool floats = name == "inlay_pool_normalize" || name == "inlay_vocabulary_max";
  add("  device " + (floats ? "float" : variant.type) + "* " + kernel.output);
  for (const auto& [attribute, type] : kAttributes) {
    if (names(kernel.source, attribute))
      parameters.push_back(std::string("  ") + type + " " + attribute + " [[" + attribute + "]]");
  }
  for (std::size_t i = 0; i < parameters.size(); ++i)
    text += parameters[i] + (i + 1 < parameters.size() ? ",\n" : ") {\n");
  text += std::string(kernel.source) + "\n}\n";
  const std::string instance =
      "custom_kernel_" + std::string(kernel.name) + "<" + joined(arguments) + ">";
  return text + "\ntemplate decltype(" + instance + ") " + instance + ";\n";
}

std::vector<std::vector<std::string>> arguments_after_type(std::string_view name) {
  if (name == "inlay_attention")
    return {{"32", "1", "-1", "false"}, {"64", "2", "64", "false"}, {"64", "1", "-1", "true"}};
  if (name == "inlay_residual_layer_norm") return {{"4"}, {"384"}, {"4096"}};
  if (name == "inlay_pool_normalize")
    return {{"4", "0", "false"}, {"384", "2", "true"}, {"1024", "4", "true"}};
  if (name == "inlay_vocabulary_max") return {{"false"}, {"true"}};
  return {{}};
}

#ifdef INLAY_WITH_MLX
namespace mx = ::mlx::core;

// Template and parameters, without names that MLX makes of types and templates.
std::string signature(const std::string& source, const std::string& kernel) {
  const std::size_t begin = source.rfind("template <typename T", source.rfind("[[kernel]] void"));
  const std::size_t end = source.find(") {\n", begin);
  if (begin == std::string::npos || end == std::string::npos) return "none in: " + source;
  std::string text = source.substr(begin, end - begin);
  const std::size_t name = text.find("custom_kernel_" + kernel);
  if (name == std::string::npos) return "no name in: " + text;
  return text.erase(name, text.find('(', name) - name);
}

mx::Dtype mlx_type(const std::string& type) {
  return type == "float16_t"    ? mx::float16
         : type == "bfloat16_t" ? mx::bfloat16
         : type == "int32_t"    ? mx::int32
                                : mx::float32;
}

// Empty when MLX writes the same.
std::string beside_mlx(const MetalKernel& kernel, const Variant& variant) {
  mx::fast::CustomKernelFunction function = mx::fast::metal_kernel(
      kernel.name, {kernel.inputs.begin(), kernel.inputs.end()}, {kernel.output},
      std::string(kernel.source), std::string(kernel_prelude()), kernel.ensure_row_contiguous);
  mx::Args inputs;
  for (const char* input : kernel.inputs) {
    const mx::Dtype type = mlx_type(element_type(input, variant.type));
    const int few = std::string_view(input) == "ranges" ? 3 : 4;
    if (scalar(input)) {
      inputs.push_back(mx::zeros({}, type));
    } else if (may_be_few(input)) {
      inputs.push_back(mx::zeros({variant.few ? few : 3 * few}, type));
    } else {
      inputs.push_back(mx::zeros({4, 64}, type));
    }
  }
  std::vector<std::pair<std::string, mx::fast::TemplateArg>> arguments{
      {"T", mlx_type(variant.type)}};
  for (std::size_t i = 0; i < variant.rest.size(); ++i) {
    const std::string& value = variant.rest[i];
    const char* name = kernel.template_names[i + 1];
    if (value == "true" || value == "false") {
      arguments.emplace_back(name, value == "true");
    } else {
      arguments.emplace_back(name, std::stoi(value));
    }
  }
  const std::string_view name(kernel.name);
  const bool floats = name == "inlay_pool_normalize" || name == "inlay_vocabulary_max";
  const std::function<std::vector<mx::array>(const mx::Args&)> traced = [&](const mx::Args& in) {
    return function(in, {{4, 64}}, {floats ? mx::float32 : mlx_type(variant.type)}, {128, 1, 1},
                    {128, 1, 1}, arguments, std::nullopt, true, {});
  };
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / "inlay_metal_signatures.mlxfn";
  std::ostringstream printed;
  std::streambuf* before = std::cout.rdbuf(printed.rdbuf());
  mx::export_function(file.string(), traced, inputs);
  std::cout.rdbuf(before);
  std::filesystem::remove(file);
  const std::string own = signature(source_of(kernel, variant), kernel.name);
  const std::string theirs = signature(printed.str(), kernel.name);
  return own == theirs ? "" : "expected what MLX writes:\n" + theirs + "\ngot:\n" + own + "\n";
}
#endif

}  // namespace
}  // namespace inlay::backend::mlx

int main(int argc, char** argv) {
  using namespace inlay::backend::mlx;
  if (argc != 2) {
    std::fputs("usage: metal_signatures FOLDER\n", stderr);
    return 2;
  }
  int count = 0;
  for (const MetalKernel& kernel : metal_kernels()) {
    for (const char* type : {"float", "float16_t", "bfloat16_t"}) {
      for (const auto& rest : arguments_after_type(kernel.name)) {
        for (const bool few : {false, true}) {
#ifdef INLAY_WITH_MLX
          const std::string difference = beside_mlx(kernel, {type, few, rest});
          if (!difference.empty()) {
            std::fputs(difference.c_str(), stderr);
            return 1;
          }
#endif
          std::ofstream file(std::string(argv[1]) + "/" + kernel.name + "_" +
                             std::to_string(count++) + ".metal.cc");
          file << source_of(kernel, {type, few, rest});
        }
      }
    }
  }
  std::printf("%d\n", count);
  return 0;
}
