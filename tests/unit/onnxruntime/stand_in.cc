// A stand-in for libonnxruntime: the same table of functions, no computation. It records what it is
// told, says what it is scripted to say, and so shows what Inlay sends to providers that this
// machine does not have. Scripted by the environment, read at each call:
//
//   INLAY_STAND_IN_RECORD      file to which each call that matters is appended, one a line
//   INLAY_STAND_IN_VERSION     what GetVersionString says (1.30.0)
//   INLAY_STAND_IN_PLACEMENT   who takes which nodes: "CoreML:MatMul,Add;CPU:Gather;CoreML:Softmax"
//   INLAY_STAND_IN_CODE        what a session of a provider computes: "wrong" is another result
//   INLAY_STAND_IN_GATE        file without which no session of CoreML or CUDA is made: it waits
//   INLAY_STAND_IN_FAULT       "slot": two places of the table are exchanged; "coreml": CoreML is
//   refused
//
// It knows the model of the self-test by its node's name, as everything else only by its size.
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <list>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "backend/onnxruntime/ort_api.h"

namespace inlay::backend::onnxruntime {

struct Status {
  int code;
  std::string message;
};
struct Env {
  LogFunction log;
  void* parameter;
};
struct Options {
  std::string log_id, provider;
  bool record = false, weights = false;
};
struct AssignedNode {
  std::string op;
  std::string name;
};
struct Subgraph {
  std::string provider;
  std::vector<const AssignedNode*> nodes;
};
struct SessionHandle {
  bool adds = false, record = false;
  std::string provider;
  std::list<AssignedNode> nodes;
  std::list<Subgraph> graphs;
  std::vector<const Subgraph*> pointers;
};
struct TensorHandle {
  void* data;
  std::size_t bytes;
};
struct MemoryInfo {};
struct IoBinding {
  SessionHandle* session;
  const TensorHandle* input = nullptr;
  std::vector<TensorHandle*> outputs;
};
struct CudaOptions {
  std::string text;
};

namespace {

Env environment_made{};

std::string environment(const char* name, const char* fallback = "") {
  const char* value = std::getenv(name);
  return value == nullptr ? fallback : value;
}

void record(const std::string& line) {
  const std::string file = environment("INLAY_STAND_IN_RECORD");
  if (!file.empty()) std::ofstream(file, std::ios::app) << line << "\n";
}

Status* error(int code, std::string message) { return new Status{code, std::move(message)}; }

std::string list_text(const char* const* keys, const char* const* values, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += std::string(" ") + keys[i] + "=" + values[i];
  return text;
}

std::vector<std::string> split(const std::string& text, char by) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, by);) parts.push_back(part);
  return parts;
}

std::string provider_name(const std::string& word) { return word + "ExecutionProvider"; }

Status* create_status(int code, const char* message) { return error(code, message); }
int error_code(const Status* status) { return status->code; }
const char* error_message(const Status* status) { return status->message.c_str(); }

Status* create_env(LogFunction log, void* parameter, int, const char*, Env** env) {
  environment_made = {log, parameter};
  *env = &environment_made;
  return nullptr;
}

void place(SessionHandle* session, const std::string& script) {
  for (const std::string& graph : split(script, ';')) {
    const std::size_t colon = graph.find(':');
    Subgraph& made =
        session->graphs.emplace_back(Subgraph{provider_name(graph.substr(0, colon)), {}});
    for (const std::string& op : split(graph.substr(colon + 1), ',')) {
      session->nodes.push_back({op, "graph/" + op + "_0"});
      made.nodes.push_back(&session->nodes.back());
    }
    session->pointers.push_back(&made);
  }
}

