// Products of 16-bit matrices on Hopper's own instructions (sm_90a), bias and activation in the
// epilogue. Two blocks of a cluster work on tiles of the same columns and different rows: each
// copies half of the weights' tile into both. A block has a warp that copies and two groups of four
// warps, each with a tile of its own, so that one finishes its tile (bias, erf, stores) while the
// other multiplies. Sums go along k sixteen at a time, in order, for any number of rows.
#include <cudaTypedefs.h>

#include <algorithm>

#include "backend/cuda/device/barrier.cuh"
#include "backend/cuda/device/gemm_sm90.h"
#include "backend/cuda/device/math.cuh"
#include "backend/cuda/device/mma.cuh"
#include "backend/cuda/device/session.h"
#include "backend/cuda/device/start.cuh"

namespace inlay::backend::cuda {
namespace {

constexpr int kTileRows = 128;     // of a block
constexpr int kTileColumns = 128;  // of a cluster
constexpr int kDepth = 64;         // of k in a stage: 128 bytes, one swizzled row
constexpr int kStages = 5;
constexpr int kCluster = 2;
constexpr int kGroup = 128;  // threads of a warp group
constexpr int kThreads = 3 * kGroup;
constexpr int kTileBytes = kTileRows * kDepth * 2;  // of rows, and of weights
constexpr int kStageBytes = 2 * kTileBytes;
constexpr int kOutBytes = kTileRows * kTileColumns * 2;  // a group's finished tile
constexpr int kSharedBytes = kStages * kStageBytes + 2 * kOutBytes + 1024 + 256;

struct Sm90Args {
  const void* bias;                               // of the matrices' type
  std::int32_t tiles, column_tiles, depth_steps;  // of clusters; of k
  std::int32_t columns;
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// Arrives at the barrier of the same place in block `rank` of the cluster. Of no wider scope than
// the default: a release for the whole cluster is a fence of all memory, and halves the rate of
// products.
__device__ inline void barrier_arrive(std::uint32_t barrier, int rank) {
  asm volatile(
      "{\n"
      ".reg .b32 remote;\n"
      "mapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.shared::cluster.b64 _, [remote];\n"
      "}\n" ::"r"(barrier),
      "r"(rank)
      : "memory");
}
__device__ inline void copy_tile(std::uint32_t to, const CUtensorMap* map, std::uint32_t barrier,
                                 int x, int y) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, "
      "%4}], [%2];\n" ::"r"(to),
      "l"(map), "r"(barrier), "r"(x), "r"(y)
      : "memory");
}
__device__ inline void copy_tile_to_all(std::uint32_t to, const CUtensorMap* map,
                                        std::uint32_t barrier, int x, int y) {
  constexpr std::uint16_t kEveryBlock = (1 << kCluster) - 1;
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::"
      "cluster [%0], [%1, {%3, %4}], [%2], %5;\n" ::"r"(to),
      "l"(map), "r"(barrier), "r"(x), "r"(y), "h"(kEveryBlock)
      : "memory");
}
__device__ inline void store_tile(const CUtensorMap* map, std::uint32_t from, int x, int y) {
  asm volatile(
      "cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%2, %3}], [%1];\n" ::"l"(map),
      "r"(from), "r"(x), "r"(y)
      : "memory");
}

// A tile whose rows are 128 bytes, swizzled: eight rows are 1024 bytes.
__device__ inline std::uint64_t descriptor(std::uint32_t address) {
  return (static_cast<std::uint64_t>((address & 0x3FFFFU) >> 4)) | (std::uint64_t{1} << 16) |
         (std::uint64_t{1024 >> 4} << 32) | (std::uint64_t{1} << 62);
}

