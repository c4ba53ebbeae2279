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
constexpr int kEach = 4;                // rows and columns of a thread
constexpr std::int64_t kLtRows = 2048;  // from which cuBLASLt's choice for many rows holds

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
    case Type::kE4M3:
      throw Failure{Status::kUnavailable,
                    "products of 8-bit floats (fp8) need a GPU of sm_90 and this library's code "
                    "for sm_90a"};
  }
  check(cudaGetLastError(), "a plain product");
}

}  // namespace

namespace {

// Numbers in [-1, 1) that look random.
template <typename T>
__global__ void scatter_kernel(T* to, std::int64_t count) {
  wait_for_inputs();
  const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= count) return;
  auto hash = static_cast<std::uint32_t>(i) * 2654435761U;
  hash = (hash ^ (hash >> 15)) * 2246822519U;
  hash ^= hash >> 13;
  to[i] = from_float<T>(static_cast<float>(hash) * 0x1p-31F - 1.0F);
}

__global__ void scatter_e4m3_kernel(std::uint16_t* to, std::int64_t count) {
  wait_for_inputs();
  const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= count) return;
  auto hash = static_cast<std::uint32_t>(i) * 2654435761U;
  hash = (hash ^ (hash >> 15)) * 2246822519U;
  const float a = static_cast<float>(hash & 0xFFFFU) * 0x1p-9F - 64.0F;
  const float b = static_cast<float>(hash >> 16) * 0x1p-9F - 64.0F;
  to[i] = static_cast<std::uint16_t>(e4m3_pair(a, b));
}

__global__ void compare_kernel(const std::uint16_t* a, const std::uint16_t* b, std::int64_t count,
                               std::int32_t* differ) {
  wait_for_inputs();
  const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < count && a[i] != b[i]) *differ = 1;
}

constexpr int kBlock = 256;
unsigned blocks_for(std::int64_t count) {
  return static_cast<unsigned>((count + kBlock - 1) / kBlock);
}

// Milliseconds of one of five calls, after one that is not counted.
template <typename F>
float time_of(const Launch& run, const F& work) {
  constexpr int kCalls = 5;
  cudaEvent_t begin = nullptr;
  cudaEvent_t end = nullptr;
  check(cudaEventCreate(&begin), "making an event");
  check(cudaEventCreate(&end), "making an event");
  work();
  check(cudaEventRecord(begin, run.stream), "timing a product");
  for (int i = 0; i < kCalls; ++i) work();
  check(cudaEventRecord(end, run.stream), "timing a product");
  check(cudaEventSynchronize(end), "timing a product");
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, begin, end), "timing a product");
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  return milliseconds / kCalls;
}

}  // namespace

Product::Product(Lt* lt, const Launch& at, const LinearOp& op, std::int64_t most_rows) : op_(op) {
  if (op.n % 8 != 0 || op.k % 8 != 0) return;
  own_ = op.rows == 0 && sm90_.plan(at, op, most_rows);
  const LtShape shape{op.n,       op.k,        op.weight.ld, op.in.ld,     op.out.ld,
                      op.in.type, op.out.type, fuses_bias(), op.activation};
  if (own_ && most_rows <= kSmallRows) return;
  if (op.in.type != Type::kE4M3 && (!own_ || op.activation == Activation::kNone)) {
    LtProduct product(lt, shape, most_rows);
    if (product.present()) lt_ = std::move(product);
  }
  if (own_) choose(lt, at, shape, most_rows);
}

// Every way sums along k sixteen at a time (32 of e4m3), in order, so the bits are one and the
// fastest for many rows takes those: tiles of either width, or cuBLASLt where its bits are these
// on a trial. Asked once a shape.
void Product::choose(Lt* lt, const Launch& at, const LtShape& shape, std::int64_t most_rows) {
  const auto [known, is_new] = lt->choices.try_emplace(shape);
  if (is_new) known->second = timed(lt, at, most_rows);
  sm90_.set_columns(known->second.columns);
  lt_for_many_ = known->second.lt;
}

