// The public Engine: a pipeline over a loaded model, and what it can tell about itself.
#include <utility>

#include "base/error.h"
#include "base/process.h"
#include "engine/loader.h"
#include "engine/pipeline.h"
#include "inlay/inlay.hpp"

namespace inlay {

CancelToken::CancelToken() : flag_(std::make_shared<std::atomic<bool>>(false)) {}
void CancelToken::cancel() noexcept { static_cast<std::atomic<bool>*>(flag_.get())->store(true); }
bool CancelToken::cancelled() const noexcept {
  return static_cast<std::atomic<bool>*>(flag_.get())->load();
}

struct Engine::Impl {
  engine::Pipeline pipeline;
};

Engine::Engine(const EngineOptions& options, const TaskOptions& task)
    : impl_(new Impl{engine::Pipeline(engine::load(options, task), options.truncate)}) {}
Engine::~Engine() = default;

std::future<Result> Engine::submit(Request request) {
  return impl_->pipeline.submit(std::move(request));
}
Result Engine::run(Request request) { return submit(std::move(request)).get(); }
std::int64_t Engine::dim() const { return impl_->pipeline.model().task->dim(); }
std::string Engine::token(std::int32_t id) const {
  if (impl_->pipeline.model().task->dim() == 0) {
    fail(ErrorCode::kBadInput, "token " + std::to_string(id),
         "expected a model with a vocabulary, got one that hashes words. Ask for "
         "SparseOptions::words.");
  }
  if (auto token = impl_->pipeline.model().tokenizer.id_to_token(id)) return *std::move(token);
  fail(ErrorCode::kBadInput, "token " + std::to_string(id), "expected an id of the vocabulary.");
}

Stats Engine::stats() const {
  const engine::LoadedModel& model = impl_->pipeline.model();
  const engine::Counters& counters = impl_->pipeline.counters();
  const backend::MemoryPlan memory =
      model.executable ? model.executable->memory() : backend::MemoryPlan{};
  Stats stats;
  stats.model = model.files.name();
  stats.revision = model.files.revision();
  stats.adapter = model.adapter;
  stats.weight_file = model.weight_file;
  stats.device = model.device;
  stats.backend = model.backend;
  stats.isa = model.isa;
  stats.dtype = model.dtype;
  stats.threads = model.limits.threads;
  stats.dim = model.task->dim();
  stats.max_length = model.max_length;
  stats.batch_tokens = model.limits.max_tokens;
  stats.texts = counters.texts;
  stats.tokens = counters.tokens;
  stats.truncated = counters.truncated;
  stats.nonfinite = counters.nonfinite;
  if (model.executable) {
    stats.padded_share = model.executable->padded_share();
    stats.partitions = model.executable->partitions();
    stats.fallback_ops = model.executable->fallback_ops();
    stats.device_notes = model.executable->notes();
    stats.served = model.executable->served();
  }
  stats.load_seconds = model.load_seconds;
  stats.tokenize_seconds = static_cast<double>(counters.tokenize_ns) * 1e-9;
  stats.compute_seconds = static_cast<double>(counters.compute_ns) * 1e-9;
  stats.packed_bytes = memory.packed;
  stats.arena_bytes = memory.arena;
  if (model.executable) stats.packed_weights = model.executable->packed_weights();
  stats.peak_rss = peak_resident_bytes();
  stats.notes = model.task->notes();
  stats.refusals = model.refusals;
  return stats;
}

}  // namespace inlay
