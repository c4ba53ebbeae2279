// The kernel of products on Hopper's own instructions (sm_90a), bias and activation in the
// epilogue. Two blocks of a cluster work on tiles of the same columns and different rows: each
// copies half of the weights' tile into both. A block has a warp that copies and two groups of four
// warps, each with a tile of its own, so that one finishes its tile (bias, erf, stores) while the
// other multiplies. Sums go along k in order, 32 bytes of it at a time, for any number of rows and
// either width of tiles. Of tiles of 128 x 192 shared memory gives the matrix units nine tenths of
// what they take, of 128 x 128 three quarters.
#pragma once

#include <cuda.h>

#include <algorithm>
#include <type_traits>

#include "backend/cuda/device/barrier.cuh"
#include "backend/cuda/device/gemm_sm90.h"
#include "backend/cuda/device/math.cuh"
#include "backend/cuda/device/mma.cuh"
#include "backend/cuda/device/session.h"
#include "backend/cuda/device/start.cuh"
#include "backend/cuda/device/wgmma.cuh"

namespace inlay::backend::cuda {

struct Sm90Args {
  const void* bias;  // of the matrices' type; fp32 of e4m3 ones
  const float *scales, *out_scale;
  std::int32_t tiles, column_tiles, depth_steps;  // of clusters; of k
  std::int32_t columns;
};

inline constexpr int kCluster = 2;
inline constexpr int kTileRows = 128;  // of a block
inline constexpr int kGroup = 128;     // threads of a warp group
inline constexpr int kSm90Threads = 3 * kGroup;
inline constexpr int kDepthBytes = 128;  // of k in a stage: one swizzled row
inline constexpr int kPanelBytes = 64;   // of a finished row that is stored at a time

// What depends on the columns of a tile. Finished tiles leave in panels; a group's panels take
// turns in kBuffers buffers, so that a tile begins with the buffer used longest ago.
template <int kColumns>
struct TileShape {
  static constexpr int kStages = kColumns == 192 ? 4 : 5;
  static constexpr int kBuffers = kColumns == 192 ? 3 : 2;
  static constexpr int kInBytes = kTileRows * kDepthBytes;
  static constexpr int kWeightBytes = kColumns * kDepthBytes;
  static constexpr int kStageBytes = kInBytes + kWeightBytes;
  static constexpr int kBufferBytes = kTileRows * kPanelBytes;
  static constexpr int kOuts = kStages * kStageBytes;
  static constexpr int kEnds = kOuts + 2 * kBuffers * kBufferBytes;  // biases and scales, a group
  static constexpr int kBarriers = kEnds + 2 * 2 * kColumns * 4;
  static constexpr int kSharedBytes = kBarriers + 2 * kStages * 8 + 1024;
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

// Named barriers 1 and 2 let the groups multiply in turn, 3 and 4 are each group's own.
__device__ inline void named_sync(int id, int threads) {
  asm volatile("bar.sync %0, %1;\n" ::"r"(id), "r"(threads) : "memory");
}
__device__ inline void named_arrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;\n" ::"r"(id), "r"(threads) : "memory");
}
// The copying warp: every stage of every tile, in order, a stage when both blocks have read it.
template <int kColumns>
__device__ inline void copy_stages(const Sm90Args& args, const CUtensorMap* in,
                                   const CUtensorMap* weight, int depth, std::uint32_t stages,
                                   std::uint32_t full, std::uint32_t empty, int rank) {
  using Shape = TileShape<kColumns>;
  int stage = 0;
  int use = 0;
  for (int tile = static_cast<int>(blockIdx.x) / kCluster; tile < args.tiles;
       tile += static_cast<int>(gridDim.x) / kCluster) {
    const int row = (tile / args.column_tiles * kCluster + rank) * kTileRows;
    const int column = tile % args.column_tiles * kColumns;
    for (int d = 0; d < args.depth_steps; ++d) {
      if (use > 0) barrier_wait(empty + 8 * stage, (use - 1) & 1);
      const std::uint32_t barrier = full + 8 * stage;
      const std::uint32_t to = stages + stage * Shape::kStageBytes;
      barrier_expect(barrier, Shape::kStageBytes);
      copy_tile(to, in, barrier, d * depth, row);
      copy_tile_to_all(to + Shape::kInBytes + rank * (Shape::kWeightBytes / kCluster), weight,
                       barrier, d * depth, column + rank * (kColumns / kCluster));
      if (++stage == Shape::kStages) {
        stage = 0;
        ++use;
      }
    }
  }
  // Nobody leaves while the other block may still write here or arrive here: cluster_sync follows.
}

template <typename T>
__device__ inline float bias_at(const void* bias, int column, T) {
  return to_float(static_cast<const T*>(bias)[column]);
}
__device__ inline float bias_at(const void* bias, int column, __nv_fp8_e4m3) {
  return static_cast<const float*>(bias)[column];
}

// What a group's tile adds to its columns' sums and, of 8-bit floats, multiplies them with; halved
// and scaled as GELU wants it. A thread asks for its share before the tile is multiplied and lays
// it out behind it: [kColumns] to add, [kColumns] factors.
template <typename In, int kColumns>
struct Ends {
  static constexpr int kEach = (kColumns + kGroup - 1) / kGroup;
  float shift[kEach], factor[kEach];

