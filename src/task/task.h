// The door of task/: what an engine is loaded for. A task says what it reads from the model,
// appends its head to the Program, turns an item of a request into tokens and a row of the outputs
// into an item of the result. Immutable once append() has run, then free to share between threads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "files/model_files.h"
#include "inlay/inlay.hpp"
#include "program/head.h"
#include "tokens/tokenizer.h"

namespace inlay::task {

// The prompt for one request: the name asked for, the role's, or the model's default.
struct PromptChoice {
  std::optional<std::string> name;  // unset: none is added
  std::string text;
};
// Throws kUsage naming the model's prompts when `name` is unknown.
PromptChoice choose_prompt(const files::ModelFiles& model, const std::optional<std::string>& name,
                           Role role);

struct Reads {
  Head head = Head::kHidden;
  std::optional<SelectKind> read_row;  // set: the task needs this row of each text alone
};

class Task {
 public:
  virtual ~Task() = default;

  virtual Reads reads() const = 0;
  // Appends the head's steps and sets the outputs. Once, while loading. Throws kUsage or kBadInput.
  virtual void append(Program* program, const Ending& ending) = 0;
  virtual std::int64_t dim() const = 0;  // Result::dim

  // Throws kUsage for a request that this task cannot take.
  virtual void check(const Request& request) const;
  // Sizes the result's arrays for all texts.
  virtual void begin(std::size_t texts, Result* result) const = 0;
  // Item `index` of a request to tokens.
  virtual void encode(const tokens::Tokenizer& tokenizer, const Request& request, std::size_t index,
                      const std::string& prompt, const tokens::EncodeOptions& options,
                      tokens::Encoding* out) const;
  // False: a prompt's tokens are left out of pooling.
  virtual bool include_prompt() const { return true; }

  // Item `index` of the result from its rows of the Program's outputs. False: they hold NaN or
  // infinity, and the result is left as begin() made it. Called for different items from one thread
  // at a time.
  virtual bool read(std::span<const std::span<const float>> outputs, std::size_t index,
                    Result* result) const = 0;
};

// The model that a task takes when none is named, in order of preference.
std::span<const std::string_view> default_models(const TaskOptions& options);

// The task that a folder is made for: sparse with SpladePooling, rerank for a sequence classifier,
// else embed.
TaskOptions natural_task(const files::ModelFiles& model);

// Throws kUnsupported for a module that Inlay does not have, kUsage for an unknown option,
// kBadInput for a folder that contradicts itself or a model of another task.
std::unique_ptr<Task> make_task(const files::ModelFiles& model, const TaskOptions& options);

// Each in the file of its name.
std::unique_ptr<Task> make_embed(const files::ModelFiles& model, const EmbedOptions& options);
std::unique_ptr<Task> make_sparse(const files::ModelFiles& model, const SparseOptions& options);
std::unique_ptr<Task> make_rerank(const files::ModelFiles& model, const RerankOptions& options);

bool all_finite(std::span<const float> values);

}  // namespace inlay::task
