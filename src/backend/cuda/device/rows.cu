// Operations on rows of tokens: embeddings, norms, activations, heads made ready for attention. One
// warp a row; sums in fp32 and in one order, so a row's result depends on nothing else.
#include "backend/cuda/device/math.cuh"
#include "backend/cuda/device/norm.cuh"
#include "backend/cuda/device/session.h"
#include "backend/cuda/device/start.cuh"

namespace inlay::backend::cuda {
namespace {

constexpr int kWarps = 4;  // of a block

// Rows of any width: the source is read once for each sum.
template <typename T, typename Source>
__global__ void any_width_kernel(const Source source, const NormTail tail, T* sum,
                                 std::int64_t ld_sum, T* out, std::int64_t ld_out,
                                 const NormQuantized quantized, std::int64_t rows,
                                 std::int64_t width) {
  wait_for_inputs();
  const std::int64_t row = std::int64_t{blockIdx.x} * kWarps + threadIdx.y;
  const int lane = static_cast<int>(threadIdx.x);
  if (row >= rows) return;
  float mean = 0;
  float scale = 1;
  if (tail.norm) {
    const auto size = static_cast<float>(width);
    if (!tail.rms) {
      for (std::int64_t c = lane; c < width; c += kWarp) mean += source.load1(row, c);
      mean = warp_sum(mean) / size;
    }
    float squares = 0;
    for (std::int64_t c = lane; c < width; c += kWarp) {
      const float x = source.load1(row, c) - mean;
      squares = fmaf(x, x, squares);
    }
    scale = 1.0F / sqrtf(warp_sum(squares) / size + tail.eps);
  }
  for (std::int64_t c = lane; c < width; c += kWarp) {
    const float x = source.load1(row, c);
    if (sum != nullptr) sum[row * ld_sum + c] = from_float<T>(x);
    float y = (x - mean) * scale;
    if (quantized.out != nullptr) {
      quantized.out[row * quantized.ld + c] =
          static_cast<std::uint8_t>(e4m3_pair(y * quantized.scale, 0));
    }
    if (out == nullptr) continue;
    if (tail.weight != nullptr) y *= tail.weight[c];
    if (tail.bias != nullptr) y += tail.bias[c];
    out[row * ld_out + c] = from_float<T>(y);
  }
}

// Rows whose width is a multiple of eight and fits a warp's registers: kParts vectors a lane.
template <typename T, int kParts, typename Source>
__global__ void __launch_bounds__(kWarp* kWarps)
    row_kernel(const Source source, const NormTail tail, T* sum, std::int64_t ld_sum, T* out,
               std::int64_t ld_out, const NormQuantized quantized, std::int64_t rows,
               std::int64_t width) {
  wait_for_inputs();
  const std::int64_t row = std::int64_t{blockIdx.x} * kWarps + threadIdx.y;
  const int lane = static_cast<int>(threadIdx.x);
  if (row >= rows) return;
  float v[kParts][kVector];
#pragma unroll
  for (int p = 0; p < kParts; ++p) {
    const std::int64_t column = (p * kWarp + lane) * kVector;
    if (column >= width) continue;
    source.load(row, column, v[p]);
    if (sum != nullptr) store8(sum + row * ld_sum + column, v[p]);
  }
  if (!tail.norm) {
#pragma unroll
    for (int p = 0; p < kParts; ++p) {
      const std::int64_t column = (p * kWarp + lane) * kVector;
      if (column < width) store8(out + row * ld_out + column, v[p]);
    }
    return;
  }
  const NormScale scale = scale_of_row(v, tail, width, lane);
#pragma unroll
  for (int p = 0; p < kParts; ++p) {
    const std::int64_t column = (p * kWarp + lane) * kVector;
    if (column >= width) continue;
    if (quantized.out != nullptr) {
      float z[kVector];
#pragma unroll
      for (int i = 0; i < kVector; ++i) {
        z[i] = __fmul_rn(__fmul_rn(__fsub_rn(v[p][i], scale.mean), scale.inverse), quantized.scale);
      }
      store8_e4m3(quantized.out + row * quantized.ld + column, z);
    }
    if (out == nullptr) continue;
    float factor[kVector] = {1, 1, 1, 1, 1, 1, 1, 1};
    float shift[kVector] = {};
    if (tail.weight != nullptr) load8(tail.weight + column, factor);
    if (tail.bias != nullptr) load8(tail.bias + column, shift);
#pragma unroll
    for (int i = 0; i < kVector; ++i) v[p][i] = normalized(v[p][i], scale, factor[i], shift[i]);
    store8(out + row * ld_out + column, v[p]);
  }
}

template <typename T, typename Source>
void launch_rows(const Launch& run, const Source& source, const NormTail& tail, T* sum,
                 std::int64_t ld_sum, T* out, std::int64_t ld_out, const NormQuantized& quantized,
                 std::int64_t rows, std::int64_t width) {
  if (rows < 1) return;
  const auto grid = static_cast<unsigned>((rows + kWarps - 1) / kWarps);
  const dim3 block(kWarp, kWarps);
  const std::int64_t parts = (width + kWarp * kVector - 1) / (kWarp * kVector);
  const auto fixed = [&](auto count) {
    start(run, row_kernel<T, decltype(count)::value, Source>, grid, block, 0, source, tail, sum,
          ld_sum, out, ld_out, quantized, rows, width);
  };
  if (width % kVector != 0 || parts > 8) {
    start(run, any_width_kernel<T, Source>, grid, block, 0, source, tail, sum, ld_sum, out, ld_out,
          quantized, rows, width);
  } else if (parts == 1) {
    fixed(std::integral_constant<int, 1>{});
  } else if (parts == 2) {
    fixed(std::integral_constant<int, 2>{});
  } else if (parts == 3) {
    fixed(std::integral_constant<int, 3>{});
  } else if (parts == 4) {
    fixed(std::integral_constant<int, 4>{});
  } else {
    fixed(std::integral_constant<int, 8>{});
  }
  check(cudaGetLastError(), "an operation on rows");
}

NormQuantized quantized_of(const Launch& run, const Place& place, std::int64_t width) {
  return {run.pointer<std::uint8_t>(place), place.ld, e4m3_scale_of_norm(width)};
}

template <typename T>
void embed(const Launch& run, const EmbedOp& op) {
  TableRows<T> source{};
  source.tokens = run.pointer<const T>(op.tokens);
  source.positions = run.pointer<const T>(op.positions);
  source.types = run.pointer<const T>(op.types);
  source.ld_tokens = op.tokens.ld;
  source.ld_positions = op.positions.ld;
  source.ld_types = op.types.ld;
  source.ids = run.inputs + run.at.ids;
  source.type_ids = run.inputs + run.at.types;
  source.position_ids = run.inputs + run.at.positions + op.position_rule * run.shape.tokens;
  source.scale = op.scale;
  const NormTail tail{run.pointer<const float>(op.weight), run.pointer<const float>(op.bias),
                      op.eps, op.eps >= 0, op.rms};
  launch_rows<T>(run, source, tail, nullptr, 0, run.pointer<T>(op.out), op.out.ld,
                 quantized_of(run, op.quantized, op.width), run.shape.tokens, op.width);
}

template <typename T>
void norm(const Launch& run, const NormOp& op) {
  const SumRows<T> source{run.pointer<const T>(op.in), run.pointer<const T>(op.residual), op.in.ld,
                          op.residual.ld};
  const NormTail tail{run.pointer<const float>(op.weight), run.pointer<const float>(op.bias),
                      op.eps, true, op.rms};
  launch_rows<T>(run, source, tail, run.pointer<T>(op.sum), op.sum.ld, run.pointer<T>(op.out),
                 op.out.ld, quantized_of(run, op.quantized, op.width), run.rows(op.in.rows),
                 op.width);
}

template <typename T>
void add(const Launch& run, const AddOp& op) {
  const SumRows<T> source{run.pointer<const T>(op.a), run.pointer<const T>(op.b), op.a.ld, op.b.ld};
  launch_rows<T>(run, source, NormTail{}, nullptr, 0, run.pointer<T>(op.out), op.out.ld,
                 NormQuantized{}, run.rows(op.out.rows), op.width);
}

// activation(x + bias) times, if there is a gate, what stands `width` columns to the right.
template <typename T>
__global__ void pointwise_kernel(const T* in, std::int64_t ld_in, T* out, std::int64_t ld_out,
                                 std::int64_t rows, std::int64_t width, const float* bias,
                                 Activation activation, bool gated) {
  wait_for_inputs();
  const std::int64_t parts = (width + kVector - 1) / kVector;
  const std::int64_t index = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const std::int64_t row = index / parts;
  const std::int64_t column = index % parts * kVector;
  if (row >= rows) return;
  const T* from = in + row * ld_in + column;
  T* to = out + row * ld_out + column;
  if (width % kVector == 0 && ld_in % kVector == 0 && ld_out % kVector == 0) {
    float v[kVector];
    float more[kVector];
    load8(from, v);
    if (bias != nullptr) {
      load8(bias + column, more);
#pragma unroll
      for (int i = 0; i < kVector; ++i) v[i] += more[i];
    }
    if (activation == Activation::kGelu) {
#pragma unroll
      for (float& x : v) x = gelu(x);
    } else {
#pragma unroll
      for (float& x : v) x = activate(activation, x);
    }
    if (gated) {
      load8(from + width, more);
#pragma unroll
      for (int i = 0; i < kVector; ++i) v[i] *= more[i];
    }
    store8(to, v);
    return;
  }
  for (int i = 0; i < kVector && column + i < width; ++i) {
    float x = to_float(from[i]);
    if (bias != nullptr) x += bias[column + i];
    x = activate(activation, x);
    if (gated) x *= to_float(from[width + i]);
    to[i] = from_float<T>(x);
  }
}

template <typename T>
void pointwise(const Launch& run, const Place& in, const Place& out, std::int64_t rows,
               std::int64_t width, const float* bias, Activation activation, bool gated) {
  if (rows < 1) return;
  constexpr int kThreads = 256;
  const std::int64_t threads = rows * ((width + kVector - 1) / kVector);
  start(run, pointwise_kernel<T>, static_cast<unsigned>((threads + kThreads - 1) / kThreads),
        kThreads, 0, run.pointer<const T>(in), in.ld, run.pointer<T>(out), out.ld, rows, width,
        bias, activation, gated);
  check(cudaGetLastError(), "an activation");
}

// A block a row. Ties go to the lower expert.
template <typename T>
__global__ void experts_kernel(const float* logits, std::int64_t ld_logits, T* middle,
                               std::int64_t ld_middle, std::int64_t hidden, int experts,
                               int top_k) {
  wait_for_inputs();
  __shared__ float parts[kMostExperts];
  const std::int64_t row = blockIdx.x;
  const int mine = static_cast<int>(threadIdx.x);
  const float* all = logits + row * ld_logits;
  if (mine < experts) {
    const float logit = all[mine];
    float largest = logit;
    int better = 0;
    for (int e = 0; e < experts; ++e) {
      largest = fmaxf(largest, all[e]);
      better += all[e] > logit || (all[e] == logit && e < mine) ? 1 : 0;
    }
    float total = 0;
    for (int e = 0; e < experts; ++e) total += expf(all[e] - largest);
    parts[mine] = better < top_k ? expf(logit - largest) / total : 0.0F;
  }
  __syncthreads();
  T* to = middle + row * ld_middle;
  for (std::int64_t c = mine; c < experts * hidden; c += blockDim.x) {
    const float part = parts[c / hidden];
    to[c] = part == 0 ? from_float<T>(0) : from_float<T>(to_float(to[c]) * part);
  }
}

struct PrepareArgs {
  const float *weight, *bias, *turns;
  const std::int32_t *row_positions, *offsets;  // of kTokens rows; of kTexts rows
  std::int64_t rows, ld_in, ld_out, heads, head_size, pairs;
  float eps;
  bool rms, whole, interleaved, last_row;
};

// A warp a head; where the norm is of all heads together, a warp a row. Lanes read what they write
// themselves, but for the sums, so in and out may be one.
template <typename T>
__global__ void prepare_kernel(const T* in, T* out, const PrepareArgs args) {
  wait_for_inputs();
  const std::int64_t unit = std::int64_t{blockIdx.x} * kWarps + threadIdx.y;
  const int lane = static_cast<int>(threadIdx.x);
  const std::int64_t parts = args.whole ? 1 : args.heads;  // warps a row
  const std::int64_t row = unit / parts;
  if (row >= args.rows) return;
  const std::int64_t first = unit % parts * args.head_size;
  const std::int64_t width = args.whole ? args.heads * args.head_size : args.head_size;
  const T* from = in + row * args.ld_in + first;
  T* to = out + row * args.ld_out + first;
  float mean = 0;
  float scale = 1;
  if (args.weight != nullptr) {
    const auto size = static_cast<float>(width);
    if (!args.rms) {
      for (std::int64_t c = lane; c < width; c += kWarp) mean += to_float(from[c]);
      mean = warp_sum(mean) / size;
    }
    float squares = 0;
    for (std::int64_t c = lane; c < width; c += kWarp) {
      const float x = to_float(from[c]) - mean;
      squares = fmaf(x, x, squares);
    }
    scale = 1.0F / sqrtf(warp_sum(squares) / size + args.eps);
    __syncwarp();
  }
  const auto normed = [&](std::int64_t c) {
    float x = to_float(from[c]);
    if (args.weight == nullptr) return x;
    x = (x - mean) * scale * args.weight[c];
    return args.bias == nullptr ? x : x + args.bias[c];
  };
  const std::int64_t turned = 2 * args.pairs;
  std::int64_t position = 0;
  if (args.pairs > 0) {
    if (args.row_positions != nullptr) {
      position = args.row_positions[row];
    } else if (args.last_row) {
      position = max(args.offsets[row + 1] - args.offsets[row] - 1, 0);
    }
  }
  const float* cosines = args.turns + position * turned;
  const float* sines = cosines + args.pairs;
  for (std::int64_t head = 0; head < width; head += args.head_size) {
    for (std::int64_t i = lane; i < args.pairs; i += kWarp) {
      const std::int64_t a = head + (args.interleaved ? 2 * i : i);
      const std::int64_t b = head + (args.interleaved ? 2 * i + 1 : i + args.pairs);
      const float x = normed(a);
      const float y = normed(b);
      to[a] = from_float<T>(x * cosines[i] - y * sines[i]);
      to[b] = from_float<T>(y * cosines[i] + x * sines[i]);
    }
    for (std::int64_t c = head + turned + lane; c < head + args.head_size; c += kWarp)
      to[c] = from_float<T>(normed(c));
  }
}

template <typename T>
void prepare(const Launch& run, const PrepareOp& op) {
  PrepareArgs args{};
  args.weight = run.pointer<const float>(op.weight);
  args.bias = run.pointer<const float>(op.bias);
  args.turns = run.pointer<const float>(op.turns);
  const bool tokens = op.in.rows == RowKind::kTokens;
  args.row_positions = tokens ? run.inputs + run.at.row_positions : nullptr;
  args.offsets = run.inputs + run.at.offsets;
  args.rows = run.rows(op.in.rows);
  args.ld_in = op.in.ld;
  args.ld_out = op.out.ld;
  args.heads = op.heads;
  args.head_size = op.head_size;
  args.pairs = op.pairs;
  args.eps = op.eps;
  args.rms = op.rms;
  args.whole = op.whole && present(op.weight);
  args.interleaved = op.interleaved;
  args.last_row = op.last_row;
  if (args.rows < 1) return;
  const std::int64_t units = args.rows * (args.whole ? 1 : op.heads);
  start(run, prepare_kernel<T>, static_cast<unsigned>((units + kWarps - 1) / kWarps),
        dim3(kWarp, kWarps), 0, run.pointer<const T>(op.in), run.pointer<T>(op.out), args);
  check(cudaGetLastError(), "norms and turns of heads");
}

// f<T>() for the element type.
template <typename F>
void by_type(Type type, const F& f) {
  switch (type) {
    case Type::kF32:
      f(float{});
      break;
    case Type::kF16:
      f(__half{});
      break;
    case Type::kBF16:
      f(__nv_bfloat16{});
      break;
    case Type::kE4M3:
      throw Failure{Status::kFailed, "rows of 8-bit floats are for products alone"};
  }
}

}  // namespace

void launch(const Launch& run, const EmbedOp& op) {
  by_type(op.tokens.type, [&](auto zero) { embed<decltype(zero)>(run, op); });
}

void launch(const Launch& run, const NormOp& op) {
  by_type(op.in.type, [&](auto zero) { norm<decltype(zero)>(run, op); });
}

void launch(const Launch& run, const AddOp& op) {
  by_type(op.out.type, [&](auto zero) { add<decltype(zero)>(run, op); });
}

void launch(const Launch& run, const ExpertsOp& op) {
  const std::int64_t rows = run.rows(op.middle.rows);
  if (rows < 1) return;
  constexpr int kThreads = 256;
  static_assert(kThreads >= kMostExperts);
  by_type(op.middle.type, [&](auto zero) {
    using T = decltype(zero);
    start(run, experts_kernel<T>, static_cast<unsigned>(rows), kThreads, 0,
          run.pointer<const float>(op.logits), op.logits.ld, run.pointer<T>(op.middle),
          op.middle.ld, op.hidden, static_cast<int>(op.experts), static_cast<int>(op.top_k));
  });
  check(cudaGetLastError(), "experts");
}

void launch(const Launch& run, const PrepareOp& op) {
  by_type(op.out.type, [&](auto zero) { prepare<decltype(zero)>(run, op); });
}

void launch(const Launch& run, const GateOp& op) {
  by_type(op.out.type, [&](auto zero) {
    pointwise<decltype(zero)>(run, op.in, op.out, run.rows(op.out.rows), op.width, nullptr,
                              op.activation, true);
  });
}

void launch_activation(const Launch& run, const Place& out, std::int64_t rows, std::int64_t n,
                       const float* bias, Activation activation) {
  by_type(out.type, [&](auto zero) {
    pointwise<decltype(zero)>(run, out, out, rows, n, bias, activation, false);
  });
}

}  // namespace inlay::backend::cuda
