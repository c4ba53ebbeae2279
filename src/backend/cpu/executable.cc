// Memory and schedules. A batch is cut into chunks of whole texts. Many chunks: each thread takes
// the next one and runs the whole plan over it in its own slice of the arena, without meeting the
// others. A text too long for a slice, or too little work to go round: all threads run the plan
// over one chunk together, meeting after each operation.
#include "backend/cpu/executable.h"

#include <algorithm>
#include <string>
#include <utility>

#include "backend/cpu/pack_cache.h"
#include "backend/cpu/run_ops.h"
#include "base/cpu_features.h"
#include "base/error.h"
#include "batch/check_batch.h"

namespace inlay::backend::cpu {
namespace {

// A chunk's tokens: its slots stay within a quarter of the L3 cache (the weights stream through the
// rest), between 256 (fewer, and the tails of tiles and the reading of weights cost more than 2 %)
// and 1024 (more gains nothing).
constexpr Index kLeastChunk = 256;
constexpr Index kMostChunk = 1024;
// Near the end of a batch, chunks get smaller so that threads end together: an even share of what
// is left in so many pieces, but not below so many tokens. Many threads seldom get equal cores: on
// 16 of them 100 texts of 12,300 tokens take 0.94 to 0.99 of the time in the smaller pieces.
constexpr Index kFewThreads = 4;
constexpr Index last_chunk(Index threads) { return threads > kFewThreads ? 64 : 128; }
constexpr Index pieces_left(Index threads) { return threads > kFewThreads ? 3 : 2; }
// Fewer tokens than this a thread are faster by all threads together: the weights are read once.
constexpr Index kTeamTokens = 128;

Index slots_size(const Plan& plan, Index tokens, Index texts) {
  return plan.token_width * tokens + plan.text_width * texts;
}

class CpuExecutable final : public Executable {
 public:
  CpuExecutable(Plan plan, const Kernels& kernels, const CompileOptions& options, OpTimes* times)
      : plan_(std::move(plan)),
        kernels_(kernels),
        options_(options),
        sizes_(plan_sizes(plan_, options)),
        weights_(plan_, kernels, options.packed_cache, options.threads),
        slots_(static_cast<std::size_t>(sizes_.slots_floats) * sizeof(float)),
        scratch_(static_cast<std::size_t>(sizes_.scratch_floats * options.threads) * sizeof(float)),
        positions_(plan_.position_rules.size() * static_cast<std::size_t>(options.max_tokens)),
        chunks_(static_cast<std::size_t>(options.max_texts)),
        barrier_(options.threads),
        times_(times),
        pool_(options.threads),
        task_([this](int rank) { work(rank); }) {
    for (const Distances& d : plan_.distances) distances_.push_back(distance_table(d));
    for (WeightSpec& spec : plan_.weights) spec.parts.clear();  // the checkpoint may go now
    if (times_ != nullptr)
      times_->seconds.assign(static_cast<std::size_t>(options.threads),
                             std::vector<double>(plan_.ops.size()));
  }

  using Executable::run;
  void run(const PackedBatch& batch, std::span<const std::span<float>> outs) override {
    check(batch, outs);
    if (batch.texts() == 0) return;
    number_positions(batch);
    cut(batch);
    batch_ = &batch;
    outs_ = outs;
    next_.store(team_chunks_, std::memory_order_relaxed);
    pool_.run(task_);
  }

  MemoryPlan memory() const override { return sizes_.memory; }
  std::string_view isa() const override { return kernels_.name; }
  std::string packed_weights() const override { return weights_.note(); }

 private:
  void check(const PackedBatch& batch, std::span<const std::span<float>> outs) const;
  void number_positions(const PackedBatch& batch);
  void cut(const PackedBatch& batch);
  std::vector<std::int32_t> distance_table(const Distances& d) const;
  void work(int rank);

