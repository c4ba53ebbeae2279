// The bodies between signatures like those that MLX writes, and the calls of calls.h as launches of
// them: the same for the emulator and for CUDA. Included inside the namespace of the language,
// after prelude.metal.

template <typename T, int HEAD_SIZE, int GROUP, int WINDOW, bool CAUSAL>
INLAY_KERNEL void attention(In<T> query, Numbers query_strides, In<T> key, Numbers key_strides,
                            In<T> value, Numbers value_strides, In<std::int32_t> items, float scale,
                            Out<T> out) {
#include "backend/mlx/kernels/attention.metal"
}

template <typename T, typename W, int WIDTH>
INLAY_KERNEL void residual_layer_norm(In<T> input, Numbers input_shape, In<T> residual,
                                      In<W> weight, In<W> bias, float eps, Out<T> out) {
#include "backend/mlx/kernels/residual_layer_norm.metal"
}

template <typename T, typename W>
INLAY_KERNEL void bias_gelu(In<T> input, Numbers input_shape, In<W> bias, Out<T> out) {
#include "backend/mlx/kernels/bias_gelu.metal"
}

template <typename T, int WIDTH, int MODE, bool NORMALIZE>
INLAY_KERNEL void pool_normalize(In<T> input, In<std::int32_t> ranges, Out<float> out) {
#include "backend/mlx/kernels/pool_normalize.metal"
}

template <typename T, bool TWICE>
INLAY_KERNEL void vocabulary_max(In<T> logits, Numbers logits_shape, In<float> bias,
                                 In<std::int32_t> offsets, Out<float> out) {
#include "backend/mlx/kernels/vocabulary_max.metal"
}

template <typename T, int kSize, int kGroup, int kWindow, bool kCausal>
void run_attention(const Setup& setup, metal::AttentionCall& call) {
  Machine machine(setup);
  const auto qkv = machine.template input<T>("qkv", call.qkv);
  const auto items = machine.template input<std::int32_t>("items", call.items);
  const auto out = machine.template output<T>(call.out.size());
  const Numbers strides{{call.stride, 1}};
  const auto grid =
      backend::mlx::attention_grid(static_cast<std::int64_t>(call.items.size() / 4), call.heads);
  INLAY_LAUNCH(machine, grid, INLAY_UNPACK(attention<T, kSize, kGroup, kWindow, kCausal>),
               qkv + call.query_at, strides, qkv + call.key_at, strides, qkv + call.value_at,
               strides, items, call.scale, out);
  machine.template read<T>(&call.out);
}

template <typename T, typename W, int kWidth>
void run_norm(const Setup& setup, metal::NormCall& call) {
  Machine machine(setup);
  const auto input = machine.template input<T>("input", call.input);
  const auto residual = machine.template input<T>("residual", call.residual);
  const auto weight = machine.template input<W>("weight", call.weight);
  const auto bias = machine.template input<W>("bias", call.bias);
  const auto out = machine.template output<T>(call.out.size());
  const Numbers shape{{call.rows, call.width}};
  const auto grid = backend::mlx::residual_layer_norm_grid(call.rows, call.width);
  INLAY_LAUNCH(machine, grid, INLAY_UNPACK(residual_layer_norm<T, W, kWidth>), input, shape,
               residual, weight, bias, call.eps, out);
  machine.template read<T>(&call.out);
}

template <typename T, typename W>
void run_gelu(const Setup& setup, metal::GeluCall& call) {
  Machine machine(setup);
  const auto input = machine.template input<T>("input", call.input);
  const auto bias = machine.template input<W>("bias", call.bias);
  const auto out = machine.template output<T>(call.out.size());
  const Numbers shape{{call.rows, call.width}};
  const auto grid = backend::mlx::bias_gelu_grid(call.rows, call.width);
  INLAY_LAUNCH(machine, grid, INLAY_UNPACK(bias_gelu<T, W>), input, shape, bias, out);
  machine.template read<T>(&call.out);
}

template <typename T, int kWidth, int kMode, bool kNormalize>
void run_pool(const Setup& setup, metal::PoolCall& call) {
  Machine machine(setup);
  const auto input = machine.template input<T>("input", call.input);
  const auto ranges = machine.template input<std::int32_t>("ranges", call.ranges);
  const auto out = machine.template output<float>(call.out.size());
  const auto grid =
      backend::mlx::pool_normalize_grid(static_cast<std::int64_t>(call.ranges.size() / 3));
  INLAY_LAUNCH(machine, grid, INLAY_UNPACK(pool_normalize<T, kWidth, kMode, kNormalize>), input,
               ranges, out);
  machine.template read<float>(&call.out);
}

template <typename T, bool kTwice>
void run_vocabulary(const Setup& setup, metal::VocabularyCall& call) {
  Machine machine(setup);
  const auto logits = machine.template input<T>("logits", call.logits);
  const auto bias = machine.template input<float>("bias", call.bias);
  const auto offsets = machine.template input<std::int32_t>("offsets", call.offsets);
  const auto out = machine.template output<float>(call.out.size());
  const auto texts = static_cast<std::int64_t>(call.offsets.size()) - 1;
  const Numbers shape{{static_cast<long>(call.logits.size()) / call.words, call.words}};
  const auto grid = backend::mlx::vocabulary_max_grid(texts, call.words);
  INLAY_LAUNCH(machine, grid, INLAY_UNPACK(vocabulary_max<T, kTwice>), logits, shape, bias, offsets,
               out);
  machine.template read<float>(&call.out);
}

