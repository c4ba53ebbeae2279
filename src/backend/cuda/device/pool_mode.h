// How rows are pooled.
#pragma once

namespace inlay::backend::cuda {

// PoolMode of program.h, the numbers of PoolOp::mode.
enum Mode { kCls, kMax, kMean, kMeanSqrtLen, kWeightedMean, kLastToken };

}  // namespace inlay::backend::cuda