ProductChoice Product::timed(Lt* lt, const Launch& at, std::int64_t most_rows) {
  const std::int64_t count = most_rows * op_.in.ld;
  if (op_.in.type == Type::kF16) {
    start(at, scatter_kernel<__half>, blocks_for(count), kBlock, 0, at.pointer<__half>(op_.in),
          count);
  } else if (op_.in.type == Type::kE4M3) {
    start(at, scatter_e4m3_kernel, blocks_for(count / 2), kBlock, 0,
          at.pointer<std::uint16_t>(op_.in), count / 2);
  } else {
    start(at, scatter_kernel<__nv_bfloat16>, blocks_for(count), kBlock, 0,
          at.pointer<__nv_bfloat16>(op_.in), count);
  }
  ProductChoice best;
  float least = 0;
  for (const int columns : Sm90Product::kWidths) {
    sm90_.set_columns(columns);
    const float time = time_of(at, [&] { sm90_.run(at, most_rows); });
    if (least > 0 && time >= least) continue;
    least = time;
    best.columns = columns;
  }
  if (!lt_.present()) return best;
  const std::int64_t results = most_rows * op_.out.ld;
  DeviceMemory kept(results * 2);
  DeviceMemory differ(sizeof(std::int32_t));
  check(cudaMemcpyAsync(kept.data, at.pointer(op_.out), static_cast<std::size_t>(results) * 2,
                        cudaMemcpyDeviceToDevice, at.stream),
        "comparing products");
  check(cudaMemsetAsync(differ.data, 0, sizeof(std::int32_t), at.stream), "comparing products");
  const float lt_time = time_of(at, [&] {
    lt_.run(lt, at.pointer(op_.in), at.pointer(op_.weight),
            fuses_bias() ? at.pointer(op_.bias) : nullptr, at.pointer(op_.out), most_rows);
  });
  start(at, compare_kernel, blocks_for(results), kBlock, 0,
        static_cast<const std::uint16_t*>(kept.data), at.pointer<std::uint16_t>(op_.out), results,
        static_cast<std::int32_t*>(differ.data));
  std::int32_t differs = 0;
  check(cudaMemcpyAsync(&differs, differ.data, sizeof differs, cudaMemcpyDeviceToHost, at.stream),
        "comparing products");
  check(cudaStreamSynchronize(at.stream), "comparing products");
  best.lt = differs == 0 && lt_time < least;
  return best;
}

void Product::run_lt(const Launch& launch, std::int64_t rows, std::int64_t weight_bytes,
                     Lt* lt) const {
  lt_.run(lt, launch.pointer(op_.in), launch.pointer<const char>(op_.weight) + weight_bytes,
          fuses_bias() ? launch.pointer(op_.bias) : nullptr, launch.pointer(op_.out), rows);
  const float* bias = fuses_bias() ? nullptr : launch.pointer<const float>(op_.bias_f32);
  if (bias != nullptr || op_.activation != Activation::kNone)
    launch_activation(launch, op_.out, rows, op_.n, bias, op_.activation);
}

void Product::run(const Launch& launch, std::int64_t rows, std::int64_t weight_bytes,
                  Lt* lt) const {
  if (rows < 1) return;
  if (own_ && rows <= kSmallRows && op_.in.type != Type::kE4M3) {
    launch_small(launch, op_, rows);
  } else if (own_ && (!lt_for_many_ || rows < kLtRows)) {
    sm90_.run(launch, rows);
  } else if (lt_.present()) {
    run_lt(launch, rows, weight_bytes, lt);
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
  const std::string kernel =
      own_ && lt_for_many_ ? "Inlay's kernels for Hopper, many rows: " + lt_.text()
      : own_
          ? "Inlay's kernels for Hopper, tiles of " + std::to_string(sm90_.columns()) + " columns"
      : lt_.present() ? lt_.text()
                      : "the plain kernel";
  const char* type = op_.in.type == Type::kE4M3 ? "e4m3 " : "";
  return type +
         ("[rows, " + std::to_string(op_.k) + "] x [" + std::to_string(op_.n) + ", " +
          std::to_string(op_.k) + "]^T: ") +
         kernel;
}

}  // namespace inlay::backend::cuda