[[noreturn]] inline void no_instance(const char* kernel) {
  throw std::logic_error(std::string("twins.inl has no instance of ") + kernel + " for this call");
}

// The instances: every type of elements, both head sizes, what causal, window and grouped heads are
// made of.
inline void run_call(const Setup& setup, metal::AttentionCall& call) {
  using metal::Type;
  const auto is = [&](Type type, int size, int group, int window, bool causal) {
    return call.type == type && call.head_size == size && call.group == group &&
           call.window == window && call.causal == causal;
  };
  if (is(Type::kF32, 32, 1, -1, false)) return run_attention<float, 32, 1, -1, false>(setup, call);
  if (is(Type::kF32, 64, 1, -1, false)) return run_attention<float, 64, 1, -1, false>(setup, call);
  if (is(Type::kF16, 32, 1, -1, false)) return run_attention<half, 32, 1, -1, false>(setup, call);
  if (is(Type::kF16, 64, 1, -1, false)) return run_attention<half, 64, 1, -1, false>(setup, call);
  if (is(Type::kBF16, 32, 1, -1, false))
    return run_attention<bfloat, 32, 1, -1, false>(setup, call);
  if (is(Type::kBF16, 64, 1, -1, false))
    return run_attention<bfloat, 64, 1, -1, false>(setup, call);
  if (is(Type::kF32, 64, 2, -1, true)) return run_attention<float, 64, 2, -1, true>(setup, call);
  if (is(Type::kF16, 64, 1, 5, false)) return run_attention<half, 64, 1, 5, false>(setup, call);
  if (is(Type::kBF16, 32, 3, 2, true)) return run_attention<bfloat, 32, 3, 2, true>(setup, call);
  no_instance("attention");
}

inline void run_call(const Setup& setup, metal::NormCall& call) {
  using metal::Type;
  const auto is = [&](Type type, Type weight, long width) {
    return call.type == type && call.weight_type == weight && call.width == width;
  };
  if (is(Type::kF32, Type::kF32, 36)) return run_norm<float, float, 36>(setup, call);
  if (is(Type::kF16, Type::kF32, 36)) return run_norm<half, float, 36>(setup, call);
  if (is(Type::kBF16, Type::kF32, 36)) return run_norm<bfloat, float, 36>(setup, call);
  if (is(Type::kF16, Type::kF16, 384)) return run_norm<half, half, 384>(setup, call);
  if (is(Type::kF32, Type::kF32, 1024)) return run_norm<float, float, 1024>(setup, call);
  if (is(Type::kF32, Type::kF32, 1028)) return run_norm<float, float, 1028>(setup, call);
  if (is(Type::kBF16, Type::kBF16, 4096)) return run_norm<bfloat, bfloat, 4096>(setup, call);
  no_instance("residual_layer_norm");
}

inline void run_call(const Setup& setup, metal::GeluCall& call) {
  using metal::Type;
  if (call.bias_type == Type::kF16 && call.type == Type::kF16)
    return run_gelu<half, half>(setup, call);
  if (call.bias_type != Type::kF32) no_instance("bias_gelu");
  if (call.type == Type::kF32) return run_gelu<float, float>(setup, call);
  if (call.type == Type::kF16) return run_gelu<half, float>(setup, call);
  return run_gelu<bfloat, float>(setup, call);
}

inline void run_call(const Setup& setup, metal::PoolCall& call) {
  using metal::Type;
  const auto is = [&](Type type, long width, int mode, bool normalize) {
    return call.type == type && call.width == width && call.mode == mode &&
           call.normalize == normalize;
  };
  if (is(Type::kF32, 70, 0, true)) return run_pool<float, 70, 0, true>(setup, call);
  if (is(Type::kF32, 70, 1, true)) return run_pool<float, 70, 1, true>(setup, call);
  if (is(Type::kF32, 70, 2, true)) return run_pool<float, 70, 2, true>(setup, call);
  if (is(Type::kF32, 70, 3, false)) return run_pool<float, 70, 3, false>(setup, call);
  if (is(Type::kF32, 70, 4, true)) return run_pool<float, 70, 4, true>(setup, call);
  if (is(Type::kF32, 70, 5, false)) return run_pool<float, 70, 5, false>(setup, call);
  if (is(Type::kF16, 384, 2, true)) return run_pool<half, 384, 2, true>(setup, call);
  if (is(Type::kBF16, 384, 1, false)) return run_pool<bfloat, 384, 1, false>(setup, call);
  no_instance("pool_normalize");
}

inline void run_call(const Setup& setup, metal::VocabularyCall& call) {
  using metal::Type;
  if (call.type == Type::kF32 && !call.twice) return run_vocabulary<float, false>(setup, call);
  if (call.type == Type::kF16 && !call.twice) return run_vocabulary<half, false>(setup, call);
  if (call.type == Type::kBF16 && call.twice) return run_vocabulary<bfloat, true>(setup, call);
  no_instance("vocabulary_max");
}
