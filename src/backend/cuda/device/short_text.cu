// Finding an encoder among a session's operations, and running batches of few tokens through it.
#include <algorithm>

#include "backend/cuda/device/pool_mode.h"
#include "backend/cuda/device/session.h"
#include "backend/cuda/device/short_text.cuh"
#include "backend/cuda/device/short_text.h"

namespace inlay::backend::cuda {
namespace {

bool same(const Place& a, const Place& b) {
  return a.block == b.block && a.offset == b.offset && a.ld == b.ld && a.type == b.type &&
         a.rows == b.rows;
}

// The operations of one layer, from ops[i] on.
struct LayerOps {
  const LinearOp *qkv, *out, *up, *down;
  const AttentionOp* attention;
  const NormOp *attention_norm, *norm;
};
bool is_product(const LinearOp& op, const Place& in, Activation activation) {
  return same(op.in, in) && op.rows == 0 && op.activation == activation && op.n % 32 == 0 &&
         op.k % 32 == 0 && op.in.type == op.out.type && op.weight.type == op.in.type &&
         (!present(op.bias) || op.bias.type == op.in.type) && op.out.rows == RowKind::kTokens;
}
bool is_norm(const NormOp& op, const Place& a, const Place& b) {
  return !present(op.sum) && !present(op.quantized) && op.out.type == a.type &&
         ((same(op.in, a) && same(op.residual, b)) || (same(op.in, b) && same(op.residual, a)));
}
bool find_layer(const std::vector<Op>& ops, std::size_t i, const Place& x, LayerOps* layer) {
  static constexpr OpKind kKinds[] = {OpKind::kLinear, OpKind::kAttention, OpKind::kLinear,
                                      OpKind::kNorm,   OpKind::kLinear,    OpKind::kLinear,
                                      OpKind::kNorm};
  if (i + std::size(kKinds) > ops.size()) return false;
  for (std::size_t j = 0; j < std::size(kKinds); ++j) {
    if (ops[i + j].kind != kKinds[j]) return false;
  }
  *layer = {&ops[i].linear,        &ops[i + 2].linear, &ops[i + 4].linear, &ops[i + 5].linear,
            &ops[i + 1].attention, &ops[i + 3].norm,   &ops[i + 6].norm};
  const AttentionOp& a = *layer->attention;
  const auto inside = [&](const Place& part, std::int64_t width) {
    const std::int64_t column = (part.offset - layer->qkv->out.offset) / 2;
    return part.block == layer->qkv->out.block && part.ld == layer->qkv->out.ld &&
           part.type == layer->qkv->out.type && part.rows == RowKind::kTokens && column >= 0 &&
           column % 8 == 0 && column + width <= layer->qkv->n;
  };
  return is_product(*layer->qkv, x, Activation::kNone) && inside(a.query, a.heads * a.head_size) &&
         inside(a.key, a.kv_heads * a.head_size) && inside(a.value, a.kv_heads * a.head_size) &&
         !present(a.relative_bias) && !present(a.alibi) && !present(a.distances) && a.window < 0 &&
         !a.causal && !a.last_row && !a.probabilities && (a.head_size == 32 || a.head_size == 64) &&
         is_product(*layer->out, a.out, Activation::kNone) &&
         layer->out->k == a.heads * a.head_size &&
         is_norm(*layer->attention_norm, layer->out->out, x) &&
         is_product(*layer->up, layer->attention_norm->out, Activation::kGelu) &&
         is_product(*layer->down, layer->up->out, Activation::kNone) &&
         is_norm(*layer->norm, layer->down->out, layer->attention_norm->out);
}

FlowPlaces places_for(const ShortArgs& args, std::int64_t octets) {
  const std::int64_t rows = octets * 8;
  FlowPlaces at{};
  const auto take = [&](std::int64_t width) {
    const std::int64_t begin = at.layer;
    at.layer += rows * width * 2;
    return begin;
  };
  at.qkv = take(args.qkv_columns);
  at.context = take(args.context);
  at.out = take(args.hidden);
  at.up = take(args.middle);
  at.down = take(args.hidden);
  return at;
}

}  // namespace

struct ShortText::Plan {
  ShortArgs args{};
  ShortKernel kernel = nullptr;
  int processors = 0;
  std::int64_t most_tokens = 0, head_size = 0, position_rule = 0, result_offset = 0;
  DeviceMemory halves, flows[2];
  std::int64_t dirty[2] = {};  // bytes of a flow that hold results
  int turn = 0;

