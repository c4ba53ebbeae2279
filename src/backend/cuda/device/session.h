// What the files of the library share: a session's memory, the launch of one operation, failures.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backend/cuda/device.h"
#include "backend/cuda/device/gemm_sm90.h"
#include "backend/cuda/device/lt.h"
#include "backend/cuda/device/short_text.h"

namespace inlay::backend::cuda {

// Thrown inside the library, turned into a Status and a Message at its border.
struct Failure {
  Status status;
  std::string text;
};
void check(cudaError_t error, const char* what);

// Everything that launching an operation takes.
struct Launch {
  cudaStream_t stream;
  BatchShape shape;
  InputLayout at;
  const std::int32_t* inputs;  // on the device
  char* blocks[4];             // by Block
  bool overlaps;               // whether kernels may begin before the one before has ended

  template <typename T = void>
  T* pointer(const Place& place) const {
    if (!present(place)) return nullptr;
    return reinterpret_cast<T*>(blocks[static_cast<int>(place.block)] + place.offset);
  }
  std::int64_t rows(RowKind kind) const {
    return kind == RowKind::kTokens  ? shape.tokens
           : kind == RowKind::kTexts ? shape.texts
                                     : shape.spans;
  }
};

// Each enqueues its kernels. rows.cu:
void launch(const Launch& run, const EmbedOp& op);
void launch(const Launch& run, const NormOp& op);
void launch(const Launch& run, const GateOp& op);
void launch(const Launch& run, const PrepareOp& op);
void launch(const Launch& run, const AddOp& op);
void launch(const Launch& run, const ExpertsOp& op);
// out = activation(out + bias) in place, rows of n; a null bias adds nothing.
void launch_activation(const Launch& run, const Place& out, std::int64_t rows, std::int64_t n,
                       const float* bias, Activation activation);
// pool.cu:
void launch(const Launch& run, const SelectOp& op);
void launch(const Launch& run, const PoolOp& op);
void launch(const Launch& run, const RowOp& op);
void launch_vocabulary(const Launch& run, const VocabularyOp& op, std::int64_t first,
                       std::int64_t count);  // of the columns whose logits are there
// attention.cu, which hands what it can to attention_mma.cu:
void launch(const Launch& run, const AttentionOp& op);
bool launch_mma(const Launch& run, const AttentionOp& op);  // false: not its kind

// gemm.cu: one product, planned once for every number of rows.
class Product {
 public:
  // `at` has the blocks' addresses. The weights that run() reads may lie `weight_bytes` further on,
  // where the output is fp32.
  Product(Lt* lt, const Launch& at, const LinearOp& op, std::int64_t most_rows);
  // out = activation(in W^T + bias).
  void run(const Launch& launch, std::int64_t rows, std::int64_t weight_bytes, Lt* lt) const;
  std::string text() const;  // which kernel does it, for benches

 private:
  // cuBLASLt adds a bias of the output's type.
  bool fuses_bias() const { return present(op_.bias) && op_.bias.type == op_.out.type; }
  void choose(Lt* lt, const Launch& at, const LtShape& shape, std::int64_t most_rows);
  ProductChoice timed(Lt* lt, const Launch& at, std::int64_t most_rows);
  void run_lt(const Launch& launch, std::int64_t rows, std::int64_t weight_bytes, Lt* lt) const;
  LinearOp op_;
  bool own_ = false;          // Inlay's kernels for Hopper,
  bool lt_for_many_ = false;  // but for many rows
  Sm90Product sm90_;
  LtProduct lt_;  // neither: the plain kernel
};

struct DeviceMemory {
  void* data = nullptr;
  DeviceMemory() = default;
  explicit DeviceMemory(std::int64_t bytes);
  ~DeviceMemory() { cudaFree(data); }
  DeviceMemory(DeviceMemory&& other) noexcept : data(other.data) { other.data = nullptr; }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept {
    std::swap(data, other.data);
    return *this;
  }
};
struct PinnedMemory {
  void* data = nullptr;
  PinnedMemory() = default;
  explicit PinnedMemory(std::int64_t bytes);
  ~PinnedMemory() { cudaFreeHost(data); }
  PinnedMemory(PinnedMemory&& other) noexcept : data(other.data) { other.data = nullptr; }
  PinnedMemory& operator=(PinnedMemory&& other) noexcept {
    std::swap(data, other.data);
    return *this;
  }
};

struct Session {
  explicit Session(const SessionSpec& spec);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void upload(const float* values, std::int64_t rows, std::int64_t columns, std::int64_t offset,
              std::int64_t ld, Type to);
  void upload_e4m3(const float* values, std::int64_t rows, std::int64_t columns,
                   const float* factors, const float* shifts, std::int64_t offset, std::int64_t ld,
                   float* scales, float* shares, float* lengths);
  void upload_words(const std::int32_t* values, std::int64_t count, std::int64_t offset);
  void prepare();
  BatchShape padded(const BatchShape& shape) const;
  void submit(int stage, const BatchShape& shape, const BatchShape& padded);
  void wait(int stage);
  float time(int repeats, float* operations);
  std::string describe(std::int64_t op) const;
  void enter() const { check(cudaSetDevice(device), "choosing the GPU"); }
  std::int32_t* inputs(int stage) { return static_cast<std::int32_t*>(stages[stage].inputs.data); }
  const char* outputs(int stage) const {
    return static_cast<const char*>(stages[stage].outputs.data);
  }

  std::string why_broken() {
    const std::lock_guard lock(broken_mutex);
    return broken;
  }
  void breaks(const std::string& why) {
    const std::lock_guard lock(broken_mutex);
    if (broken.empty()) broken = why;
  }

 private:
  Launch launch_for(const BatchShape& shape) const;
  void plan_products(const std::vector<Op>& list, std::vector<std::vector<Product>>* products);
  void run_ops(const Launch& run, const std::vector<Op>& list,
               const std::vector<std::vector<Product>>& products);
  void enqueue(int stage, const BatchShape& shape, const BatchShape& padded);
  void record_graphs();
  void warm_short_text();
  void run_op(const Launch& run, const Op& op, const std::vector<Product>& products);

  std::mutex broken_mutex;  // one thread may wait while another submits
  std::string broken;       // why nothing runs any more; empty: all is well
  const std::int32_t device;
  bool overlaps = false;
  const InputKinds kinds;
  const std::int64_t input_words, output_bytes;
  const BatchShape most;  // of a submission
  BatchShape last_shape{};
  int last_stage = 0;
  std::vector<Op> setup, ops;
  std::vector<std::vector<Product>> setup_products, op_products;  // of each operation
  std::vector<OutputSpec> outputs_;
  cudaStream_t stream = nullptr;
  std::unique_ptr<Lt> lt;
  DeviceMemory weights, slots, results, device_inputs, convert;
  PinnedMemory bounce;
  struct Stage {
    PinnedMemory inputs, outputs;
    cudaEvent_t done = nullptr;
    std::int64_t short_texts = 0;  // of a submission that short_text runs
  };
  Stage stages[kStages];
  // A shape's submission as one launch, copies included: of small batches, which would wait for the
  // host to launch their kernels. Ascending by tokens, then texts.
  struct Graph {
    BatchShape shape;
    cudaGraphExec_t of_stage[kStages];
  };
  std::vector<Graph> graphs;
  ShortText short_text;  // takes the smallest batches where it can
};

}  // namespace inlay::backend::cuda
