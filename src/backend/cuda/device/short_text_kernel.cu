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
// What is worked out from it belongs to one operation: the compiler would else carry all of it
// through all operations, more than there are registers.
__device__ inline void forget(int& value) { asm volatile("" : "+r"(value)); }

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

template <typename T>
__device__ inline void copy_weights(const ShortArgs& args, Ring ring, int lane) {
  const int block = static_cast<int>(blockIdx.x);
  const int of_flow = flow_unit(args);
  const std::int64_t units = static_cast<std::int64_t>(gridDim.x) * args.layer_count;
  const std::int64_t share = (args.clear_bytes / 16 + units - 1) / units * 16;
  for (int i = 0; i < args.layer_count; ++i) {
    const ShortLayer& layer = args.layers[i];
    copy_units<T>(&ring, layer.qkv, args.ld_hidden, args.hidden, block, units_of(args.qkv_columns),
                  lane);
    copy_units<T>(&ring, layer.out, args.ld_context, args.context, of_flow, of_flow < 0 ? 0 : 1,
                  lane);
    copy_units<T>(&ring, layer.up, args.ld_hidden, args.hidden, block, units_of(args.middle), lane);
    copy_units<T>(&ring, layer.down, args.ld_middle, args.middle, of_flow, of_flow < 0 ? 0 : 1,
                  lane);
    // The next launch's flow, a piece a layer.
    const std::int64_t begin = share * (std::int64_t{block} * args.layer_count + i);
    const std::int64_t end = min(begin + share, args.clear_bytes);
    for (std::int64_t at = begin + lane * 16; at < end; at += kWarp * 16) {
      *reinterpret_cast<uint4*>(args.clear + at) = make_uint4(kAbsent, kAbsent, kAbsent, kAbsent);
    }
  }
}

// Where a product's results go: a row a token, or the fragments that a product reads.
struct Target {
  char* to;
  int width;
  bool fragments;
};

// A warp's 16 columns of eight tokens: bias, activation, out into the flow.
template <typename T, bool kGelu>
__device__ inline void finish(float (&sums)[4], const float (&bias)[2], const Target& target,
                              int column0, int octet, int tokens, int lane) {
#pragma unroll
  for (int c = 0; c < 4; ++c) sums[c] = __fadd_rn(sums[c], bias[c / 2]);
  if (kGelu) gelu_16(sums);
  // Lanes four apart have neighbouring columns of the same two tokens: each takes one token.
  const int odd = lane / 4 & 1;
  std::uint32_t words[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float mine = odd ? sums[2 * half + 1] : sums[2 * half];
    const float other =
        __shfl_xor_sync(0xffffffffU, odd ? sums[2 * half] : sums[2 * half + 1], 4);
    words[half] = odd ? pair_of(other, mine, T{}) : pair_of(mine, other, T{});
  }
  const int token = octet * 8 + lane % 4 * 2 + odd;
  if (token >= tokens) return;
  const int column = column0 + lane / 8 * 2;
  if (target.fragments) {
    const int lane_there = token % 8 * 4 + column % 8 / 2;
    const std::int64_t fragment =
        static_cast<std::int64_t>(octet) * (target.width / 32) + column / 32;
    give(target.to + (fragment * kWarp + lane_there) * kFragmentBytes + column % 32 / 8 * 4, words[0],
         words[1]);
  } else {
    char* row = target.to + static_cast<std::int64_t>(token) * target.width * 2;
    give(row + column * 2, words[0]);
    give(row + (column + 8) * 2, words[1]);
  }
}

template <typename T>
__device__ inline void load_bias(float (&bias)[2], const void* from, int column0, int lane) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    bias[half] = from == nullptr ? 0.0F
                                 : to_float(static_cast<const T*>(from)[column0 + half * 8 +
                                                                        lane / 4]);
  }
}