// c[64, 128] = a[64, 16] b[128, 16]^T (+ c).
#define INLAY_WGMMA(TYPES)                                                                         \
  asm volatile(                                                                                    \
      "{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\n"                                                 \
      "wgmma.mma_async.sync.aligned.m64n128k16.f32." TYPES                                         \
      " {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, "    \
      "%19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, "      \
      "%36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, "      \
      "%53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, %64, %65, p, 1, 1, 0, 0;\n}\n"      \
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]), "+f"(c[4]), "+f"(c[5]), "+f"(c[6]),        \
        "+f"(c[7]), "+f"(c[8]), "+f"(c[9]), "+f"(c[10]), "+f"(c[11]), "+f"(c[12]), "+f"(c[13]),    \
        "+f"(c[14]), "+f"(c[15]), "+f"(c[16]), "+f"(c[17]), "+f"(c[18]), "+f"(c[19]), "+f"(c[20]), \
        "+f"(c[21]), "+f"(c[22]), "+f"(c[23]), "+f"(c[24]), "+f"(c[25]), "+f"(c[26]), "+f"(c[27]), \
        "+f"(c[28]), "+f"(c[29]), "+f"(c[30]), "+f"(c[31]), "+f"(c[32]), "+f"(c[33]), "+f"(c[34]), \
        "+f"(c[35]), "+f"(c[36]), "+f"(c[37]), "+f"(c[38]), "+f"(c[39]), "+f"(c[40]), "+f"(c[41]), \
        "+f"(c[42]), "+f"(c[43]), "+f"(c[44]), "+f"(c[45]), "+f"(c[46]), "+f"(c[47]), "+f"(c[48]), \
        "+f"(c[49]), "+f"(c[50]), "+f"(c[51]), "+f"(c[52]), "+f"(c[53]), "+f"(c[54]), "+f"(c[55]), \
        "+f"(c[56]), "+f"(c[57]), "+f"(c[58]), "+f"(c[59]), "+f"(c[60]), "+f"(c[61]), "+f"(c[62]), \
        "+f"(c[63])                                                                                \
      : "l"(a), "l"(b), "r"(add))

__device__ inline void wide_multiply(float (&c)[64], std::uint64_t a, std::uint64_t b, int add,
                                     __half) {
  INLAY_WGMMA("f16.f16");
}
__device__ inline void wide_multiply(float (&c)[64], std::uint64_t a, std::uint64_t b, int add,
                                     __nv_bfloat16) {
  INLAY_WGMMA("bf16.bf16");
}
#undef INLAY_WGMMA

__device__ inline void wgmma_begin() { asm volatile("wgmma.fence.sync.aligned;\n" ::: "memory"); }
__device__ inline void wgmma_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;\n" ::: "memory");
}
template <int kPending>
__device__ inline void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;\n" ::"n"(kPending) : "memory");
}
// Named barriers 1 and 2 let the groups multiply in turn, 3 and 4 are each group's own.
__device__ inline void named_sync(int id, int threads) {
  asm volatile("bar.sync %0, %1;\n" ::"r"(id), "r"(threads) : "memory");
}
__device__ inline void named_arrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;\n" ::"r"(id), "r"(threads) : "memory");
}
// The copying warp: every stage of every tile, in order, a stage when both blocks have read it.
__device__ inline void copy_stages(const Sm90Args& args, const CUtensorMap* in,
                                   const CUtensorMap* weight, std::uint32_t stages,
                                   std::uint32_t full, std::uint32_t empty, int rank) {
  int step = 0;
  for (int tile = static_cast<int>(blockIdx.x) / kCluster; tile < args.tiles;
       tile += static_cast<int>(gridDim.x) / kCluster) {
    const int row = (tile / args.column_tiles * kCluster + rank) * kTileRows;
    const int column = tile % args.column_tiles * kTileColumns;
    for (int d = 0; d < args.depth_steps; ++d, ++step) {
      const int stage = step % kStages;
      const int use = step / kStages;
      if (use > 0) barrier_wait(empty + 8 * stage, (use - 1) & 1);
      const std::uint32_t barrier = full + 8 * stage;
      const std::uint32_t to = stages + stage * kStageBytes;
      barrier_expect(barrier, kStageBytes);
      copy_tile(to, in, barrier, d * kDepth, row);
      constexpr int kHalf = kTileColumns / kCluster;
      copy_tile_to_all(to + kTileBytes + rank * (kTileBytes / kCluster), weight, barrier,
                       d * kDepth, column + rank * kHalf);
    }
  }
  // Nobody leaves while the other block may still write here or arrive here: cluster_sync follows.
}

