// Batches to submissions: a batch is cut into chunks of whole texts, each chunk's arrays are
// written into page-locked memory while the chunk before it runs, and outputs are copied from
// there.
#include "backend/cuda/executable.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "base/error.h"
#include "batch/check_batch.h"

namespace inlay::backend::cuda {
namespace {

void check(Status status, const Message& message) {
  if (status == Status::kOk) return;
  fail(status == Status::kOutOfMemory ? ErrorCode::kMemoryLimit : ErrorCode::kUnavailable, "cuda",
       message.text);
}

// Rows [text_begin, text_end) of texts and what goes with them.
struct Chunk {
  std::int64_t text_begin = 0, text_end = 0, token_begin = 0, span_begin = 0;
  BatchShape shape{};
};

class CudaExecutable final : public Executable {
 public:
  CudaExecutable(Plan plan, const CompileOptions& options, const Api& api, std::int32_t device)
      : plan_(std::move(plan)), options_(options), api_(api), memory_(memory_of(plan_)) {
    free_.fill(true);
    DeviceFacts facts{};
    Message message{};
    check(api_.device_facts(device, &facts, &message), message);
    isa_ = "sm_" + std::to_string(facts.major) + std::to_string(facts.minor);
    open(device);
    try {
      place_weights();
      check(api_.prepare(session_, &message), message);
    } catch (...) {
      api_.destroy(session_);
      throw;
    }
    op_count_ = plan_.ops.size();
    plan_.weights.clear();
    plan_.ops.clear();
    plan_.setup.clear();
  }
  ~CudaExecutable() override { api_.destroy(session_); }
  CudaExecutable(const CudaExecutable&) = delete;
  CudaExecutable& operator=(const CudaExecutable&) = delete;

  // One lane fills a submission and reads its results while the other's runs. A run of several
  // chunks takes both stages when it is alone.
  int lanes() const override { return kStages; }
  bool computes_on_host() const override { return false; }

  using Executable::run;
  void run(const PackedBatch& batch, std::span<const std::span<float>> outs) override {
    check_batch(batch, outs);
    UnderWay mine(this);
    for (std::int64_t text = 0; text < batch.texts();) {
      const Chunk chunk = cut(batch, text);
      mine.submit(batch, chunk, outs);
      text = chunk.text_end;
    }
    mine.finish_all(outs);
  }

  std::vector<OperationTime> profile(int repeats) {
    std::vector<float> times(op_count_);
    float all = 0;
    Message message{};
    check(api_.time(session_, repeats, times.data(), &all, &message), message);
    std::vector<OperationTime> lines;
    for (std::size_t i = 0; i < op_count_; ++i) {
      check(api_.describe(session_, static_cast<std::int64_t>(i), &message), message);
      lines.push_back({message.text, times[i]});
    }
    lines.push_back({"all", all});
    return lines;
  }

  MemoryPlan memory() const override { return memory_; }
  std::string_view isa() const override { return isa_; }

 private:
  // The stages that one run() holds, oldest submission first.
  class UnderWay {
   public:
    explicit UnderWay(CudaExecutable* owner) : owner_(owner) {}
    ~UnderWay();
    UnderWay(const UnderWay&) = delete;
    UnderWay& operator=(const UnderWay&) = delete;
    void submit(const PackedBatch& batch, const Chunk& chunk,
                std::span<const std::span<float>> outs);
    void finish_all(std::span<const std::span<float>> outs);

   private:
    struct Held {
      int stage = 0;
      Chunk chunk;
    };
    void finish_oldest(std::span<const std::span<float>> outs);
    CudaExecutable* owner_;
    std::array<Held, kStages> held_{};
    std::size_t count_ = 0;
  };
  int take_stage(bool wait);  // -1: none is free, and nobody is to wait for one
  void give_stage(int stage);

  void open(std::int32_t device);
  void place_weights();
  void place_weight(const WeightSpec& spec);
  void place_e4m3(const WeightSpec& spec);
  void check_batch(const PackedBatch& batch, std::span<const std::span<float>> outs) const;
  Chunk cut(const PackedBatch& batch, std::int64_t text) const;
  void fill(const PackedBatch& batch, const Chunk& chunk, const BatchShape& padded,
            std::int32_t* to) const;
  void pad(const BatchShape& shape, const BatchShape& padded, std::int32_t* to) const;
  void take_outputs(const Chunk& chunk, int stage, std::span<const std::span<float>> outs) const;

