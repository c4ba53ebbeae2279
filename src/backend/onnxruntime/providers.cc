// CoreML's options and values are those of ONNX Runtime's coreml_options.cc; CUDA's those of
// OrtCUDAProviderOptionsV2, which the library checks itself.
#include "backend/onnxruntime/providers.h"

#include <algorithm>
#include <charconv>
#include <span>

#include "base/error.h"

namespace inlay::backend::onnxruntime {
namespace {

struct CoremlKey {
  const char* name;
  const char* values;  // with | between; empty: any text
  const char* preset;  // null: not sent unless the caller gives it
};
constexpr CoremlKey kCoremlKeys[] = {
    {"ModelFormat", "MLProgram|NeuralNetwork", "MLProgram"},
    {"MLComputeUnits", "ALL|CPUAndNeuralEngine|CPUAndGPU|CPUOnly", "CPUAndNeuralEngine"},
    {"SpecializationStrategy", "Default|FastPrediction", "FastPrediction"},
    {"EnableOnSubgraphs", "0|1", "1"},
    {"ProfileComputePlan", "0|1", "1"},
    {"RequireStaticInputShapes", "0|1", nullptr},
    {"AllowLowPrecisionAccumulationOnGPU", "0|1", nullptr},
    {"ModelCacheDirectory", "", nullptr},  // the room's cache folder, when it has one
};

// TF32 would round fp32 products to 10 bits; an arena that doubles takes memory from others.
constexpr std::pair<const char*, const char*> kCudaPreset[] = {
    {"device_id", "0"}, {"use_tf32", "0"}, {"arena_extend_strategy", "kSameAsRequested"}};

bool is_value(std::string_view values, std::string_view value) {
  if (values.empty()) return !value.empty();
  for (std::size_t begin = 0; begin <= values.size();) {
    const std::size_t end = std::min(values.find('|', begin), values.size());
    if (values.substr(begin, end - begin) == value) return true;
    begin = end + 1;
  }
  return false;
}

[[noreturn]] void refuse(const std::string& expected, std::string_view got) {
  fail(ErrorCode::kUsage, "--provider-options",
       "expected " + expected + ", got \"" + printable(got) + "\".");
}

std::vector<std::pair<std::string, std::string>> parse_list(std::string_view list) {
  std::vector<std::pair<std::string, std::string>> options;
  while (!list.empty()) {
    const std::string_view one = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), one.size() + 1));
    if (one.empty()) continue;
    const std::size_t equals = one.find('=');
    if (equals == std::string_view::npos || equals == 0) refuse("KEY=VALUE,...", one);
    options.emplace_back(one.substr(0, equals), one.substr(equals + 1));
  }
  return options;
}

void check_coreml(const std::string& key, const std::string& value) {
  std::string names;
  for (const CoremlKey& known : kCoremlKeys) {
    if (key == known.name) {
      if (is_value(known.values, value)) return;
      refuse(key + "=" + (*known.values == '\0' ? "a folder" : known.values), value);
    }
    names += (names.empty() ? "" : ", ") + std::string(known.name);
  }
  refuse("an option of CoreML (" + names + ")", key);
}

void set(std::vector<std::pair<std::string, std::string>>* options, const std::string& key,
         const std::string& value) {
  for (auto& [name, old] : *options) {
    if (name == key) {
      old = value;
      return;
    }
  }
  options->emplace_back(key, value);
}

bool number_after(std::string_view line, std::string_view words, std::int64_t* number) {
  const std::size_t at = line.find(words);
  if (at == std::string_view::npos) return false;
  const char* begin = line.data() + at + words.size();
  return std::from_chars(begin, line.data() + line.size(), *number).ec == std::errc();
}

// Owns the two arrays that the API takes.
struct Arrays {
  std::vector<const char*> keys, values;
  explicit Arrays(const ProviderSetup& setup) {
    for (const auto& [key, value] : setup.options) {
      keys.push_back(key.c_str());
      values.push_back(value.c_str());
    }
  }
};

std::string append_cuda(const Api& api, const Arrays& arrays, Options* options) {
  CudaOptions* cuda = nullptr;
  std::string error = take_error(api, api.create_cuda_options(&cuda));
  if (!error.empty()) return error;
  error = take_error(api, api.update_cuda_options(cuda, arrays.keys.data(), arrays.values.data(),
                                                  arrays.keys.size()));
  if (error.empty()) error = take_error(api, api.append_cuda(options, cuda));
  api.release_cuda_options(cuda);
  return error;
}

