// Loading. Nothing large is allocated before the plan has been held against the memory limit.
#include "engine/loader.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <future>

#include "arch/arch.h"
#include "arch/external_graph.h"
#include "backend/select.h"
#include "base/error.h"
#include "base/options.h"
#include "base/process.h"
#include "base/threads.h"
#include "engine/meanwhile.h"
#include "engine/verdict.h"
#include "files/locate.h"
#include "files/places.h"

namespace inlay::engine {
namespace {

// Tokens computed together by default: enough chunks of about a thousand tokens to keep many cores
// busy.
constexpr std::int64_t kMinBatchTokens = 512;
constexpr std::int64_t kMaxBatchTokens = std::int64_t{1} << 24;
constexpr int kMaxThreads = 1024;
// Without a position table a text may be this long unless the folder says less.
constexpr std::int64_t kUnboundedLength = 32768;
// Of a batch's outputs, where they are as wide as a vocabulary: 500 texts of BERT's.
constexpr std::int64_t kOutputBytes = std::int64_t{64} << 20;
// Room for what is not planned: requests in flight, results, allocator slack, stacks.
constexpr std::int64_t kHeadroom = std::int64_t{32} << 20;

std::string megabytes(std::int64_t bytes) {
  return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB";
}

int resolve_threads(int wish) {
  if (wish == 0) return available_threads();
  if (wish < 1 || wish > kMaxThreads) {
    fail(ErrorCode::kUsage, "--threads",
         "expected 1 to " + std::to_string(kMaxThreads) + ", got " + std::to_string(wish) + ".");
  }
  return wish;
}

std::int64_t resolve_length(const EngineOptions& options, const LengthLimits& limits,
                            int special_tokens) {
  if (options.max_length <= special_tokens || options.max_length > limits.largest) {
    fail(ErrorCode::kUsage, "--max-length",
         "expected " + std::to_string(special_tokens + 1) + " to " +
             std::to_string(limits.largest) + " as this model allows, got " +
             std::to_string(options.max_length) + ".");
  }
  return options.max_length;
}

// Texts of a batch: rows as wide as a vocabulary must not outgrow kOutputBytes.
std::int64_t most_texts(const Program& program) {
  std::int64_t width = 1;
  for (const ValueId id : program.outputs()) {
    if (program.value(id).rows == Rows::kTexts) width += program.value(id).width;
  }
  return std::max<std::int64_t>(1, kOutputBytes / (width * std::int64_t{sizeof(float)}));
}

// What the outputs of one batch take.
std::int64_t output_bytes(const Program& program, const backend::CompileOptions& limits) {
  std::int64_t floats = 0;
  for (const ValueId id : program.outputs()) {
    const Value& value = program.value(id);
    floats += value.width * (value.rows == Rows::kTexts ? limits.max_texts : limits.max_tokens);
  }
  return floats * std::int64_t{sizeof(float)};
}

// A model by name, or the first of the task's defaults that is on this machine.
files::Located locate_model(const std::string& name, const TaskOptions& task) {
  if (!name.empty()) return files::locate(name);
  const std::span<const std::string_view> defaults = task::default_models(task);
  for (const std::string_view model : defaults.subspan(1)) {
    try {
      return files::locate(defaults[0]);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNotFound) throw;
    }
    try {
      return files::locate(model);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNotFound) throw;
    }
  }
  return files::locate(defaults[0]);  // its refusal is the one to tell
}

// Which room computes while the chosen one compiles; null: none, requests wait.
struct Meantime {
  const backend::Backend* room = nullptr;
  backend::CompileOptions limits{};
  bool implied = false;  // by `auto`: done without where it cannot be
};

Meantime meantime_of(const EngineOptions& options, const backend::Choice& choice,
                     const Program& program, const backend::CompileOptions& limits) {
  const std::string& wish = options.meanwhile;
  if (!wish.empty() && wish != "cpu" && wish != "nothing") {
    fail(ErrorCode::kUsage, "--meanwhile",
         "expected cpu or nothing, got \"" + printable(wish) + "\".");
  }
  // `auto` is to lose no time; who names a device may want its results alone.
  const bool implied =
      wish.empty() && options.device == "auto" && choice.backend->compiles_sizes(limits.unit);
  if ((wish != "cpu" && !implied) || choice.backend->name() == "cpu") return {};
  Meantime meantime{nullptr, limits, implied};
  try {
    meantime.room =
        backend::select({"cpu", "fp32", options.disable}, program, &meantime.limits).backend;
  } catch (const Error&) {
    if (!implied) throw;
  }
  return meantime;
}

