// Requests to results. A request is cut into jobs of a few texts; encoders take jobs by priority
// and push encoded texts; the computing thread packs whatever is ready, and the thread that
// finishes a request's last text fulfils its promise.
#include "engine/pipeline.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"
#include "base/utf8.h"

namespace inlay::engine {
namespace {

using Clock = std::chrono::steady_clock;

// Small enough that a query's job does not wait long behind a bulk request's, large enough to
// amortise the lock.
constexpr std::size_t kTextsPerJob = 32;
// One encoder feeds some four computing threads: encoding a token costs a few per cent of computing
// it.
constexpr int kThreadsPerEncoder = 4;
// Batches' worth of encoded tokens held ready, at least; each lane is to find two.
constexpr std::int64_t kBatchesAhead = 4;
// Tokens a computing thread should find ready before a batch starts: one chunk each and one to even
// out.
constexpr std::int64_t kTokensPerThread = 2048;

void check_utf8(const std::string& text, const std::string& where) {
  const std::size_t valid = utf8_valid_prefix(text);
  if (valid == text.size()) return;
  fail(ErrorCode::kBadInput, where,
       "expected UTF-8, got another byte at offset " + std::to_string(valid) + ".");
}

// Of an item; what is behind the texts are queries that have items of their own.
std::string text_name(const Request& request, std::size_t index) {
  if (index >= request.texts.size()) return "query";
  return "text " + std::to_string(request.first_index + static_cast<std::int64_t>(index));
}

void check_spans(const Request& request, const task::Task& task) {
  if (request.spans.empty()) return;
  if (!task.chunks()) {
    fail(ErrorCode::kUsage, "request",
         "expected no spans, got some: the model is not loaded to chunk texts (--chunk).");
  }
  if (request.spans.size() != request.texts.size()) {
    fail(ErrorCode::kUsage, "request",
         "expected spans of every text, or of none, got " + std::to_string(request.spans.size()) +
             " for " + std::to_string(request.texts.size()) + " texts.");
  }
}

// Leaves out every token `id`.
void drop(std::int32_t id, tokens::Encoding* encoding) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < encoding->ids.size(); ++i) {
    if (encoding->ids[i] == id) continue;
    encoding->ids[kept] = encoding->ids[i];
    encoding->type_ids[kept] = encoding->type_ids[i];
    encoding->special[kept] = encoding->special[i];
    if (!encoding->offsets.empty()) encoding->offsets[kept] = encoding->offsets[i];
    ++kept;
  }
  encoding->ids.resize(kept);
  encoding->type_ids.resize(kept);
  encoding->special.resize(kept);
  if (!encoding->offsets.empty()) encoding->offsets.resize(kept);
}

int lanes_of(const LoadedModel& model) { return model.executable ? model.executable->lanes() : 1; }
bool computes_on_host(const LoadedModel& model) {
  return model.executable && model.executable->computes_on_host();
}
std::int64_t tokens_worth_it(const LoadedModel& model) {
  return model.executable && !computes_on_host(model) ? model.limits.max_tokens
                                                      : kTokensPerThread * model.limits.threads;
}

std::int64_t since(Clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count();
}

}  // namespace

struct Pipeline::State {
  Request request;
  const task::Task* task = nullptr;
  task::PromptChoice prompt;
  tokens::EncodeOptions options;
  std::shared_ptr<const task::Task::Shared> shared;
  std::int32_t pool_begin = 0;
  std::uint64_t order = 0;
  Result result;
  std::promise<Result> promise;
  std::atomic<std::size_t> remaining{0};
  std::mutex mutex;    // guards error
  std::mutex reading;  // of computed texts into the result: one lane at a time
  std::exception_ptr error;

  void fail(std::exception_ptr cause) {
    const std::lock_guard lock(mutex);
    if (!error) error = std::move(cause);
  }
  bool failed() {
    const std::lock_guard lock(mutex);
    return error != nullptr;
  }
  // Cancelled or past its deadline: the request fails, and its texts are dropped wherever they are.
  bool dropped() {
    if (failed()) return true;
    const bool cancelled = request.cancel && request.cancel->cancelled();
    const bool late = request.deadline && Clock::now() > *request.deadline;
    if (!cancelled && !late) return false;
    fail(std::make_exception_ptr(Error(
        ErrorCode::kCancelled, "request",
        cancelled ? "expected to finish, got cancelled by the caller."
                  : "expected to finish by its deadline, got no time left. Allow more time.")));
    return true;
  }
  // `count` texts are done with; the last one settles the promise.
  void finish(std::size_t count) {
    if (count == 0 || remaining.fetch_sub(count) != count) return;
    if (error) {
      promise.set_exception(error);
      return;
    }
    try {
      task->finish(request, &result);
    } catch (...) {
      promise.set_exception(std::current_exception());
      return;
    }
    promise.set_value(std::move(result));
  }
};

