// What short_text_kernel.cu is made of: results given away and asked for through the flow, and the
// ring of weights.
#pragma once

#include "backend/cuda/device/barrier.cuh"
#include "backend/cuda/device/math.cuh"
#include "backend/cuda/device/mma.cuh"
#include "backend/cuda/device/short_text.cuh"

namespace inlay::backend::cuda {

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900

// All warps but the one that copies.
__device__ inline void sync_computing() {
  asm volatile("bar.sync 1, %0;\n" ::"n"(kComputing) : "memory");
}

// What is worked out from it belongs to one operation: the compiler would else carry all of it
// through all operations, more than there are registers.
__device__ inline void forget(int& value) { asm volatile("" : "+r"(value)); }

__device__ inline bool absent(const uint4& v) {
  return max(max(v.x, v.y), max(v.z, v.w)) == kAbsent;
}

// Loads v[i] from address(i) where it has not come.
template <int kCount, typename Address>
__device__ inline void ask(uint4 (&v)[kCount], const Address& address) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    asm volatile(
        "{\n.reg .pred p;\nsetp.ne.b32 p, %5, 0;\n"
        "@p ld.relaxed.gpu.global.v4.u32 {%0, %1, %2, %3}, [%4];\n}\n"
        : "+r"(v[i].x), "+r"(v[i].y), "+r"(v[i].z), "+r"(v[i].w)
        : "l"(address(i)), "r"(absent(v[i]) ? 1 : 0)
        : "memory");
  }
}
// Until all that is wanted has come; what is not wanted is zero. What never comes stops the kernel:
// the session then refuses.
template <int kCount, typename Address>
__device__ inline void receive(uint4 (&v)[kCount], std::uint32_t wanted, const Address& address) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    const std::uint32_t word = (wanted >> i & 1U) != 0 ? kAbsent : 0U;
    v[i] = make_uint4(word, word, word, word);
  }
#pragma unroll 1
  for (int tries = 0;; ++tries) {
    ask(v, address);
    bool missing = false;
#pragma unroll
    for (int i = 0; i < kCount; ++i) missing |= absent(v[i]);
    if (!missing) return;
    if (tries > kMostTries) __trap();
  }
}

__device__ inline void give(char* to, std::uint32_t a) {
  asm volatile("st.relaxed.gpu.global.u32 [%0], %1;\n" ::"l"(to), "r"(a) : "memory");
}
__device__ inline void give(char* to, std::uint32_t a, std::uint32_t b) {
  asm volatile("st.relaxed.gpu.global.v2.u32 [%0], {%1, %2};\n" ::"l"(to), "r"(a), "r"(b)
               : "memory");
}
__device__ inline void give(char* to, std::uint32_t a, std::uint32_t b, std::uint32_t c,
                            std::uint32_t d) {
  asm volatile("st.relaxed.gpu.global.v4.u32 [%0], {%1, %2, %3, %4};\n" ::"l"(to), "r"(a), "r"(b),
               "r"(c), "r"(d)
               : "memory");
}

// The same place of shared memory in block `rank` of the cluster.
__device__ inline std::uint32_t place_in(std::uint32_t address, int rank) {
  std::uint32_t there;
  asm("mapa.shared::cluster.u32 %0, %1, %2;\n" : "=r"(there) : "r"(address), "r"(rank));
  return there;
}
// 16 bytes to every block of the cluster, counted by the barrier of each.
__device__ inline void send_to_all(int cluster, std::uint32_t to, const uint4& v,
                                   std::uint32_t barrier) {
#pragma unroll
  for (int rank = 0; rank < kMostCluster; ++rank) {
    if (rank >= cluster) break;
    asm volatile(
        "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 [%0], {%1, %2, %3, %4}, "
        "[%5];\n" ::"r"(place_in(to, rank)),
        "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w), "r"(place_in(barrier, rank))
        : "memory");
  }
}

template <typename T>
__device__ inline uint4 pack(const float (&v)[kVector]) {
  T part[kVector];
#pragma unroll
  for (int i = 0; i < kVector; ++i) part[i] = from_float<T>(v[i]);
  uint4 bits;
  memcpy(&bits, part, sizeof bits);
  return bits;
}
template <typename T>
__device__ inline void unpack(const uint4& bits, float (&v)[kVector]) {
  T part[kVector];
  memcpy(part, &bits, sizeof bits);
#pragma unroll
  for (int i = 0; i < kVector; ++i) v[i] = to_float(part[i]);
}

// Lanes of a warp that arrive at a barrier for it. One, behind __syncwarp(); racecheck of
// compute-sanitizer 13.0 does not follow that and takes what the other lanes read for a race, so it
// is given a build with -DINLAY_CUDA_RACECHECK.
#if defined(INLAY_CUDA_RACECHECK)
inline constexpr int kArriving = kWarp;
#else
inline constexpr int kArriving = 1;
#endif

// Slots of shared memory, filled and emptied in one order by all warps of a block.
struct Ring {
  std::uint32_t memory, full, empty;
  int slot_bytes, count, slot, phase;

  __device__ std::uint32_t address() const { return memory + slot * slot_bytes; }
  __device__ void wait_full() const { barrier_wait(full + 8 * slot, phase); }
  __device__ void wait_empty() const { barrier_wait(empty + 8 * slot, phase ^ 1); }
  // Of a whole warp:
  __device__ void filled(int lane) {
    __syncwarp();
    if (lane < kArriving) barrier_arrive(full + 8 * slot);
    advance();
  }
  __device__ void emptied(int lane) {
    __syncwarp();
    if (lane < kArriving) barrier_arrive(empty + 8 * slot);
    advance();
  }
  __device__ void advance() {
    if (++slot == count) {
      slot = 0;
      phase ^= 1;
    }
  }
};

// What one step of 32 along k multiplies: 16 columns of weights, two octets of tokens.
struct Fragments {
  std::uint32_t a[2][4], b[2][4];
};
template <typename T>
__device__ inline void multiply_step(float (&sums)[2][4], const Fragments& f) {
  multiply(sums[0], f.a[0], f.b[0][0], f.b[0][1], T{});
  multiply(sums[1], f.a[0], f.b[1][0], f.b[1][1], T{});
  multiply(sums[0], f.a[1], f.b[0][2], f.b[0][3], T{});
  multiply(sums[1], f.a[1], f.b[1][2], f.b[1][3], T{});
}
// Four steps are on their way from shared memory at a time. Behind the last four the same four are
// loaded again and dropped: what lies there may be a slot that is being filled, and a condition
// around each load makes the kernel of bge-base a sixth slower. Steps that are no multiple of four
// load what the slot has behind them.
template <typename T, typename Load>
__device__ inline void multiply_steps(float (&sums)[2][4], int steps, const Load& load) {
  constexpr int kAhead = 4;
  Fragments f[kAhead];
#pragma unroll
  for (int i = 0; i < kAhead; ++i) load(f[i], i);
#pragma unroll 1
  for (int s = 0; s < steps; s += kAhead) {
    const int next = s + kAhead < steps ? s + kAhead : s;
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
      if (s + i < steps) multiply_step<T>(sums, f[i]);
      load(f[i], next + i);
    }
  }
}

#endif

}  // namespace inlay::backend::cuda