  bool match(const Launch& at, const std::vector<Op>& ops, std::vector<ShortHalf>* found);
  bool match_end(const Launch& at, const std::vector<Op>& ops, std::size_t i, const Place& x);
  int grid() const;
  bool all_work() const;
  bool find_cluster();
  // Fills in what depends on the number of tokens; the bytes of shared memory, 0: too many.
  std::int64_t lay_out(std::int64_t tokens, ShortArgs* to) const;
};

ShortText::ShortText() = default;
ShortText::~ShortText() { drop(); }

void ShortText::drop() {
  delete plan_;
  plan_ = nullptr;
}

// One pooling, and after it at most one operation on its rows, straight to the outputs.
bool ShortText::Plan::match_end(const Launch&, const std::vector<Op>& ops, std::size_t i,
                                const Place& x) {
  if (i >= ops.size() || ops.size() - i > 2 || ops[i].kind != OpKind::kPool) return false;
  const PoolOp& pool = ops[i].pool;
  if (!same(pool.in, x) || pool.spans || pool.width != args.hidden || pool.out.type != Type::kF32 ||
      pool.out.rows != RowKind::kTexts)
    return false;
  switch (pool.mode) {
    case kCls:
      args.pool = ShortPool::kFirst;
      break;
    case kLastToken:
      args.pool = ShortPool::kLast;
      break;
    case kMean:
      args.pool = ShortPool::kMean;
      break;
    default:
      return false;
  }
  Place out = pool.out;
  args.result_width = static_cast<std::int32_t>(pool.width);
  if (i + 1 < ops.size()) {
    const Op& last = ops[i + 1];
    if (last.kind != OpKind::kRow || !same(last.row.in, pool.out) || last.row.width > pool.width)
      return false;
    out = last.row.out;
    args.normalize = last.row.normalize;
    args.result_width = static_cast<std::int32_t>(last.row.width);
  }
  if (out.block != Block::kOutputs || out.type != Type::kF32) return false;
  args.ld_result = out.ld;
  result_offset = out.offset;
  return true;
}

bool ShortText::Plan::match(const Launch& at, const std::vector<Op>& ops,
                            std::vector<ShortHalf>* found) {
  if (ops.empty() || ops[0].kind != OpKind::kEmbed) return false;
  const EmbedOp& embed = ops[0].embed;
  if (embed.out.type == Type::kF32 || present(embed.quantized) || embed.eps < 0 ||
      embed.width % 32 != 0 || embed.width > 4 * kWarp * kVector)
    return false;
  args.hidden = static_cast<std::int32_t>(embed.width);
  args.token_table = at.pointer<const void>(embed.tokens);
  args.position_table = at.pointer<const void>(embed.positions);
  args.type_table = at.pointer<const void>(embed.types);
  args.ld_tokens = embed.tokens.ld;
  args.ld_positions = embed.positions.ld;
  args.ld_types = embed.types.ld;
  args.embed_scale = embed.scale;
  args.embed_norm = {at.pointer<const float>(embed.weight), at.pointer<const float>(embed.bias),
                     embed.eps, true, embed.rms};
  position_rule = embed.position_rule;
  const auto norm_of = [&](const NormOp& op) {
    return NormTail{at.pointer<const float>(op.weight), at.pointer<const float>(op.bias), op.eps,
                    true, op.rms};
  };
  Place x = embed.out;
  std::size_t i = 1;
  LayerOps layer{};
  for (; find_layer(ops, i, x, &layer); i += 7, x = layer.norm->out) {
    const AttentionOp& a = *layer.attention;
    const auto column = [&](const Place& part) {
      return static_cast<std::int32_t>((part.offset - layer.qkv->out.offset) / 2);
    };
    ShortArgs mine = args;
    mine.qkv_columns = static_cast<std::int32_t>(layer.qkv->n);
    mine.context = static_cast<std::int32_t>(layer.out->k);
    mine.middle = static_cast<std::int32_t>(layer.up->n);
    mine.heads = static_cast<std::int32_t>(a.heads);
    mine.kv_heads = static_cast<std::int32_t>(a.kv_heads);
    mine.query_column = column(a.query);
    mine.key_column = column(a.key);
    mine.value_column = column(a.value);
    mine.scale = a.scale;
    mine.ld_hidden = static_cast<std::int32_t>(layer.qkv->weight.ld);
    mine.ld_context = static_cast<std::int32_t>(layer.out->weight.ld);
    mine.ld_middle = static_cast<std::int32_t>(layer.down->weight.ld);
    const bool fits = layer.qkv->k == args.hidden && layer.out->n == args.hidden &&
                      layer.up->k == args.hidden && layer.down->n == args.hidden &&
                      layer.down->k == mine.middle && layer.up->weight.ld == mine.ld_hidden &&
                      layer.attention_norm->width == args.hidden &&
                      layer.norm->width == args.hidden;
    if (!fits) return false;
    if (found->empty()) {
      args = mine;
      head_size = a.head_size;
    } else if (head_size != a.head_size || !args.same_layers(mine)) {
      return false;
    }
    const auto add_half = [&](const LinearOp& rows, const LinearOp& flow, const NormOp& norm) {
      found->push_back({at.pointer<const void>(rows.weight), at.pointer<const void>(rows.bias),
                        at.pointer<const void>(flow.weight), at.pointer<const void>(flow.bias),
                        norm_of(norm)});
    };
    add_half(*layer.qkv, *layer.out, *layer.attention_norm);
    add_half(*layer.up, *layer.down, *layer.norm);
  }
  return !found->empty() && found->size() <= 2 * kMostLayers && match_end(at, ops, i, x);
}

// As few blocks as hold two units of every product each: what every block reads, all of them read.
int ShortText::Plan::grid() const {
  const int units = std::max({args.qkv_columns, args.middle, 2 * args.hidden}) / kUnit;
  const int clusters = (units + kMostUnits * kMostCluster - 1) / (kMostUnits * kMostCluster);
  return clusters * kMostCluster;
}

// Every block has a unit of each product that reads rows: so no block is sent the next norm's rows
// before it has read the last one's.
bool ShortText::Plan::all_work() const {
  return grid() <= std::min(args.qkv_columns, args.middle) / kUnit;
}

// As many blocks to a cluster as leaves room for all of them on the GPU at a time.
bool ShortText::Plan::find_cluster() {
  cudaLaunchAttribute size{};
  size.id = cudaLaunchAttributeClusterDimension;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(grid()));
  config.blockDim = dim3(kThreads);
  config.dynamicSmemBytes = kSharedBytes;
  config.attrs = &size;
  config.numAttrs = 1;
  for (args.cluster = kMostCluster; args.cluster > 1; args.cluster /= 2) {
    size.val.clusterDim = {static_cast<unsigned>(args.cluster), 1, 1};
    int clusters = 0;
    check(cudaOccupancyMaxActiveClusters(&clusters, kernel, &config), "asking for room");
    if (clusters * args.cluster >= grid()) return true;
  }
  return false;
}

