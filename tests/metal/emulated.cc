// The texts compiled as C++: see language.h.
#include "metal/emulated.h"

#include "metal/calls.h"
#include "metal/language.h"

namespace inlay::metal_text {
#include "backend/mlx/kernels/prelude.metal"
#include "metal/twins.inl"
}  // namespace inlay::metal_text

namespace inlay::metal {

void EmulatedEngine::run(AttentionCall& call) { metal_text::run_call(options_, call); }
void EmulatedEngine::run(NormCall& call) { metal_text::run_call(options_, call); }
void EmulatedEngine::run(GeluCall& call) { metal_text::run_call(options_, call); }
void EmulatedEngine::run(PoolCall& call) { metal_text::run_call(options_, call); }
void EmulatedEngine::run(VocabularyCall& call) { metal_text::run_call(options_, call); }

}  // namespace inlay::metal