void check(const Api& api, Status* status) {
  const std::string error = take_error(api, status);
  if (!error.empty()) fail(ErrorCode::kInternal, "onnxruntime", printable(error) + ".");
}

// Counts nodes by provider, subgraphs of the provider, operators left to the CPU.
void count_assignments(const Library& library, const ProviderSetup& setup,
                       const SessionHandle* session, Placement* placement) {
  const Api& api = library.api;
  const Subgraph* const* graphs = nullptr;
  std::size_t graph_count = 0;
  check(api, api.assignments(session, &graphs, &graph_count));
  std::int64_t subgraphs = 0;
  for (const Subgraph* graph : std::span(graphs, graph_count)) {
    const char* provider = nullptr;
    check(api, api.assigned_provider(graph, &provider));
    const AssignedNode* const* nodes = nullptr;
    std::size_t count = 0;
    check(api, api.assigned_nodes(graph, &nodes, &count));
    placement->nodes[provider] += static_cast<std::int64_t>(count);
    if (setup.name == provider) {
      ++subgraphs;
      continue;
    }
    for (const AssignedNode* node : std::span(nodes, count)) {
      const char* op = nullptr;
      check(api, api.node_operator(node, &op));
      ++placement->fallback[op];
      ++placement->fallback_ops;
    }
  }
  placement->known = true;
  // A provider that compiles takes a subgraph a piece; one with a kernel a node takes each node by
  // itself, and its pieces lie between the nodes left to the CPU.
  placement->partitions = setup.compiles   ? subgraphs
                          : subgraphs == 0 ? 0
                                           : placement->fallback_ops + 1;
}

}  // namespace

ProviderSetup provider_setup(std::string_view unit, const RoomOptions& options) {
  ProviderSetup setup;
  setup.unit = unit.empty() ? kCpuUnit : std::string(unit);
  const auto given = parse_list(options.provider);
  if (setup.unit == kCpuUnit) {
    setup.name = "CPUExecutionProvider";
    if (!given.empty()) refuse("none for the cpu provider, which has no options", given[0].first);
    return setup;
  }
  if (setup.unit == kCudaUnit) {
    setup.name = "CUDAExecutionProvider";
    setup.options.assign(std::begin(kCudaPreset), std::end(kCudaPreset));
  } else {
    setup.name = "CoreMLExecutionProvider";
    setup.compiles = true;
    for (const CoremlKey& key : kCoremlKeys) {
      if (key.preset != nullptr) setup.options.emplace_back(key.name, key.preset);
    }
    if (!options.cache.empty())
      setup.options.emplace_back("ModelCacheDirectory", compiled_folder(options).string());
  }
  for (const auto& [key, value] : given) {
    if (setup.unit == kCoremlUnit) check_coreml(key, value);
    set(&setup.options, key, value);
  }
  return setup;
}

std::filesystem::path compiled_folder(const RoomOptions& options) {
  return options.cache.empty() ? options.cache : options.cache / "coreml";
}

std::string append_provider(const Library& library, const ProviderSetup& setup, Options* options) {
  if (setup.unit == kCpuUnit) return {};
  const Arrays arrays(setup);
  if (setup.unit == kCudaUnit) return append_cuda(library.api, arrays, options);
  return take_error(library.api,
                    library.api.append_provider(options, "CoreML", arrays.keys.data(),
                                                arrays.values.data(), arrays.keys.size()));
}

bool read_coreml_line(std::string_view line, CoremlCounts* counts) {
  return number_after(line, "number of partitions supported by CoreML: ", &counts->partitions) &&
         number_after(line, "number of nodes in the graph: ", &counts->nodes) &&
         number_after(line, "number of nodes supported by CoreML: ", &counts->supported);
}

Placement read_placement(const Library& library, const ProviderSetup& setup,
                         const SessionHandle* session, const std::vector<std::string>& log) {
  Placement placement;
  if (library.tells_assignments()) count_assignments(library, setup, session, &placement);
  if (setup.unit == kCpuUnit) {  // all of it by definition
    placement.partitions = 1;
    return placement;
  }
  for (const std::string& line : log) {
    CoremlCounts counts;
    if (!read_coreml_line(line, &counts)) continue;
    placement.notes.push_back("CoreML could take " + std::to_string(counts.supported) + " of " +
                              std::to_string(counts.nodes) + " nodes in " +
                              std::to_string(counts.partitions) + " partitions");
    if (placement.known) continue;
    placement.partitions = counts.partitions;
    placement.fallback_ops = counts.nodes - counts.supported;
    placement.known = true;
  }
  return placement;
}

}  // namespace inlay::backend::onnxruntime
