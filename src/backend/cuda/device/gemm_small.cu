// Products of few rows: 16-bit matrices, a block for each sixteen columns of the result, the
// weights streamed once through shared memory. Sums go along k sixteen at a time, in order, as in
// gemm_sm90.cu: a row has the same bits by either.
#include "backend/cuda/device/gemm_small.h"
#include "backend/cuda/device/math.cuh"
#include "backend/cuda/device/mma.cuh"
#include "backend/cuda/device/session.h"
#include "backend/cuda/device/start.cuh"

namespace inlay::backend::cuda {
namespace {

constexpr int kColumns = 16;         // of the result, a block
constexpr int kDepth = 256;          // of k in a stage
constexpr int kStride = kDepth + 8;  // elements: eight rows lie in different banks

struct SmallArgs {
  const void *in, *weight, *bias;
  void* out;
  std::int64_t ld_in, ld_weight, ld_out;
  std::int32_t rows, n, k;
  bool gelu;
};

template <int kRows>
constexpr int stage_elements() {
  return (kColumns + kRows) * kStride;
}
// As many stages as fit: what is under way at a time decides the rate. Fewer where k is short, so
// that a multiprocessor holds several blocks.
template <int kRows>
constexpr int most_stages() {
  return kRows == 16 ? 8 : kRows == 32 ? 7 : 5;
}

// A stage's columns of kCount rows from `begin` on, a warp a row at a time; zeros outside.
template <typename T, int kCount, int kThreads>
__device__ inline void load_rows(T* to, const T* from, std::int64_t ld, int begin, int rows,
                                 int first, int k) {
  constexpr int kAtOnce = kThreads / (kDepth / 8);
  static_assert(kDepth / 8 == kWarp && kCount % kAtOnce == 0);
  const int lane_column = static_cast<int>(threadIdx.x) % kWarp * 8;
  const int my_row = static_cast<int>(threadIdx.x) / kWarp;
  const bool column_inside = first + lane_column < k;
  const T* source = from + (begin + my_row) * ld + first + lane_column;
  const std::uint32_t target = shared_address(to + my_row * kStride + lane_column);
#pragma unroll
  for (int part = 0; part < kCount / kAtOnce; ++part) {
    const bool inside = column_inside && begin + my_row + part * kAtOnce < rows;
    copy16(target + part * kAtOnce * kStride * static_cast<int>(sizeof(T)),
           inside ? source + part * kAtOnce * ld : from, inside);
  }
}

// A warp for each eight of kRows rows.
template <typename T, int kRows, int kStages>
__global__ void __launch_bounds__(kRows * 4) small_kernel(const SmallArgs args) {
  constexpr int kThreads = kRows * 4;
  extern __shared__ __align__(16) unsigned char memory[];
  T* stages = reinterpret_cast<T*>(memory);
  const int column0 = static_cast<int>(blockIdx.x) * kColumns;
  const int row0 = static_cast<int>(blockIdx.y) * kRows;
  const T* in = static_cast<const T*>(args.in);
  const T* weight = static_cast<const T*>(args.weight);
  const int steps = (args.k + kDepth - 1) / kDepth;
  const auto stage_of = [&](int step) { return stages + step % kStages * stage_elements<kRows>(); };
  const auto load_weights = [&](int step) {
    if (step < steps) {
      load_rows<T, kColumns, kThreads>(stage_of(step), weight, args.ld_weight, column0, args.n,
                                       step * kDepth, args.k);
    }
  };
  const auto load_inputs = [&](int step) {
    if (step < steps) {
      load_rows<T, kRows, kThreads>(stage_of(step) + kColumns * kStride, in, args.ld_in, row0,
                                    args.rows, step * kDepth, args.k);
    }
    copy_commit();
  };
  // Weights are nobody's result: they come in while the kernel before this one ends.
#pragma unroll 1
  for (int s = 0; s < kStages - 1; ++s) load_weights(s);
  wait_for_inputs();
#pragma unroll 1
  for (int s = 0; s < kStages - 1; ++s) load_inputs(s);
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  float sums[4] = {};
#pragma unroll 1
  for (int step = 0; step < steps; ++step) {
    copy_wait<kStages - 2>();
    __syncthreads();
    load_weights(step + kStages - 1);
    load_inputs(step + kStages - 1);
    const T* stage = stage_of(step);
    const T* rows = stage + (kColumns + warp * 8) * kStride;
#pragma unroll
    for (int d = 0; d < kDepth; d += 32) {
      std::uint32_t a0[4];
      std::uint32_t a1[4];
      std::uint32_t b[4];
      load_matrices(a0, shared_address(stage + lane % 16 * kStride + d + lane / 16 * 8));
      load_matrices(a1, shared_address(stage + lane % 16 * kStride + d + 16 + lane / 16 * 8));
      load_matrices(b, shared_address(rows + lane % 8 * kStride + d + lane / 8 * 8));
      multiply(sums, a0, b[0], b[1], T{});
      multiply(sums, a1, b[2], b[3], T{});
    }
  }
  copy_wait<0>();
#pragma unroll
  for (int c = 0; c < 4; ++c) {
    const int column = column0 + lane / 4 + c / 2 * 8;
    const bool biased = args.bias != nullptr && column < args.n;
    const float bias = biased ? to_float(static_cast<const T*>(args.bias)[column]) : 0.0F;
    sums[c] = __fadd_rn(sums[c], bias);
  }
  if (args.gelu) gelu_16<T>(sums);
#pragma unroll
  for (int c = 0; c < 4; ++c) {
    const int column = column0 + lane / 4 + c / 2 * 8;
    const int row = row0 + warp * 8 + lane % 4 * 2 + c % 2;
    if (column < args.n && row < args.rows)
      static_cast<T*>(args.out)[row * args.ld_out + column] = from_float<T>(sums[c]);
  }
}

template <typename T, int kRows, int kStages>
void launch_stages(const Launch& run, const SmallArgs& args) {
  constexpr int kBytes = kStages * stage_elements<kRows>() * static_cast<int>(sizeof(T));
  check(cudaFuncSetAttribute(small_kernel<T, kRows, kStages>,
                             cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes),
        "a product's shared memory");
  const dim3 grid(static_cast<unsigned>((args.n + kColumns - 1) / kColumns),
                  static_cast<unsigned>((args.rows + kRows - 1) / kRows));
  start(run, small_kernel<T, kRows, kStages>, grid, kRows * 4, kBytes, args);
}

template <typename T, int kRows>
void launch_rows(const Launch& run, const SmallArgs& args) {
  if (args.k <= 2 * kDepth) {
    launch_stages<T, kRows, 2>(run, args);
  } else if (args.k <= 4 * kDepth) {
    launch_stages<T, kRows, 4>(run, args);
  } else {
    launch_stages<T, kRows, most_stages<kRows>()>(run, args);
  }
}

template <typename T>
void launch_typed(const Launch& run, const SmallArgs& args) {
  if (args.rows <= 16) {
    launch_rows<T, 16>(run, args);
  } else if (args.rows <= 32) {
    launch_rows<T, 32>(run, args);
  } else {
    launch_rows<T, 64>(run, args);
  }
}

}  // namespace

void launch_small(const Launch& run, const LinearOp& op, std::int64_t rows) {
  SmallArgs args{};
  args.in = run.pointer<const void>(op.in);
  args.weight = run.pointer<const void>(op.weight);
  args.bias = run.pointer<const void>(op.bias);
  args.out = run.pointer<void>(op.out);
  args.ld_in = op.in.ld;
  args.ld_weight = op.weight.ld;
  args.ld_out = op.out.ld;
  args.rows = static_cast<std::int32_t>(rows);
  args.n = static_cast<std::int32_t>(op.n);
  args.k = static_cast<std::int32_t>(op.k);
  args.gelu = op.activation == Activation::kGelu;
  if (op.in.type == Type::kF16) {
    launch_typed<__half>(run, args);
  } else {
    launch_typed<__nv_bfloat16>(run, args);
  }
  // As behind gemm_sm90.cu: of what is rounded already.
  if (op.activation != Activation::kNone && !args.gelu)
    launch_activation(run, op.out, rows, op.n, nullptr, op.activation);
}

}  // namespace inlay::backend::cuda
