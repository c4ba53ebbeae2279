// The part of ONNX Runtime's C API that this room calls, declared here: no header of it is needed
// to build. OrtGetApiBase()->GetApi(version) gives a table of function pointers to which every
// release only appends; the numbers below are places in it, taken with offsetof from the header of
// API 29 and held against the library at hand by self_test.cc before anything relies on them.
#pragma once

#include <cstddef>
#include <cstdint>

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
struct Subgraph;
struct AssignedNode;

// OrtErrorCode, OrtLoggingLevel, GraphOptimizationLevel, ONNXTensorElementDataType,
// OrtAllocatorType and OrtMemType as far as they are used.
inline constexpr int kFail = 1, kInvalidArgument = 2;
inline constexpr int kLogInfo = 1, kLogWarning = 2;
inline constexpr int kOptimizeAll = 99;
inline constexpr int kFloat = 1, kInt32 = 6, kInt64 = 7;
inline constexpr int kArenaAllocator = 1, kDefaultMemory = 0;

using LogFunction = void (*)(void* parameter, int severity, const char* category, const char* logid,
                             const char* place, const char* message);

struct ApiBase {
  const void* const* (*get_api)(std::uint32_t version);
  const char* (*version)();
};
inline constexpr const char* kEntry = "OrtGetApiBase";

// F(slot, since, result, name, parameters): `since` is the minor version of ONNX Runtime 1 that
// brought the function; one that the library is too old for stays null.
// clang-format off
#define INLAY_ORT_FUNCTIONS(F)                                                                                     \
  F(0, 1, Status*, create_status, (int code, const char* message))                                                 \
  F(1, 1, int, error_code, (const Status*))                                                                        \
  F(2, 1, const char*, error_message, (const Status*))                                                             \
  F(4, 1, Status*, create_env, (LogFunction, void* parameter, int severity, const char* logid, Env**))              \
  F(8, 1, Status*, create_session, (const Env*, const void* model, std::size_t bytes, const Options*, SessionHandle**)) \
  F(9, 1, Status*, run, (SessionHandle*, const RunOptions*, const char* const* input_names, const TensorHandle* const* inputs, \
                         std::size_t input_count, const char* const* output_names, std::size_t output_count, TensorHandle** outputs)) \
  F(10, 1, Status*, create_options, (Options**))                                                                   \
  F(20, 1, Status*, set_log_id, (Options*, const char*))                                                           \
  F(22, 1, Status*, set_log_severity, (Options*, int))                                                             \
  F(23, 1, Status*, set_optimization, (Options*, int))                                                             \
  F(24, 1, Status*, set_threads, (Options*, int))                                                                  \
  F(30, 1, Status*, input_count, (const SessionHandle*, std::size_t*))                                             \
  F(31, 1, Status*, output_count, (const SessionHandle*, std::size_t*))                                            \
  F(49, 1, Status*, create_tensor, (const MemoryInfo*, void* data, std::size_t bytes, const std::int64_t* shape,   \
                                    std::size_t rank, int type, TensorHandle**))                                          \
  F(69, 1, Status*, create_cpu_memory, (int allocator, int memory, MemoryInfo**))                                  \
  F(92, 1, void, release_env, (Env*))                                                                              \
  F(93, 1, void, release_status, (Status*))                                                                        \
  F(94, 1, void, release_memory, (MemoryInfo*))                                                                    \
  F(95, 1, void, release_session, (SessionHandle*))                                                                \
  F(96, 1, void, release_value, (TensorHandle*))                                                                          \
  F(100, 1, void, release_options, (Options*))                                                                     \
  F(125, 2, Status*, providers, (char*** names, int* count))                                                       \
  F(126, 2, Status*, release_providers, (char** names, int count))                                                 \
  F(130, 3, Status*, add_config, (Options*, const char* key, const char* value))                                   \
  F(204, 11, Status*, append_cuda, (Options*, const CudaOptions*))                                                 \
  F(205, 11, Status*, create_cuda_options, (CudaOptions**))                                                        \
  F(206, 11, Status*, update_cuda_options, (CudaOptions*, const char* const* keys, const char* const* values, std::size_t)) \
  F(208, 11, void, release_cuda_options, (CudaOptions*))                                                           \
  F(216, 12, Status*, append_provider, (Options*, const char* name, const char* const* keys, const char* const* values, \
                                        std::size_t))                                                              \
  F(279, 18, Status*, add_external_files, (Options*, const char* const* names, char* const* buffers,               \
                                           const std::size_t* bytes, std::size_t count))                           \
  F(407, 24, Status*, assignments, (const SessionHandle*, const Subgraph* const**, std::size_t*))                  \
  F(408, 24, Status*, assigned_provider, (const Subgraph*, const char**))                                          \
  F(409, 24, Status*, assigned_nodes, (const Subgraph*, const AssignedNode* const**, std::size_t*))                \
  F(410, 24, Status*, node_name, (const AssignedNode*, const char**))                                              \
  F(412, 24, Status*, node_operator, (const AssignedNode*, const char**))
// clang-format on

struct Api {
#define INLAY_ORT_MEMBER(slot, since, result, name, parameters) result(*name) parameters = nullptr;
  INLAY_ORT_FUNCTIONS(INLAY_ORT_MEMBER)
#undef INLAY_ORT_MEMBER
};

// Versions that this room takes. 1.18: weights out of memory (slot 279), the operator Gelu. Places
// are fixed for all of major version 1. The newest part in use came with 1.24.
inline constexpr int kMajor = 1, kLeastMinor = 18, kNewestMinor = 24;

// Takes the functions that a library of 1.`minor` has out of its table.
Api read_table(const void* const* table, int minor);

}  // namespace inlay::backend::onnxruntime