// The largest token budget whose plan fits the memory limit; kMemoryLimit when none does.
void fit_memory(const EngineOptions& options, const backend::Backend& room, const Program& program,
                std::int64_t weight_file_bytes, const Meantime& meantime,
                backend::CompileOptions* limits) {
  const auto plan_of_both = [&] {
    backend::MemoryPlan plan = room.plan(program, *limits);
    if (meantime.room == nullptr) return plan;
    backend::CompileOptions beside = meantime.limits;
    beside.max_tokens = limits->max_tokens;
    beside.max_texts = limits->max_texts;
    const backend::MemoryPlan other = meantime.room->plan(program, beside);
    plan.packed += other.packed;
    plan.arena += other.arena;
    return plan;
  };
  const std::int64_t smallest = std::max(kMinBatchTokens, limits->max_text_tokens);
  limits->max_tokens =
      std::max(options.batch_tokens != 0 ? options.batch_tokens : room.batch_tokens(),
               limits->max_text_tokens);
  limits->max_texts = std::min(limits->max_tokens, most_texts(program));
  if (options.memory_limit == 0) return;
  const std::int64_t base = resident_bytes() + kHeadroom;
  std::int64_t needed = 0;
  for (;;) {
    const backend::MemoryPlan plan = plan_of_both();
    // While packing, the mapped file and the packed copy are both resident.
    needed = base + plan.packed +
             std::max(plan.arena + output_bytes(program, *limits), weight_file_bytes);
    if (needed <= options.memory_limit) return;
    if (options.batch_tokens != 0 || limits->max_tokens <= smallest) break;
    limits->max_tokens = std::max(smallest, limits->max_tokens / 2);
    limits->max_texts = std::min(limits->max_tokens, most_texts(program));
  }
  fail(ErrorCode::kMemoryLimit, "--memory-limit",
       "expected at least " + megabytes(needed) + " for this model, got " +
           megabytes(options.memory_limit) +
           ". Raise the limit, or lower --batch-tokens, --max-length or --threads.");
}

// A first run touches every page of weights and arena, so that no request pays for it.
void warm_up(const std::vector<LoadedModel::Output>& outputs, std::int64_t max_length,
             backend::Executable* executable) {
  const std::vector<std::int32_t> ids(
      static_cast<std::size_t>(std::min<std::int64_t>(16, max_length)), 0);
  const std::vector<std::int32_t> offsets{0, static_cast<std::int32_t>(ids.size())};
  std::vector<std::vector<float>> outs;
  outs.reserve(outputs.size());
  for (const LoadedModel::Output& output : outputs)
    outs.emplace_back((output.rows == Rows::kTokens  ? ids.size()
                       : output.rows == Rows::kTexts ? 1
                                                     : 0) *
                      static_cast<std::size_t>(output.width));
  const std::vector<std::span<float>> spans(outs.begin(), outs.end());
  executable->run({ids, {}, offsets, {}}, spans);
}

}  // namespace

tokens::Tokenizer load_tokenizer(const files::ModelFiles& model) {
  if (model.is_formula()) {
    fail(ErrorCode::kUnsupported, model.name(),
         "expected a model with a tokenizer, got BM25, which has words in place of tokens. inlay "
         "sparse --words prints them.");
  }
  return task::open_tokenizer(model.tokenizer(), model.do_lower_case());
}