template <typename T, bool kGelu>
__device__ inline void finish_tile(const Sm90Args& args, float (&sums)[2][64], std::uint32_t out,
                                   int column, int thread) {
  const int warp = thread / kWarp;
  const int lane = thread % kWarp;
#pragma unroll
  for (int n = 0; n < kTileColumns / 8; ++n) {
    const int at = column + n * 8 + lane % 4 * 2;
    float bias[2] = {};
    if (args.bias != nullptr && at < args.columns) {
      const T* from = static_cast<const T*>(args.bias) + at;
      bias[0] = to_float(from[0]);
      bias[1] = to_float(from[1]);
    }
    float x[8];  // both halves of the rows, eight rows apart, two columns
#pragma unroll
    for (int i = 0; i < 8; ++i) x[i] = __fadd_rn(sums[i / 4][4 * n + i % 4], bias[i % 2]);
    if (kGelu) gelu_16(x);
#pragma unroll
    for (int i = 0; i < 8; i += 2) {
      const int row = i / 4 * 64 + warp * 16 + i / 2 % 2 * 8 + lane / 4;
      // Two panels of 64 columns, rows of 128 bytes, swizzled as the store expects them.
      const std::uint32_t address =
          out + n / 8 * (kTileRows * 128) + row * 128 + ((n % 8) ^ (row % 8)) * 16 + lane % 4 * 4;
      asm volatile("st.shared.b32 [%0], %1;\n" ::"r"(address), "r"(pair_of(x[i], x[i + 1], T{}))
                   : "memory");
    }
  }
}

#endif

// Older architectures know no clusters; there the kernel is empty and never launched.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
#define INLAY_CLUSTER
#else
#define INLAY_CLUSTER __cluster_dims__(kCluster, 1, 1)
#endif

template <typename T, bool kGelu>
__global__ void INLAY_CLUSTER __launch_bounds__(kThreads, 1)
    sm90_kernel(const __grid_constant__ CUtensorMap in, const __grid_constant__ CUtensorMap weight,
                const __grid_constant__ CUtensorMap out, const Sm90Args args) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ unsigned char memory[];
  const std::uint32_t base = (shared_address(memory) + 1023U) / 1024U * 1024U;
  const std::uint32_t outs = base + kStages * kStageBytes;
  const std::uint32_t full = outs + 2 * kOutBytes;
  const std::uint32_t empty = full + 8 * kStages;
  const int rank = cluster_rank();
  const int group = static_cast<int>(threadIdx.x) / kGroup;
  const int thread = static_cast<int>(threadIdx.x) % kGroup;
  if (threadIdx.x == 0) {
    for (int s = 0; s < kStages; ++s) {
      barrier_init(full + 8 * s, 1);
      barrier_init(empty + 8 * s, kCluster);
    }
    asm volatile("fence.mbarrier_init.release.cluster;\n" ::: "memory");
  }
  cluster_sync();
  wait_for_inputs();

  if (group == 2) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;\n");
    if (thread == 0) copy_stages(args, &in, &weight, base, full, empty, rank);
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;\n");
    const std::uint32_t my_out = outs + group * kOutBytes;
    const int clusters = static_cast<int>(gridDim.x) / kCluster;
    int tile = static_cast<int>(blockIdx.x) / kCluster + group * clusters;
    int step = group * args.depth_steps;
    bool first = group == 0;
    for (; tile < args.tiles; tile += 2 * clusters, step += args.depth_steps) {
      float sums[2][64];
      if (!first) named_sync(1 + group, 2 * kGroup);
      first = false;
      for (int d = 0; d < args.depth_steps; ++d, ++step) {
        const int stage = step % kStages;
        barrier_wait(full + 8 * stage, step / kStages & 1);
        const std::uint32_t rows_tile = base + stage * kStageBytes;
        const std::uint64_t b = descriptor(rows_tile + kTileBytes);
        wgmma_begin();
#pragma unroll
        for (int k = 0; k < kDepth / 16; ++k) {
#pragma unroll
          for (int m = 0; m < 2; ++m) {
            wide_multiply(sums[m], descriptor(rows_tile + m * (kTileBytes / 2)) + 2 * k, b + 2 * k,
                          d > 0 || k > 0, T{});
          }
        }
        wgmma_commit();
        if (d > 0) {
          wgmma_wait<1>();
          if (thread < kCluster) barrier_arrive(empty + 8 * ((step - 1) % kStages), thread);
        }
      }
      // The other group's turn, if it has a tile after this one.
      if (tile + clusters < args.tiles) named_arrive(1 + (group ^ 1), 2 * kGroup);
      wgmma_wait<0>();
      if (thread < kCluster) barrier_arrive(empty + 8 * ((step - 1) % kStages), thread);

      if (thread == 0) asm volatile("cp.async.bulk.wait_group.read 0;\n" ::: "memory");
      named_sync(3 + group, kGroup);
      const int column = tile % args.column_tiles * kTileColumns;
      finish_tile<T, kGelu>(args, sums, my_out, column, thread);
      asm volatile("fence.proxy.async.shared::cta;\n" ::: "memory");
      named_sync(3 + group, kGroup);
      if (thread == 0) {
        const int row = (tile / args.column_tiles * kCluster + rank) * kTileRows;
        store_tile(&out, my_out, column, row);
        if (column + 64 < args.columns)
          store_tile(&out, my_out + kTileRows * 128, column + 64, row);
        asm volatile("cp.async.bulk.commit_group;\n" ::: "memory");
      }
    }
    if (thread == 0) asm volatile("cp.async.bulk.wait_group 0;\n" ::: "memory");
  }
  __syncwarp();
  cluster_sync();
