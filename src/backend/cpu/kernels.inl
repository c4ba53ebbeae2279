// Every kernel, over one vector type. The including file has opened its target region and its
// namespace, and defined V, kTileRows and kTileRegs; it includes no other header after that, so
// that nothing shared is compiled for an instruction set that other machines lack.

// In order of use, which is not alphabetical.
// clang-format off
#include "backend/cpu/math.inl"
#include "backend/cpu/gemm.inl"
#include "backend/cpu/rows.inl"
#include "backend/cpu/heads.inl"
#include "backend/cpu/attention_pack.inl"
#include "backend/cpu/attention.inl"
// clang-format on

#define INLAY_KERNELS(name)                                                                    \
  {                                                                                            \
    name, kTileRows, kInt8Rows, kPanel, gemm, norm, embed, prepare, attention, vocabulary_max, \
        pool, normalize, add_rows, activate, narrow, V::kOffset, V::kComplements, V::kPairs,   \
        kKeepsWeights, peak                                                                    \
  }
