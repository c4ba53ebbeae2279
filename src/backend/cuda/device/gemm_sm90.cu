// Products on Hopper: what the kernel of gemm_sm90.cuh needs to run one, and its instantiations for
// 16-bit matrices.
#include <cudaTypedefs.h>

#include "backend/cuda/device/gemm_sm90.cuh"

namespace inlay::backend::cuda {
namespace {

using EncodeTiled = PFN_cuTensorMapEncodeTiled_v12000;

EncodeTiled encoder() {
  static const EncodeTiled found = [] {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult result{};
    if (cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000,
                                         cudaEnableDefault, &result) != cudaSuccess ||
        result != cudaDriverEntryPointSuccess) {
      cudaGetLastError();
      function = nullptr;
    }
    return reinterpret_cast<EncodeTiled>(function);
  }();
  return found;
}

// Boxes of `box_columns` columns and `box_rows` rows of a row-major matrix, their rows swizzled.
bool encode(CUtensorMap* map, void* data, Type type, std::int64_t rows, std::int64_t columns,
            std::int64_t ld, std::int64_t box_columns, int box_rows) {
  const std::int64_t bytes = type_bytes(type);
  const cuuint64_t sizes[2] = {static_cast<cuuint64_t>(columns), static_cast<cuuint64_t>(rows)};
  const cuuint64_t strides[1] = {static_cast<cuuint64_t>(ld * bytes)};
  const cuuint32_t box[2] = {static_cast<cuuint32_t>(box_columns),
                             static_cast<cuuint32_t>(box_rows)};
  const cuuint32_t steps[2] = {1, 1};
  return encoder()(
             map,
             type == Type::kF16    ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16
             : type == Type::kBF16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
                                   : CU_TENSOR_MAP_DATA_TYPE_UINT8,
             2, data, sizes, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
             box_columns * bytes == 128 ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_64B,
             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

Sm90Kernel kernel_of(const LinearOp& op, int columns) {
  const bool gelu = op.activation == Activation::kGelu;
  if (op.in.type == Type::kE4M3) return e4m3_kernel_of(op.out.type, gelu, columns);
  if (op.in.type == Type::kF16) {
    return gelu ? sm90_kernel_of<__half, __half, true>(columns)
                : sm90_kernel_of<__half, __half, false>(columns);
  }
  return gelu ? sm90_kernel_of<__nv_bfloat16, __nv_bfloat16, true>(columns)
              : sm90_kernel_of<__nv_bfloat16, __nv_bfloat16, false>(columns);
}

int shared_bytes(int columns) {
  return columns == 192 ? TileShape<192>::kSharedBytes : TileShape<128>::kSharedBytes;
}

// Whether this GPU and this build have the code: a kernel made from PTX of an older architecture is
// an empty one.
bool has_code(Sm90Kernel kernel) {
  int device = 0;
  int major = 0;
  check(cudaGetDevice(&device), "asking for the GPU");
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
        "asking a GPU what it is");
  cudaFuncAttributes code{};
  check(cudaFuncGetAttributes(&code, kernel), "asking for a kernel");
  return major == 9 && code.ptxVersion >= 90;
}

}  // namespace

// Rows beyond a submission's, up to a whole tile, are computed from what lies there and stored
// where nobody reads: the maps end where the slots do.
bool Sm90Product::plan(const Launch& at, const LinearOp& op, std::int64_t most_rows) {
  const bool e4m3 = op.in.type == Type::kE4M3;
  const std::int64_t unit = e4m3 ? 16 : 8;
  if (op.in.type == Type::kF32 || op.n % unit != 0 || op.k % unit != 0 || encoder() == nullptr)
    return false;
  if (e4m3 ? op.out.type == Type::kF32 : op.out.type != op.in.type) return false;
  if (op.out.type == Type::kE4M3 && op.activation != Activation::kGelu) return false;
  if (!has_code(kernel_of(op, kWidths[0]))) return false;
  int device = 0;
  check(cudaGetDevice(&device), "asking for the GPU");
  check(cudaDeviceGetAttribute(&processors_, cudaDevAttrMultiProcessorCount, device),
        "asking a GPU what it is");
  op_ = op;
  const std::int64_t depth = kDepthBytes / type_bytes(op.in.type);
  if (!encode(&in_, at.pointer<void>(op.in), op.in.type, most_rows, op.k, op.in.ld, depth,
              kTileRows) ||
      !encode(&out_, at.pointer<void>(op.out), op.out.type, most_rows, op.n, op.out.ld,
              kPanelBytes / type_bytes(op.out.type), kTileRows))
    return false;
  for (std::size_t i = 0; i < std::size(kWidths); ++i) {
    if (!encode(&weights_[i], at.pointer<void>(op.weight), op.in.type, op.n, op.k, op.weight.ld,
                depth, kWidths[i] / kCluster))
      return false;
    check(
        cudaFuncSetAttribute(kernel_of(op, kWidths[i]), cudaFuncAttributeMaxDynamicSharedMemorySize,
                             shared_bytes(kWidths[i])),
        "a product's shared memory");
  }
  return true;
}

void Sm90Product::run(const Launch& launch, std::int64_t rows) const {
  const bool e4m3 = op_.in.type == Type::kE4M3;
  Sm90Args args{};
  args.bias = launch.pointer<const void>(e4m3 ? op_.bias_f32 : op_.bias);
  args.scales = launch.pointer<const float>(op_.scales);
  args.out_scale = launch.pointer<const float>(op_.out_scale);
  const std::int64_t row_tiles = (rows + kCluster * kTileRows - 1) / (kCluster * kTileRows);
  args.column_tiles = static_cast<std::int32_t>((op_.n + columns_ - 1) / columns_);
  args.tiles = static_cast<std::int32_t>(row_tiles) * args.column_tiles;
  const std::int64_t depth = kDepthBytes / type_bytes(op_.in.type);
  args.depth_steps = static_cast<std::int32_t>((op_.k + depth - 1) / depth);
  args.columns = static_cast<std::int32_t>(op_.n);
  const int clusters = std::min(processors_ / kCluster, args.tiles);
  const dim3 grid(static_cast<unsigned>(clusters * kCluster));
  start(launch, kernel_of(op_, columns_), grid, kSm90Threads,
        static_cast<std::size_t>(shared_bytes(columns_)), in_,
        weights_[columns_ == kWidths[0] ? 0 : 1], out_, args);
  check(cudaGetLastError(), "a product");
  if (op_.activation != Activation::kNone && op_.activation != Activation::kGelu)
    launch_activation(launch, op_.out, rows, op_.n, nullptr, op_.activation);
}

}  // namespace inlay::backend::cuda