// A product of the rows that the block holds. A warp has one unit and two octets.
template <typename T, bool kGelu>
__device__ inline void product_of_rows(const ShortArgs& args, Ring* ring, const T* x, int columns,
                                       const void* bias_from, const Target& target, int warp,
                                       int lane) {
  forget(lane);
  const int units = units_of(columns);
  if (units == 0) return;
  const int unit = warp % kMostUnits;
  const int pair = warp / kMostUnits;
  const bool active = unit < units && 2 * pair < args.octets;
  const int step = units == 1 ? kDeep : kDeep / 2;
  const int stride = step + kGap;
  const int column0 = (static_cast<int>(blockIdx.x) + unit * static_cast<int>(gridDim.x)) * kUnit;
  float bias[2] = {};
  if (active) load_bias<T>(bias, bias_from, column0, lane);
  float sums[2][4] = {};
  const std::uint32_t weights =
      static_cast<std::uint32_t>((unit * kUnit + lane % 16) * stride + lane / 16 * 8) * 2;
  const std::uint32_t rows =
      shared_address(x + (pair * 16 + lane % 8) * args.x_stride + lane / 8 * 8);
  const std::uint32_t octet_bytes = static_cast<std::uint32_t>(8 * args.x_stride) * 2;
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
#pragma unroll
  for (int i = 0; i < 2; ++i)
    finish<T, kGelu>(sums[i], bias, target, column0, 2 * pair + i, args.tokens, lane);
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
  const int all = (count + kWindow - 1) / kWindow;
  const int more_fragments = bringers / product.octets;
  const int more_octets = bringers % product.octets;
  int fragment = bringer / product.octets;  // octet after octet, fragment after fragment
  int octet = bringer % product.octets;
  int window = 0;
  const auto end_window = [&] {
    windows->filled(lane);
    ring->wait_full();  // its weights are not this warp's, but a slot is emptied by all
    ring->emptied(lane);
    if (++window < all) windows->wait_empty();
  };
  windows->wait_empty();
#pragma unroll 1
  while (fragment < count) {
    std::uint32_t wanted = 0;
    const char* from[kBatch];
    int fragments[kBatch];
    int octets[kBatch];
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      fragments[i] = fragment;
      octets[i] = octet;
      from[i] = product.from + ((octet * count + fragment) * kWarp + lane) * kFragmentBytes;
      if (fragment < count && (first_octet + octet) * 8 + lane / 4 < args.tokens)
        wanted |= 1U << i;
      fragment += more_fragments;
      octet += more_octets;
      if (octet >= product.octets) {
        octet -= product.octets;
        ++fragment;
      }
    }
    uint4 come[kBatch];
    receive_first(come, wanted, [&](int i) { return from[i]; });
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      if (fragments[i] >= count) continue;
      while (window < fragments[i] / kWindow) end_window();
      const std::uint32_t to =
          windows->address() +
          ((octets[i] * kWindow + fragments[i] % kWindow) * kWarp + lane) * kFragmentBytes;
      asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};\n" ::"r"(to), "r"(come[i].x),
                   "r"(come[i].y), "r"(come[i].z), "r"(come[i].w)
                   : "memory");
    }
  }
  while (window < all) end_window();
}

template <typename T>
__device__ inline void product_of_flow(const ShortArgs& args, Ring* ring, Ring* windows,
                                       const char* from, int depth, const void* bias_from,
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
  float bias[2];
  load_bias<T>(bias, bias_from, unit * kUnit, lane);
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
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int octet = 2 * warp + i;
    if (octet < args.split_octets) {
      finish<T, false>(sums[i], bias, target, unit * kUnit, first_octet + octet, args.tokens,
                       lane);
    }
  }
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
    std::uint32_t wanted = 0;
    const char* first = qkv + static_cast<std::int64_t>(begin) * args.qkv_columns * 2;
    const auto address = [&](int i) {
      const int at = i * kComputing + thread;
      const int matrix = min(at / (rows * kChunks), 2);
      const int row = at / kChunks % rows;
      return first +
             (static_cast<std::int64_t>(row) * args.qkv_columns +
              (matrix == 0 ? columns[0] : matrix == 1 ? columns[1] : columns[2]) +
              at % kChunks * 8) *
                 2;
    };