// Heap order: the top is the highest priority, then the earliest request, then its earliest text.
bool Pipeline::later(const Job& a, const Job& b) {
  const int first = a.state->request.priority;
  const int second = b.state->request.priority;
  if (first != second) return first < second;
  return a.state->order != b.state->order ? a.state->order > b.state->order : a.begin > b.begin;
}

Pipeline::Pipeline(LoadedModel model, Truncate truncate)
    : model_(std::move(model)),
      truncate_(truncate),
      ready_(std::max<std::int64_t>(kBatchesAhead, 2 * lanes_of(model_)) * model_.limits.max_tokens,
             std::min<std::int64_t>(model_.limits.max_tokens, tokens_worth_it(model_))) {
  // Without an executable, encoding is all there is.
  const int each = computes_on_host(model_) ? kThreadsPerEncoder : 1;
  const int encoders = std::max(1, model_.limits.threads / each);
  for (int i = 0; i < encoders; ++i) encoders_.emplace_back([this] { encode_loop(); });
  for (int i = 0; i < lanes_of(model_); ++i) computers_.emplace_back([this] { compute_loop(); });
}

Pipeline::~Pipeline() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  job_arrived_.notify_all();
  for (std::thread& encoder : encoders_) encoder.join();
  ready_.close();
  for (std::thread& computer : computers_) computer.join();
}

std::future<Result> Pipeline::submit(Request request) {
  auto state = std::make_shared<State>();
  state->request = std::move(request);
  const Request& r = state->request;
  std::future<Result> future = state->promise.get_future();
  for (std::size_t i = 0; i < r.texts.size(); ++i) check_utf8(r.texts[i], text_name(r, i));
  for (const std::string& query : r.queries) check_utf8(query, "query");
  state->task = model_.task.get();
  model_.task->check(r);
  check_spans(r, *model_.task);
  task::check_role(model_.files, model_.adapter, r.role);
  if (r.role == Role::kNone) state->request.role = model_.task->default_role();
  state->prompt = task::choose_prompt(model_.files, r.prompt, r.role, model_.adapter);
  if (!model_.task->include_prompt() && !state->prompt.text.empty())
    state->pool_begin = prompt_tokens(state->prompt.text);
  state->options = encode_options(r.role);
  state->shared = model_.task->prepare({r, model_.tokenizer, state->prompt.text, state->options});
  state->result.dim = model_.task->dim();
  const std::size_t items = model_.task->items(r);
  state->result.texts.resize(items);
  model_.task->begin(items, &state->result);
  state->remaining = items;
  if (items == 0) {
    state->promise.set_value(std::move(state->result));
    return future;
  }
  ready_.expect(static_cast<std::int64_t>(items));
  {
    const std::lock_guard lock(mutex_);
    state->order = next_order_++;
    for (std::size_t begin = 0; begin < items; begin += kTextsPerJob) {
      jobs_.push_back({state, begin, std::min(begin + kTextsPerJob, items)});
      std::push_heap(jobs_.begin(), jobs_.end(), later);
    }
  }
  job_arrived_.notify_all();
  return future;
}

// Tokens that a prompt takes alone, less the special token that closes it: what
// sentence-transformers leaves out of pooling (modules/transformer.py, _get_prompt_length).
std::int32_t Pipeline::prompt_tokens(const std::string& prompt) const {
  tokens::EncodeOptions options;
  options.max_length = static_cast<int>(model_.max_length);
  options.add_special_tokens = !model_.files.is_static_table();
  const tokens::Encoding encoding = model_.tokenizer.encode(prompt, options);
  auto count = static_cast<std::int32_t>(encoding.ids.size());
  if (count > 0 && encoding.special.back() != 0) --count;
  return count;
}

tokens::EncodeOptions Pipeline::encode_options(Role role) const {
  tokens::EncodeOptions options;
  std::int64_t limit = model_.max_length;
  if (const auto own = model_.task->own_limit(role); own && !model_.max_length_given)
    limit = limit == 0 ? *own : std::min(limit, *own);
  options.max_length = static_cast<int>(limit);
  options.add_special_tokens = !model_.files.is_static_table();
  options.direction = truncate_ == Truncate::kLeft ? tokens::TruncationDirection::kLeft
                                                   : tokens::TruncationDirection::kRight;
  return options;
}

void Pipeline::encode_loop() {
  tokens::Encoding scratch;
  for (;;) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      job_arrived_.wait(lock, [&] { return closed_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      std::pop_heap(jobs_.begin(), jobs_.end(), later);
      job = std::move(jobs_.back());
      jobs_.pop_back();
    }
    encode(job, &scratch);
  }
}

