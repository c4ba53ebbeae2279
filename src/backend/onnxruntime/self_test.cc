// A wrong place in the table would call another function with these arguments, so each group is
// called where it must succeed, with a result that is known, and where it must fail, with the error
// that the API documents.
#include <array>
#include <functional>
#include <string>

#include "backend/onnxruntime/library.h"
#include "backend/onnxruntime/onnx_writer.h"

namespace inlay::backend::onnxruntime {
namespace {

// y = x + w, two floats each; w lies in the weights' block.
std::string add_model() {
  OnnxWriter writer;
  writer.input("x", kFloat, {std::int64_t{2}});
  writer.output("y", writer.node("Add", {"x", writer.weight("w", {2}, 0)}), {std::int64_t{2}});
  return writer.finish();
}

class Check {
 public:
  explicit Check(const Library& library) : library_(library), api_(library.api) {}

  std::string run() {
    for (const auto& [name, group] : groups()) {
      const std::string wrong = (this->*group)();
      if (!wrong.empty()) return std::string(name) + ": " + wrong;
    }
    return {};
  }

 private:
  using Group = std::string (Check::*)();
  static std::array<std::pair<const char*, Group>, 7> groups() {
    return {{{"status", &Check::status},
             {"tensors", &Check::tensors},
             {"options", &Check::options},
             {"sessions", &Check::sessions},
             {"bindings", &Check::bindings},
             {"assignments", &Check::assignments},
             {"providers", &Check::providers}}};
  }

  std::string succeeds(const char* what, Status* status) const {
    const std::string error = take_error(api_, status);
    return error.empty() ? "" : std::string(what) + " failed: " + error;
  }
  // Must be an error of this code; 0: of any.
  std::string fails(const char* what, Status* status, int code = 0) const {
    if (status == nullptr) return std::string(what) + " succeeded where it must fail";
    const int got = api_.error_code(status);
    const std::string message = take_error(api_, status);
    if (got == 0 || (code != 0 && got != code))
      return std::string(what) + " failed with code " + std::to_string(got) + ": " + message;
    return {};
  }

  std::string status() {
    Status* made = api_.create_status(kInvalidArgument, "as asked");
    if (made == nullptr) return "CreateStatus gave none";
    const int code = api_.error_code(made);
    const std::string message = take_error(api_, made);
    return code == kInvalidArgument && message == "as asked" ? "" : "another code or message";
  }

  std::string tensors() {
    std::array<float, 2> data{};
    const std::int64_t shape = 2;
    TensorHandle* value = nullptr;
    std::string wrong = succeeds(
        "CreateTensorWithDataAsOrtValue",
        api_.create_tensor(library_.memory, data.data(), sizeof data, &shape, 1, kFloat, &value));
    if (!wrong.empty()) return wrong;
    api_.release_value(value);
    return fails("CreateTensorWithDataAsOrtValue on half the memory",
                 api_.create_tensor(library_.memory, data.data(), sizeof data / 2, &shape, 1,
                                    kFloat, &value),
                 kInvalidArgument);
  }

  std::string options() {
    Options* made = nullptr;
    std::string wrong = succeeds("CreateSessionOptions", api_.create_options(&made));
    if (!wrong.empty()) return wrong;
    wrong = succeeds("SetIntraOpNumThreads", api_.set_threads(made, 1));
    if (wrong.empty()) wrong = succeeds("SetSessionLogId", api_.set_log_id(made, "inlay-test"));
    if (wrong.empty())
      wrong = succeeds("SetSessionLogSeverityLevel", api_.set_log_severity(made, kLogWarning));
    if (wrong.empty())
      wrong =
          succeeds("SetSessionGraphOptimizationLevel", api_.set_optimization(made, kOptimizeAll));
    if (wrong.empty())
      wrong = fails("SetSessionGraphOptimizationLevel(12345)", api_.set_optimization(made, 12345));
    if (wrong.empty())
      wrong = succeeds("AddSessionConfigEntry",
                       api_.add_config(made, "session.intra_op.allow_spinning", "1"));
    if (wrong.empty())
      wrong = fails("AddSessionConfigEntry without a key", api_.add_config(made, "", "1"));
    api_.release_options(made);
    return wrong;
  }

