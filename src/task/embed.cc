// The dense head after sentence-transformers: Pooling, Dense, Normalize in the folder's order;
// Matryoshka cuts before the last normalisation.
#include "task/embed.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/error.h"
#include "files/known_models.h"
#include "task/chunking.h"

namespace inlay::task {
namespace {

struct ModeName {
  std::string_view name;
  PoolMode mode;
};
// The first spelling of a mode is the file format's; the others are what the command line takes
// too.
constexpr std::array<ModeName, 10> kModes{{{"cls", PoolMode::kCls},
                                           {"max", PoolMode::kMax},
                                           {"mean", PoolMode::kMean},
                                           {"mean_sqrt_len_tokens", PoolMode::kMeanSqrtLen},
                                           {"mean_sqrt_len", PoolMode::kMeanSqrtLen},
                                           {"weightedmean", PoolMode::kWeightedMean},
                                           {"weighted", PoolMode::kWeightedMean},
                                           {"lasttoken", PoolMode::kLastToken},
                                           {"last", PoolMode::kLastToken},
                                           {"last_token", PoolMode::kLastToken}}};

std::optional<PoolMode> mode_from_name(std::string_view name) {
  for (const auto& entry : kModes) {
    if (entry.name == name) return entry.mode;
  }
  return std::nullopt;
}

std::vector<PoolMode> modes_from_option(std::string_view option) {
  std::vector<PoolMode> modes;
  std::size_t begin = 0;
  while (begin <= option.size()) {
    const std::size_t end = std::min(option.find('+', begin), option.size());
    const std::string_view name = option.substr(begin, end - begin);
    const auto mode = mode_from_name(name);
    if (!mode) {
      fail(ErrorCode::kUsage, "--pooling",
           "expected cls, mean, max, mean_sqrt_len, weightedmean or last, several joined by '+', "
           "got \"" +
               printable(name) + "\".");
    }
    modes.push_back(*mode);
    begin = end + 1;
  }
  return modes;
}

std::vector<PoolMode> modes_from_folder(const files::ModelFiles& model) {
  std::vector<PoolMode> modes;
  if (model.pooling()) {
    for (const std::string& name : model.pooling()->modes) {
      const auto mode = mode_from_name(name);
      if (!mode) {
        fail(ErrorCode::kUnsupported, model.name() + ": pooling",
             "expected a pooling mode of sentence-transformers, got \"" + printable(name) + "\".");
      }
      modes.push_back(*mode);
    }
    return modes;
  }
  // Without a Pooling module: what sentence-transformers falls back to.
  for (const std::string& name : model.architectures()) {
    if (name.ends_with("ForCausalLM")) return {PoolMode::kLastToken};
  }
  return {PoolMode::kMean};
}

const files::Prompt* find_prompt(const files::ModelFiles& model, std::string_view name) {
  for (const files::Prompt& prompt : model.prompts()) {
    if (prompt.name == name) return &prompt;
  }
  return nullptr;
}

PromptChoice prompt_for_role(const files::ModelFiles& model, Role role) {
  // sentence-transformers' encode_query and encode_document look for these names in this order.
  static constexpr std::array<std::string_view, 1> kQuery{"query"};
  static constexpr std::array<std::string_view, 3> kDocument{"document", "passage", "corpus"};
  const std::span<const std::string_view> names =
      role == Role::kQuery ? std::span<const std::string_view>(kQuery)
                           : std::span<const std::string_view>(kDocument);
  for (const std::string_view name : names) {
    if (const files::Prompt* prompt = find_prompt(model, name)) return {prompt->name, prompt->text};
  }
  if (const std::string adapter = role_adapter(model, role); !adapter.empty()) {
    if (const files::Prompt* prompt = find_prompt(model, adapter))
      return {prompt->name, prompt->text};
  }
  // Prompts that model cards state but older folders do not carry.
  if (const files::KnownModel* known = files::find_known_model(model.name())) {
    const std::string text = role == Role::kQuery ? known->query : known->document;
    if (!text.empty()) return {role == Role::kQuery ? "query" : "document", text};
  }
  return {};
}

}  // namespace

std::optional<SelectKind> EmbedHead::read_row() const {
  if (modes.size() != 1 || !include_prompt) return std::nullopt;
  if (modes[0] == PoolMode::kCls) return SelectKind::kFirst;
  if (modes[0] == PoolMode::kLastToken) return SelectKind::kLast;
  return std::nullopt;
}

EmbedHead plan_head(const files::ModelFiles& model, const EmbedOptions& options) {
  EmbedHead head;
  head.modes =
      options.pooling.empty() ? modes_from_folder(model) : modes_from_option(options.pooling);
  if (model.pooling()) head.include_prompt = model.pooling()->include_prompt;
  for (const files::Module& module : model.modules()) {
    if (module.type == "Transformer" || module.type == "StaticEmbedding" ||
        module.type == "Pooling" || module.type == "Dropout")
      continue;
    EmbedHead::Module step;
    step.name = module.folder.filename().string();
    if (module.type == "Normalize") {
      step.normalize = true;
    } else if (module.type == "Dense") {
      step.dense = model.dense(module);
      if (step.dense.input == "token_embeddings") {
        fail(ErrorCode::kUnsupported, model.name() + ": " + step.name,
             "expected a Dense module of whole vectors, got one of \"token_embeddings\". Such "
             "chains are not built in.");
      }
    } else {
      fail(ErrorCode::kUnsupported, model.name() + ": modules.json",
           "expected Transformer, StaticEmbedding, Pooling, Dense or Normalize modules, got \"" +
               printable(module.type) + "\".");
    }
    head.modules.push_back(std::move(step));
  }
  // A Normalize at the end comes after the Matryoshka cut; the scale of the uncut vector does not
  // matter to it.
  if (!head.modules.empty() && head.modules.back().normalize) {
    head.modules.pop_back();
    head.normalize = true;
  }
  head.normalize = options.normalize.value_or(head.normalize);
  head.spans = options.chunk.has_value();
  if (head.spans && head.modes != std::vector{PoolMode::kMean}) {
    fail(ErrorCode::kUsage, "--chunk",
         "expected a model that pools by mean, as late chunking does, got one that pools "
         "otherwise. Add --pooling mean to chunk it nevertheless.");
  }
  head.dimensions = options.dimensions != 0 ? options.dimensions : model.truncate_dim().value_or(0);
  return head;
}

ValueId append_dense(Program* program, ValueId input, const files::DenseConfig& dense,
                     const std::string& name) {
  const auto activation = activation_from_name(dense.activation);
  if (!activation) {
    fail(ErrorCode::kUnsupported, name + "/config.json: /activation_function",
         "expected an activation that Inlay has, got \"" + printable(dense.activation) + "\".");
  }
  const auto take = [&](const char* tensor) -> WeightRef {
    const Weights::Entry* entry = dense.weights->find(tensor);
    if (entry == nullptr) {
      fail(ErrorCode::kBadInput, name, std::string("expected a tensor ") + tensor + ", got none.");
    }
    return {name + "." + tensor, entry->tensor, entry->file};
  };
  LinearStep linear{input, {take("linear.weight")}, {}, *activation};
  if (dense.bias) linear.biases.push_back(take("linear.bias"));
  program->hold(dense.weights);
  const ValueId out = program->linear(name, std::move(linear));
  if (program->value(out).width != dense.out_features) {
    fail(ErrorCode::kBadInput, name + "/config.json: /out_features",
         "expected " + std::to_string(program->value(out).width) + " as the weight has, got " +
             std::to_string(dense.out_features) + ".");
  }
  if (!dense.residual) return out;
  ValueId kept = input;
  if (dense.weights->find("residual.weight") != nullptr)
    kept = program->linear(name + ".residual", {input, {take("residual.weight")}, {}});
  return program->residual(name + ".sum", {out, kept});
}

void append_head(Program* program, ValueId hidden, const EmbedHead& head) {
  ValueId x = hidden;
  if (program->value(x).rows == Rows::kTokens)
    x = program->pool("pool", {x, head.modes, head.spans});
  for (const EmbedHead::Module& module : head.modules) {
    if (module.normalize) {
      x = program->normalize(module.name, {x});
      continue;
    }
    x = append_dense(program, x, module.dense, module.name);
  }
  const std::int64_t width = program->value(x).width;
  if (head.dimensions > width || head.dimensions < 0) {
    fail(ErrorCode::kUsage, "--dimensions",
         "expected 1 to " + std::to_string(width) + ", got " + std::to_string(head.dimensions) +
             ".");
  }
  if (head.dimensions != 0 && head.dimensions < width)
    x = program->truncate("dimensions", {x, head.dimensions});
  if (head.normalize) x = program->normalize("normalize", {x});
  program->set_output(x);
}

PromptChoice choose_prompt(const files::ModelFiles& model, const std::optional<std::string>& name,
                           Role role, const std::string& adapter) {
  if (name && *name == "none" && find_prompt(model, *name) == nullptr) return {};
  const auto by_name = [&](const std::string& wanted) -> PromptChoice {
    if (const files::Prompt* prompt = find_prompt(model, wanted))
      return {prompt->name, prompt->text};
    std::string known;
    for (const files::Prompt& prompt : model.prompts())
      known += (known.empty() ? "" : ", ") + prompt.name;
    fail(ErrorCode::kUsage, "--prompt",
         "expected one of the model's prompts (" + (known.empty() ? "it has none" : known) +
             ") or none, got \"" + printable(wanted) + "\".");
  };
  if (name) return by_name(*name);
  if (role != Role::kNone) return prompt_for_role(model, role);
  const files::Prompt* own = adapter.empty() ? nullptr : find_prompt(model, adapter);
  if (own != nullptr && !own->text.empty()) return {own->name, own->text};
  if (model.default_prompt_name()) return by_name(*model.default_prompt_name());
  return {};
}

namespace {

class Embed final : public Task {
 public:
  Embed(EmbedHead head, const EmbedOptions& options)
      : head_(std::move(head)), chunk_(options.chunk), own_pooling_(options.pooling.empty()) {}
  std::optional<Reads> reads() const override {
    Reads reads{Head::kHidden, head_.read_row()};
    reads.finished = !chunk_ && own_pooling_ && head_.include_prompt;
    return reads;
  }
  void append(Program* program, const Ending& ending) override {
    EmbedHead head = head_;
    if (ending.finished) head.modules.clear();
    append_head(program, ending.hidden, head);
    dim_ = program->output_width();
  }
  std::int64_t dim() const override { return dim_; }
  void begin(std::size_t texts, Result* result) const override {
    if (chunk_) {
      result->chunks.resize(texts);
      return;
    }
    result->vectors.resize(texts * static_cast<std::size_t>(dim_));
  }
  bool include_prompt() const override { return head_.include_prompt; }
  bool read(const Computed& item, std::size_t index, Result* result) const override {
    if (!all_finite(item.outputs[0])) return false;
    if (chunk_) {
      const auto dim = static_cast<std::size_t>(dim_);
      std::vector<float>& vectors = result->chunks[index].vectors;
      for (std::size_t i = 0; i < item.chunks.size(); ++i) {
        const std::span<const float> row = item.outputs[0].subspan(i * dim, dim);
        std::copy(row.begin(), row.end(),
                  vectors.begin() + static_cast<std::ptrdiff_t>(item.chunks[i] * dim));
      }
      return true;
    }
    std::copy(
        item.outputs[0].begin(), item.outputs[0].end(),
        result->vectors.begin() + static_cast<std::ptrdiff_t>(index * item.outputs[0].size()));
    return true;
  }