// A compilation that takes as long as the test says; a test that forgets it fails.
bool pass_gate() {
  const std::string gate = environment("INLAY_STAND_IN_GATE");
  for (int tries = 0; !gate.empty() && !std::filesystem::exists(gate); ++tries) {
    if (tries == 20000) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

void log_capability(const SessionHandle& session, const Options& options) {
  std::int64_t partitions = 0;
  std::int64_t nodes = 0;
  std::int64_t taken = 0;
  for (const Subgraph& graph : session.graphs) {
    const auto count = static_cast<std::int64_t>(graph.nodes.size());
    nodes += count;
    if (graph.provider != provider_name("CoreML")) continue;
    ++partitions;
    taken += count;
  }
  const std::string line =
      "CoreMLExecutionProvider::GetCapability, number of partitions supported by CoreML: " +
      std::to_string(partitions) + " number of nodes in the graph: " + std::to_string(nodes) +
      " number of nodes supported by CoreML: " + std::to_string(taken);
  environment_made.log(environment_made.parameter, kLogInfo, "onnxruntime", options.log_id.c_str(),
                       "", line.c_str());
}

Status* create_session(const Env*, const void* model, std::size_t bytes, const Options* options,
                       SessionHandle** session) {
  const std::string_view text(static_cast<const char*>(model), bytes);
  const auto has = [&](std::string_view word) { return text.find(word) != std::string_view::npos; };
  // A producer's name: Inlay's, or that of a file of tests/data/files.
  if (!has("inlay") && !has("onnxruntime.transformers")) return error(7, "no protobuf");
  if (has("location") && !options->weights) return error(kFail, "weights: no such file");
  auto made = std::make_unique<SessionHandle>();
  made->adds = has("graph/Add_0") && bytes < 400;
  made->record = options->record;
  made->provider = options->provider;
  if (made->adds) {
    place(made.get(), "CPU:Add");
  } else {
    const std::string provider = options->provider.empty() ? "CPU" : options->provider;
    place(made.get(), provider == "CPU" ? "CPU:MatMul,Add"
                                        : environment("INLAY_STAND_IN_PLACEMENT",
                                                      (provider + ":MatMul,Add").c_str()));
    if (provider != "CPU" && !pass_gate()) return error(kFail, "nobody opened the gate");
    const bool key = has("COREML_CACHE_KEY");
    record("CreateSession " + provider + (key ? " with COREML_CACHE_KEY" : ""));
    if (provider == "CoreML") log_capability(*made, *options);
  }
  *session = made.release();
  return nullptr;
}

Status* run(SessionHandle* session, const RunOptions*, const char* const* names,
            const TensorHandle* const* inputs, std::size_t count, const char* const*,
            std::size_t output_count, TensorHandle** outputs) {
  if (session->adds) {
    if (count != 1 || std::strcmp(names[0], "x") != 0) return error(kInvalidArgument, "no input z");
    std::array<float, 2> sum{};
    std::memcpy(sum.data(), inputs[0]->data, sizeof sum);
    sum[0] += 10;
    sum[1] += 20;
    std::memcpy(outputs[0]->data, sum.data(), sizeof sum);
    return nullptr;
  }
  record("Run " + (session->provider.empty() ? "CPU" : session->provider));
  const bool wrong = !session->provider.empty() && environment("INLAY_STAND_IN_CODE") == "wrong";
  for (std::size_t o = 0; o < output_count; ++o) {
    auto* out = static_cast<float*>(outputs[o]->data);
    const std::size_t size = outputs[o]->bytes / sizeof(float);
    for (std::size_t i = 0; i < size; ++i)
      out[i] = 0.1F + 0.01F * static_cast<float>(wrong ? (i * i) % 13 * 9 : i % 7);
  }
  return nullptr;
}

Status* create_binding(SessionHandle* session, IoBinding** binding) {
  *binding = new IoBinding{session, nullptr, {}};
  return nullptr;
}
Status* bind_input(IoBinding* binding, const char* name, const TensorHandle* value) {
  if (binding->session->adds && std::strcmp(name, "x") != 0)
    return error(kInvalidArgument, "no input z");
  if (!binding->session->adds) record(std::string("BindInput ") + name);
  binding->input = value;
  return nullptr;
}
Status* bind_output(IoBinding* binding, const char* name, const TensorHandle* value) {
  if (!binding->session->adds) record(std::string("BindOutput ") + name);
  binding->outputs = {const_cast<TensorHandle*>(value)};  // of one; the models here have no more
  return nullptr;
}
Status* run_bound(SessionHandle* session, const RunOptions* options, const IoBinding* binding) {
  if (!session->adds) record("RunWithBinding");
  const char* name = "x";
  std::vector<TensorHandle*> outputs = binding->outputs;
  return run(session, options, &name, &binding->input, 1, &name, outputs.size(), outputs.data());
}

Status* create_options(Options** options) {
  *options = new Options;
  return nullptr;
}
Status* set_log_id(Options* options, const char* id) {
  options->log_id = id;
  return nullptr;
}
Status* set_log_severity(Options*, int) { return nullptr; }
Status* set_optimization(Options*, int level) {
  return level == kOptimizeAll ? nullptr : error(kInvalidArgument, "no such level");
}
Status* set_threads(Options*, int count) {
  return count >= 0 ? nullptr : error(kInvalidArgument, "a negative number of threads");
}
Status* one(const SessionHandle*, std::size_t* count) {
  *count = 1;
  return nullptr;
}
Status* create_tensor(const MemoryInfo*, void* data, std::size_t bytes, const std::int64_t* shape,
                      std::size_t rank, int, TensorHandle** value) {
  std::size_t needed = 4;
  for (std::size_t i = 0; i < rank; ++i) needed *= static_cast<std::size_t>(shape[i]);
  if (bytes < needed) return error(kInvalidArgument, "too little memory");
  *value = new TensorHandle{data, needed};
  return nullptr;
}
Status* create_cpu_memory(int, int, MemoryInfo** memory) {
  static MemoryInfo made;
  *memory = &made;
  return nullptr;
}
template <typename T>
void release(T* object) {
  delete object;
}

Status* providers(char*** names, int* count) {
  static std::array<std::string, 3> known{"CoreMLExecutionProvider", "CUDAExecutionProvider",
                                          "CPUExecutionProvider"};
  static std::array<char*, 3> pointers{known[0].data(), known[1].data(), known[2].data()};
  *names = pointers.data();
  *count = static_cast<int>(pointers.size());
  return nullptr;
}
Status* release_providers(char**, int) { return nullptr; }

Status* add_config(Options* options, const char* key, const char* value) {
  if (*key == '\0') return error(kFail, "a key is empty");
  const std::string_view name(key);
  if (name == "session.record_ep_graph_assignment_info")
    options->record = std::string_view(value) == "1";
  return nullptr;
}

Status* append_cuda(Options* options, const CudaOptions* cuda) {
  record("AppendExecutionProvider_CUDA_V2" + cuda->text);
  options->provider = "CUDA";
  return nullptr;
}
Status* create_cuda_options(CudaOptions** options) {
  *options = new CudaOptions;
  return nullptr;
}
Status* update_cuda_options(CudaOptions* options, const char* const* keys,
                            const char* const* values, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    if (std::string_view(keys[i]) == "bogus") return error(kFail, "Unknown provider option: bogus");
  }
  options->text = list_text(keys, values, count);
  return nullptr;
}

Status* append_provider(Options* options, const char* name, const char* const* keys,
                        const char* const* values, std::size_t count) {
  if (std::string_view(name) != "CoreML") return error(kInvalidArgument, "Unknown provider name");
  if (environment("INLAY_STAND_IN_FAULT") == "coreml")
    return error(kFail, "CoreML execution provider is not supported in this build.");
  record("AppendExecutionProvider CoreML" + list_text(keys, values, count));
  options->provider = "CoreML";
  return nullptr;
}

Status* add_external_files(Options* options, const char* const* names, char* const*,
                           const std::size_t*, std::size_t count) {
  options->weights = count == 1 && std::string_view(names[0]) == "weights";
  return nullptr;
}

Status* assignments(const SessionHandle* session, const Subgraph* const** graphs,
                    std::size_t* count) {
  if (!session->record) return error(kFail, "the record was not asked for");
  *graphs = session->pointers.data();
  *count = session->pointers.size();
  return nullptr;
}
Status* assigned_provider(const Subgraph* graph, const char** name) {
  *name = graph->provider.c_str();
  return nullptr;
}
Status* assigned_nodes(const Subgraph* graph, const AssignedNode* const** nodes,
                       std::size_t* count) {
  *nodes = graph->nodes.data();
  *count = graph->nodes.size();
  return nullptr;
}
Status* node_name(const AssignedNode* node, const char** name) {
  *name = node->name.c_str();
  return nullptr;
}
Status* node_operator(const AssignedNode* node, const char** op) {
  *op = node->op.c_str();
  return nullptr;
}

constexpr auto input_count = one;
constexpr auto output_count = one;
void release_env(Env*) {}
constexpr auto release_status = release<Status>;
void release_memory(MemoryInfo*) {}
constexpr auto release_session = release<SessionHandle>;
constexpr auto release_value = release<TensorHandle>;
constexpr auto release_binding = release<IoBinding>;
constexpr auto release_options = release<Options>;
constexpr auto release_cuda_options = release<CudaOptions>;

const void* const* get_api(std::uint32_t) {
  static std::array<const void*, 500> table{};
#define INLAY_ORT_FILL(slot, since, name, ...) \
  table[slot] = reinterpret_cast<const void*>(static_cast<std::add_pointer_t<__VA_ARGS__>>(name));
  INLAY_ORT_FUNCTIONS(INLAY_ORT_FILL)
#undef INLAY_ORT_FILL
  // A table in another order, with functions that may be called in each other's stead.
  if (environment("INLAY_STAND_IN_FAULT") == "slot") std::swap(table[22], table[23]);
  return table.data();
}

const char* version_string() {
  static std::string version;
  version = environment("INLAY_STAND_IN_VERSION", "1.30.0");
  return version.c_str();
}

}  // namespace
}  // namespace inlay::backend::onnxruntime

extern "C" __attribute__((visibility("default"))) const inlay::backend::onnxruntime::ApiBase*
OrtGetApiBase() {
  static const inlay::backend::onnxruntime::ApiBase base{
      inlay::backend::onnxruntime::get_api, inlay::backend::onnxruntime::version_string};
  return &base;
}
