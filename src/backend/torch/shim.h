// The part of LibTorch's stable C interface that this room calls (its
// torch/csrc/inductor/aoti_torch/ c/shim.h and torch/csrc/stable/c/shim.h), declared here: no
// header of it is needed to build. The functions are exported by name from libtorch_cpu and keep
// their signatures within a major version; values of dtypes and devices are asked for, not assumed.
// Any operator of ATen is called by its name with a stack of 64-bit values, so the library's own
// schema is what decides.
#pragma once

#include <cstddef>
#include <cstdint>

namespace inlay::backend::torch {

// Opaque, LibTorch's.
struct Aten;
struct List;
struct String;

// An argument or result of an operator: an integer, a double or a bool in its lowest bytes, an
// owned handle, or for an optional a pointer to a value, which the call frees; null: none.
using StackValue = std::uint64_t;
using ErrorCode = std::int32_t;  // 0: success

// X(name, needed, return type, arguments...): a function that is not needed may be missing.
#define INLAY_TORCH_FUNCTIONS(X)                                                                   \
  X(aoti_torch_abi_version, true, std::uint64_t)                                                   \
  X(aoti_torch_device_type_cpu, true, std::int32_t)                                                \
  X(aoti_torch_device_type_cuda, true, std::int32_t)                                               \
  X(aoti_torch_device_type_mps, true, std::int32_t)                                                \
  X(aoti_torch_dtype_float32, true, std::int32_t)                                                  \
  X(aoti_torch_dtype_float16, true, std::int32_t)                                                  \
  X(aoti_torch_dtype_bfloat16, true, std::int32_t)                                                 \
  X(aoti_torch_dtype_int32, true, std::int32_t)                                                    \
  X(aoti_torch_dtype_element_size, true, std::size_t, std::int32_t)                                \
  X(aoti_torch_create_tensor_from_blob, true, ErrorCode, void*, std::int64_t, const std::int64_t*, \
    const std::int64_t*, std::int64_t, std::int32_t, std::int32_t, std::int32_t, Aten**)           \
  X(aoti_torch_new_tensor_handle, true, ErrorCode, Aten*, Aten**)                                  \
  X(aoti_torch_delete_tensor_object, true, ErrorCode, Aten*)                                       \
  X(aoti_torch_get_data_ptr, true, ErrorCode, Aten*, void**)                                       \
  X(aoti_torch_get_dim, true, ErrorCode, Aten*, std::int64_t*)                                     \
  X(aoti_torch_get_sizes, true, ErrorCode, Aten*, std::int64_t**)                                  \
  X(aoti_torch_get_numel, true, ErrorCode, Aten*, std::int64_t*)                                   \
  X(aoti_torch_get_dtype, true, ErrorCode, Aten*, std::int32_t*)                                   \
  X(aoti_torch_grad_mode_set_enabled, true, void, bool)                                            \
  X(aoti_torch_scalar_to_tensor_float32, true, ErrorCode, float, Aten**)                           \
  X(aoti_torch_aten_subtract_Tensor, true, ErrorCode, Aten*, Aten*, double, Aten**)                \
  X(torch_call_dispatcher, true, ErrorCode, const char*, const char*, StackValue*, std::uint64_t)  \
  X(torch_new_list_reserve_size, true, ErrorCode, std::size_t, List**)                             \
  X(torch_list_push_back, true, ErrorCode, List*, StackValue)                                      \
  X(torch_new_string_handle, true, ErrorCode, const char*, std::size_t, String**)                  \
  X(torch_exception_get_what_without_backtrace, false, const char*)                                \
  X(torch_new_stable_ivalue, false, ErrorCode, StackValue**)

struct Shim {
#define INLAY_TORCH_MEMBER(name, needed, result, ...) result (*name)(__VA_ARGS__) = nullptr;
  INLAY_TORCH_FUNCTIONS(INLAY_TORCH_MEMBER)
#undef INLAY_TORCH_MEMBER
  // Of the C++ interface, under their names there; may be missing. at::set_num_threads(int),
  // at::globalContext() and at::Context::setSDPUseCuDNN(bool), whose `this` comes first.
  void (*set_num_threads)(int) = nullptr;
  void* (*global_context)() = nullptr;
  void (*set_cudnn_attention)(void* context, bool) = nullptr;
};

// torch_call_dispatcher exists from 2.10 on; newer libraries are told that calls are as they were
// then.
inline constexpr int kMajor = 2, kLeastMinor = 10;
inline constexpr std::uint64_t kCallVersion =
    (std::uint64_t{kMajor} << 56U) | (std::uint64_t{kLeastMinor} << 48U);

}  // namespace inlay::backend::torch