  // A session of the model, with or without its weights and the record of assignments.
  Status* make_session(const std::string& model, bool weights, bool record,
                       SessionHandle** session) {
    Options* made = nullptr;
    if (Status* status = api_.create_options(&made)) return status;
    Status* status = api_.set_threads(made, 1);
    if (status == nullptr && record)
      status = api_.add_config(made, "session.record_ep_graph_assignment_info", "1");
    std::array<float, 2> block{10.0F, 20.0F};
    const char* name = kWeightsFile;
    char* bytes = reinterpret_cast<char*>(block.data());
    const std::size_t size = sizeof block;
    if (status == nullptr && weights)
      status = api_.add_external_files(made, &name, &bytes, &size, 1);
    if (status == nullptr)
      status = api_.create_session(library_.env, model.data(), model.size(), made, session);
    api_.release_options(made);
    return status;
  }

  Status* run_session(SessionHandle* session, const char* input, float* x, float* y) {
    const std::int64_t shape = 2;
    TensorHandle* in = nullptr;
    TensorHandle* out = nullptr;
    Status* status =
        api_.create_tensor(library_.memory, x, 2 * sizeof(float), &shape, 1, kFloat, &in);
    if (status == nullptr)
      status = api_.create_tensor(library_.memory, y, 2 * sizeof(float), &shape, 1, kFloat, &out);
    const TensorHandle* given = in;
    const char* output = "y";
    if (status == nullptr) status = api_.run(session, nullptr, &input, &given, 1, &output, 1, &out);
    if (in != nullptr) api_.release_value(in);
    if (out != nullptr) api_.release_value(out);
    return status;
  }

  std::string sessions() {
    const std::string model = add_model();
    SessionHandle* session = nullptr;
    std::string wrong = fails("CreateSessionFromArray without the weights' file",
                              make_session(model, false, false, &session));
    if (!wrong.empty()) return wrong;
    wrong = fails("CreateSessionFromArray of no model",
                  make_session("no model", false, false, &session));
    if (!wrong.empty()) return wrong;
    wrong = succeeds("CreateSessionFromArray", make_session(model, true, false, &session));
    if (!wrong.empty()) return wrong;
    std::size_t inputs = 0;
    std::size_t outputs = 0;
    wrong = succeeds("SessionGetInputCount", api_.input_count(session, &inputs));
    if (wrong.empty())
      wrong = succeeds("SessionGetOutputCount", api_.output_count(session, &outputs));
    if (wrong.empty() && (inputs != 1 || outputs != 1))
      wrong = "other counts of inputs and outputs";
    std::array<float, 2> x{1.0F, 2.0F};
    std::array<float, 2> y{};
    if (wrong.empty()) wrong = succeeds("Run", run_session(session, "x", x.data(), y.data()));
    if (wrong.empty() && (y[0] != 11.0F || y[1] != 22.0F)) wrong = "Run gave another sum";
    if (wrong.empty())
      wrong = fails("Run with another input", run_session(session, "z", x.data(), y.data()),
                    kInvalidArgument);
    api_.release_session(session);
    return wrong;
  }

  std::string bindings() {
    const std::string model = add_model();
    SessionHandle* session = nullptr;
    std::string wrong =
        succeeds("CreateSessionFromArray", make_session(model, true, false, &session));
    if (!wrong.empty()) return wrong;
    IoBinding* binding = nullptr;
    wrong = succeeds("CreateIoBinding", api_.create_binding(session, &binding));
    if (wrong.empty()) {
      wrong = run_bound(session, binding);
      api_.release_binding(binding);
    }
    api_.release_session(session);
    return wrong;
  }

