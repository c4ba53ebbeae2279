// One function an operation: finds its rows, takes this thread's share, calls the kernel.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <tuple>

#include "backend/cpu/runner.h"
#include "base/cpu_features.h"

namespace inlay::backend::cpu {
namespace {

// Rows that one GEMM unit covers: a weight panel is read once for as many. For vector instructions
// 28, 112, 252 and 504 differ by less than 3 %. AMX multiplies faster than a core reads weights
// that few rows use (128 rows of bf16 need 17 GB/s a core), so a block that threads share takes all
// rows that leave half of the L2 cache free; a thread alone goes by tiles (multiply_by_tiles).
constexpr Index kLeastGemmRows = 112;

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

// Blocks of equal numbers of tiles; one tile where there are no rows.
Index Runner::gemm_rows(Element element, Index rows, Index ld) const {
  const Index tile = run_.kernels.rows_at_once(element);
  const Index tiles = (rows + tile - 1) / tile;
  const Index fitting = cpu_features().l2_bytes / 2 / (ld * Index{sizeof(float)});
  const Index most = std::max(kLeastGemmRows, fitting);
  const Index blocks = std::max<Index>((rows + most - 1) / most, 1);
  return std::max<Index>((tiles + blocks - 1) / blocks, 1) * tile;
}

// Parts of the weights that stay in the L2 cache while all rows pass, a tile of them at a time: its
// rows are in the L1 cache, and what it writes goes on along its rows. Panel by panel instead, each
// line written lies in a page of its own, and waiting for it (300 cycles from the L3 cache) takes
// the buffers that tiles are loaded through. Five eighths of the cache: the rest is for what
// passes. Half as much is as good, a quarter is slower (0009).
void Runner::multiply_by_tiles(GemmArgs args) const {
  const Kernels& kernels = run_.kernels;
  const Index panels = args.panels(kernels.panel);
  const Index panel_bytes =
      kernels.weight_lines(args.element, args.k) * kernels.panel * Index{sizeof(float)};
  const Index kept = std::max<Index>(cpu_features().l2_bytes / 8 * 5 / panel_bytes, 1);
  const Index parts = (panels + kept - 1) / kept;
  args.row_block = kernels.rows_at_once(args.element);
  const Index tiles = args.units(kernels.panel) / panels;
  if (parts == 1) return kernels.gemm(args, 0, tiles * panels);
  for (Index part = 0; part < parts; ++part) {
    const Index begin = panels * part / parts;
    const Index end = panels * (part + 1) / parts;
    for (Index tile = 0; tile < tiles; ++tile)
      kernels.gemm(args, tile * panels + begin, tile * panels + end);
  }
}

void Runner::operator()(const EmbedOp& op) const {
  EmbedArgs args;
  args.tokens = {weight(op.tokens), run_.plan.weights[static_cast<std::size_t>(op.tokens)].table};
  args.positions = weight(op.positions);
  args.types = weight(op.types);
  args.ids = run_.batch.ids.data() + token_begin_;
  args.type_ids = run_.batch.type_ids.empty() ? nullptr : run_.batch.type_ids.data() + token_begin_;
  if (op.positions != kNoWeight) {
    args.position_ids = run_.position_ids + op.position_rule * run_.position_stride + token_begin_;
  }
  args.scale = op.scale;
  args.norm.weight = weight(op.norm_weight);
  args.norm.bias = weight(op.norm_bias);
  args.norm.eps = op.eps;
  args.norm.rms = op.rms;
  args.norm.width = op.width;
  args.norm.out = at(op.out);
  args.norm.ldo = op.out.ld;
  args.norm.copy_element = op.copy_element;
  if (op.copy_element != Element::kFp32) args.norm.copy = at(op.copy);
  args.norm.ldcopy = op.copy.ld;
  args.norm.scratch = run_.scratch;
  const Range rows = share(tokens_);
  run_.kernels.embed(args, rows.begin, rows.end);
}

void Runner::operator()(const NormOp& op) const {
  NormArgs args;
  args.input = at(op.in);
  args.ldi = op.in.ld;
  args.residual = op.has_residual ? at(op.residual) : nullptr;
  args.ldr = op.residual.ld;
  args.weight = weight(op.weight);
  args.bias = weight(op.bias);
  args.out = at(op.out);
  args.ldo = op.out.ld;
  args.width = op.width;
  args.eps = op.eps;
  args.rms = op.rms;
  args.copy_element = op.copy_element;
  if (op.copy_element != Element::kFp32) args.copy = at(op.copy);
  args.ldcopy = op.copy.ld;
  args.scratch = run_.scratch;
  const Range rows = share(rows_of(op.out.rows));
  run_.kernels.norm(args, rows.begin, rows.end);
}

void Runner::operator()(const GemmOp& op) const {
  GemmArgs args;
  args.a = at(op.in);
  args.lda = op.in.ld;
  args.m = rows_of(op.out.rows);
  args.n = op.n;
  args.k = op.k;
  args.weights = weight(op.weights);
  args.bias = weight(op.bias);
  args.activation = op.activation;
  args.gated = op.gated;
  args.element = op.element;
  args.narrow_out = op.narrow_out;
  args.residual = op.has_residual ? at(op.residual) : nullptr;
  args.ldr = op.residual.ld;
  args.c = at(op.out);
  args.ldc = op.out.ld;
  if (run_.team == 1 && run_.kernels.keeps_weights && op.element != Element::kFp32 && !op.gated)
    return multiply_by_tiles(args);
  // A team's threads take runs of units, which go through the panels of a block first: with one
  // block, a split by panels; with many, by rows.
  args.row_block = gemm_rows(args.element, args.m, args.lda);
  const Range units = share(args.units(run_.kernels.panel));
  run_.kernels.gemm(args, units.begin, units.end);
}

void Runner::operator()(const NarrowOp& op) const {
  const Range rows = share(rows_of(op.out.rows));
  for (Index r = rows.begin; r < rows.end; ++r) {
    run_.kernels.narrow(op.element, at(op.in) + r * op.in.ld, op.width, at(op.out) + r * op.out.ld,
                        run_.scratch);
  }
}

void Runner::operator()(const PrepareOp& op) const {
  PrepareArgs args;
  args.ldi = op.in.ld;
  args.ldo = op.out.ld;
  args.heads = op.heads;
  args.head_size = op.head_size;
  args.norm_weight = weight(op.norm_weight);
  args.norm_bias = weight(op.norm_bias);
  args.eps = op.eps;
  args.rms = op.rms;
  args.whole = op.whole;
  args.pairs = op.pairs;
  args.interleaved = op.interleaved;
  const bool single = op.in.rows == Rows::kTexts;
  const Range mine = share(rows_of(op.in.rows));
  for (Index text = 0; text < texts_; ++text) {
    const Index first = single ? text : offset(text) - token_begin_;
    const Index end = single ? text + 1 : offset(text + 1) - token_begin_;
    const Index begin = std::max(first, mine.begin);
    args.rows = std::min(end, mine.end) - begin;
    if (args.rows < 1) continue;
    Index position = begin - first;
    if (single && op.row == SelectKind::kLast) position = offset(text + 1) - offset(text) - 1;
    args.turns = op.turns == kNoWeight ? nullptr : weight(op.turns) + position * 2 * op.pairs;
    args.input = at(op.in) + begin * op.in.ld;
    args.out = at(op.out) + begin * op.out.ld;
    run_.kernels.prepare(args);
  }
}

Index Runner::key_count(Index text) const {
  if (run_.batch.key_counts.empty()) return offset(text + 1) - offset(text);
  return run_.batch.key_counts[static_cast<std::size_t>(text_begin_ + text)];
}

// One row of probabilities: a head_size-th of a per mille of a layer, in plain loops and in double,
// so that no instruction set is another's.
void Runner::heed(const AttentionOp& op, Index text) const {
  const Index first = offset(text) - token_begin_;
  const Index keys = key_count(text);
  float* out = at(op.out) + first * op.out.ld;
  const Index tokens = offset(text + 1) - offset(text);
  for (Index j = 0; j < tokens; ++j) out[j * op.out.ld] = 0;
  float* scores = run_.scratch;
  for (Index head = 0; head < op.heads; ++head) {
    const float* q = at(op.query) + text * op.query.ld + head * op.head_size;
    const Index kv_head = head / (op.heads / op.kv_heads);
    const float* k = at(op.key) + first * op.key.ld + kv_head * op.head_size;
    float largest = -INFINITY;
    for (Index j = 0; j < keys; ++j, k += op.key.ld) {
      double dot = 0;
      for (Index d = 0; d < op.head_size; ++d)
        dot += static_cast<double>(q[d]) * static_cast<double>(k[d]);
      scores[j] = static_cast<float>(dot * static_cast<double>(op.scale));
      largest = std::max(largest, scores[j]);
    }
    double total = 0;
    for (Index j = 0; j < keys; ++j) {
      scores[j] = static_cast<float>(std::exp(static_cast<double>(scores[j] - largest)));
      total += static_cast<double>(scores[j]);
    }
    const double share = 1 / (total * static_cast<double>(op.heads));
    for (Index j = 0; j < keys; ++j)
      out[j * op.out.ld] += static_cast<float>(static_cast<double>(scores[j]) * share);
  }
}

void Runner::attend(const AttentionOp& op, AttentionArgs args, Index text, Index head,
                    Range rows) const {
  const Index first = offset(text) - token_begin_;
  const Index kv_head = head / (op.heads / op.kv_heads);
  const bool single = op.query.rows == Rows::kTexts;
  const Index row = single ? text : first;
  const Index tokens = offset(text + 1) - offset(text);
  args.keys = key_count(text);
  const Index words = op.narrow_in ? op.head_size / 2 : op.head_size;
  args.q = at(op.query) + row * op.query.ld + head * words;
  args.k = at(op.key) + first * op.key.ld + kv_head * words;
  args.v = at(op.value) + first * op.value.ld + kv_head * words;
  args.out = at(op.out) + row * op.out.ld;
  args.out_column = head * op.head_size;
  args.query_begin = rows.begin;
  args.query_end = rows.end;
  if (single && op.query_row == SelectKind::kLast) args.first_position = tokens - 1;
  if (!op.alibi.empty()) args.alibi = op.alibi[static_cast<std::size_t>(head)];
  if (op.relative_bias != kNoWeight)
    args.relative_bias = weight(op.relative_bias) + head * (2 * op.reach + 1);
  if (op.distances >= 0) {
    const auto& table = run_.distances[static_cast<std::size_t>(op.distances)];
    args.distances = table.data() + table.size() / 2;
    const Index panel = run_.kernels.panel;
    const Index begin = head * ((op.positions + panel - 1) / panel * panel) * op.head_size;
    if (op.position_keys != kNoWeight) args.position_keys = weight(op.position_keys) + begin;
    if (op.position_queries != kNoWeight)
      args.position_queries = weight(op.position_queries) + begin;
  }
  run_.kernels.attention(args);
}

// Zeros behind the last head, up to a whole line of bf16.
void Runner::clear_tails(const AttentionOp& op, Index text, Range rows) const {
  const Index width = op.heads * op.head_size;
  const Index end = 2 * element_words(Element::kBf16, width);
  const Index row = op.query.rows == Rows::kTexts ? text : offset(text) - token_begin_;
  for (Index r = rows.begin; r < rows.end && width < end; ++r) {
    auto* halves = reinterpret_cast<std::uint16_t*>(at(op.out) + (row + r) * op.out.ld);
    std::fill(halves + width, halves + end, std::uint16_t{0});
  }
}

void Runner::operator()(const AttentionOp& op) const {
  if (op.probabilities) {
    const Range texts = share(texts_);
    for (Index t = texts.begin; t < texts.end; ++t) heed(op, t);
    return;
  }
  AttentionArgs args;
  args.ldq = op.query.ld;
  args.ldk = op.key.ld;
  args.ldv = op.value.ld;
  args.ldo = op.out.ld;
  args.head_size = op.head_size;
  args.scale = op.scale;
  args.causal = op.causal;
  args.window = op.window;
  args.reach = op.reach;
  args.positions = op.positions;
  args.element = op.element;
  args.narrow_in = op.narrow_in;
  args.narrow_out = op.narrow_out;
  args.scratch = run_.scratch;
  // A unit is a text, a head and, where threads share a chunk, a block of query rows. A team's
  // threads take every team-th unit.
  Index unit = 0;
  for (Index text = 0; text < texts_; ++text) {
    const bool single = op.query.rows == Rows::kTexts;
    const Index rows = single ? 1 : offset(text + 1) - offset(text);
    const Index block = run_.team == 1 ? rows : kQueryBlock;
    for (Index head = 0; head < op.heads; ++head) {
      for (Index begin = 0; begin < rows; begin += block, ++unit) {
        if (unit % run_.team != run_.rank) continue;
        attend(op, args, text, head, {begin, std::min(begin + block, rows)});
        if (op.narrow_out && head == 0)
          clear_tails(op, text, {begin, std::min(begin + block, rows)});
      }
    }
  }
}

void Runner::operator()(const AddOp& op) const {
  const Range rows = share(rows_of(op.out.rows));
  for (Index r = rows.begin; r < rows.end; ++r) {
    run_.kernels.add(at(op.a) + r * op.a.ld, at(op.b) + r * op.b.ld, at(op.out) + r * op.out.ld,
                     op.width);
  }
}

void Runner::operator()(const SelectOp& op) const {
  const Range texts = share(texts_);
  for (Index t = texts.begin; t < texts.end; ++t) {
    const Index row = op.select == SelectKind::kFirst ? offset(t) : offset(t + 1) - 1;
    std::memcpy(at(op.out) + t * op.out.ld, at(op.in) + (row - token_begin_) * op.in.ld,
                static_cast<std::size_t>(op.width) * sizeof(float));
  }
}

void Runner::operator()(const PoolOp& op) const {
  const Range rows = share(op.spans ? spans_ : texts_);
  for (Index t = rows.begin; t < rows.end; ++t) {
    float* result = at(op.out) + t * op.out.ld;
    float* row = op.work_slot == kNoSlot ? result : slot(op.work_slot) + t * op.work_ld;
    PoolArgs args;
    Index first = 0;
    Index end = 0;
    if (op.spans) {
      std::tie(first, end) = run_.batch.spans[static_cast<std::size_t>(span_begin_ + t)];
    } else {
      first = offset(t);
      end = offset(t + 1);
    }
    args.input = at(op.in) + (first - token_begin_) * op.in.ld;
    args.ldi = op.in.ld;
    args.rows = end - first;
    if (!op.spans && !run_.batch.pool_begin.empty())
      args.begin = run_.batch.pool_begin[static_cast<std::size_t>(text_begin_ + t)];
    args.width = op.width;
    args.out = row;
    for (const PoolMode mode : op.modes) {
      args.mode = mode;
      run_.kernels.pool(args);
      args.out += op.width;
    }
    Index width = op.width * static_cast<Index>(op.modes.size());
    for (const RowAction& action : op.actions) {
      if (action.keep > 0) {
        width = action.keep;
      } else {
        run_.kernels.normalize(row, width);
      }
    }
    if (row != result) std::memcpy(result, row, static_cast<std::size_t>(width) * sizeof(float));
  }
}

void Runner::operator()(const VocabularyOp& op) const {
  VocabularyArgs args;
  args.a = at(op.in);
  args.lda = op.in.ld;
  args.n = op.n;
  args.k = op.k;
  args.weights = weight(op.weights);
  args.bias = weight(op.bias);
  args.offsets = run_.batch.offsets.data() + text_begin_;
  args.texts = texts_;
  args.sum = op.sum;
  args.twice = op.twice;
  args.element = op.element;
  args.out = at(op.out);
  args.ldo = op.out.ld;
  const Index panel = run_.kernels.panel;
  const Range panels = share((op.n + panel - 1) / panel);
  run_.kernels.vocabulary_max(args, panels.begin, panels.end);
}

void Runner::operator()(const RowOp& op) const {
  const Range rows = share(rows_of(op.out.rows));
  for (Index r = rows.begin; r < rows.end; ++r) {
    const float* from = at(op.in) + r * op.in.ld;
    float* to = at(op.out) + r * op.out.ld;
    if (from != to) std::memcpy(to, from, static_cast<std::size_t>(op.width) * sizeof(float));
    if (op.normalize) run_.kernels.normalize(to, op.width);
  }
}

void run_ops(const ChunkRun& run) {
  const Runner runner(run);
  double* seconds = run.op_seconds;
  for (const Op& op : run.plan.ops) {
    const double begin = seconds == nullptr ? 0 : seconds_now();
    std::visit(runner, op);
    if (run.team > 1) run.barrier->wait();
    if (seconds != nullptr) *seconds++ += seconds_now() - begin;
  }
}

}  // namespace inlay::backend::cpu
