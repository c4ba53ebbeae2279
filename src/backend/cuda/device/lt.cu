// Opening cuBLASLt and pinning one algorithm a shape.
#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "backend/cuda/device/lt.h"
#include "backend/cuda/device/session.h"

namespace inlay::backend::cuda {
namespace {

constexpr std::size_t kLeastVersion = 130000;  // what cublasLt.h here describes
constexpr int kCandidates = 16;

template <typename F>
bool find(void* handle, const char* name, F* function) {
  *function = reinterpret_cast<F>(::dlsym(handle, name));
  return *function != nullptr;
}

LtLibrary open_lt() {
  LtLibrary lt;
  void* handle = nullptr;
  for (const char* name : {"libcublasLt.so.13", "/usr/local/cuda/lib64/libcublasLt.so.13"}) {
    handle = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (handle != nullptr) break;
  }
  if (handle == nullptr) {
    const char* why = ::dlerror();
    lt.problem =
        std::string("libcublasLt.so.13 could not be opened (") + (why ? why : "no reason") + ")";
    return lt;
  }
  const bool complete =
      find(handle, "cublasLtGetVersion", &lt.GetVersion) &&
      find(handle, "cublasLtGetStatusString", &lt.GetStatusString) &&
      find(handle, "cublasLtCreate", &lt.Create) && find(handle, "cublasLtDestroy", &lt.Destroy) &&
      find(handle, "cublasLtMatmul", &lt.Matmul) &&
      find(handle, "cublasLtMatmulDescCreate", &lt.MatmulDescCreate) &&
      find(handle, "cublasLtMatmulDescDestroy", &lt.MatmulDescDestroy) &&
      find(handle, "cublasLtMatmulDescSetAttribute", &lt.MatmulDescSetAttribute) &&
      find(handle, "cublasLtMatrixLayoutCreate", &lt.MatrixLayoutCreate) &&
      find(handle, "cublasLtMatrixLayoutDestroy", &lt.MatrixLayoutDestroy) &&
      find(handle, "cublasLtMatrixLayoutSetAttribute", &lt.MatrixLayoutSetAttribute) &&
      find(handle, "cublasLtMatmulPreferenceCreate", &lt.MatmulPreferenceCreate) &&
      find(handle, "cublasLtMatmulPreferenceDestroy", &lt.MatmulPreferenceDestroy) &&
      find(handle, "cublasLtMatmulPreferenceSetAttribute", &lt.MatmulPreferenceSetAttribute) &&
      find(handle, "cublasLtMatmulAlgoGetHeuristic", &lt.MatmulAlgoGetHeuristic) &&
      find(handle, "cublasLtMatmulAlgoCheck", &lt.MatmulAlgoCheck) &&
      find(handle, "cublasLtMatmulAlgoConfigGetAttribute", &lt.MatmulAlgoConfigGetAttribute);
  if (complete) lt.version = static_cast<std::int64_t>(lt.GetVersion());
  if (!complete || lt.version < static_cast<std::int64_t>(kLeastVersion)) {
    lt.problem = "libcublasLt.so.13 is of version " + std::to_string(lt.version) + ", older than " +
                 std::to_string(kLeastVersion);
  }
  return lt;
}

cudaDataType_t data_type(Type type) {
  return type == Type::kF16 ? CUDA_R_16F : type == Type::kBF16 ? CUDA_R_16BF : CUDA_R_32F;
}

void check_lt(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Failure{Status::kFailed,
                std::string(what) + ": cuBLASLt says " + lt_library().GetStatusString(status)};
}

template <typename T>
T config(const cublasLtMatmulAlgo_t& algorithm, cublasLtMatmulAlgoConfigAttributes_t which) {
  T value{};
  std::size_t written = 0;
  lt_library().MatmulAlgoConfigGetAttribute(&algorithm, which, &value, sizeof value, &written);
  return value;
}

}  // namespace

const LtLibrary& lt_library() {
  static const LtLibrary opened = open_lt();
  return opened;
}

Lt::Lt(cudaStream_t stream) : stream_(stream) {
  if (!lt_library().problem.empty()) throw Failure{Status::kUnavailable, lt_library().problem};
  check_lt(lt_library().Create(&handle_), "starting cuBLASLt");
  check(cudaMalloc(&workspace_, kWorkspace), "taking cuBLASLt's workspace");
}

Lt::~Lt() {
  cudaFree(workspace_);
  if (handle_ != nullptr) lt_library().Destroy(handle_);
}

const LtAlgorithm& Lt::algorithm(const LtShape& shape, const LtProduct& product,
                                 std::int64_t most_rows) {
  const auto [found, is_new] = known_.try_emplace(shape);
  LtAlgorithm& answer = found->second;
  if (!is_new) return answer;
  const LtLibrary& lt = lt_library();
  cublasLtMatmulPreference_t preference = nullptr;
  check_lt(lt.MatmulPreferenceCreate(&preference), "asking for a product's algorithms");
  const std::size_t workspace = kWorkspace;
  const std::uint32_t no_reduction = CUBLASLT_REDUCTION_SCHEME_NONE;
  lt.MatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                                  sizeof workspace);
  lt.MatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                                  &no_reduction, sizeof no_reduction);
  // Chosen for full submissions; it must serve every smaller one too.
  std::array<cublasLtMatmulHeuristicResult_t, kCandidates> results{};
  int count = 0;
  product.set_rows(most_rows);
  lt.MatmulAlgoGetHeuristic(handle_, product.desc_, product.weight_, product.in_, product.out_,
                            product.out_, preference, kCandidates, results.data(), &count);
  lt.MatmulPreferenceDestroy(preference);
  for (int i = 0; i < count && !answer.found; ++i) {
    const cublasLtMatmulAlgo_t& algorithm = results[static_cast<std::size_t>(i)].algo;
    if (config<std::int32_t>(algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM) > 1 ||
        config<std::uint32_t>(algorithm, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME) !=
            CUBLASLT_REDUCTION_SCHEME_NONE)
      continue;
    bool serves = true;
    for (const std::int64_t rows : {1, 2, 7, 16, 33, 100, 128, 500, 1000, 4096}) {
      if (rows > most_rows) continue;
      product.set_rows(rows);
      cublasLtMatmulHeuristicResult_t result{};
      serves =
          serves &&
          lt.MatmulAlgoCheck(handle_, product.desc_, product.weight_, product.in_, product.out_,
                             product.out_, &algorithm, &result) == CUBLAS_STATUS_SUCCESS &&
          result.workspaceSize <= kWorkspace;
    }
    if (!serves) continue;
    answer.found = true;
    answer.algorithm = algorithm;
    answer.text = "cuBLASLt algorithm " +
                  std::to_string(config<std::int32_t>(algorithm, CUBLASLT_ALGO_CONFIG_ID)) +
                  ", tile " +
                  std::to_string(config<std::uint32_t>(algorithm, CUBLASLT_ALGO_CONFIG_TILE_ID)) +
                  ", stages " +
                  std::to_string(config<std::uint32_t>(algorithm, CUBLASLT_ALGO_CONFIG_STAGES_ID)) +
                  ", candidate " + std::to_string(i) + " of " + std::to_string(count);
  }
  return answer;
}

