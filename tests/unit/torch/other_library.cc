// A LibTorch 2.12 that has every function and adds wrongly: what a changed calling convention would
// look like.
#include <cstring>

#include "backend/torch/shim.h"

using inlay::backend::torch::Aten;
using inlay::backend::torch::ErrorCode;
using inlay::backend::torch::List;
using inlay::backend::torch::StackValue;
using inlay::backend::torch::String;

namespace {

std::int64_t sizes[1] = {2};
float numbers[16] = {1, 2};
Aten* some(void* from = numbers) { return static_cast<Aten*>(from); }

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))
#define NUMBER(name) \
  EXPORT std::int32_t name() { return 0; }
NUMBER(aoti_torch_device_type_cpu)
NUMBER(aoti_torch_device_type_cuda)
NUMBER(aoti_torch_device_type_mps)
NUMBER(aoti_torch_dtype_float32)
NUMBER(aoti_torch_dtype_float16)
NUMBER(aoti_torch_dtype_bfloat16)
NUMBER(aoti_torch_dtype_int32)

EXPORT std::uint64_t aoti_torch_abi_version() {
  return (std::uint64_t{2} << 56U) | (std::uint64_t{12} << 48U);
}
EXPORT std::size_t aoti_torch_dtype_element_size(std::int32_t) { return 4; }
EXPORT ErrorCode aoti_torch_create_tensor_from_blob(void*, std::int64_t, const std::int64_t*,
                                                    const std::int64_t*, std::int64_t, std::int32_t,
                                                    std::int32_t, std::int32_t, Aten** out) {
  *out = some();
  return 0;
}
EXPORT ErrorCode aoti_torch_new_tensor_handle(Aten*, Aten** out) {
  *out = some();
  return 0;
}
EXPORT ErrorCode aoti_torch_delete_tensor_object(Aten*) { return 0; }
EXPORT ErrorCode aoti_torch_get_data_ptr(Aten*, void** out) {
  *out = numbers;
  return 0;
}
EXPORT ErrorCode aoti_torch_get_dim(Aten*, std::int64_t* out) {
  *out = 1;
  return 0;
}
EXPORT ErrorCode aoti_torch_get_sizes(Aten*, std::int64_t** out) {
  *out = sizes;
  return 0;
}
EXPORT ErrorCode aoti_torch_get_numel(Aten*, std::int64_t* out) {
  *out = 2;
  return 0;
}
EXPORT ErrorCode aoti_torch_get_dtype(Aten*, std::int32_t* out) {
  *out = 0;
  return 0;
}
EXPORT void aoti_torch_grad_mode_set_enabled(bool) {}
EXPORT ErrorCode aoti_torch_scalar_to_tensor_float32(float, Aten** out) {
  *out = some();
  return 0;
}
EXPORT ErrorCode aoti_torch_aten_subtract_Tensor(Aten*, Aten*, double, Aten** out) {
  *out = some();
  return 0;
}
EXPORT ErrorCode torch_call_dispatcher(const char*, const char*, StackValue* stack, std::uint64_t) {
  stack[0] = static_cast<StackValue>(reinterpret_cast<std::uintptr_t>(numbers));
  return 0;
}
EXPORT ErrorCode torch_new_list_reserve_size(std::size_t, List** out) {
  *out = reinterpret_cast<List*>(numbers);
  return 0;
}
EXPORT ErrorCode torch_list_push_back(List*, StackValue) { return 0; }
EXPORT ErrorCode torch_new_string_handle(const char*, std::size_t, String** out) {
  *out = reinterpret_cast<String*>(numbers);
  return 0;
}
