// A whole encoder in one launch. A batch of few tokens is bound by how long one result takes to
// reach who reads it, so nothing stands between them: no kernel ends, no barrier is passed. Every
// result of an operation goes to a place of its own in the flow, which holds a word that no result
// is (kAbsent) until it is there; who needs it asks until it has come. Weights are nobody's result:
// a warp of each block copies them ahead into a ring in shared memory.
//
// A block holds all rows, normed, and adds to them itself; of each product it makes up to two units
// of 16 columns. Sums go along k sixteen at a time, in order, by the instructions of gemm_small.cu:
// a text has the same bits by either way.
#include "backend/cuda/device/attention_tile.cuh"
#include "backend/cuda/device/flow.cuh"
#include "backend/cuda/device/norm.cuh"
#include "backend/cuda/device/short_text.cuh"
#include "backend/cuda/device/short_text_rows.cuh"

namespace inlay::backend::cuda {
namespace {

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900

static_assert(kGap == kPad);

// What a block makes of a product that reads the rows it holds: units `grid` apart.
__device__ inline int units_of(int columns) {
  const int first = static_cast<int>(blockIdx.x) * kUnit;
  const int apart = static_cast<int>(gridDim.x) * kUnit;
  return first >= columns ? 0 : first + apart >= columns ? 1 : 2;
}
// And of one that reads the flow: one unit, of some octets of tokens.
__device__ inline int flow_unit(const ShortArgs& args) {
  const int unit = static_cast<int>(blockIdx.x) / args.split;
  return unit < args.hidden / kUnit ? unit : -1;
}

// The copying warp: one product's units, rows of shared memory one after the other.
template <typename T>
__device__ inline void copy_units(Ring* ring, const void* weight, int ld, int depth, int first_unit,
                                  int units, int lane) {
  if (units == 0) return;
  const int step = units == 1 ? kDeep : kDeep / 2;
  const int unit = first_unit + lane / kUnit * static_cast<int>(gridDim.x);
  const T* from =
      static_cast<const T*>(weight) + static_cast<std::int64_t>(unit * kUnit + lane % kUnit) * ld;
  for (int k = 0; k < depth; k += step) {
    const int bytes = min(step, depth - k) * static_cast<int>(sizeof(T));
    ring->wait_empty();
    if (lane == 0) barrier_expect(ring->full + 8 * ring->slot, bytes * kUnit * units);
    __syncwarp();
    if (lane < kUnit * units) {
      copy_bytes(ring->address() + lane * (step + kGap) * static_cast<int>(sizeof(T)), from + k,
                 bytes, ring->full + 8 * ring->slot);
    }
    ring->advance();
  }
}

// What else the block needs of half a layer.
__device__ inline void copy_ends(const ShortArgs& args, Ring* ends, const ShortHalf& half,
                                 int units, int lane) {
  const EndPlaces at{args.hidden};
  const int unit = flow_unit(args);
  ends->wait_empty();
  if (lane == 0) {
    const std::uint32_t to = ends->address();
    const std::uint32_t full = ends->full + 8 * ends->slot;
    const bool flow = half.flow_bias != nullptr && unit >= 0;
    const int norm = args.hidden * 4;
    const int kUnitBytes = EndPlaces::kUnitBytes;
    barrier_expect(
        full, (half.norm.weight != nullptr ? norm : 0) + (half.norm.bias != nullptr ? norm : 0) +
                  (half.rows_bias != nullptr ? units * kUnitBytes : 0) + (flow ? kUnitBytes : 0));
    if (half.norm.weight != nullptr) copy_bytes(to, half.norm.weight, norm, full);
    if (half.norm.bias != nullptr) copy_bytes(to + at.norm_bias(), half.norm.bias, norm, full);
    for (int i = 0; i < units && half.rows_bias != nullptr; ++i) {
      const int first = static_cast<int>(blockIdx.x) + i * static_cast<int>(gridDim.x);
      copy_bytes(to + at.rows_bias() + i * kUnitBytes,
                 static_cast<const char*>(half.rows_bias) + first * kUnitBytes, kUnitBytes, full);
    }
    if (flow) {
      copy_bytes(to + at.flow_bias(), static_cast<const char*>(half.flow_bias) + unit * kUnitBytes,
                 kUnitBytes, full);
    }
  }
  __syncwarp();
  ends->advance();
}

template <typename T>
__device__ inline void copy_weights(const ShortArgs& args, const ShortHalf* halves, Ring ring,
                                    Ring ends, int lane) {
  const int block = static_cast<int>(blockIdx.x);
  const int of_flow = flow_unit(args);
  const int count = 2 * args.layer_count;
  const std::int64_t pieces = static_cast<std::int64_t>(gridDim.x) * count;
  const std::int64_t share = (args.clear_bytes / 16 + pieces - 1) / pieces * 16;
#pragma unroll 1
  for (int i = 0; i < count; ++i) {
    const ShortHalf& half = halves[i];
    const bool second = i % 2 != 0;
    const int rows_units = units_of(second ? args.middle : args.qkv_columns);
    copy_ends(args, &ends, half, rows_units, lane);
#pragma unroll 1
    for (int flow = 0; flow < 2; ++flow) {
      const void* weight = flow != 0 ? half.flow_weight : half.rows_weight;
      const int depth = flow == 0 ? args.hidden : second ? args.middle : args.context;
      const int ld = flow == 0 ? args.ld_hidden : second ? args.ld_middle : args.ld_context;
      const int units = flow != 0 ? (of_flow < 0 ? 0 : 1) : rows_units;
      copy_units<T>(&ring, weight, ld, depth, flow != 0 ? of_flow : block, units, lane);
    }
    // The next launch's flow, a piece at a time.
    const std::int64_t begin = share * (std::int64_t{block} * count + i);
    const std::int64_t end = min(begin + share, args.clear_bytes);
    for (std::int64_t at = begin + lane * 16; at < end; at += kWarp * 16)
      *reinterpret_cast<uint4*>(args.clear + at) = make_uint4(kAbsent, kAbsent, kAbsent, kAbsent);
  }
}

// Where a product's results go: a row a token, or the fragments that a product reads.
struct Target {
  char* to;
  int width;
  bool fragments;
};

// A warp's 16 columns of two octets of tokens: bias, activation, out into the flow.
template <typename T>
__device__ inline void finish(const float (&sums)[2][4], const float (&bias)[2], bool gelu,
                              const Target& target, int column0, int octet, int tokens, int lane) {
  float x[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) x[i] = __fadd_rn(sums[i / 4][i % 4], bias[i / 2 % 2]);
  if (gelu) gelu_16<T>(x);
  // Lanes four apart have neighbouring columns of the same two tokens: each takes one token.
  const int odd = lane / 4 & 1;
  const int column = column0 + lane / 8 * 2;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    std::uint32_t words[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float a = x[4 * i + 2 * half];
      const float b = x[4 * i + 2 * half + 1];
      const float other = __shfl_xor_sync(0xffffffffU, odd ? a : b, 4);
      words[half] = odd ? pair_of(other, b, T{}) : pair_of(a, other, T{});
    }
    const int token = (octet + i) * 8 + lane % 4 * 2 + odd;
    if (token >= tokens) continue;
    if (target.fragments) {
      const int lane_there = token % 8 * 4 + column % 8 / 2;
      const int fragment = (octet + i) * (target.width / 32) + column / 32;
      give(target.to + (fragment * kWarp + lane_there) * kFragmentBytes + column % 32 / 8 * 4,
           words[0], words[1]);
    } else {
      char* row = target.to + (token * target.width + column) * 2;
      give(row, words[0]);
      give(row + 16, words[1]);
    }
  }
}

// Of a unit, from shared memory; null: none.
template <typename T>
__device__ inline void load_bias(float (&bias)[2], const T* from, int lane) {
#pragma unroll
  for (int half = 0; half < 2; ++half)
    bias[half] = from == nullptr ? 0.0F : to_float(from[half * 8 + lane / 4]);
}

// A product of the rows that the block holds. A warp has one unit and two octets.
template <typename T>
__device__ inline void product_of_rows(const ShortArgs& args, Ring* ring, const T* x, int columns,
                                       const T* bias_from, bool gelu, const Target& target,
                                       int warp, int lane) {
  forget(lane);
  const int units = units_of(columns);
  if (units == 0) return;
  const int unit = warp % kMostUnits;
  const int pair = warp / kMostUnits;
  const bool active = unit < units && 2 * pair < args.octets;
  const int step = units == 1 ? kDeep : kDeep / 2;
  const int stride = step + kGap;
  const int column0 = (static_cast<int>(blockIdx.x) + unit * static_cast<int>(gridDim.x)) * kUnit;
  float sums[2][4] = {};
  const std::uint32_t weights =
      static_cast<std::uint32_t>((unit * kUnit + lane % 16) * stride + lane / 16 * 8) * 2;
  const std::uint32_t rows =
      shared_address(x + (pair * 16 + lane % 8) * args.x_stride + lane / 8 * 8);
  const std::uint32_t octet_bytes = static_cast<std::uint32_t>(8 * args.x_stride) * 2;
#pragma unroll 1
  for (int k = 0; k < args.hidden; k += step) {
    ring->wait_full();
    if (active) {
      const std::uint32_t a = ring->address() + weights;
      const std::uint32_t b = rows + static_cast<std::uint32_t>(k) * 2;
      multiply_steps<T>(sums, min(step, args.hidden - k) / 32, [&](Fragments& f, int s) {
        load_matrices(f.a[0], a + s * 64);
        load_matrices(f.a[1], a + s * 64 + 32);
        load_matrices(f.b[0], b + s * 64);
        load_matrices(f.b[1], b + s * 64 + octet_bytes);
      });
    }
    ring->emptied(lane);
  }
  if (!active) return;
  float bias[2];
  load_bias(bias, bias_from == nullptr ? nullptr : bias_from + unit * kUnit, lane);
  finish<T>(sums, bias, gelu, target, column0, 2 * pair, args.tokens, lane);
}

// A product of fragments in the flow: some warps bring windows of them into shared memory, the
// others multiply, a warp two octets of the block's unit.
struct FlowProduct {
  const char* from;  // of the block's first octet
  int depth, octets;
};

__device__ inline void bring_flow(const ShortArgs& args, Ring* ring, Ring* windows,
                                  const FlowProduct& product, int first_octet, int bringer,
                                  int lane) {
  const int bringers = kWarps - args.multiplying;
  const int count = product.depth / 32;
  const int more_fragments = bringers / product.octets;
  const int more_octets = bringers - more_fragments * product.octets;
  const int my_fragment = bringer / product.octets;
  const int my_octet = bringer - my_fragment * product.octets;
#pragma unroll 1
  for (int begin = 0; begin < count; begin += kWindow) {
    const int fragments = min(kWindow, count - begin);
    int fragment = my_fragment;
    int octet = my_octet;
    bool first = true;
#pragma unroll 1
    do {
      std::uint32_t wanted = 0;
      int place[kBatch];  // fragment of the block's in the window
      int from[kBatch];   // and in the flow
#pragma unroll
      for (int i = 0; i < kBatch; ++i) {
        const bool mine = fragment < fragments;
        place[i] = mine ? octet * kWindow + fragment : -1;
        from[i] = octet * count + begin + fragment;
        if (mine && (first_octet + octet) * 8 + lane / 4 < args.tokens) wanted |= 1U << i;
        fragment += more_fragments;
        octet += more_octets;
        if (octet >= product.octets) {
          octet -= product.octets;
          ++fragment;
        }
      }
      uint4 come[kBatch];
      receive(come, wanted,
              [&](int i) { return product.from + (from[i] * kWarp + lane) * kFragmentBytes; });
      if (first) windows->wait_empty();
      first = false;
#pragma unroll
      for (int i = 0; i < kBatch; ++i) {
        if (place[i] < 0) continue;
        asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};\n" ::"r"(
                         windows->address() + (place[i] * kWarp + lane) * kFragmentBytes),
                     "r"(come[i].x), "r"(come[i].y), "r"(come[i].z), "r"(come[i].w)
                     : "memory");
      }
    } while (fragment < fragments);
    windows->filled(lane);
    ring->wait_full();  // its weights are not this warp's, but a slot is emptied by all
    ring->emptied(lane);
  }
}

