// The Metal kernels on the emulator.
#pragma once

#include "metal/calls.h"
#include "metal/emulator.h"

namespace inlay::metal {

class EmulatedEngine final : public Engine {
 public:
  explicit EmulatedEngine(metal_emulator::Options options) : options_(std::move(options)) {}
  // Each throws Fault when the machine finds one.
  void run(AttentionCall& call) override;
  void run(NormCall& call) override;
  void run(GeluCall& call) override;
  void run(PoolCall& call) override;
  void run(VocabularyCall& call) override;

 private:
  metal_emulator::Options options_;
};

}  // namespace inlay::metal