  __device__ Ends(const Sm90Args& args, int column, float by, int thread) {
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const int c = thread + i * kGroup;
      const bool inside = c < kColumns && column + c < args.columns;
      shift[i] = inside && args.bias != nullptr ? by * bias_at(args.bias, column + c, In{}) : 0.0F;
      factor[i] = sizeof(In) == 1 && inside ? by * args.scales[column + c] : 0.0F;
    }
  }
  __device__ void lay_out(float* ends, int group, int thread) const {
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const int c = thread + i * kGroup;
      if (c >= kColumns) continue;
      ends[c] = shift[i];
      if (sizeof(In) == 1) ends[kColumns + c] = factor[i];
    }
    named_sync(3 + group, kGroup);
  }
};

// Sixteen columns of a tile go to shared memory as the store expects them: rows of 64 bytes,
// swizzled. x[8 i + 4 j + k]: of columns 8 i on, rows 64 j on, what wgmma gives a thread.
template <typename Out>
struct Panel {
  int place;
  __device__ Panel(int warp, int lane)
      : place((warp * 16 + lane % 16) * kPanelBytes + (lane / 16 ^ lane % 8 / 2) * 16) {}
  __device__ void store(std::uint32_t panel, int column, const float (&x)[16]) const {
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const std::uint32_t words[4] = {pair_of(x[4 * j], x[4 * j + 1], Out{}),
                                      pair_of(x[4 * j + 2], x[4 * j + 3], Out{}),
                                      pair_of(x[8 + 4 * j], x[8 + 4 * j + 1], Out{}),
                                      pair_of(x[8 + 4 * j + 2], x[8 + 4 * j + 3], Out{})};
      store_matrices(panel + j * 64 * kPanelBytes + (place ^ column / 8 * 16), words);
    }
  }
};
template <>
struct Panel<__nv_fp8_e4m3> {
  int place, turn;
  __device__ Panel(int warp, int lane)
      : place((warp * 16 + lane / 4) * kPanelBytes + lane % 4 * 2), turn(lane / 8) {}
  __device__ void store(std::uint32_t panel, int column, const float (&x)[16]) const {
    const std::uint32_t to = panel + place + (column / 16 ^ turn) * 16;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const std::uint32_t bits = e4m3_pair(x[2 * i], x[2 * i + 1]);
      const int at = (i / 2 % 2 * 64 + i % 2 * 8) * kPanelBytes + i / 4 * 8;
      asm volatile("st.shared.b16 [%0], %1;\n" ::"r"(to + at), "h"(static_cast<std::uint16_t>(bits))
                   : "memory");
    }
  }
};

