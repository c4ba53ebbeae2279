// A whole encoder in one launch. A batch of few tokens is bound by how long one result takes to
// reach who reads it, so nothing stands between them: no kernel ends, no barrier is passed. Every
// result of an operation goes to a place of its own in the flow, which holds a word that no result
// is (kAbsent) until it is there; who needs it asks until it has come. Weights are nobody's result:
// a warp of each block copies them ahead into a ring in shared memory.
//
// Sums go along k sixteen at a time, in order, by the instructions of gemm_small.cu: a text has the
// same bits by either way.
#include "backend/cuda/device/attention_tile.cuh"
#include "backend/cuda/device/flow.cuh"
#include "backend/cuda/device/norm.cuh"
#include "backend/cuda/device/short_text.cuh"

namespace inlay::backend::cuda {
namespace {

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900

static_assert(kGap == kPad);

// What is worked out from it belongs to one operation: the compiler would else carry all of it
// through all operations, more than there are registers.
__device__ inline void forget(int& value) { asm volatile("" : "+r"(value)); }

// A block's part of a product. units 0: none.
struct Part {
  int first_unit, units, first_octet, octets;
};
__device__ inline Part part_of(const ShortArgs& args, const ShortProduct& product) {
  Part part{};
  const int group = static_cast<int>(blockIdx.x) / product.split;
  part.first_unit = group * product.units;
  part.units = min(product.units, max(product.columns / kUnit - part.first_unit, 0));
  part.first_octet = (static_cast<int>(blockIdx.x) - group * product.split) * product.octets;
  part.octets = min(product.octets, args.octets - part.first_octet);
  return part;
}

// The copying warp: rows of weights one after the other, slot after slot.
template <typename T>
__device__ inline void copy_weights(const ShortArgs& args, const ShortHalf* halves, Ring ring,
                                    int lane) {
  const int count = 4 * args.layer_count;
  const std::int64_t pieces = static_cast<std::int64_t>(gridDim.x) * count;
  const std::int64_t share = (args.clear_bytes / 16 + pieces - 1) / pieces * 16;
#pragma unroll 1
  for (int i = 0; i < count; ++i) {
    const ShortProduct& product = args.products[i % 4];
    const Part part = part_of(args, product);
    const int step = slot_depth(product.units);
    const int rows = part.units * kUnit;
    const T* from = static_cast<const T*>(halves[i / 2].weight[i % 2]) +
                    static_cast<std::int64_t>(part.first_unit * kUnit) * product.ld;
#pragma unroll 1
    for (int k = 0; k < product.depth && rows > 0; k += step) {
      const int bytes = min(step, product.depth - k) * static_cast<int>(sizeof(T));
      ring.wait_empty();
      if (lane == 0) barrier_expect(ring.full + 8 * ring.slot, bytes * rows);
      __syncwarp();
#pragma unroll 1
      for (int row = lane; row < rows; row += kWarp) {
        copy_bytes(ring.address() + row * (step + kGap) * static_cast<int>(sizeof(T)),
                   from + static_cast<std::int64_t>(row) * product.ld + k, bytes,
                   ring.full + 8 * ring.slot);
      }
      ring.advance();
    }
    // The next launch's flow, a piece at a time.
    const std::int64_t begin = share * (std::int64_t{blockIdx.x} * count + i);
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
  if (gelu) gelu_16(x);
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

template <typename T>
__device__ inline void load_bias(float (&bias)[2], const void* from, int column0, int lane) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    bias[half] = from == nullptr ? 0.0F
                                 : to_float(static_cast<const T*>(from)[column0 + half * 8 +
                                                                        lane / 4]);
  }
}

// Fragments of one octet that a warp brings at a time, all of one window.
struct Batch {
  uint4 come[kBatch];
  const char* from;  // the first; the others are `stride` bytes apart
  int place;         // of the first in the window: octet * kWindow + fragment
  int count;         // that there are
  int begin;         // of the window
  bool first, last;  // of its window
};

// Brings the part's octets into shared memory, window after window: as many warps to an octet as
// there are, or several octets to a warp. Slots of weights and windows are filled and emptied by all
// warps, also those that have nothing to do with it.
__device__ inline void bring(const ShortArgs& args, Ring* ring, Ring* windows, const char* flow,
                             const ShortProduct& product, const Part& part, int bringer,
                             int bringers, int lane) {
  const int count = product.depth / 32;
  const int slot_steps = slot_depth(product.units) / 32;
  const int sharing = max(bringers / part.octets, 1);   // warps that share an octet
  const int halves = sharing == 1 ? kWindow / kBatch : 1;  // batches of an octet in a window
  const int my_octet = bringer % part.octets;
  const int my_fragment = bringer / part.octets;
  const bool idle = my_fragment >= sharing;
  const int rounds = idle || bringers >= part.octets
                         ? halves
                         : (part.octets - my_octet + bringers - 1) / bringers * halves;
  const int stride = sharing * (kWarp * kFragmentBytes);
  const char* from = flow + (part.first_octet * count * kWarp + lane) * kFragmentBytes;
  int begin = 0;
  int round = 0;
  const auto start = [&](Batch& batch) {
    const int octet = my_octet + round / halves * bringers;
    const int fragment = my_fragment + round % halves * (kBatch * sharing);
    const int there = idle ? 0 : min(kWindow, count - begin) - fragment;
    const bool wanted = (part.first_octet + octet) * 8 + lane / 4 < args.tokens;
    batch.from = from + (octet * count + begin + fragment) * (kWarp * kFragmentBytes);
    batch.place = octet * kWindow + fragment;
    batch.count = there <= 0 ? 0 : (there + sharing - 1) / sharing;
    batch.begin = begin;
    batch.first = round == 0;
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      const std::uint32_t word = wanted && i < batch.count ? kAbsent : 0U;
      batch.come[i] = make_uint4(word, word, word, word);
    }
    ask(batch.come, [&](int i) { return batch.from + i * stride; });
    batch.last = ++round == rounds;
    if (batch.last) {
      begin += kWindow;
      round = 0;
    }
  };
  if (!idle) {
    wait_for_word(from - lane * kFragmentBytes +
                  (my_octet * count + min(my_fragment, count - 1)) * (kWarp * kFragmentBytes));
  }
  Batch batch;
  start(batch);
#pragma unroll 1
  for (;;) {
    const bool more = begin < count;
    Batch next;
    if (more) start(next);
    wait_for(batch.come, [&](int i) { return batch.from + i * stride; });
    if (batch.first) windows->wait_empty();
    const std::uint32_t to = windows->address() +
                             static_cast<std::uint32_t>(batch.place * kWarp + lane) * kFragmentBytes;
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      if (i >= batch.count) break;
      asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};\n" ::"r"(to + i * stride),
                   "r"(batch.come[i].x), "r"(batch.come[i].y), "r"(batch.come[i].z),
                   "r"(batch.come[i].w)
                   : "memory");
    }
    if (batch.last) {
      __syncwarp();
      if (lane == 0) {
        barrier_arrive(windows->full + 8 * windows->slot);
        barrier_arrive(windows->empty + 8 * windows->slot);
      }
      windows->advance();
#pragma unroll 1
      for (int s = batch.begin; s < min(batch.begin + kWindow, count); s += kRound) {
        if (s % slot_steps != 0) continue;
        ring->wait_full();
        ring->emptied(lane);
      }
    }
    if (!more) return;
    batch = next;
  }
}