  bool chunks() const override { return chunk_.has_value(); }
  void set_limit(std::int64_t max_length, int special_tokens) override {
    if (chunk_) plan_ = plan_chunking(*chunk_, max_length, special_tokens);
  }
  void encode(const Source& source, const Shared* shared, std::size_t index,
              tokens::Encoding* out) const override {
    tokens::EncodeOptions options = source.options;
    if (chunk_) {
      options.offsets = true;
      options.max_length = 0;
    }
    Task::encode({source.request, source.tokenizer, source.prompt, options}, shared, index, out);
  }
  std::vector<Window> windows(const Source& source, std::size_t index,
                              const tokens::Encoding& encoding, std::int32_t pool_begin,
                              Result* result) const override {
    const Request& request = source.request;
    const std::string where =
        "text " + std::to_string(request.first_index + static_cast<std::int64_t>(index));
    const std::vector<Span>* spans = nullptr;
    if (!request.spans.empty() && request.spans[index]) spans = &*request.spans[index];
    if (spans == nullptr && plan_.by == ChunkBy::kSpans) {
      fail(ErrorCode::kBadInput, where,
           "expected its spans, got none. Give them, or choose another --chunk-by.");
    }
    const ChunkedText text{encoding, request.texts[index], source.prompt.size(), pool_begin};
    const std::vector<PlannedChunk> chunks = plan_chunks(text, plan_, spans, where);
    TextChunks& out = result->chunks[index];
    for (const PlannedChunk& chunk : chunks) out.chunks.push_back(chunk.chunk);
    out.vectors.resize(chunks.size() * static_cast<std::size_t>(dim_));
    return plan_windows(chunks, static_cast<std::int64_t>(encoding.ids.size()), plan_);
  }

