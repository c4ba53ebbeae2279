// Products. 16-bit ones on Hopper: Inlay's own kernels, one for few rows and one for many, of the
// same bits. Else cuBLASLt where it has an algorithm for the shape, else a plain tiled kernel of
// fp32 multiply-adds (widths that are no multiple of eight: classifiers, small tests). Whichever it
// is, a product sums along k in one order for any number of rows.
#include "backend/cuda/device/gemm_small.h"
#include "backend/cuda/device/math.cuh"
#include "backend/cuda/device/session.h"
#include "backend/cuda/device/start.cuh"

namespace inlay::backend::cuda {
namespace {

constexpr int kTile = 64;   // rows and columns of a block
constexpr int kDepth = 16;  // of k at a time
constexpr int kThreads = 256;
constexpr int kEach = 4;  // rows and columns of a thread

struct PlainArgs {
  const void *in, *weight;
  const float* bias;
  void* out;
  std::int64_t rows, n, k, ld_in, ld_weight, ld_out;
  Type out_type;
  Activation activation;
};

template <typename T>
__global__ void __launch_bounds__(kThreads) plain_kernel(const PlainArgs args) {
  wait_for_inputs();
  __shared__ float rows_tile[kDepth][kTile + 1];
  __shared__ float columns_tile[kDepth][kTile + 1];
  const std::int64_t row0 = std::int64_t{blockIdx.y} * kTile;
  const std::int64_t column0 = std::int64_t{blockIdx.x} * kTile;
  const int thread = static_cast<int>(threadIdx.x);
  const int my_row = thread / (kTile / kEach) * kEach;
  const int my_column = thread % (kTile / kEach) * kEach;
  const T* in = static_cast<const T*>(args.in);
  const T* weight = static_cast<const T*>(args.weight);
  float sums[kEach][kEach] = {};
  for (std::int64_t k0 = 0; k0 < args.k; k0 += kDepth) {
    for (int i = thread; i < kTile * kDepth; i += kThreads) {
      const int r = i / kDepth;
      const int d = i % kDepth;
      const bool inside = k0 + d < args.k;
      rows_tile[d][r] =
          inside && row0 + r < args.rows ? to_float(in[(row0 + r) * args.ld_in + k0 + d]) : 0.0F;
      columns_tile[d][r] = inside && column0 + r < args.n
                               ? to_float(weight[(column0 + r) * args.ld_weight + k0 + d])
                               : 0.0F;
    }
    __syncthreads();
#pragma unroll
    for (int d = 0; d < kDepth; ++d) {
      float a[kEach];
      float b[kEach];
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
        a[i] = rows_tile[d][my_row + i];
        b[i] = columns_tile[d][my_column + i];
      }
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
#pragma unroll
        for (int j = 0; j < kEach; ++j) sums[i][j] = fmaf(a[i], b[j], sums[i][j]);
      }
    }
    __syncthreads();
  }
  for (int i = 0; i < kEach; ++i) {
    const std::int64_t row = row0 + my_row + i;
    if (row >= args.rows) continue;
    for (int j = 0; j < kEach; ++j) {
      const std::int64_t column = column0 + my_column + j;
      if (column >= args.n) continue;
      const float bias = args.bias != nullptr ? args.bias[column] : 0.0F;
      store_any(args.out, args.out_type, row * args.ld_out + column,
                activate(args.activation, sums[i][j] + bias));
    }
  }
}

void launch_plain(const Launch& run, const PlainArgs& args, Type in) {
  const dim3 grid(static_cast<unsigned>((args.n + kTile - 1) / kTile),
                  static_cast<unsigned>((args.rows + kTile - 1) / kTile));
  switch (in) {
    case Type::kF32:
      start(run, plain_kernel<float>, grid, kThreads, 0, args);
      break;
    case Type::kF16:
      start(run, plain_kernel<__half>, grid, kThreads, 0, args);
      break;
    case Type::kBF16:
      start(run, plain_kernel<__nv_bfloat16>, grid, kThreads, 0, args);
      break;
  }
  check(cudaGetLastError(), "a plain product");
}

}  // namespace

Product::Product(Lt* lt, const Launch& at, const LinearOp& op, std::int64_t most_rows) : op_(op) {
  if (op.n % 8 != 0 || op.k % 8 != 0) return;
  own_ = op.rows == 0 && sm90_.plan(at, op, most_rows);
  if (own_) return;
  const LtShape shape{op.n,      op.k,       op.weight.ld, op.in.ld,
                      op.out.ld, op.in.type, op.out.type,  fuses_bias()};
  LtProduct product(lt, shape, most_rows);
  if (product.present()) lt_ = std::move(product);
}

void Product::run(const Launch& launch, std::int64_t rows, std::int64_t weight_bytes,
                  Lt* lt) const {
  if (rows < 1) return;
  if (own_) {
    rows <= kSmallRows ? launch_small(launch, op_, rows) : sm90_.run(launch, rows);
  } else if (lt_.present()) {
    lt_.run(lt, launch.pointer(op_.in), launch.pointer<const char>(op_.weight) + weight_bytes,
            fuses_bias() ? launch.pointer(op_.bias) : nullptr, launch.pointer(op_.out), rows);
    const float* bias = fuses_bias() ? nullptr : launch.pointer<const float>(op_.bias_f32);
    if (bias != nullptr || op_.activation != Activation::kNone)
      launch_activation(launch, op_.out, rows, op_.n, bias, op_.activation);
  } else {
    PlainArgs args{};
    args.in = launch.pointer(op_.in);
    args.weight = launch.pointer<const char>(op_.weight) + weight_bytes;
    args.bias = launch.pointer<const float>(op_.bias_f32);
    args.out = launch.pointer(op_.out);
    args.rows = rows;
    args.n = op_.n;
    args.k = op_.k;
    args.ld_in = op_.in.ld;
    args.ld_weight = op_.weight.ld;
    args.ld_out = op_.out.ld;
    args.out_type = op_.out.type;
    args.activation = op_.activation;
    launch_plain(launch, args, op_.in.type);
  }
}

std::string Product::text() const {
  const std::string kernel = own_            ? "Inlay's kernels for Hopper"
                             : lt_.present() ? lt_.text()
                                             : "the plain kernel";
  return "[rows, " + std::to_string(op_.k) + "] x [" + std::to_string(op_.n) + ", " +
         std::to_string(op_.k) + "]^T: " + kernel;
}

}  // namespace inlay::backend::cuda