#pragma unroll
    for (int i = 0; i < kMost; ++i) {
      const int at = i * kComputing + thread;
      const int matrix = at / (rows * kChunks);
      if (matrix < 3 && at / kChunks % rows < (matrix == 0 ? length : keys)) wanted |= 1U << i;
    }
    uint4 v[kMost];
    receive_first(v, wanted, address);
    sync_computing();  // nobody reads the tiles of an earlier head any more
#pragma unroll
    for (int i = 0; i < kMost; ++i) {
      const int at = i * kComputing + thread;
      if (at < 3 * rows * kChunks)
        *reinterpret_cast<uint4*>(tiles + at / kChunks * kStride + at % kChunks * 8) = v[i];
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
    const Tile<T> at{tiles + rows * kStride, tiles + 2 * rows * kStride, 0, warp * 16 + lane / 4,
                     keys,                   0,                          nullptr};
    if (keys >= kKeys) {
      attend<T, kSize, false, true>(problem, at, query, sums, largest, total);
    } else {
      attend<T, kSize, false, false>(problem, at, query, sums, largest, total);
    }
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
        const std::int64_t fragment = static_cast<std::int64_t>(token / 8) * (args.context / 32) +
                                      head * kSize / 32 + i;
        give(context + (fragment * kWarp + token % 8 * 4 + lane % 4) * kFragmentBytes, words[0], words[1],
             words[2], words[3]);
      }
    }
  }
}

// Rows of the block, which all blocks of a cluster have alike: each works out some and sends them to
// all. Two barriers in turn count the bytes of all rows.
template <typename T>
struct Rows {
  T* x;
  std::uint32_t barrier;
  int turn;

  __device__ std::uint32_t my_barrier() const { return barrier + turn % 2 * 8; }
  __device__ void expect(const ShortArgs& args) const {
    if (threadIdx.x == 0)
      barrier_expect(my_barrier(), args.tokens * args.hidden * static_cast<int>(sizeof(T)));
  }
  __device__ void wait() {
    barrier_wait(my_barrier(), turn / 2 & 1);
    ++turn;
  }
};

template <typename T, int kParts>
__device__ inline void send_normed(const ShortArgs& args, const Rows<T>& rows, int row,
                                   float (&v)[kParts][kVector], const NormTail& tail, int lane) {
  const NormScale scale = scale_of_row(v, tail, args.hidden, lane);
#pragma unroll
  for (int p = 0; p < kParts; ++p) {
    const int column = (p * kWarp + lane) * kVector;
    if (column >= args.hidden) continue;
    float factor[kVector] = {1, 1, 1, 1, 1, 1, 1, 1};
    float shift[kVector] = {};
    if (tail.weight != nullptr) load8(tail.weight + column, factor);
    if (tail.bias != nullptr) load8(tail.bias + column, shift);
#pragma unroll
    for (int i = 0; i < kVector; ++i) v[p][i] = normalized(v[p][i], scale, factor[i], shift[i]);
    send_to_all(shared_address(rows.x + row * args.x_stride + column), pack<T>(v[p]),
                rows.my_barrier());
  }
}

// Rows of a warp: first, first + kCluster * kWarps, ...
__device__ inline int first_row(int warp) { return warp * kCluster + cluster_rank(); }

// The rows of the tables.
template <typename T, int kParts>
__device__ inline void embed(const ShortArgs& args, Rows<T>* rows, int warp, int lane) {
  forget(lane);
  const TableRows<T> source{static_cast<const T*>(args.token_table),
                            static_cast<const T*>(args.position_table),
                            static_cast<const T*>(args.type_table),
                            args.ld_tokens,
                            args.ld_positions,
                            args.ld_types,
                            args.ids,
                            args.positions,
                            args.types,
                            args.embed_scale};
  rows->expect(args);
#pragma unroll 1
  for (int row = first_row(warp); row < args.tokens; row += kCluster * kWarps) {
    float v[kParts][kVector];
#pragma unroll
    for (int p = 0; p < kParts; ++p) {
      const int column = (p * kWarp + lane) * kVector;
      if (column < args.hidden) source.load(row, column, v[p]);
    }
    send_normed(args, *rows, row, v, args.embed_norm, lane);
  }
  rows->wait();
}