std::int64_t ShortText::Plan::lay_out(std::int64_t tokens, ShortArgs* to) const {
  to->tokens = static_cast<std::int32_t>(tokens);
  to->octets = static_cast<std::int32_t>((tokens + 7) / 8);
  to->at = places_for(*to, to->octets);
  const int most = std::max(1, grid() / (args.hidden / kUnit));
  to->split_octets = (to->octets + most - 1) / most;
  to->split = (to->octets + to->split_octets - 1) / to->split_octets;
  to->multiplying = (to->split_octets + 1) / 2;
  to->x_stride = args.hidden + kGap;
  const std::int64_t rows = (tokens + 15) / 16 * 16;
  for (to->flow_slots = kMostFlowSlots; to->flow_slots > 1; --to->flow_slots) {
    std::int64_t end = 0;
    const auto take = [&end](std::int64_t bytes) {
      const std::int64_t begin = end;
      end += (bytes + 127) / 128 * 128;
      return static_cast<std::int32_t>(begin);
    };
    take(kBarriers * 8);
    to->halves_at = take(2 * kMostLayers * std::int64_t{sizeof(ShortHalf)});
    to->x_at = take(rows * to->x_stride * 2);
    to->tiles_at = take(3 * rows * (head_size + kGap) * 2);
    to->pooled_at = take(args.hidden * std::int64_t{sizeof(float)});
    to->ends_at = take(kEndSlots * std::int64_t{EndPlaces{args.hidden}.bytes()});
    to->flow_at = take(to->flow_slots * std::int64_t{to->multiplying} * kPairWindowBytes);
    to->ring_at = static_cast<std::int32_t>(end);
    to->slots = static_cast<std::int32_t>(
        std::clamp<std::int64_t>((kSharedBytes - end) / kSlotBytes, 0, kMostSlots));
    if (to->slots >= (to->flow_slots == kMostFlowSlots ? kEnoughSlots : kLeastSlots))
      return end + std::int64_t{to->slots} * kSlotBytes;
  }
  return 0;
}