Program build_program(const files::ModelFiles& model, task::Task* task, const std::string& adapter,
                      const std::string& onnx_file) {
  const task::Reads reads = task->reads().value();
  if (!onnx_file.empty()) {
    if (!adapter.empty()) {
      fail(ErrorCode::kUsage, "--adapter",
           "expected none beside --onnx-file, whose graph takes no adapter, got " +
               printable(adapter) + ".");
    }
    arch::Body body = arch::build_external_graph(model, onnx_file, {reads.head, reads.finished});
    task->append(&body.program, body);
    return std::move(body.program);
  }
  const arch::Architecture& family = arch::find(model);
  if (!adapter.empty() && !family.adapters) {
    fail(ErrorCode::kUsage, "--adapter",
         "expected a family with adapters, such as that of jinaai/jina-embeddings-v3, got " +
             std::string(family.name) + ", whose adapters are not built in.");
  }
  std::shared_ptr<const Weights> weights = model.load_weights();
  arch::Body body = family.build(model, weights, {reads.read_row, reads.head, adapter});
  body.checkpoint = std::move(weights);
  task->append(&body.program, body);
  return std::move(body.program);
}

LengthLimits length_limits(const files::ModelFiles& model, const Program& program,
                           const task::Reads& reads) {
  LengthLimits limits;
  limits.largest = program.max_tokens() != 0 ? program.max_tokens() : kUnboundedLength;
  limits.standard = limits.largest;
  if (model.max_seq_length()) {
    limits.standard = std::min(limits.standard, *model.max_seq_length());
  } else if (const auto tokenizer_limit = model.tokenizer().model_max_length) {
    limits.standard = std::min(limits.standard, *tokenizer_limit);
  }
  limits.standard = std::max(limits.standard, std::min(reads.least_tokens, limits.largest));
  if (reads.most_tokens != 0) limits.standard = std::min(limits.standard, reads.most_tokens);
  return limits;
}

namespace {

// Whether none of `count` numbers has all ones in its exponent, which NaN and infinity have.
template <typename Bits>
bool exponents_finite(const void* data, std::int64_t count, Bits exponent) {
  Bits worst = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    Bits bits = 0;
    std::memcpy(&bits, static_cast<const char*>(data) + i * std::int64_t{sizeof bits}, sizeof bits);
    worst = std::max<Bits>(worst, bits & exponent);
  }
  return worst != exponent;
}

// As the fp32 that rooms make of them.
bool doubles_finite(const void* data, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    double value = 0;
    std::memcpy(&value, static_cast<const char*>(data) + i * std::int64_t{sizeof value},
                sizeof value);
    if (!std::isfinite(static_cast<float>(value))) return false;
  }
  return true;
}

bool all_finite(const TensorView& tensor) {
  switch (tensor.dtype) {
    case DType::kF32:
      return exponents_finite<std::uint32_t>(tensor.data, tensor.elements(), 0x7F800000U);
    case DType::kF16:
      return exponents_finite<std::uint16_t>(tensor.data, tensor.elements(), 0x7C00U);
    case DType::kBF16:
      return exponents_finite<std::uint16_t>(tensor.data, tensor.elements(), 0x7F80U);
    case DType::kF64:
      return doubles_finite(tensor.data, tensor.elements());
    default:
      return true;  // integers
  }
}

}  // namespace

void check_finite(const Program& program) {
  const auto scan = [](const WeightRef& weight) {
    const bool finite = !weight.present() || all_finite(weight.tensor);
    if (!finite) {
      fail(ErrorCode::kBadInput, weight.file + ": " + weight.name,
           "expected finite weights, got NaN or infinity. Fetch the file again, or load it with "
           "--allow-nonfinite.");
    }
  };
  for (const Step& step : program.steps()) visit_weights(step.args, scan);
}