template <typename T>
__device__ inline void product_of_flow(const ShortArgs& args, Ring* ring, Ring* windows,
                                       const char* from, int depth, const T* bias_from,
                                       const Target& target, int warp, int lane) {
  forget(lane);
  const int unit = flow_unit(args);
  if (unit < 0) return;
  const int count = depth / 32;
  const int first_octet = static_cast<int>(blockIdx.x) % args.split * args.split_octets;
  if (warp >= args.multiplying) {
    const FlowProduct product{
        from + static_cast<std::int64_t>(first_octet) * count * kWarp * kFragmentBytes, depth,
        min(args.split_octets, args.octets - first_octet)};
    bring_flow(args, ring, windows, product, first_octet, warp - args.multiplying, lane);
    return;
  }
  float sums[2][4] = {};
  const std::uint32_t weights =
      static_cast<std::uint32_t>(lane % 16 * (kDeep + kGap) + lane / 16 * 8) * 2;
  const std::uint32_t octets =
      static_cast<std::uint32_t>(warp * kPairWindowBytes + lane * kFragmentBytes);
#pragma unroll 1
  for (int first = 0; first < count; first += kWindow) {
    ring->wait_full();
    windows->wait_full();
    const std::uint32_t a = ring->address() + weights;
    const std::uint32_t b = windows->address() + octets;
    multiply_steps<T>(sums, min(kWindow, count - first), [&](Fragments& f, int s) {
      load_matrices(f.a[0], a + s * 64);
      load_matrices(f.a[1], a + s * 64 + 32);
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];\n"
                     : "=r"(f.b[i][0]), "=r"(f.b[i][1]), "=r"(f.b[i][2]), "=r"(f.b[i][3])
                     : "r"(b + (i * kWindow + s) * (kWarp * kFragmentBytes))
                     : "memory");
      }
    });
    ring->emptied(lane);
    windows->emptied(lane);
  }
  const int end = min(args.tokens, (first_octet + args.split_octets) * 8);
  float bias[2];
  load_bias(bias, bias_from, lane);
  finish<T>(sums, bias, false, target, unit * kUnit, first_octet + 2 * warp, end, lane);
}