#endif
}

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

// Boxes of 64 columns and `box_rows` rows of a row-major matrix.
bool encode(CUtensorMap* map, void* data, Type type, std::int64_t rows, std::int64_t columns,
            std::int64_t ld, int box_rows) {
  const cuuint64_t sizes[2] = {static_cast<cuuint64_t>(columns), static_cast<cuuint64_t>(rows)};
  const cuuint64_t strides[1] = {static_cast<cuuint64_t>(ld) * 2};
  const cuuint32_t box[2] = {kDepth, static_cast<cuuint32_t>(box_rows)};
  const cuuint32_t steps[2] = {1, 1};
  return encoder()(map,
                   type == Type::kF16 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16
                                      : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
                   2, data, sizes, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
                   CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                   CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

}  // namespace

// Rows beyond a submission's, up to a whole tile, are computed from what lies there and stored
// where nobody reads: the maps end where the slots do.
bool Sm90Product::plan(const Launch& at, const LinearOp& op, std::int64_t most_rows) {
  if (op.in.type == Type::kF32 || op.out.type != op.in.type || op.n % 8 != 0 || op.k % 8 != 0 ||
      encoder() == nullptr)
    return false;
  int device = 0;
  int major = 0;
  check(cudaGetDevice(&device), "asking for the GPU");
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
        "asking a GPU what it is");
  check(cudaDeviceGetAttribute(&processors_, cudaDevAttrMultiProcessorCount, device),
        "asking a GPU what it is");
  // This build may lack the code: a kernel made from PTX of an older architecture is an empty one.
  cudaFuncAttributes code{};
  check(cudaFuncGetAttributes(&code, sm90_kernel<__half, false>), "asking for a kernel");
  if (major != 9 || code.ptxVersion < 90) return false;
  op_ = op;
  if (!encode(&in_, at.pointer<void>(op.in), op.in.type, most_rows, op.k, op.in.ld, kTileRows) ||
      !encode(&weight_, at.pointer<void>(op.weight), op.in.type, op.n, op.k, op.weight.ld,
              kTileColumns / kCluster) ||
      !encode(&out_, at.pointer<void>(op.out), op.out.type, most_rows, op.n, op.out.ld, kTileRows))
    return false;
  for (const auto kernel : {sm90_kernel<__half, false>, sm90_kernel<__half, true>,
                            sm90_kernel<__nv_bfloat16, false>, sm90_kernel<__nv_bfloat16, true>}) {
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes),
          "a product's shared memory");
  }
  return true;
}

void Sm90Product::run(const Launch& launch, std::int64_t rows) const {
  Sm90Args args{};
  args.bias = launch.pointer<const void>(op_.bias);
  const std::int64_t row_tiles = (rows + kCluster * kTileRows - 1) / (kCluster * kTileRows);
  args.column_tiles = static_cast<std::int32_t>((op_.n + kTileColumns - 1) / kTileColumns);
  args.tiles = static_cast<std::int32_t>(row_tiles) * args.column_tiles;
  args.depth_steps = static_cast<std::int32_t>((op_.k + kDepth - 1) / kDepth);
  args.columns = static_cast<std::int32_t>(op_.n);
  const int clusters = std::min(processors_ / kCluster, args.tiles);
  const dim3 grid(static_cast<unsigned>(clusters * kCluster));
  const auto start_kernel = [&](auto kernel) {
    start(launch, kernel, grid, kThreads, kSharedBytes, in_, weight_, out_, args);
  };
  const bool half = op_.in.type == Type::kF16;
  if (op_.activation == Activation::kGelu) {
    half ? start_kernel(sm90_kernel<__half, true>) : start_kernel(sm90_kernel<__nv_bfloat16, true>);
  } else {
    half ? start_kernel(sm90_kernel<__half, false>)
         : start_kernel(sm90_kernel<__nv_bfloat16, false>);
  }
  check(cudaGetLastError(), "a product");
  if (op_.activation != Activation::kNone && op_.activation != Activation::kGelu)
    launch_activation(launch, op_.out, rows, op_.n, nullptr, op_.activation);
}

}  // namespace inlay::backend::cuda