// in W^T + bias, perhaps GELU: the block's part. A multiplying warp has one unit and two octets.
template <typename T>
__device__ inline void multiply_part(const ShortArgs& args, Ring* ring, Ring* windows,
                                     const char* from, const ShortProduct& product,
                                     const void* bias_from, bool gelu, const Target& target,
                                     int warp, int lane) {
  forget(lane);
  const Part part = part_of(args, product);
  if (part.units == 0) return;
  const int multiplying = product.units * ((product.octets + 1) / 2);
  if (warp >= multiplying) {
    bring(args, ring, windows, from, product, part, warp - multiplying, kWarps - multiplying,
          lane);
    return;
  }
  const int pair = warp / product.units;
  const int unit = min(warp - pair * product.units, part.units - 1);  // some do another's once more
  const int column0 = (part.first_unit + unit) * kUnit;
  float bias[2];
  load_bias<T>(bias, bias_from, column0, lane);
  float sums[2][4] = {};
  const int count = product.depth / 32;
  const int slot_steps = slot_depth(product.units) / 32;
  const int stride = slot_depth(product.units) + kGap;
  const auto weights =
      static_cast<std::uint32_t>((unit * kUnit + lane % 16) * stride + lane / 16 * 8) * 2;
  const auto octets = static_cast<std::uint32_t>(pair * kPairWindowBytes + lane * kFragmentBytes);
  std::uint32_t a = 0;
  std::uint32_t b = 0;
  int oldest = ring->slot;
  int oldest_window = windows->slot;
  const int turn_steps = min(slot_steps, kWindow);
  const auto turn = [&](int s) {
    if (s % kWindow == 0) {
      __syncwarp();
      if (lane == 0) barrier_arrive(windows->full + 8 * windows->slot);
      windows->wait_full();
      b = windows->address() + octets;
      windows->advance();
    } else {
      b += static_cast<std::uint32_t>(turn_steps * kWarp * kFragmentBytes);
    }
    if (s % slot_steps == 0) {
      ring->wait_full();
      a = ring->address() + weights;
      ring->advance();
    } else {
      a += static_cast<std::uint32_t>(turn_steps * 64);
    }
  };
  const auto done = [&](int s) {
    if (s % slot_steps == 0 || s == count) {
      ring->leave(lane, oldest);
      if (++oldest == ring->count) oldest = 0;
    }
    if (s % kWindow == 0 || s == count) {
      windows->leave(lane, oldest_window);
      if (++oldest_window == windows->count) oldest_window = 0;
    }
  };
  multiply_steps<T>(
      sums, count, turn_steps, turn,
      [&](Fragments& f, int s) {
        load_matrices(f.a[0], a + s * 64);
        load_matrices(f.a[1], a + s * 64 + 32);
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];\n"
                       : "=r"(f.b[i][0]), "=r"(f.b[i][1]), "=r"(f.b[i][2]), "=r"(f.b[i][3])
                       : "r"(b + (i * kWindow + s) * (kWarp * kFragmentBytes))
                       : "memory");
        }
      },
      done);
  const int end = min(args.tokens, (part.first_octet + part.octets) * 8);
  finish<T>(sums, bias, gelu, target, column0, part.first_octet + 2 * pair, end, lane);
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
    const char* first = qkv + begin * args.products[0].columns * 2;
    const int chunk = thread % kChunks * 8;
    const auto matrix_of = [&](int row) { return (row >= rows) + (row >= 2 * rows); };
    const auto address = [&](int i) {
      const int row = i * kRowsAtOnce + thread / kChunks;
      const int matrix = matrix_of(row);
      const int column = matrix == 0 ? columns[0] : matrix == 1 ? columns[1] : columns[2];
      return first + ((row - matrix * rows) * args.products[0].columns + column + chunk) * 2;
    };
    std::uint32_t wanted = 0;
