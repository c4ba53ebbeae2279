// The table of ../device.h. Nothing is thrown out of it.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "backend/mlx/device.h"
#include "backend/mlx/device/operation.h"

namespace inlay::backend::mlx {
namespace {

using padded::Message;
using padded::Role;
using padded::SessionHandle;
using padded::TensorHandle;

// MLX's scheduler, allocator and caches belong to the process: one thread is in them at a time.
std::mutex& one_at_a_time() {
  static auto* mutex =
      new std::mutex;  // never deleted: tensors may be released while the process ends
  return *mutex;
}

Session* session(SessionHandle* handle) { return reinterpret_cast<Session*>(handle); }
TensorHandle* handle(Held tensor) {
  return reinterpret_cast<TensorHandle*>(new Held(std::move(tensor)));
}

// Whatever f throws becomes the message.
template <typename Result, typename F>
Result guarded(Message* message, Result otherwise, const F& f) {
  const std::lock_guard lock(one_at_a_time());
  try {
    return f();
  } catch (const std::exception& error) {
    std::snprintf(message->text, sizeof message->text, "%s", error.what());
  }
  return otherwise;
}

mx::Device device_of(const std::string& unit) {
  return {unit == "gpu" ? mx::Device::gpu : mx::Device::cpu, 0};
}

std::string device_name(const mx::Device& device) {
  const auto& facts = mx::device_info(device);
  const auto found = facts.find("device_name");
  const auto* name = found == facts.end() ? nullptr : std::get_if<std::string>(&found->second);
  return name == nullptr ? "a device without a name" : *name;
}

bool probe(const char* unit, Message* message) {
  return guarded(message, false, [&] {
    const mx::Device device = device_of(unit);
    const bool there = mx::is_available(device);
    const std::string words =
        there ? device_name(device) : "this MLX has no GPU that it can use on this machine";
    std::snprintf(message->text, sizeof message->text, "%s", words.c_str());
    return there;
  });
}

SessionHandle* open_session(const padded::SessionOptions* options, Message* message) {
  return guarded(message, static_cast<SessionHandle*>(nullptr), [&] {
    const std::string dtype = options->dtype;
    Session made;
    made.device = device_of(options->unit);
    if (!mx::is_available(made.device)) throw std::runtime_error("no such device");
    made.dtype = dtype == "fp16" ? mx::float16 : dtype == "bf16" ? mx::bfloat16 : mx::float32;
    made.bits = options->weight_bits;
    made.kernels.wanted =
        options->own_kernels != 0 && made.device == mx::Device::gpu && mx::metal::is_available();
    mx::set_cache_limit(static_cast<std::size_t>(options->cache_bytes));
    return reinterpret_cast<SessionHandle*>(new Session(std::move(made)));
  });
}

void close_session(SessionHandle* handle) {
  const std::lock_guard lock(one_at_a_time());
  delete session(handle);
  mx::clear_cache();
}

bool begin(SessionHandle*, Message*) { return true; }

// Weights of fewer bits where the session wants them and the rows allow it.
Held quantised(const Session& session, const mx::array& weight, bool table) {
  const auto group = static_cast<int>(padded::quantised_group(weight.shape(-1)));
  if (session.bits == 0 || group == 0) return {weight};
  const int bits = table ? padded::kTableBits : session.bits;
  const std::vector<mx::array> parts =
      mx::quantize(weight, group, bits, "affine", std::nullopt, session.device);
  return {parts[0], parts[1], parts[2], group, bits};
}

TensorHandle* upload(SessionHandle* at, const void* data, Role role, const std::int64_t* shape,
                     std::size_t dimensions, Message* message) {
  return guarded(message, static_cast<TensorHandle*>(nullptr), [&] {
    const Session& opened = *session(at);
    const mx::Shape sizes(shape, shape + dimensions);
    if (role == Role::kInteger) {
      return handle({mx::array(static_cast<const std::int32_t*>(data), sizes, mx::int32)});
    }
    const mx::array numbers(static_cast<const float*>(data), sizes, mx::float32);
    if (role == Role::kExact) return handle({numbers});
    const mx::array rounded = mx::astype(numbers, opened.dtype, opened.device);
    const bool weight = role == Role::kMatrix || role == Role::kTable;
    Held made = weight ? quantised(opened, rounded, role == Role::kTable) : Held{rounded};
    if (weight) {  // let go of the floats now
      std::vector<mx::array> all{made.values};
      if (made.scales) all.insert(all.end(), {*made.scales, *made.offsets});
      mx::eval(all);
    }
    return handle(std::move(made));
  });
}

TensorHandle* call(SessionHandle* at, const padded::Call* call, Message* message) {
  return guarded(message, static_cast<TensorHandle*>(nullptr),
                 [&] { return handle({run_operation(*session(at), *call)}); });
}

bool download(SessionHandle* at, const TensorHandle* tensor, float* out, std::size_t count,
              Message* message) {
  return guarded(message, false, [&] {
    const mx::Device device = session(at)->device;
    mx::array result =
        mx::contiguous(mx::astype(held(tensor)->values, mx::float32, device), false, device);
    mx::eval({result});
    if (result.size() != count) {
      throw std::runtime_error("a result of " + std::to_string(result.size()) + " elements where " +
                               std::to_string(count) + " were expected");
    }
    std::copy_n(result.data<float>(), count, out);
    return true;
  });
}

TensorHandle* share(const TensorHandle* tensor) {
  const std::lock_guard lock(one_at_a_time());
  return handle(*held(tensor));
}

void release(TensorHandle* tensor) {
  const std::lock_guard lock(one_at_a_time());
  delete reinterpret_cast<Held*>(tensor);
}

std::int64_t bytes(const TensorHandle* tensor) {
  const Held& all = *held(tensor);
  std::size_t sum = all.values.nbytes();
  if (all.scales) sum += all.scales->nbytes() + all.offsets->nbytes();
  return static_cast<std::int64_t>(sum);
}

const char* notes(SessionHandle* handle) {
  Session& opened = *session(handle);
  const KernelUse& use = opened.kernels;
  opened.notes = use.wanted ? "" : "own Metal kernels: none";
  const auto add = [&](const char* what, std::int64_t count) {
    if (count > 0)
      opened.notes +=
          "own Metal kernel " + std::string(what) + ": " + std::to_string(count) + " calls\n";
  };
  add("attention", use.attention);
  add("residual_layer_norm", use.norm);
  add("bias_gelu", use.gelu);
  add("pool_normalize", use.pool);
  add("vocabulary_max", use.vocabulary);
  return opened.notes.c_str();
}

const char* running() { return mx::version(); }

const padded::TensorApi kTensors{open_session, close_session, begin,   upload, call,
                                 download,     share,         release, bytes,  notes};
#define INLAY_TEXT_OF(x) #x
#define INLAY_TEXT(x) INLAY_TEXT_OF(x)
const Api kApi{kInterface,
               INLAY_VERSION,
               INLAY_TEXT(MLX_VERSION_MAJOR) "." INLAY_TEXT(MLX_VERSION_MINOR) "." INLAY_TEXT(
                   MLX_VERSION_PATCH),
               running,
               probe,
               &kTensors};

}  // namespace
}  // namespace inlay::backend::mlx

extern "C" __attribute__((visibility("default"))) const inlay::backend::mlx::Api* inlay_mlx_api() {
  return &inlay::backend::mlx::kApi;
}
