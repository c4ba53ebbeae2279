// The door of task/: what an engine is loaded for. A task says what it reads from the model,
// appends its head to the Program, turns an item of a request into tokens and a row of the outputs
// into an item of the result. Immutable once append() has run, then free to share between threads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
// Without a name or a role it is that of the adapter, if that has one. Throws kUsage naming the
// model's prompts when `name` is unknown.
PromptChoice choose_prompt(const files::ModelFiles& model, const std::optional<std::string>& name,
                           Role role, const std::string& adapter = {});

// The adapter that texts of a role are for, of a model that has such; empty: none.
std::string role_adapter(const files::ModelFiles& model, Role role);
// The adapter to load: the one named, else the role's; empty: none. Throws kUsage for a name that
// the model does not have, naming those that it has.
std::string choose_adapter(const files::ModelFiles& model, const std::string& named, Role role);
// Throws kUsage for texts of a role that has an adapter, when no adapter or another role's is
// loaded.
void check_role(const files::ModelFiles& model, const std::string& adapter, Role role);

struct Reads {
  Head head = Head::kHidden;
  std::optional<SelectKind> read_row{};  // set: the task needs this row of each text alone
  std::int64_t most_tokens = 0;          // where the published usage cuts texts; 0: nowhere
  std::int64_t least_tokens = 0;         // must be possible, whatever limit the folder says
  bool finished = false;                 // Ending::finished will do
};

// A request on its way, and what turns its items into tokens.
struct Source {
  const Request& request;
  const tokens::Tokenizer& tokenizer;
  const std::string& prompt;  // its text; empty: none
  const tokens::EncodeOptions& options;
};

// Tokens [begin, end) of an item that go through the model at once, the spans of them that are
// pooled (counted from `begin`, none empty, no more than tokens), and which of the text's chunks
// each span is.
struct Window {
  std::int32_t begin = 0, end = 0;
  std::vector<std::pair<std::int32_t, std::int32_t>> spans{};
  std::vector<std::uint32_t> chunks{};
};

// What the model made of one item.
struct Computed {
  std::span<const std::span<const float>> outputs;  // its rows of each of the Program's outputs
  std::span<const std::int32_t> ids;                // its tokens
  const Request& request;                           // that it is of
  std::span<const std::uint32_t>
      chunks{};  // of a window: Window::chunks; outputs have as many rows
};

class Task {
 public:
  virtual ~Task() = default;

  // Nothing: the task needs no model at all; append() and read() are not called then.
  virtual std::optional<Reads> reads() const = 0;
  // Appends the head's steps and sets the outputs. Once, while loading. Throws kUsage or kBadInput.
  virtual void append(Program* program, const Ending& ending) = 0;
  virtual std::int64_t dim() const = 0;  // Result::dim; 0: indices are hashes of words
  // Once, while loading: the most tokens of a text, and how many the tokenizer adds to it. Throws
  // kUsage for options that do not fit.
  virtual void set_limit(std::int64_t /*max_length*/, int /*special_tokens*/) {}

  // Throws kUsage for a request that this task cannot take.
  virtual void check(const Request& request) const;
  // Of a request that names none.
  virtual Role default_role() const { return Role::kNone; }
  // What is encoded and computed for a request: its texts, and behind them what a task adds.
  virtual std::size_t items(const Request& request) const { return request.texts.size(); }
  // Sizes the result's arrays for all items.
  virtual void begin(std::size_t items, Result* result) const = 0;
  // All items have been read: makes the result what the caller is to have.
  virtual void finish(const Request& /*request*/, Result* /*result*/) const {}
  // What the items of a request share, worked out once; may be null. Throws kBadInput or kUsage.
  struct Shared {
    virtual ~Shared() = default;
  };
  virtual std::shared_ptr<const Shared> prepare(const Source& source) const;
  // Item `index` of a request to tokens; `shared` is what prepare() gave.
  virtual void encode(const Source& source, const Shared* shared, std::size_t index,
                      tokens::Encoding* out) const;
  // Tokens of an item at most when the caller names no limit (0: none); nothing: the model's limit.
  virtual std::optional<std::int64_t> own_limit(Role role) const;
  // True: the item needs no model and the result has been filled from its tokens, or from its text,
  // and `encoding` then has what counts as its tokens. Called for different items by several
  // threads at a time.
  virtual bool look_up(const Source& source, std::size_t index, tokens::Encoding* encoding,
                       Result* result) const;
  // True: encode() cuts nothing and tracks offsets, and windows() says what is computed.
  virtual bool chunks() const { return false; }
  // What of an encoded item goes through the model; fills in what the result has of it before.
  // Called for different items by several threads at a time. Throws kBadInput.
  virtual std::vector<Window> windows(const Source& /*source*/, std::size_t /*index*/,
                                      const tokens::Encoding& /*encoding*/,
                                      std::int32_t /*pool_begin*/, Result* /*result*/) const {
    return {};
  }
  // Stats::notes.
  virtual std::vector<std::string> notes() const { return {}; }
  // False: a prompt's tokens are left out of pooling.
  virtual bool include_prompt() const { return true; }