// Attention of one head of one text at a time.
template <typename T, int kSize>
__device__ inline void attention(const ShortArgs& args, const char* qkv, char* context, T* tiles,
                                 int warp, int lane) {
  forget(lane);
  constexpr int kChunks = kSize / 8;
  constexpr int kMost = ShortText::kTokens * kChunks * 3 / kComputing;
  constexpr int kStride = kSize + kPad;
  const int thread = warp * kWarp + lane;
  for (int job = static_cast<int>(blockIdx.x); job < args.texts * args.heads;
       job += static_cast<int>(gridDim.x)) {
    const int text = job / args.heads;
    const int head = job % args.heads;
    const int begin = args.begins[text];
    const int length = args.begins[text + 1] - begin;
    const int keys = args.key_counts[text];
    const int rows = (length + 15) / 16 * 16;
    const int kv_column = head / (args.heads / args.kv_heads) * kSize;
    const int columns[3] = {args.query_column + head * kSize, args.key_column + kv_column,
                            args.value_column + kv_column};
    constexpr int kRowsAtOnce = kComputing / kChunks;  // of queries, keys and values together
    const char* first = qkv + begin * args.qkv_columns * 2;
    const int chunk = thread % kChunks * 8;
    const auto matrix_of = [&](int row) { return (row >= rows) + (row >= 2 * rows); };
    const auto address = [&](int i) {
      const int row = i * kRowsAtOnce + thread / kChunks;
      const int matrix = matrix_of(row);
      const int column = matrix == 0 ? columns[0] : matrix == 1 ? columns[1] : columns[2];
      return first + ((row - matrix * rows) * args.qkv_columns + column + chunk) * 2;
    };
    std::uint32_t wanted = 0;
#pragma unroll
    for (int i = 0; i < kMost; ++i) {
      const int row = i * kRowsAtOnce + thread / kChunks;
      const int matrix = matrix_of(row);
      if (row < 3 * rows && row - matrix * rows < (matrix == 0 ? length : keys)) wanted |= 1U << i;
    }
    uint4 v[kMost];
    receive(v, wanted, address);
    sync_computing();  // nobody reads the tiles of an earlier head any more
#pragma unroll
    for (int i = 0; i < kMost; ++i) {
      const int row = i * kRowsAtOnce + thread / kChunks;
      if (row < 3 * rows) *reinterpret_cast<uint4*>(tiles + row * kStride + chunk) = v[i];
    }
    sync_computing();
    if (warp * 16 >= length) continue;
    std::uint32_t query[kSize / 16][4];
    float sums[kSize / 8][4] = {};
    float largest[2] = {-INFINITY, -INFINITY};
    float total[2] = {};
#pragma unroll
    for (int d = 0; d < kSize / 16; ++d) {
      load_matrices(query[d], shared_address(tiles + (warp * 16 + lane % 16) * kStride + d * 16 +
                                             lane / 16 * 8));
    }
    AttentionArgs problem{};
    problem.scale = args.scale;
    problem.window = -1;
    const Tile<T> at{tiles + rows * kStride,
                     tiles + 2 * rows * kStride,
                     0,
                     warp * 16 + lane / 4,
                     keys,
                     0,
                     nullptr};
    attend<T, kSize, false, false>(problem, at, query, sums, largest, total);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float share = share_of(total[half]);
      const int row = warp * 16 + lane / 4 + half * 8;
      if (row >= length) continue;
      const int token = begin + row;
#pragma unroll
      for (int i = 0; i < kSize / 32; ++i) {
        std::uint32_t words[4];
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          words[j] = pair_of(sums[4 * i + j][2 * half] * share,
                             sums[4 * i + j][2 * half + 1] * share, T{});
        }
        const int fragment = token / 8 * (args.context / 32) + head * kSize / 32 + i;
        give(context + (fragment * kWarp + token % 8 * 4 + lane % 4) * kFragmentBytes, words[0],
             words[1], words[2], words[3]);
      }
    }
  }
}