 private:
  EmbedHead head_;
  std::optional<ChunkOptions> chunk_;
  bool own_pooling_;  // as the folder says
  ChunkPlan plan_;
  std::int64_t dim_ = 0;
};

}  // namespace

std::unique_ptr<Task> make_embed(const files::ModelFiles& model, const EmbedOptions& options) {
  const TaskOptions natural = natural_task(model);
  // A pooling asked for by name says that the caller knows.
  if (!std::holds_alternative<EmbedOptions>(natural) &&
      (options.pooling.empty() || model.has_modules())) {
    const std::string name = task_name(natural);
    fail(ErrorCode::kBadInput, model.name(),
         "expected a model of dense vectors, got one made for " + name + ". Use inlay " + name +
             (model.has_modules() ? "." : ", or ask for its hidden states with --pooling."));
  }
  if (model.router()) {
    for (const files::Router::Route& route : model.router()->routes) {
      if (route.modules == model.router()->routes[0].modules) continue;
      fail(ErrorCode::kUnsupported, model.name() + ": router_config.json",
           "expected the same modules for every role, got others for \"" + printable(route.name) +
               "\". Dense models with routes are not built in.");
    }
  }
  return std::make_unique<Embed>(plan_head(model, options), options);
}

}  // namespace inlay::task