void Pipeline::encode(const Job& job, tokens::Encoding* scratch) {
  for (std::size_t i = job.begin; i < job.end; ++i) {
    if (!job.state->dropped()) {
      try {
        encode_text(job.state, i, scratch);
        continue;
      } catch (...) {
        job.state->fail(std::current_exception());
      }
    }
    const std::size_t rest = job.end - i;
    ready_.withdraw(static_cast<std::int64_t>(rest));
    job.state->finish(rest);
    return;
  }
}

void Pipeline::check_ids(const tokens::Encoding& encoding, const std::string& where) const {
  const auto bad = [](const std::vector<std::int32_t>& values, std::int64_t count) {
    return std::find_if(values.begin(), values.end(),
                        [&](std::int32_t v) { return v < 0 || v >= count; });
  };
  const auto id = bad(encoding.ids, model_.vocab_size);
  if (id != encoding.ids.end()) {
    fail(ErrorCode::kBadInput, where,
         "expected token ids below " + std::to_string(model_.vocab_size) +
             " as the checkpoint has rows, got " + std::to_string(*id) +
             ". The tokenizer and the checkpoint do not belong together.");
  }
  if (model_.type_count == 0) return;
  const auto type = bad(encoding.type_ids, model_.type_count);
  if (type != encoding.type_ids.end()) {
    fail(ErrorCode::kBadInput, where,
         "expected token types below " + std::to_string(model_.type_count) + ", got " +
             std::to_string(*type) + ". The tokenizer and the checkpoint do not belong together.");
  }
}

// Under Truncate::kError. A text that is chunked loses nothing in windows, but sight of its whole.
void Pipeline::check_length(const State& state, std::size_t index,
                            const tokens::Encoding& encoding) const {
  if (truncate_ != Truncate::kError) return;
  const Request& request = state.request;
  std::int64_t most = state.options.max_length;
  const bool windows =
      model_.task->chunks() && static_cast<std::int64_t>(encoding.ids.size()) > most;
  if (!encoding.truncated && !windows) return;
  if (index >= request.texts.size()) most = model_.task->own_limit(Role::kQuery).value_or(most);
  fail(ErrorCode::kBadInput, text_name(request, index),
       "expected at most " + std::to_string(most) +
           " tokens under --truncate error, got more. Shorten the text, raise --max-length or " +
           (windows ? "allow windows (--truncate right)." : "allow the cut."));
}

void Pipeline::encode_text(const std::shared_ptr<State>& state, std::size_t index,
                           tokens::Encoding* scratch) {
  const auto begin = Clock::now();
  const Request& request = state->request;
  const task::Source source{request, model_.tokenizer, state->prompt.text, state->options};
  model_.task->encode(source, state->shared.get(), index, scratch);
  if (const auto unknown = model_.tokenizer.special_ids().unk;
      unknown && model_.files.drops_unknown_tokens())
    drop(*unknown, scratch);
  check_length(*state, index, *scratch);
  const bool looked_up = model_.task->look_up(source, index, scratch, &state->result);
  std::vector<task::Window> windows;
  if (model_.task->chunks()) {
    windows = model_.task->windows(source, index, *scratch, state->pool_begin, &state->result);
  } else if (!looked_up && !scratch->ids.empty()) {
    windows.push_back({0, static_cast<std::int32_t>(scratch->ids.size())});
  }
  counters_.tokenize_ns += since(begin);
  if (!looked_up) check_ids(*scratch, text_name(request, index));
  TextInfo& info = state->result.texts[index];
  info.tokens = static_cast<int>(scratch->ids.size());
  info.truncated = scratch->truncated;
  info.prompt = state->prompt.name;
  counters_.texts += index < request.texts.size() ? 1 : 0;
  counters_.tokens += info.tokens;
  counters_.truncated += info.truncated ? 1 : 0;
  if (windows.empty()) {  // done, or nothing to read: the zero vector
    ready_.withdraw(1);
    state->finish(1);
    return;
  }
  const auto count = static_cast<std::int32_t>(scratch->ids.size());
  info.whole = windows[0].begin == 0 && windows[0].end == count;
  push(state, index, *scratch, std::move(windows));
}

