// Sessions through the C API. Every object of the library has an owner here that releases it.
#include "backend/onnxruntime/session.h"

#include <dlfcn.h>

#include <atomic>
#include <memory>
#include <vector>

#include "backend/onnxruntime/onnx_writer.h"
#include "base/error.h"

namespace inlay::backend::onnxruntime {
namespace {

constexpr std::size_t kMessage = 400;  // characters of the library's words

void check(const Api& api, Status* status, ErrorCode code, const char* what) {
  const std::string error = take_error(api, status);
  if (!error.empty())
    fail(code, "onnxruntime", std::string(what) + ", got: " + printable(error, kMessage) + ".");
}

// On a Mac CoreML leaves objects to the pool of whoever calls it, and a program that is not written
// in Objective-C has none: without one every run leaks (ONNX Runtime's issue 14455). Elsewhere
// there are no such functions, and nothing is done.
class AutoreleasePool {
 public:
  AutoreleasePool() {
    if (functions().push != nullptr && functions().pop != nullptr) pool_ = functions().push();
  }
  ~AutoreleasePool() {
    if (pool_ != nullptr) functions().pop(pool_);
  }
  AutoreleasePool(const AutoreleasePool&) = delete;
  AutoreleasePool& operator=(const AutoreleasePool&) = delete;

 private:
  struct Functions {
    void* (*push)();
    void (*pop)(void*);
  };
  static const Functions& functions() {
    static const Functions kFound{
        reinterpret_cast<void* (*)()>(::dlsym(RTLD_DEFAULT, "objc_autoreleasePoolPush")),
        reinterpret_cast<void (*)(void*)>(::dlsym(RTLD_DEFAULT, "objc_autoreleasePoolPop"))};
    return kFound;
  }
  void* pool_ = nullptr;
};

// A handle and the function that releases it.
template <typename T>
using Owned = std::unique_ptr<T, void (*)(T*)>;

std::string next_log_id() {
  static std::atomic<int> count{0};
  return "inlay-" + std::to_string(count.fetch_add(1));
}

Owned<TensorHandle> wrap(const Library& library, const padded::HostTensor& tensor) {
  TensorHandle* value = nullptr;
  check(library.api,
        library.api.create_tensor(library.memory, tensor.data, tensor.bytes(), tensor.shape.data(),
                                  tensor.shape.size(), tensor.type, &value),
        ErrorCode::kInternal, "expected a tensor");
  return {value, library.api.release_value};
}

}  // namespace

Session::Session(const Library& library, const ProviderSetup& setup, const SessionSpec& spec)
    : library_(library) {
  const AutoreleasePool pool;
  const Api& api = library.api;
  const auto must = [&](Status* status) {
    check(api, status, ErrorCode::kInternal, "expected a session");
  };
  Options* made = nullptr;
  must(api.create_options(&made));
  const Owned<Options> options(made, api.release_options);
  const std::string log_id = next_log_id();
  must(api.set_log_id(made, log_id.c_str()));
  must(api.set_log_severity(made, setup.compiles ? kLogInfo : kLogWarning));
  must(api.set_optimization(made, kOptimizeAll));
  must(api.set_threads(made, spec.threads));
  if (library.tells_assignments())
    must(api.add_config(made, "session.record_ep_graph_assignment_info", "1"));
  std::vector<const char*> names;
  std::vector<char*> blocks;
  std::vector<std::size_t> sizes;
  const auto add = [&](const char* name, const void* bytes, std::size_t size) {
    if (size == 0) return;
    names.push_back(name);
    // Read, whatever the declaration says.
    blocks.push_back(const_cast<char*>(static_cast<const char*>(bytes)));
    sizes.push_back(size);
  };
  add(kWeightsFile, spec.weights.data(), spec.weights.size());
  for (const WeightRef& file : spec.files)
    add(file.name.c_str(), file.tensor.data, file.tensor.bytes());
  if (!names.empty()) {
    must(api.add_external_files(made, names.data(), blocks.data(), sizes.data(), names.size()));
  }
  const std::string refusal = append_provider(library, setup, made);
  if (!refusal.empty()) {
    fail(ErrorCode::kUnavailable, "--device onnxruntime:" + setup.unit,
         "expected the provider " + setup.name + ", got: " + printable(refusal, kMessage) + ".");
  }
  LogLines::instance().begin(log_id);
  Status* status =
      api.create_session(library.env, spec.model.data(), spec.model.size(), made, &handle_);
  const std::vector<std::string> log = LogLines::instance().end(log_id);
  must(status);
  try {
    placement_ = read_placement(library, setup, handle_, log);
    if (setup.unit == kCudaUnit) must(api.create_binding(handle_, &binding_));
  } catch (...) {
    api.release_session(handle_);
    throw;
  }
}

Session::~Session() {
  const AutoreleasePool pool;
  if (binding_ != nullptr) library_.api.release_binding(binding_);
  library_.api.release_session(handle_);
}

void Session::run(std::span<const padded::HostTensor> inputs,
                  std::span<const padded::HostTensor> outputs) {
  const AutoreleasePool pool;
  const Api& api = library_.api;
  std::vector<Owned<TensorHandle>> owned;
  std::vector<const char*> names;
  std::vector<const TensorHandle*> values;
  for (const padded::HostTensor& input : inputs) {
    owned.push_back(wrap(library_, input));
    names.push_back(input.name);
    values.push_back(owned.back().get());
  }
  std::vector<const char*> result_names;
  std::vector<TensorHandle*> results;
  for (const padded::HostTensor& output : outputs) {
    owned.push_back(wrap(library_, output));
    result_names.push_back(output.name);
    results.push_back(owned.back().get());
  }
  const auto must = [&](Status* status) {
    check(api, status, ErrorCode::kInternal, "expected a run");
  };
  if (binding_ == nullptr) {
    must(api.run(handle_, nullptr, names.data(), values.data(), values.size(), result_names.data(),
                 results.size(), results.data()));
    return;
  }
  for (std::size_t i = 0; i < names.size(); ++i)
    must(api.bind_input(binding_, names[i], values[i]));
  for (std::size_t i = 0; i < results.size(); ++i)
    must(api.bind_output(binding_, result_names[i], results[i]));
  must(api.run_bound(handle_, nullptr, binding_));
}

}  // namespace inlay::backend::onnxruntime