  std::string run_bound(SessionHandle* session, IoBinding* binding) {
    std::array<float, 2> x{3.0F, 4.0F};
    std::array<float, 2> y{};
    const std::int64_t shape = 2;
    TensorHandle* in = nullptr;
    TensorHandle* out = nullptr;
    std::string wrong =
        succeeds("CreateTensorWithDataAsOrtValue",
                 api_.create_tensor(library_.memory, x.data(), sizeof x, &shape, 1, kFloat, &in));
    if (wrong.empty())
      wrong = succeeds(
          "CreateTensorWithDataAsOrtValue",
          api_.create_tensor(library_.memory, y.data(), sizeof y, &shape, 1, kFloat, &out));
    if (wrong.empty()) wrong = succeeds("BindInput", api_.bind_input(binding, "x", in));
    if (wrong.empty()) wrong = succeeds("BindOutput", api_.bind_output(binding, "y", out));
    if (wrong.empty())
      wrong = succeeds("RunWithBinding", api_.run_bound(session, nullptr, binding));
    if (wrong.empty() && (y[0] != 13.0F || y[1] != 24.0F))
      wrong = "RunWithBinding gave another sum";
    if (wrong.empty())  // last: a binding that has failed once is of no more use
      wrong = fails("BindInput of another name", api_.bind_input(binding, "z", in));
    if (in != nullptr) api_.release_value(in);
    if (out != nullptr) api_.release_value(out);
    return wrong;
  }

  std::string assignments() {
    if (!library_.tells_assignments()) return {};
    const std::string model = add_model();
    SessionHandle* session = nullptr;
    const Subgraph* const* graphs = nullptr;
    std::size_t count = 0;
    std::string wrong =
        succeeds("CreateSessionFromArray", make_session(model, true, false, &session));
    if (!wrong.empty()) return wrong;
    wrong = fails("Session_GetEpGraphAssignmentInfo without the record",
                  api_.assignments(session, &graphs, &count), kFail);
    api_.release_session(session);
    if (!wrong.empty()) return wrong;
    wrong = succeeds("CreateSessionFromArray", make_session(model, true, true, &session));
    if (!wrong.empty()) return wrong;
    wrong =
        succeeds("Session_GetEpGraphAssignmentInfo", api_.assignments(session, &graphs, &count));
    if (wrong.empty() && count < 1) wrong = "Session_GetEpGraphAssignmentInfo gave none";
    if (wrong.empty()) wrong = first_assignment(graphs[0]);
    api_.release_session(session);
    return wrong;
  }

  std::string first_assignment(const Subgraph* graph) {
    const char* provider = "";
    const AssignedNode* const* nodes = nullptr;
    std::size_t count = 0;
    const char* op = "";
    const char* name = "";
    std::string wrong =
        succeeds("EpAssignedSubgraph_GetEpName", api_.assigned_provider(graph, &provider));
    if (wrong.empty())
      wrong = succeeds("EpAssignedSubgraph_GetNodes", api_.assigned_nodes(graph, &nodes, &count));
    if (wrong.empty() && count < 1) return "EpAssignedSubgraph_GetNodes gave none";
    if (wrong.empty())
      wrong = succeeds("EpAssignedNode_GetOperatorType", api_.node_operator(nodes[0], &op));
    if (wrong.empty()) wrong = succeeds("EpAssignedNode_GetName", api_.node_name(nodes[0], &name));
    if (!wrong.empty()) return wrong;
    const bool expected = std::string_view(provider) == "CPUExecutionProvider" &&
                          std::string_view(op) == "Add" && std::string_view(name) == "graph/Add_0";
    return expected ? "" : std::string("got ") + op + " " + name + " on " + provider;
  }

  std::string providers() {
    if (!library_.has_provider("CPUExecutionProvider")) return "GetAvailableProviders has no CPU";
    Options* made = nullptr;
    std::string wrong = succeeds("CreateSessionOptions", api_.create_options(&made));
    if (!wrong.empty()) return wrong;
    wrong = fails("SessionOptionsAppendExecutionProvider of one that does not exist",
                  api_.append_provider(made, "NoSuchProvider", nullptr, nullptr, 0));
    if (wrong.empty() && !library_.has_provider("CUDAExecutionProvider")) {
      CudaOptions* cuda = nullptr;
      wrong = fails("CreateCUDAProviderOptions without CUDA", api_.create_cuda_options(&cuda));
    }
    api_.release_options(made);
    return wrong;
  }

  const Library& library_;
  const Api& api_;
};

}  // namespace

std::string self_test(const Library& library) { return Check(library).run(); }

}  // namespace inlay::backend::onnxruntime