// Bias, activation and rounding of a tile, sixteen columns at a time. The group that multiplies
// meanwhile takes half of the registers' ports, so an instruction here costs two cycles. Where GELU
// written out for all columns would not fit the instruction cache there is one round of code for
// kPart of them, the sums moved down by a part after each.
template <typename In, typename Out, bool kGelu, int kColumns>
__device__ inline void finish_tile(const Sm90Args& args, const CUtensorMap* out_map,
                                   float (&sums)[2][kColumns / 2], const float* ends,
                                   std::uint32_t buffers, int row, int column, int group,
                                   int thread) {
  using Shape = TileShape<kColumns>;
  constexpr bool kSmall = sizeof(Out) == 1;
  constexpr bool kLong = kGelu && sizeof(Out) == 2 && !std::is_same_v<Out, __nv_bfloat16>;
  constexpr int kPart = kGelu && kSmall ? 64 : kLong ? kColumns / 2 : kColumns;
  constexpr int kPanel = kPanelBytes / static_cast<int>(sizeof(Out));
  constexpr int kBatch = 16;
  static_assert(kColumns / kPanel % Shape::kBuffers == 0 && kPart % kPanel == 0);
  const int lane = thread % kWarp;
  const Panel<Out> to(thread / kWarp, lane);
  const float unit = kGelu && kSmall ? 1.0F / *args.out_scale : 1.0F;
  const float linear = kGeluLinear * unit;
  const float cubic = kGeluCubic * unit * unit * unit;
  float2 shift[2];
  float2 factor[2] = {};
  const auto ask = [&](int c) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const float* end = ends + c + 8 * i + lane % 4 * 2;
      shift[i] = *reinterpret_cast<const float2*>(end);
      if (sizeof(In) == 1) factor[i] = *reinterpret_cast<const float2*>(end + kColumns);
    }
  };
  ask(0);
  int buffer = 0;
