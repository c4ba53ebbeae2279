// cuBLASLt, opened at run time, and products planned with it.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>

#include "backend/cuda/device.h"

namespace inlay::backend::cuda {

// Its functions. Opened once, never closed; `problem` says why they are not there.
struct LtLibrary {
  std::string problem;
  std::int64_t version = 0;
  decltype(&::cublasLtGetVersion) GetVersion = nullptr;
  decltype(&::cublasLtGetStatusString) GetStatusString = nullptr;
  decltype(&::cublasLtCreate) Create = nullptr;
  decltype(&::cublasLtDestroy) Destroy = nullptr;
  decltype(&::cublasLtMatmul) Matmul = nullptr;
  decltype(&::cublasLtMatmulDescCreate) MatmulDescCreate = nullptr;
  decltype(&::cublasLtMatmulDescDestroy) MatmulDescDestroy = nullptr;
  decltype(&::cublasLtMatmulDescSetAttribute) MatmulDescSetAttribute = nullptr;
  decltype(&::cublasLtMatrixLayoutCreate) MatrixLayoutCreate = nullptr;
  decltype(&::cublasLtMatrixLayoutDestroy) MatrixLayoutDestroy = nullptr;
  decltype(&::cublasLtMatrixLayoutSetAttribute) MatrixLayoutSetAttribute = nullptr;
  decltype(&::cublasLtMatmulPreferenceCreate) MatmulPreferenceCreate = nullptr;
  decltype(&::cublasLtMatmulPreferenceDestroy) MatmulPreferenceDestroy = nullptr;
  decltype(&::cublasLtMatmulPreferenceSetAttribute) MatmulPreferenceSetAttribute = nullptr;
  decltype(&::cublasLtMatmulAlgoGetHeuristic) MatmulAlgoGetHeuristic = nullptr;
  decltype(&::cublasLtMatmulAlgoCheck) MatmulAlgoCheck = nullptr;
  decltype(&::cublasLtMatmulAlgoConfigGetAttribute) MatmulAlgoConfigGetAttribute = nullptr;
};
const LtLibrary& lt_library();

// What decides the algorithm of a product: never the number of rows.
struct LtShape {
  std::int64_t n, k, ld_weight, ld_in, ld_out;
  Type in, out;
  bool bias;
  Activation activation;  // for Inlay's own kernel; cuBLASLt knows none
  auto tie() const { return std::tie(n, k, ld_weight, ld_in, ld_out, in, out, bias, activation); }
  bool operator<(const LtShape& other) const { return tie() < other.tie(); }
};

// What was the fastest for many rows of a shape, timed once: tiles of Inlay's own kernel of so many
// columns, or cuBLASLt.
struct ProductChoice {
  int columns = 192;
  bool lt = false;
};

struct LtAlgorithm {
  bool found = false;
  cublasLtMatmulAlgo_t algorithm{};
  std::string text;
};

class LtProduct;

// A handle, its workspace, and the algorithms found so far. Of one stream.
class Lt {
 public:
  static constexpr std::size_t kWorkspace = std::size_t{32} << 20;

  explicit Lt(cudaStream_t stream);
  ~Lt();
  Lt(const Lt&) = delete;
  Lt& operator=(const Lt&) = delete;

  std::map<LtShape, ProductChoice> choices;  // of gemm.cu

 private:
  friend class LtProduct;
  const LtAlgorithm& algorithm(const LtShape& shape, const LtProduct& product,
                               std::int64_t most_rows);
  cublasLtHandle_t handle_ = nullptr;
  cudaStream_t stream_;
  void* workspace_ = nullptr;
  std::map<LtShape, LtAlgorithm> known_;
};

// One product [rows, n] = [rows, k] times [n, k]^T for any number of rows, by one algorithm: sums
// along k have one order whatever the number of rows. Empty where cuBLASLt has none.
class LtProduct {
 public:
  LtProduct() = default;
  LtProduct(Lt* lt, const LtShape& shape, std::int64_t most_rows);
  ~LtProduct();
  LtProduct(LtProduct&& other) noexcept { swap(other); }
  LtProduct& operator=(LtProduct&& other) noexcept {
    swap(other);
    return *this;
  }
  bool present() const { return algorithm_ != nullptr; }
  const std::string& text() const { return algorithm_->text; }
  // bias: [n] of the output's type, or null.
  void run(Lt* lt, const void* in, const void* weight, const void* bias, void* out,
           std::int64_t rows) const;

 private:
  friend class Lt;
  void set_rows(std::int64_t rows) const;
  void swap(LtProduct& other) noexcept;
  cublasLtMatmulDesc_t desc_ = nullptr;
  cublasLtMatrixLayout_t weight_ = nullptr, in_ = nullptr, out_ = nullptr;
  const LtAlgorithm* algorithm_ = nullptr;
};

}  // namespace inlay::backend::cuda
