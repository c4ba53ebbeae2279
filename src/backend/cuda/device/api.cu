// The library's border: the table of functions, failures turned into messages, and what this
// machine has.
#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "backend/cuda/device/session.h"

namespace inlay::backend::cuda {
namespace {

void write(Message* message, const std::string& text) {
  const std::size_t count = std::min(text.size(), static_cast<std::size_t>(kMessageBytes) - 1);
  std::memcpy(message->text, text.data(), count);
  message->text[count] = 0;
}

// Runs `work` and turns what it throws into a status.
template <typename F>
Status guarded(Message* message, const F& work) {
  try {
    work();
    return Status::kOk;
  } catch (const Failure& failure) {
    write(message, failure.text);
    return failure.status;
  } catch (const std::bad_alloc&) {
    write(message, "out of memory");
    return Status::kOutOfMemory;
  } catch (const std::exception& error) {
    write(message, error.what());
    return Status::kFailed;
  }
}

// Likewise of a session: after a failure nothing else runs on it, whatever state the GPU is in.
template <typename F>
Status on_session(Session* session, Message* message, const F& work) {
  if (const std::string why = session->why_broken(); !why.empty()) {
    write(message, why);
    return Status::kFailed;
  }
  const Status status = guarded(message, [&] {
    session->enter();
    work();
  });
  if (status != Status::kOk)
    session->breaks(std::string("stopped after an earlier failure: ") + message->text);
  return status;
}

void refuse(ProbeReport* report, const std::string& reason, const std::string& remedy) {
  report->status = Status::kUnavailable;
  write(&report->reason, reason);
  write(&report->remedy, remedy);
}

void probe(ProbeReport* report) {
  *report = ProbeReport{};
  report->runtime_version = CUDART_VERSION;
  void* driver = ::dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (driver == nullptr) {
    refuse(report, "no NVIDIA driver for CUDA (libcuda.so.1) is on this machine",
           "install NVIDIA's driver of version 580 or newer, or use --device cpu");
    return;
  }
  cudaDriverGetVersion(&report->driver_version);
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  cudaGetLastError();
  if (error == cudaErrorInsufficientDriver) {
    refuse(report,
           "the NVIDIA driver is too old: it knows CUDA " +
               std::to_string(report->driver_version / 1000) + ", and this library needs CUDA 13",
           "install a driver of version 580 or newer, or use --device cpu");
    return;
  }
  if (error != cudaSuccess || count < 1) {
    refuse(report,
           std::string("the NVIDIA driver shows no GPU: ") +
               (error != cudaSuccess ? cudaGetErrorString(error) : "none is visible"),
           "see whether nvidia-smi lists one and CUDA_VISIBLE_DEVICES hides none, or use --device "
           "cpu");
    return;
  }
  report->devices = count;
  if (!lt_library().problem.empty()) {
    refuse(report, lt_library().problem,
           "install cuBLAS of CUDA 13 (the package nvidia-cublas has it) and name its folder in "
           "LD_LIBRARY_PATH, or use --device cpu");
    return;
  }
  report->cublaslt_version = lt_library().version;
}

Status device_facts(std::int32_t device, DeviceFacts* facts, Message* message) {
  return guarded(message, [&] {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, device), "asking a GPU what it is");
    const std::size_t length = std::min(std::strlen(properties.name), sizeof facts->name - 1);
    std::memcpy(facts->name, properties.name, length);
    facts->name[length] = 0;
    facts->major = properties.major;
    facts->minor = properties.minor;
    facts->memory_bytes = static_cast<std::int64_t>(properties.totalGlobalMem);
  });
}

Status create(const SessionSpec* spec, Session** session, Message* message) {
  *session = nullptr;
  return guarded(message, [&] { *session = new Session(*spec); });
}

Status upload(Session* session, const float* values, std::int64_t rows, std::int64_t columns,
              std::int64_t offset, std::int64_t ld, Type type, Message* message) {
  return on_session(session, message,
                    [&] { session->upload(values, rows, columns, offset, ld, type); });
}

Status upload_e4m3(Session* session, const float* values, std::int64_t rows, std::int64_t columns,
                   const float* factors, const float* shifts, std::int64_t offset, std::int64_t ld,
                   float* scales, float* shares, float* lengths, Message* message) {
  return on_session(session, message, [&] {
    session->upload_e4m3(values, rows, columns, factors, shifts, offset, ld, scales, shares,
                         lengths);
  });
}

Status upload_words(Session* session, const std::int32_t* values, std::int64_t count,
                    std::int64_t offset, Message* message) {
  return on_session(session, message, [&] { session->upload_words(values, count, offset); });
}

Status prepare(Session* session, Message* message) {
  return on_session(session, message, [&] { session->prepare(); });
}

std::int32_t* inputs(Session* session, int stage) { return session->inputs(stage); }

const char* outputs(Session* session, int stage) { return session->outputs(stage); }

BatchShape padded(Session* session, const BatchShape* shape) { return session->padded(*shape); }

Status submit(Session* session, int stage, const BatchShape* shape, const BatchShape* padded,
              Message* message) {
  return on_session(session, message, [&] { session->submit(stage, *shape, *padded); });
}

Status wait(Session* session, int stage, Message* message) {
  return on_session(session, message, [&] { session->wait(stage); });
}

Status time(Session* session, int repeats, float* operations, float* all, Message* message) {
  return on_session(session, message, [&] { *all = session->time(repeats, operations); });
}

Status describe(Session* session, std::int64_t op, Message* text) {
  return on_session(session, text, [&] { write(text, session->describe(op)); });
}

void destroy(Session* session) { delete session; }

constexpr Api kApi{kInterface,  INLAY_VERSION, probe,   device_facts, create,  upload,
                   upload_e4m3, upload_words,  prepare, inputs,       outputs, padded,
                   submit,      wait,          time,    describe,     destroy};

}  // namespace
}  // namespace inlay::backend::cuda

extern "C" __attribute__((visibility("default"))) const inlay::backend::cuda::Api*
inlay_cuda_api() {
  return &inlay::backend::cuda::kApi;
}