// Each window of an item is computed as a text of its own.
void Pipeline::push(const std::shared_ptr<State>& state, std::size_t index,
                    const tokens::Encoding& encoding, std::vector<task::Window> windows) {
  std::size_t more = windows.size() - 1;  // than the one that was announced
  state->remaining += more;
  ready_.expect(static_cast<std::int64_t>(more));
  try {
    for (task::Window& window : windows) {
      batch::ReadyText ready;
      const auto cut = [&](const std::vector<std::int32_t>& all) {
        return std::vector<std::int32_t>(all.begin() + window.begin, all.begin() + window.end);
      };
      ready.ids = cut(encoding.ids);
      if (model_.type_count > 1) ready.type_ids = cut(encoding.type_ids);
      ready.pool_begin = std::min(state->pool_begin, window.end - window.begin);
      ready.key_count = encoding.key_count;
      ready.priority = state->request.priority;
      ready.order = (state->order << 20U) + index;
      ready.owner = state;
      ready.index = index;
      ready.spans = std::move(window.spans);
      ready.chunks = std::move(window.chunks);
      ready_.push(std::move(ready));
      if (more > 0) --more;
    }
  } catch (...) {  // out of memory: the last one is the caller's to withdraw
    ready_.withdraw(static_cast<std::int64_t>(more));
    state->finish(more);
    throw;
  }
}

// Seconds in which a lane computes, however many of them at a time.
void Pipeline::count_computing(int change) {
  const std::lock_guard lock(computing_mutex_);
  if (computing_ == 0) computing_since_ = Clock::now();
  computing_ += change;
  if (computing_ == 0) counters_.compute_ns += since(computing_since_);
}

void Pipeline::compute_loop() {
  std::vector<batch::ReadyText> texts;
  Lane lane;
  while (ready_.pop(model_.limits.max_tokens, model_.limits.max_texts, &texts)) {
    const auto gone = std::partition(texts.begin(), texts.end(), [](const batch::ReadyText& text) {
      return !static_cast<State*>(text.owner.get())->dropped();
    });
    for (auto text = gone; text != texts.end(); ++text)
      static_cast<State*>(text->owner.get())->finish(1);
    texts.erase(gone, texts.end());
    if (texts.empty()) continue;
    try {
      compute(&texts, &lane);
    } catch (...) {
      for (const batch::ReadyText& text : texts)
        static_cast<State*>(text.owner.get())->fail(std::current_exception());
    }
    for (const batch::ReadyText& text : texts) static_cast<State*>(text.owner.get())->finish(1);
    texts.clear();
  }
}

void Pipeline::compute(std::vector<batch::ReadyText>* texts, Lane* lane) {
  struct Counted {
    Pipeline* pipeline;
    explicit Counted(Pipeline* p) : pipeline(p) { p->count_computing(1); }
    ~Counted() { pipeline->count_computing(-1); }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
  };
  const Counted counted(this);
  lane->buffer.clear();
  for (const batch::ReadyText& text : *texts)
    lane->buffer.add(text.ids, text.type_ids, text.pool_begin, text.key_count, text.spans);
  const PackedBatch batch = lane->buffer.view();
  std::vector<std::span<float>> spans;
  std::vector<std::vector<float>>& outputs = lane->outputs;
  outputs.resize(model_.outputs.size());
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    const LoadedModel::Output& output = model_.outputs[o];
    const std::int64_t rows = output.rows == Rows::kTokens  ? batch.tokens()
                              : output.rows == Rows::kTexts ? batch.texts()
                                                            : batch.span_count();
    outputs[o].resize(static_cast<std::size_t>(rows * output.width));
    spans.emplace_back(outputs[o]);
  }
  model_.executable->run(batch, spans);
  std::vector<std::span<const float>> mine(outputs.size());
  std::size_t span = 0;
  for (std::size_t i = 0; i < texts->size(); ++i) {
    const batch::ReadyText& text = (*texts)[i];
    for (std::size_t o = 0; o < outputs.size(); ++o) {
      const auto width = static_cast<std::size_t>(model_.outputs[o].width);
      const auto first = static_cast<std::size_t>(batch.offsets[i]);
      const std::size_t count = static_cast<std::size_t>(batch.offsets[i + 1]) - first;
      const Rows rows = model_.outputs[o].rows;
      mine[o] = rows == Rows::kTokens  ? spans[o].subspan(first * width, count * width)
                : rows == Rows::kTexts ? spans[o].subspan(i * width, width)
                                       : spans[o].subspan(span * width, text.spans.size() * width);
    }
    span += text.spans.size();
    auto* state = static_cast<State*>(text.owner.get());
    const std::lock_guard lock(state->reading);
    if (model_.task->read({mine, text.ids, state->request, text.chunks}, text.index,
                          &state->result))
      continue;
    std::string& error = state->result.texts[text.index].error;
    if (!error.empty()) continue;  // another window of it
    error = "expected finite values, got NaN or infinity: the model overflows on this text";
    counters_.nonfinite += 1;
  }
}

}  // namespace inlay::engine