  Plan plan_;
  const CompileOptions options_;
  const Api& api_;
  const MemoryPlan memory_;
  std::string isa_;
  std::size_t op_count_ = 0;
  Session* session_ = nullptr;
  std::mutex submitting_;
  std::mutex stages_mutex_;  // guards free_
  std::condition_variable stage_free_;
  std::array<bool, kStages> free_;
  std::map<std::int64_t, float> e4m3_scales_;  // while weights are placed: what lies at an offset
};

int CudaExecutable::take_stage(bool wait) {
  std::unique_lock lock(stages_mutex_);
  const auto first_free = [&] { return std::find(free_.begin(), free_.end(), true); };
  if (wait) stage_free_.wait(lock, [&] { return first_free() != free_.end(); });
  const auto found = first_free();
  if (found == free_.end()) return -1;
  *found = false;
  return static_cast<int>(found - free_.begin());
}

void CudaExecutable::give_stage(int stage) {
  {
    const std::lock_guard lock(stages_mutex_);
    free_[static_cast<std::size_t>(stage)] = true;
  }
  stage_free_.notify_one();
}

// After a failure the session takes no submissions, so nothing writes to stages that are free.
CudaExecutable::UnderWay::~UnderWay() {
  for (std::size_t i = 0; i < count_; ++i) owner_->give_stage(held_[i].stage);
}

void CudaExecutable::UnderWay::submit(const PackedBatch& batch, const Chunk& chunk,
                                      std::span<const std::span<float>> outs) {
  int stage = owner_->take_stage(count_ == 0);
  while (stage < 0) {
    finish_oldest(outs);
    stage = owner_->take_stage(count_ == 0);
  }
  held_[count_++] = {stage, chunk};
  const BatchShape padded = owner_->api_.padded(owner_->session_, &chunk.shape);
  owner_->fill(batch, chunk, padded, owner_->api_.inputs(owner_->session_, stage));
  Message message{};
  const std::lock_guard lock(owner_->submitting_);
  check(owner_->api_.submit(owner_->session_, stage, &chunk.shape, &padded, &message), message);
}

void CudaExecutable::UnderWay::finish_oldest(std::span<const std::span<float>> outs) {
  const Held oldest = held_.front();
  Message message{};
  check(owner_->api_.wait(owner_->session_, oldest.stage, &message), message);
  owner_->take_outputs(oldest.chunk, oldest.stage, outs);
  std::move(held_.begin() + 1, held_.end(), held_.begin());
  --count_;
  owner_->give_stage(oldest.stage);
}

void CudaExecutable::UnderWay::finish_all(std::span<const std::span<float>> outs) {
  while (count_ > 0) finish_oldest(outs);
}

void CudaExecutable::open(std::int32_t device) {
  SessionSpec spec{};
  spec.device = device;
  spec.type = plan_.type;
  spec.setup = plan_.setup.data();
  spec.setup_count = static_cast<std::int64_t>(plan_.setup.size());
  spec.ops = plan_.ops.data();
  spec.op_count = static_cast<std::int64_t>(plan_.ops.size());
  spec.outputs = plan_.outputs.data();
  spec.output_count = static_cast<std::int64_t>(plan_.outputs.size());
  spec.inputs = plan_.inputs();
  spec.most = plan_.most();
  spec.weight_bytes = plan_.weight_bytes;
  spec.slot_bytes = plan_.slot_bytes;
  spec.output_bytes = plan_.output_bytes;
  spec.input_words = plan_.input_words();
  Message message{};
  check(api_.create(&spec, &session_, &message), message);
}

void CudaExecutable::place_weights() {
  for (const WeightSpec& spec : plan_.weights) place_weight(spec);
  e4m3_scales_.clear();
}

void CudaExecutable::place_weight(const WeightSpec& spec) {
  using Kind = WeightSpec::Kind;
  Message message{};
  std::vector<float> values;
  const auto upload = [&](std::int64_t rows, std::int64_t columns, std::int64_t first) {
    if (spec.factor != 1) {
      for (float& value : values) value *= spec.factor;
    }
    const std::int64_t ld = spec.kind == Kind::kColumns ? columns : spec.ld;
    check(api_.upload(session_, values.data(), rows, columns,
                      spec.offset + first * ld * type_bytes(spec.type), ld, spec.type, &message),
          message);
  };
  switch (spec.kind) {
    case Kind::kMatrix: {
      if (spec.type == Type::kE4M3) return place_e4m3(spec);
      std::int64_t row = 0;
      for (const WeightRef& part : spec.parts) {
        values = to_float(part.tensor, part.name);
        upload(part.tensor.shape[0], spec.k, row);
        row += part.tensor.shape[0];
      }
      return;
    }
    case Kind::kVector: {
      for (const WeightRef& part : spec.parts) {
        if (part.present()) {
          const std::vector<float> more = to_float(part.tensor, part.name);
          values.insert(values.end(), more.begin(), more.end());
        } else {
          values.resize(values.size() + static_cast<std::size_t>(part.tensor.shape[0]), spec.fill);
        }
      }
      upload(1, spec.k, 0);
      return;
    }
    case Kind::kColumns: {
      const std::vector<float> rows = to_float(spec.parts[0].tensor, spec.parts[0].name);
      for (std::int64_t column = 0; column < spec.k; ++column) {
        for (std::int64_t row = 0; row < spec.n; ++row)
          values.push_back(rows[static_cast<std::size_t>(row * spec.k + column)]);
      }
      upload(spec.k, spec.n, 0);
      return;
    }
    case Kind::kTurns: {
      const auto factor = static_cast<double>(spec.rope.factor);
      for (std::int64_t position = 0; position < spec.n; ++position) {
        for (const bool sine : {false, true}) {
          for (const float frequency : spec.rope.inv_freq) {
            const float angle = static_cast<float>(position) * frequency;
            const auto a = static_cast<double>(angle);
            values.push_back(static_cast<float>((sine ? std::sin(a) : std::cos(a)) * factor));
          }
        }
      }
      upload(spec.n, spec.k, 0);
      return;
    }
    case Kind::kNumbers:
      values = spec.numbers;
      upload(1, spec.k, 0);
      return;
    case Kind::kWords: {
      std::vector<std::int32_t> words;
      const std::int64_t reach = spec.k / 2;
      for (std::int64_t distance = -reach; distance <= reach; ++distance) {
        words.push_back(static_cast<std::int32_t>(
            relative_row(spec.span, spec.buckets, spec.positions, distance)));
      }
      check(api_.upload_words(session_, words.data(), spec.k, spec.offset, &message), message);
      return;
    }
    case Kind::kSpace:
      return;
  }
}

// See E4M3Matrix. Bounds leave 7 % for what rounding adds.
void CudaExecutable::place_e4m3(const WeightSpec& spec) {
  const E4M3Matrix& matrix = spec.e4m3;
  const auto optional = [](const WeightRef& ref) {
    return ref.present() ? to_float(ref.tensor, ref.name) : std::vector<float>();
  };
  const std::vector<float> factor = optional(matrix.factor);
  const std::vector<float> shift = optional(matrix.shift);
  const auto n = static_cast<std::size_t>(spec.n);
  std::vector<float> scales(n), bias(n), lengths(n);
  Message message{};
  std::size_t row = 0;
  for (std::size_t part = 0; part < spec.parts.size(); ++part) {
    const WeightRef& weight = spec.parts[part];
    const std::vector<float> values = to_float(weight.tensor, weight.name);
    const std::int64_t rows = weight.tensor.shape[0];
    check(api_.upload_e4m3(session_, values.data(), rows, spec.k,
                           factor.empty() ? nullptr : factor.data(),
                           shift.empty() ? nullptr : shift.data(),
                           spec.offset + static_cast<std::int64_t>(row) * spec.ld, spec.ld,
                           &scales[row], &bias[row], &lengths[row], &message),
          message);
    if (!matrix.biases.empty()) {
      const std::vector<float> more = optional(matrix.biases[part]);
      for (std::size_t i = 0; i < more.size(); ++i) bias[row + i] += more[i];
    }
    row += static_cast<std::size_t>(rows);
  }
  const float input =
      matrix.input_scale < 0 ? e4m3_scale_of_norm(spec.k) : e4m3_scales_.at(matrix.input_scale);
  for (float& scale : scales) scale /= input;
  if (matrix.out_scale >= 0) {
    float bound = 1e-6F;
    for (std::int64_t i = matrix.bound_begin; i < matrix.bound_end; ++i) {
      const auto at = static_cast<std::size_t>(i);
      bound =
          std::max(bound, std::sqrt(static_cast<float>(spec.k)) * lengths[at] + std::abs(bias[at]));
    }
    const float out = kMostE4M3 / (1.07F * bound);
    e4m3_scales_[matrix.out_scale] = out;
    check(api_.upload(session_, &out, 1, 1, matrix.out_scale, 1, Type::kF32, &message), message);
  }
  check(
      api_.upload(session_, scales.data(), 1, spec.n, matrix.scales, spec.n, Type::kF32, &message),
      message);
  check(api_.upload(session_, bias.data(), 1, spec.n, matrix.bias, spec.n, Type::kF32, &message),
        message);
}

void CudaExecutable::check_batch(const PackedBatch& batch,
                                 std::span<const std::span<float>> outs) const {
  const std::int64_t tokens = batch.tokens();
  const std::int64_t texts = std::max<std::int64_t>(batch.texts(), 0);
  bool fits = outs.size() == plan_.outputs.size();
  for (std::size_t i = 0; fits && i < outs.size(); ++i) {
    const OutputSpec& output = plan_.outputs[i];
    const std::int64_t rows = output.rows == RowKind::kTokens  ? tokens
                              : output.rows == RowKind::kTexts ? texts
                                                               : batch.span_count();
    fits = static_cast<std::int64_t>(outs[i].size()) == rows * output.width;
  }
  if (!fits)
    fail(ErrorCode::kInternal, "cuda", "expected outputs of [texts, tokens or spans, width].");
  BatchLimits limits{options_.max_tokens, options_.max_texts, plan_.capacity.text_tokens,
                     plan_.vocab_size, plan_.type_count};
  if (plan_.max_positions >= 0)
    limits.text_tokens = std::min(limits.text_tokens, plan_.max_positions);
  inlay::check_batch("cuda", batch, limits);
}

// Whole texts from `text` on, as many as a submission holds.
Chunk CudaExecutable::cut(const PackedBatch& batch, std::int64_t text) const {
  const auto offset = [&](std::int64_t t) {
    return std::int64_t{batch.offsets[static_cast<std::size_t>(t)]};
  };
  Chunk chunk;
  chunk.text_begin = chunk.text_end = text;
  chunk.token_begin = offset(text);
  const std::int64_t most_texts = std::min(batch.texts(), text + plan_.capacity.texts);
  while (chunk.text_end < most_texts &&
         offset(chunk.text_end + 1) - chunk.token_begin <= plan_.capacity.tokens) {
    const std::int64_t length = offset(chunk.text_end + 1) - offset(chunk.text_end);
    chunk.shape.items += (length + kQueryBlock - 1) / kQueryBlock;
    ++chunk.text_end;
  }
  chunk.shape.tokens = offset(chunk.text_end) - chunk.token_begin;
  chunk.shape.texts = chunk.text_end - text;
  if (!batch.spans.empty()) {
    chunk.span_begin = batch.span_offsets[static_cast<std::size_t>(text)];
    chunk.shape.spans =
        batch.span_offsets[static_cast<std::size_t>(chunk.text_end)] - chunk.span_begin;
  }
  return chunk;
}

void CudaExecutable::fill(const PackedBatch& batch, const Chunk& chunk, const BatchShape& padded,
                          std::int32_t* to) const {
  const InputKinds kinds = plan_.inputs();
  const InputLayout at = input_layout(padded, kinds);
  const auto tokens = static_cast<std::size_t>(chunk.shape.tokens);
  const std::int32_t* ids = batch.ids.data() + chunk.token_begin;
  std::copy_n(ids, tokens, to + at.ids);
  if (kinds.types) {
    if (batch.type_ids.empty()) {
      std::fill_n(to + at.types, tokens, 0);
    } else {
      std::copy_n(batch.type_ids.data() + chunk.token_begin, tokens, to + at.types);
    }
  }
  std::int32_t* item = to + at.items;
  for (std::int64_t t = 0; t < chunk.shape.texts; ++t) {
    const auto text = static_cast<std::size_t>(chunk.text_begin + t);
    const auto begin = static_cast<std::int32_t>(batch.offsets[text] - chunk.token_begin);
    const std::int32_t length = batch.offsets[text + 1] - batch.offsets[text];
    to[at.offsets + t] = begin;
    to[at.pool_begin + t] = batch.pool_begin.empty() ? 0 : batch.pool_begin[text];
    to[at.key_counts + t] = batch.key_counts.empty() ? length : batch.key_counts[text];
    for (std::size_t r = 0; r < plan_.position_rules.size(); ++r) {
      const PositionRule& rule = plan_.position_rules[r];
      std::int32_t* out = to + at.positions + static_cast<std::int64_t>(r) * padded.tokens;
      std::int32_t position = rule.offset;
      for (std::int32_t i = begin; i < begin + length; ++i)
        out[i] = rule.pad_id >= 0 && ids[i] == rule.pad_id ? rule.pad_id : position++;
    }
    if (kinds.row_positions) {
      for (std::int32_t i = 0; i < length; ++i) to[at.row_positions + begin + i] = i;
    }
    for (std::int32_t row = 0; row < length; row += kQueryBlock) {
      *item++ = begin;
      *item++ = length;
      *item++ = row;
      *item++ = to[at.key_counts + t];
    }
  }
  to[at.offsets + chunk.shape.texts] = static_cast<std::int32_t>(chunk.shape.tokens);
  for (std::int64_t s = 0; s < chunk.shape.spans; ++s) {
    const auto& [begin, end] = batch.spans[static_cast<std::size_t>(chunk.span_begin + s)];
    to[at.spans + 2 * s] = static_cast<std::int32_t>(begin - chunk.token_begin);
    to[at.spans + 2 * s + 1] = static_cast<std::int32_t>(end - chunk.token_begin);
  }
  pad(chunk.shape, padded, to);
}

// What stands behind the batch's own in a larger shape.
void CudaExecutable::pad(const BatchShape& shape, const BatchShape& padded,
                         std::int32_t* to) const {
  const InputKinds kinds = plan_.inputs();
  const InputLayout at = input_layout(padded, kinds);
  const std::int64_t tokens = padded.tokens - shape.tokens;
  const std::int64_t texts = padded.texts - shape.texts;
  const auto end = static_cast<std::int32_t>(shape.tokens);
  std::fill_n(to + at.ids + shape.tokens, tokens, 0);
  if (kinds.types) std::fill_n(to + at.types + shape.tokens, tokens, 0);
  for (std::int64_t rule = 0; rule < kinds.position_rules; ++rule)
    std::fill_n(to + at.positions + rule * padded.tokens + shape.tokens, tokens, 0);
  if (kinds.row_positions) std::fill_n(to + at.row_positions + shape.tokens, tokens, 0);
  std::fill_n(to + at.offsets + shape.texts + 1, texts, end);
  std::fill_n(to + at.pool_begin + shape.texts, texts, 0);
  std::fill_n(to + at.key_counts + shape.texts, texts, 0);
  for (std::int64_t item = shape.items; item < padded.items; ++item) {
    std::fill_n(to + at.items + 4 * item, 4, 0);
  }
}

void CudaExecutable::take_outputs(const Chunk& chunk, int stage,
                                  std::span<const std::span<float>> outs) const {
  const char* from = api_.outputs(session_, stage);
  for (std::size_t i = 0; i < outs.size(); ++i) {
    const OutputSpec& output = plan_.outputs[i];
    const bool tokens = output.rows == RowKind::kTokens;
    const bool texts = output.rows == RowKind::kTexts;
    const std::int64_t first = tokens  ? chunk.token_begin
                               : texts ? chunk.text_begin
                                       : chunk.span_begin;
    const std::int64_t rows = tokens  ? chunk.shape.tokens
                              : texts ? chunk.shape.texts
                                      : chunk.shape.spans;
    if (rows == 0) continue;
    std::memcpy(outs[i].data() + first * output.width, from + output.offset,
                static_cast<std::size_t>(rows * output.width) * sizeof(float));
  }
}

}  // namespace

std::unique_ptr<Executable> make_executable(Plan plan, const CompileOptions& options,
                                            const Api& api, std::int32_t device) {
  return std::make_unique<CudaExecutable>(std::move(plan), options, api, device);
}

std::vector<OperationTime> profile(Executable* executable, int repeats) {
  return dynamic_cast<CudaExecutable&>(*executable).profile(repeats);
}

}  // namespace inlay::backend::cuda