// The computing warps' way through the layers. Each operation stands here once: what the
// instruction cache does not hold waits for memory.
template <typename T, int kParts, int kSize>
__device__ inline void compute(const ShortArgs& args, const ShortHalf* halves, Ring ring,
                               Ring windows, Ring ends, Rows<T> rows, T* tiles, float* pooled,
                               const unsigned char* ends_memory, int warp, int lane) {
  embed<T, kParts>(args, &rows, warp, lane);
  const int count = 2 * args.layer_count;
#pragma unroll 1
  for (int i = 0; i < count; ++i) {
    const ShortHalf& half = halves[i];
    const bool second = i % 2 != 0;
    char* flow = args.flow + i / 2 * args.at.layer;
    const int columns = second ? args.middle : args.qkv_columns;
    const EndPlaces places{args.hidden};
    const unsigned char* end = ends_memory + ends.slot * ends.slot_bytes;
    const auto of_end = [&](const void* there, int at) {
      return there == nullptr ? nullptr : end + at;
    };
    ends.wait_full();
    const Target made{flow + (second ? args.at.up : args.at.qkv), columns, second};
    product_of_rows<T>(args, &ring, rows.x, columns,
                       reinterpret_cast<const T*>(of_end(half.rows_bias, places.rows_bias())),
                       second, made, warp, lane);
    if (!second) attention<T, kSize>(args, made.to, flow + args.at.context, tiles, warp, lane);
    const Target sum{flow + (second ? args.at.down : args.at.out), args.hidden, false};
    product_of_flow<T>(args, &ring, &windows, flow + (second ? args.at.up : args.at.context),
                       second ? args.middle : args.context,
                       reinterpret_cast<const T*>(of_end(half.flow_bias, places.flow_bias())), sum,
                       warp, lane);
    // Behind the last layer are needed: the clusters that pool, whole.
    const int cluster_begin = static_cast<int>(blockIdx.x) / args.cluster * args.cluster;
    if (i + 1 == count && cluster_begin >= args.texts) return;
    NormTail norm = half.norm;
    norm.weight = reinterpret_cast<const float*>(of_end(norm.weight, 0));
    norm.bias = reinterpret_cast<const float*>(of_end(norm.bias, places.norm_bias()));
    add_and_norm<T, kParts>(args, sum.to, norm, &rows, warp, lane);
    ends.emptied(lane);
  }
  pool<T>(args, rows.x, pooled, warp, lane);
}