__device__ inline void prefetch(const float* from) {
  asm volatile("prefetch.global.L1 [%0];\n" ::"l"(from));
}

// x = norm(what comes + x). Rows of x are written when all that was made of them has come, so
// nobody reads them any more.
template <typename T, int kParts>
__device__ inline void add_and_norm(const ShortArgs& args, const char* from, const NormTail& tail,
                                    Rows<T>* rows, int warp, int lane) {
  forget(lane);
#pragma unroll
  for (int p = 0; p < kParts; ++p) {
    const int column = (p * kWarp + lane) * kVector;
    if (column >= args.hidden) continue;
    if (tail.weight != nullptr) prefetch(tail.weight + column);
    if (tail.bias != nullptr) prefetch(tail.bias + column);
  }
  rows->expect(args);
#pragma unroll 1
  for (int row = first_row(warp); row < args.tokens; row += kCluster * kWarps) {
    const T* mine = rows->x + row * args.x_stride + lane * kVector;
    const char* there = from + (row * args.hidden + lane * kVector) * 2;
    std::uint32_t wanted = 0;
    uint4 before[kParts];
#pragma unroll
    for (int p = 0; p < kParts; ++p) {
      if ((p * kWarp + lane) * kVector >= args.hidden) continue;
      wanted |= 1U << p;
      before[p] = *reinterpret_cast<const uint4*>(mine + p * kWarp * kVector);
    }
    uint4 come[kParts];
    receive_first(come, wanted, [&](int p) { return there + p * kWarp * kVector * 2; });
    float v[kParts][kVector];
#pragma unroll
    for (int p = 0; p < kParts; ++p) {
      float more[kVector];
      unpack<T>(come[p], v[p]);
      unpack<T>(before[p], more);
#pragma unroll
      for (int i = 0; i < kVector; ++i) v[p][i] = __fadd_rn(v[p][i], more[i]);
    }
    send_normed(args, *rows, row, v, tail, lane);
  }
  rows->wait();
}

// As pool.cu does it: eight sums of every eighth row, added in order.
template <typename T>
__device__ inline float pooled_column(const ShortArgs& args, const T* x, int text, int column) {
  const int first = args.begins[text];
  const int begin = first + args.pool_begin[text];
  const int end = args.begins[text + 1];
  const int kept = end - begin;
  const auto at = [&](int row) { return to_float(x[row * args.x_stride + column]); };
  if (kept < 1) return 0;
  if (args.pool == ShortPool::kFirst) return at(begin);
  if (args.pool == ShortPool::kLast) return at(end - 1);
  float sum = 0;
  for (int group = 0; group < 8; ++group) {
    float part = 0;
    for (int row = begin + group; row < end; row += 8) part = __fadd_rn(part, at(row));
    sum = group == 0 ? part : __fadd_rn(sum, part);
  }
  return sum / static_cast<float>(kept);
}

template <typename T>
__device__ inline void pool(const ShortArgs& args, const T* x, float* pooled, int warp, int lane) {
  const int thread = warp * kWarp + lane;
  for (int text = static_cast<int>(blockIdx.x); text < args.texts;
       text += static_cast<int>(gridDim.x)) {
    for (int c = thread; c < args.hidden; c += kComputing)
      pooled[c] = pooled_column(args, x, text, c);
    sync_computing();
    float length = 1;
    if (args.normalize) {  // every warp finds it, in one order
      float squares = 0;
      for (int c = lane; c < args.result_width; c += kWarp)
        squares = __fmaf_rn(pooled[c], pooled[c], squares);
      length = fmaxf(sqrtf(warp_sum(squares)), 1e-12F);
    }
    float* out = args.result + static_cast<std::int64_t>(text) * args.ld_result;
    for (int c = thread; c < args.result_width; c += kComputing) out[c] = pooled[c] / length;
    sync_computing();
  }
}

