// The Metal kernels as CUDA on the first GPU of the machine.
#pragma once

#include <string>

#include "metal/calls.h"

namespace inlay::metal {

std::string cuda_device();  // its name; empty: there is none

class CudaEngine final : public Engine {
 public:
  // Each throws std::runtime_error when CUDA refuses.
  void run(AttentionCall& call) override;
  void run(NormCall& call) override;
  void run(GeluCall& call) override;
  void run(PoolCall& call) override;
  void run(VocabularyCall& call) override;
};

}  // namespace inlay::metal