#endif

template <typename T, int kParts, int kSize>
__global__ void __launch_bounds__(kThreads, 1)
    short_kernel(const __grid_constant__ ShortArgs args) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  extern __shared__ __align__(128) unsigned char memory[];
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const std::uint32_t base = shared_address(memory);
  Ring ring{base + static_cast<std::uint32_t>(args.ring_at),
            base,
            base + 8 * kMostSlots,
            kSlotBytes,
            args.slots,
            0,
            0};
  Ring windows{base + static_cast<std::uint32_t>(args.flow_at),
               ring.empty + 8 * kMostSlots,
               ring.empty + 8 * (kMostSlots + kMostFlowSlots),
               args.multiplying * kPairWindowBytes,
               args.flow_slots,
               0,
               0};
  const Rows<T> rows{reinterpret_cast<T*>(memory + args.x_at), windows.empty + 8 * kMostFlowSlots,
                     0};
  const Ring ends{base + static_cast<std::uint32_t>(args.ends_at),
                  rows.barrier + 8 * 2,
                  rows.barrier + 8 * (2 + kEndSlots),
                  EndPlaces{args.hidden}.bytes(),
                  kEndSlots,
                  0,
                  0};
  if (threadIdx.x == 0) {
    for (int s = 0; s < args.slots; ++s) {
      barrier_init(ring.full + 8 * s, 1);
      barrier_init(ring.empty + 8 * s, kWarps * kArriving);
    }
    for (int s = 0; s < args.flow_slots; ++s) {
      barrier_init(windows.full + 8 * s, (kWarps - args.multiplying) * kArriving);
      barrier_init(windows.empty + 8 * s, args.multiplying * kArriving);
    }
    for (int s = 0; s < 2; ++s) barrier_init(rows.barrier + 8 * s, 1);
    for (int s = 0; s < kEndSlots; ++s) {
      barrier_init(ends.full + 8 * s, 1);
      barrier_init(ends.empty + 8 * s, kWarps * kArriving);
    }
    asm volatile("fence.mbarrier_init.release.cluster;\n" ::: "memory");
    asm volatile("fence.proxy.async.shared::cta;\n" ::: "memory");
  }
  // Rows behind the last token are multiplied and never given away.
  for (int i = args.x_at + static_cast<int>(threadIdx.x) * 16; i < args.tiles_at;
       i += kThreads * 16)
    *reinterpret_cast<uint4*>(memory + i) = make_uint4(0, 0, 0, 0);
  const int half_words = 2 * args.layer_count * static_cast<int>(sizeof(ShortHalf) / 8);
  auto* halves = reinterpret_cast<std::uint64_t*>(memory + args.halves_at);
  for (int i = static_cast<int>(threadIdx.x); i < half_words; i += kThreads)
    halves[i] = reinterpret_cast<const std::uint64_t*>(args.halves)[i];
  __syncthreads();
  cluster_sync();
  const auto* all_halves = reinterpret_cast<const ShortHalf*>(halves);
  if (warp == kWarps) {
    copy_weights<T>(args, all_halves, ring, ends, lane);
  } else {
    compute<T, kParts, kSize>(
        args, all_halves, ring, windows, ends, rows, reinterpret_cast<T*>(memory + args.tiles_at),
        reinterpret_cast<float*>(memory + args.pooled_at), memory + args.ends_at, warp, lane);
  }
#endif
}

template <typename T, int kParts>
ShortKernel kernel_of_size(std::int64_t head_size) {
  return head_size == 32 ? short_kernel<T, kParts, 32> : short_kernel<T, kParts, 64>;
}
template <typename T>
ShortKernel kernel_of(std::int64_t hidden, std::int64_t head_size) {
  if (hidden <= 2 * kWarp * kVector) return kernel_of_size<T, 2>(head_size);
  if (hidden <= 3 * kWarp * kVector) return kernel_of_size<T, 3>(head_size);
  return kernel_of_size<T, 4>(head_size);
}

}  // namespace

ShortKernel short_kernel_for(Type type, std::int64_t hidden, std::int64_t head_size) {
  return type == Type::kF16 ? kernel_of<__half>(hidden, head_size)
                            : kernel_of<__nv_bfloat16>(hidden, head_size);
}

}  // namespace inlay::backend::cuda