bool ShortText::plan(const Launch& at, const std::vector<Op>& ops) {
  drop();
  auto* made = plan_ = new Plan;
  std::vector<ShortHalf> halves;
  int device = 0;
  int shared = 0;
  int cooperative = 0;
  check(cudaGetDevice(&device), "asking for the GPU");
  check(cudaDeviceGetAttribute(&made->processors, cudaDevAttrMultiProcessorCount, device),
        "asking a GPU what it is");
  check(cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
        "asking a GPU what it is");
  check(cudaDeviceGetAttribute(&cooperative, cudaDevAttrCooperativeLaunch, device),
        "asking a GPU what it is");
  const bool fits = at.overlaps && shared >= kSharedBytes && cooperative != 0 &&
                    made->match(at, ops, &halves) && made->grid() <= made->processors &&
                    made->all_work();
  ShortArgs most = made->args;
  if (fits) {
    for (made->most_tokens = kTokens; made->most_tokens > 0; made->most_tokens -= 8) {
      if (made->lay_out(made->most_tokens, &most) > 0) break;
    }
  }
  if (made->most_tokens == 0) {
    drop();
    return false;
  }
  made->kernel = short_kernel_for(ops[0].embed.out.type, made->args.hidden, made->head_size);
  check(
      cudaFuncSetAttribute(made->kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes),
      "shared memory of short texts");
  if (!made->find_cluster()) {
    drop();
    return false;
  }
  const std::size_t bytes = halves.size() * sizeof(ShortHalf);
  made->args.layer_count = static_cast<std::int32_t>(halves.size() / 2);
  made->halves = DeviceMemory(static_cast<std::int64_t>(bytes));
  check(cudaMemcpy(made->halves.data, halves.data(), bytes, cudaMemcpyHostToDevice),
        "copying addresses");
  made->args.halves = static_cast<const ShortHalf*>(made->halves.data);
  const std::int64_t flow = most.at.layer * made->args.layer_count;
  for (DeviceMemory& memory : made->flows) {
    memory = DeviceMemory(flow);
    check(cudaMemsetAsync(memory.data, 0xFF, static_cast<std::size_t>(flow), at.stream),
          "clearing memory");
  }
  check(cudaStreamSynchronize(at.stream), "clearing memory");
  return true;
}

bool ShortText::takes(const BatchShape& shape) const {
  return plan_ != nullptr && shape.spans == 0 && shape.tokens > 0 &&
         shape.tokens <= plan_->most_tokens && shape.texts <= shape.tokens;
}

void ShortText::run(const Launch& launch, const std::int32_t* inputs, char* outputs) {
  Plan& plan = *plan_;
  ShortArgs args = plan.args;
  const std::int64_t shared = plan.lay_out(launch.shape.tokens, &args);
  const auto texts = static_cast<std::size_t>(launch.shape.texts);
  const auto tokens = static_cast<std::size_t>(launch.shape.tokens);
  args.texts = static_cast<std::int32_t>(texts);
  std::copy_n(inputs + launch.at.ids, tokens, args.ids);
  std::copy_n(inputs + launch.at.positions + plan.position_rule * launch.shape.tokens,
              args.position_table != nullptr ? tokens : 0, args.positions);
  std::copy_n(inputs + launch.at.types, args.type_table != nullptr ? tokens : 0, args.types);
  std::copy_n(inputs + launch.at.offsets, texts + 1, args.begins);
  std::copy_n(inputs + launch.at.pool_begin, texts, args.pool_begin);
  std::copy_n(inputs + launch.at.key_counts, texts, args.key_counts);
  args.result = reinterpret_cast<float*>(outputs + plan.result_offset);
  for (std::size_t text = 0; text < texts; ++text) {
    std::fill_n(reinterpret_cast<std::uint32_t*>(args.result) + text * args.ld_result,
                args.result_width, kAbsent);
  }
  const int turn = plan.turn;
  plan.turn ^= 1;
  args.flow = static_cast<char*>(plan.flows[turn].data);
  args.clear = static_cast<char*>(plan.flows[turn ^ 1].data);
  args.clear_bytes = plan.dirty[turn ^ 1];
  plan.dirty[turn ^ 1] = 0;
  plan.dirty[turn] = args.at.layer * args.layer_count;

  cudaLaunchAttribute attributes[2] = {};
  attributes[0].id = cudaLaunchAttributeCooperative;  // all blocks at a time, or none
  attributes[0].val.cooperative = 1;
  attributes[1].id = cudaLaunchAttributeClusterDimension;
  attributes[1].val.clusterDim = {static_cast<unsigned>(args.cluster), 1, 1};
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(plan.grid()));
  config.blockDim = dim3(kThreads);
  config.dynamicSmemBytes = static_cast<std::size_t>(shared);
  config.stream = launch.stream;
  config.attrs = attributes;
  config.numAttrs = 2;
  check(cudaLaunchKernelEx(&config, plan.kernel, args), "starting a short batch");
}

// NaN comes out of a GPU's arithmetic with its sign clear, so no result is kAbsent.
bool ShortText::come(const char* outputs, std::int64_t texts) const {
  const auto* words =
      reinterpret_cast<const volatile std::uint32_t*>(outputs + plan_->result_offset);
  for (std::int64_t text = texts - 1; text >= 0; --text) {
    for (std::int64_t i = plan_->args.result_width - 1; i >= 0; --i) {
      if (words[text * plan_->args.ld_result + i] == kAbsent) return false;
    }
  }
  return true;
}

}  // namespace inlay::backend::cuda