#pragma unroll
    for (int i = 0; i < kMost; ++i) {
      const int row = i * kRowsAtOnce + thread / kChunks;
      const int matrix = matrix_of(row);
      if (row < 3 * rows && row - matrix * rows < (matrix == 0 ? length : keys))
        wanted |= 1U << i;
    }
    wait_for_word(first + columns[0] * 2);
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
    const Tile<T> at{tiles + rows * kStride, tiles + 2 * rows * kStride, 0, warp * 16 + lane / 4,
                     keys,                   0,                          nullptr};
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
        const int fragment = token / 8 * (args.products[1].depth / 32) + head * kSize / 32 + i;
        give(context + (fragment * kWarp + token % 8 * 4 + lane % 4) * kFragmentBytes, words[0], words[1],
             words[2], words[3]);
      }
    }
  }
}

// The row that this warp norms in every layer, or -1: few of all warps have one.
__device__ inline int row_of(const ShortArgs& args, int warp) {
  const int row = static_cast<int>(blockIdx.x) + (kWarps - 1 - warp) * static_cast<int>(gridDim.x);
  return warp >= kWarps - kMostRows && row < args.tokens ? row : -1;
}

// What a lane's columns are multiplied by and moved by. Loaded before the row is there: often they
// come from far away.
template <int kParts>
struct NormColumns {
  float factor[kParts][kVector], shift[kParts][kVector];

  __device__ NormColumns(const NormTail& tail, int width, int lane) {
#pragma unroll
    for (int p = 0; p < kParts; ++p) {
      const int column = (p * kWarp + lane) * kVector;
#pragma unroll
      for (int i = 0; i < kVector; ++i) {
        factor[p][i] = 1;
        shift[p][i] = 0;
      }
      if (column >= width) continue;
      if (tail.weight != nullptr) load8(tail.weight + column, factor[p]);
      if (tail.bias != nullptr) load8(tail.bias + column, shift[p]);
    }
  }
};

