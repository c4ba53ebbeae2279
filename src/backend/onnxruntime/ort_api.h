// The part of ONNX Runtime's C API that this room calls, declared here: no header of it is needed
// to build. OrtGetApiBase()->GetApi(version) gives a table of function pointers to which every
// release only appends; the numbers below are places in it, taken with offsetof from the header of
// API 29 and held against the library at hand by self_test.cc before anything relies on them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace inlay::backend::onnxruntime {

// Opaque, ONNX Runtime's. A null Status is success.
struct Status;
struct Env;
struct Options;
struct SessionHandle;
struct RunOptions;
struct TensorHandle;
struct MemoryInfo;
struct CudaOptions;
struct IoBinding;
struct Subgraph;
struct AssignedNode;

// OrtErrorCode, OrtLoggingLevel, GraphOptimizationLevel, ONNXTensorElementDataType,
// OrtAllocatorType and OrtMemType as far as they are used.
inline constexpr int kFail = 1, kInvalidArgument = 2;
inline constexpr int kLogInfo = 1, kLogWarning = 2;
inline constexpr int kOptimizeAll = 99;
inline constexpr int kFloat = 1, kInt32 = 6, kInt64 = 7, kFloat16 = 10;
inline constexpr int kArenaAllocator = 1, kDefaultMemory = 0;

using LogFunction = void (*)(void* parameter, int severity, const char* category, const char* logid,
                             const char* place, const char* message);

struct ApiBase {
  const void* const* (*get_api)(std::uint32_t version);
  const char* (*version)();
};
inline constexpr const char* kEntry = "OrtGetApiBase";

// F(slot, since, name, type of the function): `since` is the minor version of ONNX Runtime 1 that
// brought the function; one that the library is too old for stays null.
// clang-format off
#define INLAY_ORT_FUNCTIONS(F)                                                                                     \
  F(0, 1, create_status, Status*(int code, const char* message)) \
  F(1, 1, error_code, int(const Status*)) \
  F(2, 1, error_message, const char*(const Status*)) \
  F(4, 1, create_env, Status*(LogFunction, void* parameter, int severity, const char* logid, Env**)) \
  F(8, 1, create_session, Status*(const Env*, const void* model, std::size_t bytes, const Options*, SessionHandle**)) \
  F(9, 1, run, Status*(SessionHandle*, const RunOptions*, const char* const* input_names, const TensorHandle* const* inputs, std::size_t input_count, const char* const* output_names, std::size_t output_count, TensorHandle** outputs)) \
  F(10, 1, create_options, Status*(Options**)) \
  F(20, 1, set_log_id, Status*(Options*, const char*)) \
  F(22, 1, set_log_severity, Status*(Options*, int)) \
  F(23, 1, set_optimization, Status*(Options*, int)) \
  F(24, 1, set_threads, Status*(Options*, int)) \
  F(30, 1, input_count, Status*(const SessionHandle*, std::size_t*)) \
  F(31, 1, output_count, Status*(const SessionHandle*, std::size_t*)) \
  F(49, 1, create_tensor, Status*(const MemoryInfo*, void* data, std::size_t bytes, const std::int64_t* shape, std::size_t rank, int type, TensorHandle**)) \
  F(69, 1, create_cpu_memory, Status*(int allocator, int memory, MemoryInfo**)) \
  F(92, 1, release_env, void(Env*)) \
  F(93, 1, release_status, void(Status*)) \
  F(94, 1, release_memory, void(MemoryInfo*)) \
  F(95, 1, release_session, void(SessionHandle*)) \
  F(96, 1, release_value, void(TensorHandle*)) \
  F(100, 1, release_options, void(Options*)) \
  F(125, 2, providers, Status*(char*** names, int* count)) \
  F(126, 2, release_providers, Status*(char** names, int count)) \
  F(130, 3, add_config, Status*(Options*, const char* key, const char* value)) \
  F(133, 3, run_bound, Status*(SessionHandle*, const RunOptions*, const IoBinding*)) \
  F(134, 3, create_binding, Status*(SessionHandle*, IoBinding**)) \
  F(135, 3, release_binding, void(IoBinding*)) \
  F(136, 3, bind_input, Status*(IoBinding*, const char* name, const TensorHandle*)) \
  F(137, 3, bind_output, Status*(IoBinding*, const char* name, const TensorHandle*)) \
  F(204, 11, append_cuda, Status*(Options*, const CudaOptions*)) \
  F(205, 11, create_cuda_options, Status*(CudaOptions**)) \
  F(206, 11, update_cuda_options, Status*(CudaOptions*, const char* const* keys, const char* const* values, std::size_t)) \
  F(208, 11, release_cuda_options, void(CudaOptions*)) \
  F(216, 12, append_provider, Status*(Options*, const char* name, const char* const* keys, const char* const* values, std::size_t)) \
  F(279, 18, add_external_files, Status*(Options*, const char* const* names, char* const* buffers, const std::size_t* bytes, std::size_t count)) \
  F(407, 24, assignments, Status*(const SessionHandle*, const Subgraph* const**, std::size_t*)) \
  F(408, 24, assigned_provider, Status*(const Subgraph*, const char**)) \
  F(409, 24, assigned_nodes, Status*(const Subgraph*, const AssignedNode* const**, std::size_t*)) \
  F(410, 24, node_name, Status*(const AssignedNode*, const char**)) \
  F(412, 24, node_operator, Status*(const AssignedNode*, const char**))
// clang-format on

struct Api {
#define INLAY_ORT_MEMBER(slot, since, name, ...) std::add_pointer_t<__VA_ARGS__> name = nullptr;
  INLAY_ORT_FUNCTIONS(INLAY_ORT_MEMBER)
#undef INLAY_ORT_MEMBER
};

// Versions that this room takes. 1.18: weights out of memory (slot 279), the operator Gelu. Places
// are fixed for all of major version 1. The newest part in use came with 1.24.
inline constexpr int kMajor = 1, kLeastMinor = 18, kNewestMinor = 24;

// Takes the functions that a library of 1.`minor` has out of its table.
Api read_table(const void* const* table, int minor);

}  // namespace inlay::backend::onnxruntime