namespace {

// What stands for it where words are in place of tokens; nothing asks it.
tokens::Tokenizer no_tokenizer() {
  return tokens::Tokenizer::from_vocab_txt("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", "words");
}

void check_batch_tokens(const EngineOptions& options) {
  if (options.batch_tokens >= 0 && options.batch_tokens <= kMaxBatchTokens) return;
  fail(ErrorCode::kUsage, "--batch-tokens",
       "expected 1 to " + std::to_string(kMaxBatchTokens) + ", got " +
           std::to_string(options.batch_tokens) + ".");
}

void check_onnx_file(const EngineOptions& options) {
  if (options.onnx_file.empty() || options.device.starts_with("onnxruntime")) return;
  fail(ErrorCode::kUsage, "--onnx-file",
       "expected --device onnxruntime beside it, which runs such files, got " +
           printable(options.device) + ".");
}

// Where packed weights may be kept, and what tells that the model is the same as the last time.
backend::PackedCache packed_cache(const EngineOptions& options, const LoadedModel& model) {
  backend::PackedCache cache;
  cache.max_bytes = options.packed_cache.value_or(kDefaultPackedCache);
  if (!options.packed_cache) {
    const OptionSpec* option = find_option("packed-cache");
    const std::string name = environment_name(*option);
    const std::string value = files::environment(name.c_str());
    if (!value.empty()) cache.max_bytes = parse_size(value, name, option->minimum);
  }
  if (cache.max_bytes < 0) {
    fail(ErrorCode::kUsage, "--packed-cache",
         "expected 0 or more, got " + std::to_string(cache.max_bytes) + ".");
  }
  if (cache.max_bytes == 0) return {};
  cache.folder = files::cache_home() / "packed";
  cache.identity = model.files.identity();
  if (!cache.identity.empty()) {
    // Weights depend on these, too; and what was let pass once is not taken for checked.
    cache.identity += "adapter " + model.adapter + "\n";
    if (options.allow_nonfinite) cache.identity += "nonfinite\n";
  }
  return cache;
}

// The tokenizer, made by a thread of its own beside the weights: each takes about as long.
class TokenizerAhead {
 public:
  explicit TokenizerAhead(LoadedModel* model)
      : model_(model), made_(std::async(std::launch::async, [this] {
          const files::TokenizerFiles files = model_->files.tokenizer();
          token_types_ = files.token_types;
          return task::open_tokenizer(files, model_->files.do_lower_case());
        })) {}
  // Waits for it, if nobody has before. Throws what making it threw.
  void take() {
    if (made_.valid()) model_->tokenizer = made_.get();
  }
  bool token_types() const { return token_types_; }  // once it is taken