// Norms a row, keeps it for the next sum and gives it away in fragments.
template <typename T, int kParts>
__device__ inline void give_normed(const ShortArgs& args, int row, float (&v)[kParts][kVector],
                                   const NormTail& tail, const NormColumns<kParts>& columns,
                                   T* kept, char* to, int lane) {
  const NormScale scale = scale_of_row(v, tail, args.hidden, lane);
#pragma unroll
  for (int p = 0; p < kParts; ++p) {
    const int column = (p * kWarp + lane) * kVector;
    if (column >= args.hidden) continue;
#pragma unroll
    for (int i = 0; i < kVector; ++i)
      v[p][i] = normalized(v[p][i], scale, columns.factor[p][i], columns.shift[p][i]);
    const uint4 bits = pack<T>(v[p]);
    *reinterpret_cast<uint4*>(kept + column) = bits;
    char* there = to + ((row / 8 * (args.hidden / 32) + column / 32) * kWarp + row % 8 * 4) *
                           kFragmentBytes +
                  column % 32 / 8 * 4;
    give(there, bits.x);
    give(there + kFragmentBytes, bits.y);
    give(there + 2 * kFragmentBytes, bits.z);
    give(there + 3 * kFragmentBytes, bits.w);
  }
}

// A row of the tables.
template <typename T, int kParts>
__device__ inline void embed(const ShortArgs& args, int row, T* kept, char* to, int lane) {
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
  const NormColumns<kParts> columns(args.embed_norm, args.hidden, lane);
  float v[kParts][kVector];
#pragma unroll
  for (int p = 0; p < kParts; ++p) {
    const int column = (p * kWarp + lane) * kVector;
    if (column < args.hidden) source.load(row, column, v[p]);
  }
  give_normed(args, row, v, args.embed_norm, columns, kept, to, lane);
}

// norm(what comes + the row).
template <typename T, int kParts>
__device__ inline void add_and_norm(const ShortArgs& args, const char* from, const NormTail& tail,
                                    int row, T* kept, char* to, int lane) {
  forget(lane);
  const NormColumns<kParts> columns(tail, args.hidden, lane);
  const char* there = from + (row * args.hidden + lane * kVector) * 2;
  std::uint32_t wanted = 0;
#pragma unroll
  for (int p = 0; p < kParts; ++p) {
    if ((p * kWarp + lane) * kVector < args.hidden) wanted |= 1U << p;
  }
  uint4 come[kParts];
  wait_for_word(from + row * args.hidden * 2);
  receive(come, wanted, [&](int p) { return there + p * kWarp * kVector * 2; });
  float v[kParts][kVector];
#pragma unroll
  for (int p = 0; p < kParts; ++p) {
    const int column = (p * kWarp + lane) * kVector;
    float more[kVector] = {};
    unpack<T>(come[p], v[p]);
    if (column < args.hidden) load8(kept + column, more);
#pragma unroll
    for (int i = 0; i < kVector; ++i) v[p][i] = __fadd_rn(v[p][i], more[i]);
  }
  give_normed(args, row, v, tail, columns, kept, to, lane);
}

// As pool.cu does it: eight sums of every eighth row, added in order. Two columns a thread.
template <typename T>
__device__ inline void pool_columns(const ShortArgs& args, const char* rows, int text, int column,
                                    float (&sum)[2]) {
  const int first = args.begins[text];
  const int begin = first + args.pool_begin[text];
  const int end = args.begins[text + 1];
  sum[0] = sum[1] = 0;
  if (end <= begin) return;
  const char* mine = rows + column / 32 * (kWarp * kFragmentBytes) +
                     column % 8 / 2 * kFragmentBytes + column % 32 / 8 * 4;
  const int octet_bytes = args.hidden / 32 * (kWarp * kFragmentBytes);
  const auto load = [&](int row) {
    const char* from = mine + row / 8 * octet_bytes + row % 8 * (4 * kFragmentBytes);
    std::uint32_t bits = kAbsent;
    for (int tries = 0; bits == kAbsent; ++tries) {
      asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];\n" : "=r"(bits) : "l"(from) : "memory");
      if (tries > kMostTries) __trap();
    }
    return bits;
  };
  const auto halves = [](std::uint32_t bits, int half) {
    const auto part = static_cast<std::uint16_t>(bits >> (16 * half));
    T x;
    memcpy(&x, &part, sizeof x);
    return to_float(x);
  };
  if (args.pool != ShortPool::kMean) {
    const std::uint32_t bits = load(args.pool == ShortPool::kFirst ? begin : end - 1);
    sum[0] = halves(bits, 0);
    sum[1] = halves(bits, 1);
    return;
  }
  float part[8][2] = {};