// The computing warps' way through the layers.
template <typename T, int kParts, int kSize>
__device__ inline void compute(const ShortArgs& args, Ring ring, Ring windows, Rows<T> rows,
                               T* tiles, float* pooled, int warp, int lane) {
  embed<T, kParts>(args, &rows, warp, lane);
#pragma unroll 1
  for (int i = 0; i < args.layer_count; ++i) {
    const ShortLayer& layer = args.layers[i];
    char* flow = args.flow + i * args.at.layer;
    product_of_rows<T, false>(args, &ring, rows.x, args.qkv_columns, layer.qkv_bias,
                              {flow + args.at.qkv, args.qkv_columns, false}, warp, lane);
    attention<T, kSize>(args, flow + args.at.qkv, flow + args.at.context, tiles, warp, lane);
    product_of_flow<T>(args, &ring, &windows, flow + args.at.context, args.context,
                       layer.out_bias, {flow + args.at.out, args.hidden, false}, warp, lane);
    add_and_norm<T, kParts>(args, flow + args.at.out, layer.attention_norm, &rows, warp, lane);
    product_of_rows<T, true>(args, &ring, rows.x, args.middle, layer.up_bias,
                             {flow + args.at.up, args.middle, true}, warp, lane);
    product_of_flow<T>(args, &ring, &windows, flow + args.at.up, args.middle, layer.down_bias,
                       {flow + args.at.down, args.hidden, false}, warp, lane);
    // Behind the last layer are needed: the clusters that pool, whole.
    const int cluster_begin = static_cast<int>(blockIdx.x) / kCluster * kCluster;
    if (i + 1 == args.layer_count && cluster_begin >= args.texts) return;
    add_and_norm<T, kParts>(args, flow + args.at.down, layer.norm, &rows, warp, lane);
  }
  pool<T>(args, rows.x, pooled, warp, lane);
}

#endif

template <typename T, int kParts, int kSize>
__global__ void __launch_bounds__(kThreads, 1) short_kernel(const __grid_constant__ ShortArgs args) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  extern __shared__ __align__(128) unsigned char memory[];
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const std::uint32_t base = shared_address(memory);
  Ring ring{base + static_cast<std::uint32_t>(args.ring_at), base, base + 8 * kMostSlots,
            kSlotBytes, args.slots, 0, 0};
  Ring windows{base + static_cast<std::uint32_t>(args.flow_at), ring.empty + 8 * kMostSlots,
               ring.empty + 8 * (kMostSlots + kMostFlowSlots),
               args.multiplying * kPairWindowBytes, args.flow_slots, 0, 0};
  const Rows<T> rows{reinterpret_cast<T*>(memory + args.x_at), windows.empty + 8 * kMostFlowSlots, 0};
  if (threadIdx.x == 0) {
    for (int s = 0; s < args.slots; ++s) {
      barrier_init(ring.full + 8 * s, 1);
      barrier_init(ring.empty + 8 * s, kWarps);
    }
    for (int s = 0; s < args.flow_slots; ++s) {
      barrier_init(windows.full + 8 * s, kWarps - args.multiplying);
      barrier_init(windows.empty + 8 * s, args.multiplying);
    }
    for (int s = 0; s < 2; ++s) barrier_init(rows.barrier + 8 * s, 1);
    asm volatile("fence.mbarrier_init.release.cluster;\n" ::: "memory");
    asm volatile("fence.proxy.async.shared::cta;\n" ::: "memory");
  }
  // Rows behind the last token are multiplied and never given away.
  for (int i = args.x_at + static_cast<int>(threadIdx.x) * 16; i < args.tiles_at; i += kThreads * 16)
    *reinterpret_cast<uint4*>(memory + i) = make_uint4(0, 0, 0, 0);
  __syncthreads();
  cluster_sync();
  if (warp == kWarps) {
    copy_weights<T>(args, ring, lane);
  } else {
    compute<T, kParts, kSize>(args, ring, windows, rows,
                              reinterpret_cast<T*>(memory + args.tiles_at),
                              reinterpret_cast<float*>(memory + args.pooled_at), warp, lane);
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