 private:
  LoadedModel* model_;
  bool token_types_ = true;
  std::future<tokens::Tokenizer> made_;  // waits at its end
};

// What a verdict says of this model and task, if there is one.
std::vector<backend::Preferred> preferred(const EngineOptions& options, const LoadedModel& model) {
  const ModelTasks files{
      model.files.name(), model.files.revision(), {}, model.files.identity(), true};
  const std::optional<Verdict> verdict = read_verdict(verdict_key(files, model.task_name));
  if (!verdict) return {};
  return preferred_devices(*verdict, options.dtype, options.expected_texts, options.threads);
}

// Body, head and room of a task that reads from a model.
void load_program(const EngineOptions& options, LoadedModel* model, TokenizerAhead* tokenizer) {
  Program program =
      build_program(model->files, model->task.get(), model->adapter, options.onnx_file);
  const ExternalGraphStep* own_graph = find_external_graph(program);
  model->weight_file = own_graph != nullptr ? own_graph->graph.name : model->files.weight_file();
  const std::int64_t weight_bytes =
      own_graph != nullptr ? own_graph->bytes() : model->files.weight_bytes();
  backend::CompileOptions& limits = model->limits;
  const task::Reads reads = model->task->reads().value();
  const LengthLimits lengths = length_limits(model->files, program, reads);
  limits.max_text_tokens = lengths.standard;
  if (options.max_length != 0) {
    tokenizer->take();
    const bool pairs = reads.head == Head::kClassifier;
    limits.max_text_tokens =
        resolve_length(options, lengths, model->tokenizer.special_tokens_added(pairs));
  }
  limits.room = {options.onnxruntime_library, options.provider_options,
                 files::cache_home() / "compiled"};
  backend::Wish wish{options.device, options.dtype, options.disable};
  if (wish.device == "auto") wish.preferred = preferred(options, *model);
  const backend::Choice choice = backend::select(wish, program, &limits);
  if (options.memory_limit != 0) tokenizer->take();  // it counts
  Meantime meantime = meantime_of(options, choice, program, limits);
  const auto fit = [&] {
    fit_memory(options, *choice.backend, program, weight_bytes, meantime, &limits);
  };
  try {
    fit();
  } catch (const Error&) {  // both do not fit
    if (meantime.room == nullptr || !meantime.implied) throw;
    meantime = {};
    fit();
  }
  meantime.limits.max_tokens = limits.max_tokens;
  meantime.limits.max_texts = limits.max_texts;
  limits.packed_cache = meantime.limits.packed_cache = packed_cache(options, *model);
  const backend::Backend& first = meantime.room != nullptr ? *meantime.room : *choice.backend;
  const backend::CompileOptions& first_limits = meantime.room != nullptr ? meantime.limits : limits;
  if (!options.allow_nonfinite && !first.knows_weights(program, first_limits))
    check_finite(program);
  model->executable = first.compile(program, first_limits);
  model->device = choice.device;
  model->backend = choice.backend->name();
  if (meantime.room == nullptr) model->isa = model->executable->isa();
  model->dtype = choice.dtype;
  model->refusals = choice.refusals;
  model->max_length = limits.max_text_tokens;
  model->vocab_size = program.vocab_size();
  model->type_count = program.type_count();
  for (const ValueId id : program.outputs()) {
    const Value& value = program.value(id);
    model->outputs.push_back({value.rows, value.width});
  }
  // Lets go of the file map: what the room needs it has packed.
  if (meantime.room == nullptr) program = Program();
  warm_up(model->outputs, model->max_length, model->executable.get());
  if (meantime.room != nullptr) {
    const auto warm = [outputs = model->outputs, length = model->max_length](auto* executable) {
      warm_up(outputs, length, executable);
    };
    model->executable = compile_meanwhile(
        std::move(program), std::move(model->executable),
        {choice.device, choice.backend, limits, "cpu", options.device != "auto", warm});
  }
  tokenizer->take();
  if (!tokenizer->token_types()) model->type_count = 0;
  model->task->set_limit(
      limits.max_text_tokens,
      model->files.is_static_table() ? 0 : model->tokenizer.special_tokens_added(false));
}

// A look-up is done where the texts are encoded: on the processor, by no room.
void load_without_program(const EngineOptions& options, LoadedModel* model) {
  if (options.device != "auto" && options.device != "cpu" && options.device != "ref") {
    fail(ErrorCode::kUnavailable, "--device",
         "expected auto or cpu for a model that is a table of token weights or a formula, got " +
             printable(options.device) + ". There is nothing to compute in it.");
  }
  if (options.dtype != "auto" && options.dtype != "fp32") {
    fail(ErrorCode::kUnavailable, "--dtype",
         "expected auto or fp32 for a model that is a table of token weights or a formula, got " +
             printable(options.dtype) + ".");
  }
  if (options.max_length != 0 && model->files.is_formula()) {
    fail(ErrorCode::kUsage, "--max-length",
         "expected none for BM25, which takes texts of any length, got " +
             std::to_string(options.max_length) + ".");
  }
  model->device = "cpu";
  model->backend = "none";
  model->dtype = "fp32";
  model->max_length = options.max_length;
}

}  // namespace

LoadedModel load(const EngineOptions& options, const TaskOptions& task_options) {
  const auto begin = std::chrono::steady_clock::now();
  const files::Located located = locate_model(options.model, task_options);
  files::ModelFiles files = files::ModelFiles::open(located.folder, located.name);
  std::unique_ptr<task::Task> task = task::make_task(files, task_options);
  LoadedModel model{std::move(files), no_tokenizer(), std::move(task)};
  model.task_name = task::task_name(task_options);
  model.limits.threads = resolve_threads(options.threads);
  model.adapter = task::choose_adapter(model.files, options.adapter, options.role);
  model.max_length_given = options.max_length != 0;
  check_batch_tokens(options);
  check_onnx_file(options);
  if (model.task->reads()) {
    TokenizerAhead tokenizer(&model);
    try {
      load_program(options, &model, &tokenizer);
    } catch (...) {
      tokenizer.take();  // what is wrong with the tokenizer is told first, whoever was quicker
      throw;
    }
  } else {
    if (!model.files.is_formula()) model.tokenizer = load_tokenizer(model.files);
    load_without_program(options, &model);
  }
  model.load_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return model;
}

}  // namespace inlay::engine