#pragma unroll 1
  for (int first = 0; first < kColumns; first += kPart) {
#pragma unroll
    for (int c = 0; c < kPart; c += kBatch) {
      if (c % kPanel == 0) {
        if (thread == 0)
          asm volatile("cp.async.bulk.wait_group.read %0;\n" ::"n"(Shape::kBuffers - 1) : "memory");
        named_sync(3 + group, kGroup);
      }
      const std::uint32_t panel = buffers + buffer * Shape::kBufferBytes;
      float x[16];
#pragma unroll
      for (int i = 0; i < 16; ++i) {
        const float sum = sums[i / 4 % 2][(c + i / 8 * 8) / 2 + i % 4];
        const float more = i % 2 == 0 ? shift[i / 8].x : shift[i / 8].y;
        const float by = i % 2 == 0 ? factor[i / 8].x : factor[i / 8].y;
        x[i] = sizeof(In) == 1 ? __fmaf_rn(sum, by, more)
               : kGelu         ? __fmaf_rn(sum, 0.5F, more)
                               : __fadd_rn(sum, more);
      }
      ask(min(first + c + kBatch, kColumns - kBatch));  // of the next sixteen
      if constexpr (kGelu && kSmall) {
        gelu_of_half(x, linear, cubic);
      } else if constexpr (kGelu) {
        gelu_of_half(x, Out{});
      }
      to.store(panel, c % kPanel, x);
      if ((c + kBatch) % kPanel != 0) continue;
      asm volatile("fence.proxy.async.shared::cta;\n" ::: "memory");
      named_sync(3 + group, kGroup);
      if (thread == 0) {
        const int at = column + first + c + kBatch - kPanel;
        if (at < args.columns) store_tile(out_map, panel, at, row);
        asm volatile("cp.async.bulk.commit_group;\n" ::: "memory");
      }
      if (++buffer == Shape::kBuffers) buffer = 0;
    }
#pragma unroll
    for (int m = 0; m < 2; ++m) {
#pragma unroll
      for (int i = 0; i + kPart / 2 < kColumns / 2; ++i) sums[m][i] = sums[m][i + kPart / 2];
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

template <typename In, typename Out, bool kGelu, int kColumns>
__global__ void INLAY_CLUSTER __launch_bounds__(kSm90Threads, 1)
    sm90_kernel(const __grid_constant__ CUtensorMap in, const __grid_constant__ CUtensorMap weight,
                const __grid_constant__ CUtensorMap out, const Sm90Args args) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  using Shape = TileShape<kColumns>;
  extern __shared__ unsigned char memory[];
  const std::uint32_t begin = shared_address(memory);
  const std::uint32_t base = (begin + 1023U) / 1024U * 1024U;
  const std::uint32_t full = base + Shape::kBarriers;
  const std::uint32_t empty = full + 8 * Shape::kStages;
  const int rank = cluster_rank();
  const int group = static_cast<int>(threadIdx.x) / kGroup;
  const int thread = static_cast<int>(threadIdx.x) % kGroup;
  if (threadIdx.x == 0) {
    for (int s = 0; s < Shape::kStages; ++s) {
      barrier_init(full + 8 * s, 1);
      barrier_init(empty + 8 * s, kCluster);
    }
    asm volatile("fence.mbarrier_init.release.cluster;\n" ::: "memory");
  }
  cluster_sync();
  wait_for_inputs();

  if (group == 2) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 24;\n");
    if (thread == 0) {
      constexpr int kDepth = kDepthBytes / static_cast<int>(sizeof(In));
      copy_stages<kColumns>(args, &in, &weight, kDepth, base, full, empty, rank);
    }
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 240;\n");
    const std::uint32_t buffers =
        base + Shape::kOuts + group * (Shape::kBuffers * Shape::kBufferBytes);
    float* ends =
        reinterpret_cast<float*>(memory + (base - begin) + Shape::kEnds) + group * 2 * kColumns;
    const int clusters = static_cast<int>(gridDim.x) / kCluster;
    int tile = static_cast<int>(blockIdx.x) / kCluster + group * clusters;
    int step = group * args.depth_steps;
    bool first = group == 0;
    const float by = !kGelu ? 1.0F : sizeof(Out) == 1 ? 0.5F * *args.out_scale : 0.5F;
    for (; tile < args.tiles; tile += 2 * clusters, step += args.depth_steps) {
      const int column = tile % args.column_tiles * kColumns;
      const Ends<In, kColumns> of_tile(args, column, by, thread);
      float sums[2][kColumns / 2];
      if (!first) named_sync(1 + group, 2 * kGroup);
      first = false;
      for (int d = 0; d < args.depth_steps; ++d, ++step) {
        const int stage = step % Shape::kStages;
        barrier_wait(full + 8 * stage, step / Shape::kStages & 1);
        const std::uint32_t rows_tile = base + stage * Shape::kStageBytes;
        const std::uint64_t b = descriptor(rows_tile + Shape::kInBytes);
        wgmma_begin();
#pragma unroll
        for (int k = 0; k < kDepthBytes / 32; ++k) {
#pragma unroll
          for (int m = 0; m < 2; ++m) {
            wide_multiply(sums[m], descriptor(rows_tile + m * (Shape::kInBytes / 2)) + 2 * k,
                          b + 2 * k, d > 0 || k > 0, In{});
          }
        }
        wgmma_commit();
        if (d > 0) {
          wgmma_wait<1>();
          if (thread < kCluster) barrier_arrive(empty + 8 * ((step - 1) % Shape::kStages), thread);
        }
      }
      // The other group's turn, if it has a tile after this one.
      if (tile + clusters < args.tiles) named_arrive(1 + (group ^ 1), 2 * kGroup);
      wgmma_wait<0>();
      if (thread < kCluster) barrier_arrive(empty + 8 * ((step - 1) % Shape::kStages), thread);
      const int row = (tile / args.column_tiles * kCluster + rank) * kTileRows;
      of_tile.lay_out(ends, group, thread);
      finish_tile<In, Out, kGelu, kColumns>(args, &out, sums, ends, buffers, row, column, group,
                                            thread);
    }
    if (thread == 0) asm volatile("cp.async.bulk.wait_group 0;\n" ::: "memory");
  }
  __syncwarp();
  cluster_sync();
#endif
}

// The kernel of one kind of product, as its attributes are asked for and as it is started.
using Sm90Kernel = void (*)(const CUtensorMap, const CUtensorMap, const CUtensorMap,
                            const Sm90Args);
template <typename In, typename Out, bool kGelu>
Sm90Kernel sm90_kernel_of(int columns) {
  return columns == 192 ? &sm90_kernel<In, Out, kGelu, 192> : &sm90_kernel<In, Out, kGelu, 128>;
}
// gemm_e4m3.cu
Sm90Kernel e4m3_kernel_of(Type out, bool gelu, int columns);

}  // namespace inlay::backend::cuda