  // Item `index` of the result. False: the outputs hold NaN or infinity, and the result is left as
  // begin() made it. Called for different items from one thread at a time.
  virtual bool read(const Computed& item, std::size_t index, Result* result) const = 0;
};

// The model that a task takes when none is named, in order of preference.
std::span<const std::string_view> default_models(const TaskOptions& options);

// The task that a folder is made for: what config_sentence_transformers.json or its modules say,
// else sparse for a known SPLADE model, rerank for a sequence classifier, else embed.
TaskOptions natural_task(const files::ModelFiles& model);
const char* task_name(const TaskOptions& options);  // "dense", "sparse", "rerank", "late"

// Throws kUnsupported for a module that Inlay does not have, kUsage for an unknown option,
// kBadInput for a folder that contradicts itself or a model of another task.
std::unique_ptr<Task> make_task(const files::ModelFiles& model, const TaskOptions& options);

// Each in the file of its name.
std::unique_ptr<Task> make_embed(const files::ModelFiles& model, const EmbedOptions& options);
std::unique_ptr<Task> make_sparse(const files::ModelFiles& model, const SparseOptions& options);
std::unique_ptr<Task> make_rerank(const files::ModelFiles& model, const RerankOptions& options);
std::unique_ptr<Task> make_late(const files::ModelFiles& model, const LateOptions& options);
std::unique_ptr<Task> make_joint(const files::ModelFiles& model, const JointOptions& options);

// Scores by max_sim() of a late-interaction model; in late.cc.
std::unique_ptr<Task> make_late_rerank(const files::ModelFiles& model);

// Sparse vectors of a model that gives every token a weight (bge-m3, gte-multilingual), in
// token_weights.cc.
std::unique_ptr<Task> make_token_weights(const files::ModelFiles& model,
                                         const SparseOptions& options);
bool has_token_weights(const files::ModelFiles& model);

// The linear module that lies in NAME.pt beside the checkpoint, over the rows of `hidden`.
ValueId append_beside(Program* program, ValueId hidden, const files::ModelFiles& model,
                      const std::string& name);

// Sparse vectors of words, in bm25_task.cc, bm42.cc and minicoil.cc.
std::unique_ptr<Task> make_bm25(const files::ModelFiles& model, const SparseOptions& options);
std::unique_ptr<Task> make_bm42(const files::ModelFiles& model, const SparseOptions& options);
std::unique_ptr<Task> make_minicoil(const files::ModelFiles& model, const SparseOptions& options);
// Whether a folder is BM42's: a list of stop words beside an encoder; miniCOIL's: its vocabulary.
bool is_bm42(const files::ModelFiles& model);
bool is_minicoil(const files::ModelFiles& model);

// Whether a name is that of a published SPLADE model; many of their folders do not say so.
bool known_splade(const files::ModelFiles& model);

tokens::Tokenizer open_tokenizer(const files::TokenizerFiles& files, bool lowercase);

// Throws kUsage unless a request has one query, or one a text.
void check_queries(const Request& request);

bool all_finite(std::span<const float> values);

}  // namespace inlay::task