LtProduct::LtProduct(Lt* lt, const LtShape& shape, std::int64_t most_rows) {
  const LtLibrary& library = lt_library();
  const cublasOperation_t transpose = CUBLAS_OP_T;
  // Row-major matrices are column-major ones on their side: out^T [n, rows] = W in^T.
  check_lt(library.MatmulDescCreate(&desc_, CUBLAS_COMPUTE_32F, CUDA_R_32F), "planning a product");
  library.MatmulDescSetAttribute(desc_, CUBLASLT_MATMUL_DESC_TRANSA, &transpose, sizeof transpose);
  if (shape.bias) {
    const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
    library.MatmulDescSetAttribute(desc_, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
                                   sizeof epilogue);
  }
  const auto un = static_cast<std::uint64_t>(shape.n);
  const auto uk = static_cast<std::uint64_t>(shape.k);
  check_lt(library.MatrixLayoutCreate(&weight_, data_type(shape.in), uk, un, shape.ld_weight),
           "planning a product");
  check_lt(library.MatrixLayoutCreate(&in_, data_type(shape.in), uk, 1, shape.ld_in),
           "planning a product");
  check_lt(library.MatrixLayoutCreate(&out_, data_type(shape.out), un, 1, shape.ld_out),
           "planning a product");
  const LtAlgorithm& algorithm = lt->algorithm(shape, *this, most_rows);
  if (algorithm.found) algorithm_ = &algorithm;
}

LtProduct::~LtProduct() {
  const LtLibrary& library = lt_library();
  if (desc_ != nullptr) library.MatmulDescDestroy(desc_);
  for (cublasLtMatrixLayout_t layout : {weight_, in_, out_}) {
    if (layout != nullptr) library.MatrixLayoutDestroy(layout);
  }
}

void LtProduct::swap(LtProduct& other) noexcept {
  std::swap(desc_, other.desc_);
  std::swap(weight_, other.weight_);
  std::swap(in_, other.in_);
  std::swap(out_, other.out_);
  std::swap(algorithm_, other.algorithm_);
}

void LtProduct::set_rows(std::int64_t rows) const {
  const auto columns = static_cast<std::uint64_t>(rows);
  for (cublasLtMatrixLayout_t layout : {in_, out_}) {
    lt_library().MatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_COLS, &columns,
                                          sizeof columns);
  }
}

void LtProduct::run(Lt* lt, const void* in, const void* weight, const void* bias, void* out,
                    std::int64_t rows) const {
  const LtLibrary& library = lt_library();
  if (bias != nullptr) {
    library.MatmulDescSetAttribute(desc_, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
  }
  set_rows(rows);
  const float one = 1;
  const float zero = 0;
  check_lt(
      library.Matmul(lt->handle_, desc_, &one, weight, weight_, in, in_, &zero, out, out_, out,
                     out_, &algorithm_->algorithm, lt->workspace_, Lt::kWorkspace, lt->stream_),
      "a product");
}

}  // namespace inlay::backend::cuda