  Plan plan_;
  const Kernels& kernels_;
  const CompileOptions options_;
  const Sizes sizes_;
  const PackedWeights weights_;
  Buffer slots_, scratch_;
  std::vector<std::int32_t> positions_;
  std::vector<std::vector<std::int32_t>> distances_;
  std::vector<Chunk> chunks_;  // of this batch: those for the team, then those for one thread each
  Index team_chunks_ = 0, chunk_count_ = 0;
  std::atomic<Index> next_{0};
  const PackedBatch* batch_ = nullptr;
  std::span<const std::span<float>> outs_;
  Barrier barrier_;
  OpTimes* times_;
  ThreadPool pool_;
  const std::function<void(int)> task_;
};

void CpuExecutable::check(const PackedBatch& batch, std::span<const std::span<float>> outs) const {
  const std::int64_t tokens = batch.tokens();
  const std::int64_t texts = std::max<std::int64_t>(batch.texts(), 0);
  bool fits = outs.size() == plan_.outputs.size();
  for (std::size_t i = 0; fits && i < outs.size(); ++i) {
    const Slot& slot = plan_.outputs[i];
    const Index rows = slot.rows == Rows::kTokens  ? tokens
                       : slot.rows == Rows::kTexts ? texts
                                                   : batch.span_count();
    fits = static_cast<Index>(outs[i].size()) == rows * slot.width;
  }
  if (!fits)
    fail(ErrorCode::kInternal, "cpu", "expected outputs of [texts, tokens or spans, width].");
  BatchLimits limits{options_.max_tokens, options_.max_texts, options_.max_text_tokens,
                     plan_.vocab_size, plan_.type_count};
  if (plan_.max_positions >= 0)
    limits.text_tokens = std::min(limits.text_tokens, plan_.max_positions);
  check_batch("cpu", batch, limits);
}

void CpuExecutable::number_positions(const PackedBatch& batch) {
  std::int32_t* out = positions_.data();
  for (const PositionRule& rule : plan_.position_rules) {
    for (std::size_t t = 0; t + 1 < batch.offsets.size(); ++t) {
      std::int32_t position = rule.offset;
      for (std::int32_t i = batch.offsets[t]; i < batch.offsets[t + 1]; ++i) {
        const bool pad = rule.pad_id >= 0 && batch.ids[static_cast<std::size_t>(i)] == rule.pad_id;
        out[i] = pad ? rule.pad_id : position++;
      }
    }
    out += options_.max_tokens;
  }
}

std::vector<std::int32_t> CpuExecutable::distance_table(const Distances& d) const {
  std::vector<std::int32_t> table;
  const Index furthest = std::min(options_.max_text_tokens, options_.max_tokens) - 1;
  for (Index distance = -furthest; distance <= furthest; ++distance) {
    table.push_back(
        static_cast<std::int32_t>(relative_row(d.span, d.buckets, d.max_positions, distance)));
  }
  return table;
}

// Fills chunks_: first those that the team shares, then the others, which threads take in turn.
void CpuExecutable::cut(const PackedBatch& batch) {
  const Index texts = batch.texts();
  const Index threads = options_.threads;
  const auto length = [&](Index t) {
    return Index{batch.offsets[static_cast<std::size_t>(t + 1)]} -
           batch.offsets[static_cast<std::size_t>(t)];
  };
  // Too little work for each thread to have its own, or a text that would keep one busy alone.
  const bool little = threads > 1 && (batch.tokens() < threads * kTeamTokens || texts < threads);
  const Index longest =
      threads == 1 ? sizes_.team_tokens
                   : std::min(sizes_.chunk_tokens, std::max(kLeastChunk, batch.tokens() / threads));
  const auto shared = [&](Index t) { return little || length(t) > longest; };
  chunk_count_ = 0;
  for (const bool team : {true, false}) {
    Index left = 0;  // tokens of this kind not yet in a chunk
    for (Index t = 0; t < texts; ++t) left += shared(t) == team ? length(t) : 0;
    for (Index t = 0; t < texts;) {
      if (shared(t) != team) {
        ++t;
        continue;
      }
      const Index target = team ? sizes_.chunk_tokens
                                : std::clamp(left / (pieces_left(threads) * threads) + 1,
                                             std::min(last_chunk(threads), sizes_.chunk_tokens),
                                             sizes_.chunk_tokens);
      Chunk chunk{t, t, team && threads > 1};
      Index tokens = 0;
      while (chunk.text_end < texts && shared(chunk.text_end) == team &&
             (tokens == 0 || tokens + length(chunk.text_end) <= target)) {
        tokens += length(chunk.text_end++);
      }
      left -= tokens;
      t = chunk.text_end;
      chunks_[static_cast<std::size_t>(chunk_count_++)] = chunk;
    }
    if (team) team_chunks_ = chunk_count_;
  }
}

void CpuExecutable::work(int rank) {
  ChunkRun run{plan_,
               kernels_,
               weights_.data(),
               *batch_,
               positions_.data(),
               options_.max_tokens,
               distances_,
               {},
               slots_.as<float>(),
               sizes_.team_tokens,
               sizes_.chunk_texts,
               scratch_.as<float>() + rank * sizes_.scratch_floats,
               outs_,
               rank,
               options_.threads,
               &barrier_};
  if (times_ != nullptr) run.op_seconds = times_->seconds[static_cast<std::size_t>(rank)].data();
  for (Index i = 0; i < team_chunks_; ++i) {
    run.chunk = chunks_[static_cast<std::size_t>(i)];
    run_ops(run);
  }
  // The last operation's barrier lets nobody into a slice before the shared chunk is done.
  run.rank = 0;
  run.team = 1;
  if (options_.threads > 1) {
    run.slots += rank * sizes_.slice_floats;
    run.token_rows = sizes_.chunk_tokens;
  }
  while (true) {
    const Index i = next_.fetch_add(1, std::memory_order_relaxed);
    if (i >= chunk_count_) return;
    run.chunk = chunks_[static_cast<std::size_t>(i)];
    run_ops(run);
  }
}

}  // namespace

Sizes plan_sizes(const Plan& plan, const CompileOptions& options) {
  Sizes sizes;
  const Index row_bytes =
      std::max<Index>((plan.token_width + plan.text_width) * Index{sizeof(float)}, 1);
  const Index cached = cpu_features().l3_bytes / 4 / row_bytes;
  const Index longest = std::min(options.max_text_tokens, options.max_tokens);
  sizes.chunk_tokens =
      std::min(round_up(std::clamp(cached, kLeastChunk, kMostChunk), kLanes), options.max_tokens);
  sizes.team_tokens = std::max(sizes.chunk_tokens, longest);
  sizes.chunk_texts = std::min(sizes.chunk_tokens, options.max_texts);
  sizes.slice_floats = round_up(slots_size(plan, sizes.chunk_tokens, sizes.chunk_texts), kLanes);
  const Index slices = options.threads == 1 ? 0 : options.threads * sizes.slice_floats;
  sizes.slots_floats = std::max(slices, slots_size(plan, sizes.team_tokens, sizes.chunk_texts));
  sizes.scratch_floats = round_up(plan.scratch_floats, kLanes);
  sizes.memory.packed = plan.weight_floats * Index{sizeof(float)};
  sizes.memory.arena =
      (sizes.slots_floats + sizes.scratch_floats * options.threads) * Index{sizeof(float)} +
      static_cast<Index>(plan.position_rules.size()) * options.max_tokens *
          Index{sizeof(std::int32_t)} +
      static_cast<Index>(plan.distances.size()) * 2 * options.max_text_tokens *
          Index{sizeof(std::int32_t)} +
      options.max_texts * Index{sizeof(Chunk)};
  return sizes;
}

std::unique_ptr<Executable> make_executable(Plan plan, const Kernels& kernels,
                                            const CompileOptions& options, OpTimes* times) {
  return std::make_unique<CpuExecutable>(std::move(plan), kernels, options, times);
}

}  // namespace inlay::backend::cpu