#pragma unroll 1
  for (int row = begin; row < end; row += 8) {
    std::uint32_t bits[8];
    bool missing = false;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const int at = min(row + i, end - 1);
      asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];\n"
                   : "=r"(bits[i])
                   : "l"(mine + at / 8 * octet_bytes + at % 8 * (4 * kFragmentBytes))
                   : "memory");
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) missing |= bits[i] == kAbsent;
    if (missing) {
      for (int i = 0; i < 8; ++i) load(min(row + i, end - 1));
      row -= 8;  // once more
      continue;
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      if (row + i >= end) continue;
#pragma unroll
      for (int half = 0; half < 2; ++half)
        part[i][half] = __fadd_rn(part[i][half], halves(bits[i], half));
    }
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    sum[half] = part[0][half];
#pragma unroll
    for (int i = 1; i < 8; ++i) sum[half] = __fadd_rn(sum[half], part[i][half]);
    sum[half] /= static_cast<float>(end - begin);
  }
}

template <typename T>
__device__ inline void pool(const ShortArgs& args, const char* rows, float* pooled, int warp,
                            int lane) {
  const int thread = warp * kWarp + lane;
  for (int text = static_cast<int>(blockIdx.x); text < args.texts;
       text += static_cast<int>(gridDim.x)) {
#pragma unroll 1
    for (int c = 2 * thread; c < args.hidden; c += 2 * kComputing) {
      float sum[2];
      pool_columns<T>(args, rows, text, c, sum);
      pooled[c] = sum[0];
      pooled[c + 1] = sum[1];
    }
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

// The computing warps' way through the layers. Each operation stands here once: what the
// instruction cache does not hold waits for memory.
template <typename T, int kParts, int kSize>
__device__ inline void compute(const ShortArgs& args, const ShortHalf* halves, Ring ring,
                               Ring windows, T* kept, T* tiles, float* pooled, int warp,
                               int lane) {
  const int row = row_of(args, warp);
  T* my_row = kept + (kWarps - 1 - warp) * args.hidden;
  if (row >= 0) embed<T, kParts>(args, row, my_row, args.flow + args.at.rows, lane);
#pragma unroll 1
  for (int i = 0; i < 4 * args.layer_count; ++i) {
    const ShortHalf& half = halves[i / 2];
    const FlowPlaces& at = args.at;
    char* flow = args.flow + i / 4 * at.layer;
    const int which = i % 4;
    const char* from = flow + (which == 0   ? at.rows
                               : which == 1 ? at.context
                               : which == 2 ? at.middle_rows
                                            : at.up);
    const Target to{flow + (which == 0   ? at.qkv
                            : which == 1 ? at.out
                            : which == 2 ? at.up
                                         : at.down),
                    args.products[which].columns, which == 2};
    multiply_part<T>(args, &ring, &windows, from, args.products[which], half.bias[i % 2],
                     which == 2, to, warp, lane);
    if (which == 0) {
      attention<T, kSize>(args, to.to, flow + at.context, tiles, warp, lane);
    } else if (which % 2 != 0 && row >= 0) {
      char* rows = flow + (which == 1 ? at.middle_rows : at.layer + at.rows);
      add_and_norm<T, kParts>(args, to.to, half.norm, row, my_row, rows, lane);
    }
  }
  pool<T>(args, args.flow + args.layer_count * args.at.layer + args.at.rows, pooled, warp, lane);
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
  Ring windows{base + static_cast<std::uint32_t>(args.window_at), base + 16 * kMostSlots,
               base + 16 * kMostSlots + 8 * kMostWindows, (args.ring_at - args.window_at) / args.windows,
               args.windows, 0, 0};
  if (threadIdx.x == 0) {
    for (int s = 0; s < args.slots; ++s) {
      barrier_init(ring.full + 8 * s, 1);
      barrier_init(ring.empty + 8 * s, kWarps);
    }
    for (int s = 0; s < args.windows; ++s) {
      barrier_init(windows.full + 8 * s, kWarps);
      barrier_init(windows.empty + 8 * s, kWarps);
    }
    asm volatile("fence.mbarrier_init.release.cluster;\n" ::: "memory");
    asm volatile("fence.proxy.async.shared::cta;\n" ::: "memory");
  }
  const int half_words = 2 * args.layer_count * static_cast<int>(sizeof(ShortHalf) / 8);
  auto* halves = reinterpret_cast<std::uint64_t*>(memory + args.halves_at);
  for (int i = static_cast<int>(threadIdx.x); i < half_words; i += kThreads)
    halves[i] = reinterpret_cast<const std::uint64_t*>(args.halves)[i];
  __syncthreads();
  const auto* all_halves = reinterpret_cast<const ShortHalf*>(halves);
  if (warp == kWarps) {
    copy_weights<T>(args, all_halves, ring, lane);
  } else {
    compute<T, kParts, kSize>(args, all_halves, ring, windows,
                              reinterpret_cast<T*>(memory + args.rows_at),
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
