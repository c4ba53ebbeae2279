// inlay.h over inlay.hpp: every function is one try, whose catch turns an error into a status and a
// message.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/error.h"
#include "base/options.h"
#include "base/utf8.h"
#include "inlay/inlay.h"
#include "inlay/inlay.hpp"
#include "report/run_report.h"

struct inlay_engine {
  // The clock starts before the model is loaded.
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  inlay::Engine engine;
  std::int32_t task;
  inlay_engine(const inlay::EngineOptions& options, std::int32_t loaded_for,
               const inlay::TaskOptions& how)
      : engine(options, how), task(loaded_for) {}
};
struct inlay_result {
  inlay::Result value;
};
struct inlay_tokenizer {
  inlay::Tokenizer value;
};
struct inlay_tokens {
  inlay::Tokens value;
};

namespace {

using inlay::ErrorCode;

thread_local std::string t_last_error;

inlay_status remember(inlay_status status, const char* message) noexcept {
  try {
    t_last_error = message;
  } catch (...) {
    t_last_error.clear();
  }
  return status;
}

// Runs `body` and lets nothing out.
template <typename Body>
inlay_status guarded(Body&& body) noexcept {
  try {
    body();
    return INLAY_OK;
  } catch (const inlay::Error& error) {
    return remember(static_cast<inlay_status>(error.code()), error.what());
  } catch (const std::bad_alloc&) {
    return remember(INLAY_MEMORY_LIMIT, "[memory] expected memory for this call, got none.");
  } catch (const std::exception& error) {
    return remember(INLAY_INTERNAL, error.what());
  } catch (...) {
    return remember(INLAY_INTERNAL, "[inlay] expected a known error, got another.");
  }
}

void need(const void* pointer, const char* name) {
  if (pointer == nullptr) inlay::fail(ErrorCode::kUsage, name, "expected a pointer, got NULL.");
}

std::string_view text_or_empty(const char* text) {
  return text != nullptr ? std::string_view(text) : std::string_view();
}

std::string checked_text(const char* text, std::size_t length, const std::string& where) {
  if (length > 0) need(text, where.c_str());
  const std::string_view view(length > 0 ? text : "", length);
  const std::size_t good = inlay::utf8_valid_prefix(view);
  if (good != length) {
    inlay::fail(ErrorCode::kBadInput, where,
                "expected UTF-8, got another byte at offset " + std::to_string(good) +
                    ". Convert the text.");
  }
  return std::string(view);
}

// The caller's struct in the form of this version: members that it lacks are zero, members that are
// new to us are left.
template <typename Struct>
Struct read_struct(const Struct* given, const char* name) {
  Struct own{};
  if (given == nullptr) return own;
  std::size_t size = 0;
  std::memcpy(&size, given, sizeof size);
  if (size < sizeof size) {
    inlay::fail(
        ErrorCode::kUsage, name,
        "expected struct_size to be set with INLAY_INIT, got " + std::to_string(size) + ".");
  }
  std::memcpy(&own, given, std::min(size, sizeof own));
  return own;
}

char* copy_string(std::string_view text) {
  auto* out = static_cast<char*>(std::malloc(text.size() + 1));
  if (out == nullptr) throw std::bad_alloc();
  std::copy(text.begin(), text.end(), out);
  out[text.size()] = '\0';
  return out;
}

struct TaskKind {
  const char* name;
  std::uint32_t command;  // whose options it takes
  inlay::TaskOptions (*options)(const inlay::OptionValues&);
};
using Values = inlay::OptionValues;
// By INLAY_TASK_...
constexpr std::array<TaskKind, 3> kTasks{
    {{"embed", inlay::kCommandEmbed,
      [](const Values& v) -> inlay::TaskOptions { return v.embed_options(); }},
     {"sparse", inlay::kCommandSparse,
      [](const Values& v) -> inlay::TaskOptions { return v.sparse_options(); }},
     {"rerank", inlay::kCommandRerank,
      [](const Values& v) -> inlay::TaskOptions { return v.rerank_options(); }}}};

const TaskKind& task_kind(std::int32_t task) {
  if (task >= 0 && static_cast<std::size_t>(task) < kTasks.size())
    return kTasks[static_cast<std::size_t>(task)];
  inlay::fail(ErrorCode::kUsage, "task",
              "expected INLAY_TASK_..., got " + std::to_string(task) + ".");
}

bool is_engine_key(const inlay::OptionSpec& option, std::uint32_t command) {
  return option.engine_key && (option.commands & command) != 0;
}

inlay::OptionValues read_options(const TaskKind& task, const char* const* keys,
                                 const char* const* values, std::size_t count) {
  inlay::OptionValues options;
  if (count > 0) {
    need(keys, "keys");
    need(values, "values");
  }
  for (std::size_t i = 0; i < count; ++i) {
    need(keys[i], "keys");
    need(values[i], keys[i]);
    const inlay::OptionSpec* option = inlay::find_option(keys[i]);
    if (option == nullptr || !option->engine_key) {
      inlay::fail(
          ErrorCode::kUsage, inlay::printable(keys[i]),
          "expected a key of inlay_engine_create, got another word. docs/options.md lists them.");
    }
    if (!is_engine_key(*option, task.command)) {
      inlay::fail(ErrorCode::kUsage, keys[i],
                  std::string("expected a key of the task ") + task.name +
                      ", got one of another. docs/options.md has the commands of each.");
    }
    options.set(*option, values[i], keys[i]);
  }
  options.fill_from_environment(is_engine_key, task.command);
  return options;
}

inlay::Role role_of(std::int32_t role) {
  switch (role) {
    case INLAY_ROLE_NONE:
      return inlay::Role::kNone;
    case INLAY_ROLE_QUERY:
      return inlay::Role::kQuery;
    case INLAY_ROLE_DOCUMENT:
      return inlay::Role::kDocument;
    default:
      inlay::fail(ErrorCode::kUsage, "role",
                  "expected INLAY_ROLE_..., got " + std::to_string(role) + ".");
  }
}

inlay::Truncate truncate_of(std::int32_t truncate) {
  switch (truncate) {
    case INLAY_TRUNCATE_RIGHT:
      return inlay::Truncate::kRight;
    case INLAY_TRUNCATE_LEFT:
      return inlay::Truncate::kLeft;
    case INLAY_TRUNCATE_ERROR:
      return inlay::Truncate::kError;
    default:
      inlay::fail(ErrorCode::kUsage, "truncate",
                  "expected INLAY_TRUNCATE_..., got " + std::to_string(truncate) + ".");
  }
}

std::vector<std::string> read_texts(const char* const* texts, const std::size_t* lengths,
                                    std::size_t count, const std::string& what) {
  if (count > 0) {
    need(texts, what.c_str());
    need(lengths, what.c_str());
  }
  std::vector<std::string> out;
  out.reserve(count);
  for (std::size_t i = 0; i < count; ++i)
    out.push_back(checked_text(texts[i], lengths[i], what + " " + std::to_string(i)));
  return out;
}

inlay::Request make_request(const inlay_request& given) {
  inlay::Request request;
  request.texts = read_texts(given.texts, given.lengths, given.count, "text");
  request.queries = read_texts(given.queries, given.query_lengths, given.query_count, "query");
  if (given.spans != nullptr) {
    need(given.span_counts, "span_counts");
    for (std::size_t i = 0; i < given.count; ++i) {
      auto& spans = request.spans.emplace_back();
      if (given.spans[i] == nullptr) continue;
      spans.emplace();
      for (std::size_t s = 0; s < given.span_counts[i]; ++s)
        spans->push_back({given.spans[i][s].begin, given.spans[i][s].end});
    }
  }
  if (given.instruction != nullptr) {
    request.instruction =
        checked_text(given.instruction, std::strlen(given.instruction), "instruction");
  }
  if (given.prompt != nullptr) request.prompt = given.prompt;
  request.role = role_of(given.role);
  request.priority = given.priority;
  if (given.timeout_ms > 0) {
    // A hundred years is no limit, and does not overflow the clock.
    const std::int64_t milliseconds = std::min<std::int64_t>(given.timeout_ms, 3'155'760'000'000);
    request.deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
  }
  return request;
}

void check_index(std::size_t index, std::size_t count) {
  if (index < count) return;
  inlay::fail(
      ErrorCode::kUsage, "index",
      "expected less than " + std::to_string(count) + ", got " + std::to_string(index) + ".");
}

}  // namespace

const char* inlay_version(void) { return inlay::version(); }

const char* inlay_status_name(inlay_status status) {
  if (status == INLAY_OK) return "ok";
  return inlay::error_code_name(static_cast<ErrorCode>(status));
}

const char* inlay_last_error(void) { return t_last_error.c_str(); }

inlay_status inlay_status_json(const char* model, const char* disable, char** json) {
  return guarded([&] {
    need(json, "json");
    *json = copy_string(inlay::status_json(text_or_empty(model), text_or_empty(disable), false));
  });
}

void inlay_string_free(char* text) { std::free(text); }

inlay_status inlay_engine_create(const char* const* keys, const char* const* values, size_t count,
                                 inlay_engine** engine) {
  return inlay_engine_create_for(INLAY_TASK_EMBED, keys, values, count, engine);
}

inlay_status inlay_engine_create_for(int32_t task, const char* const* keys,
                                     const char* const* values, size_t count,
                                     inlay_engine** engine) {
  return guarded([&] {
    need(engine, "engine");
    const TaskKind& kind = task_kind(task);
    const inlay::OptionValues options = read_options(kind, keys, values, count);
    *engine = new inlay_engine(options.engine_options(), task, kind.options(options));
  });
}

void inlay_engine_destroy(inlay_engine* engine) { delete engine; }

inlay_status inlay_engine_task(const inlay_engine* engine, int32_t* task) {
  return guarded([&] {
    need(engine, "engine");
    need(task, "task");
    *task = engine->task;
  });
}

inlay_status inlay_engine_dim(const inlay_engine* engine, int64_t* dim) {
  return guarded([&] {
    need(engine, "engine");
    need(dim, "dim");
    *dim = engine->engine.dim();
  });
}

inlay_status inlay_engine_token(const inlay_engine* engine, int32_t id, char** text,
                                size_t* length) {
  return guarded([&] {
    need(engine, "engine");
    need(text, "text");
    const std::string token = engine->engine.token(id);
    *text = copy_string(token);
    if (length != nullptr) *length = token.size();
  });
}

inlay_status inlay_engine_report_json(const inlay_engine* engine, char** json) {
  return guarded([&] {
    need(engine, "engine");
    need(json, "json");
    const std::chrono::duration<double> total = std::chrono::steady_clock::now() - engine->start;
    *json = copy_string(inlay::report::run_report_json(engine->engine.stats(), total.count()));
  });
}

inlay_status inlay_engine_embed(inlay_engine* engine, const char* const* texts,
                                const size_t* lengths, size_t count,
                                const inlay_embed_options* options, inlay_result** result) {
  return guarded([&] {
    need(engine, "engine");
    need(result, "result");
    if (engine->task != INLAY_TASK_EMBED) {
      inlay::fail(ErrorCode::kUsage, "inlay_engine_embed",
                  std::string("expected an engine for INLAY_TASK_EMBED, got one for ") +
                      task_kind(engine->task).name + ". Use inlay_engine_run.");
    }
    const inlay_embed_options how = read_struct(options, "options");
    inlay_request request{};
    request.texts = texts;
    request.lengths = lengths;
    request.count = count;
    request.prompt = how.prompt;
    request.role = how.role;
    request.priority = how.priority;
    request.timeout_ms = how.timeout_ms;
    *result = new inlay_result{engine->engine.run(make_request(request))};
  });
}

inlay_status inlay_engine_run(inlay_engine* engine, const inlay_request* request,
                              inlay_result** result) {
  return guarded([&] {
    need(engine, "engine");
    need(request, "request");
    need(result, "result");
    *result = new inlay_result{engine->engine.run(make_request(read_struct(request, "request")))};
  });
}

const float* inlay_result_vectors(const inlay_result* result) {
  return result == nullptr || result->value.vectors.empty() ? nullptr
                                                            : result->value.vectors.data();
}
size_t inlay_result_count(const inlay_result* result) {
  return result == nullptr ? 0 : result->value.texts.size();
}
int64_t inlay_result_dim(const inlay_result* result) {
  return result == nullptr ? 0 : result->value.dim;
}

size_t inlay_result_chunk_count(const inlay_result* result, size_t index) {
  if (result == nullptr || index >= result->value.chunks.size()) return 0;
  return result->value.chunks[index].chunks.size();
}

inlay_status inlay_result_chunk(const inlay_result* result, size_t index, size_t number,
                                inlay_chunk* chunk) {
  return guarded([&] {
    need(result, "result");
    need(chunk, "chunk");
    check_index(index, result->value.chunks.size());
    const inlay::TextChunks& text = result->value.chunks[index];
    check_index(number, text.chunks.size());
    inlay_chunk own = read_struct(chunk, "chunk");
    own.begin = text.chunks[number].begin;
    own.end = text.chunks[number].end;
    own.byte_begin = text.chunks[number].byte_begin;
    own.byte_end = text.chunks[number].byte_end;
    own.tokens = text.chunks[number].tokens;
    own.vector = text.vectors.data() + number * static_cast<std::size_t>(result->value.dim);
    std::memcpy(chunk, &own, std::min(own.struct_size, sizeof own));
  });
}

inlay_status inlay_result_sparse(const inlay_result* result, size_t index,
                                 inlay_sparse_vector* vector) {
  return guarded([&] {
    need(result, "result");
    need(vector, "vector");
    check_index(index, result->value.texts.size());
    if (result->value.sparse.empty()) {
      inlay::fail(ErrorCode::kUsage, "inlay_result_sparse",
                  "expected a result of sparse vectors, got one of another task.");
    }
    const inlay::SparseVector& sparse = result->value.sparse[index];
    inlay_sparse_vector own = read_struct(vector, "vector");
    own.count = sparse.indices.size();
    own.indices = sparse.indices.data();
    own.values = sparse.values.data();
    std::memcpy(vector, &own, std::min(own.struct_size, sizeof own));
  });
}

const float* inlay_result_scores(const inlay_result* result) {
  return result == nullptr || result->value.scores.empty() ? nullptr : result->value.scores.data();
}

const char* inlay_result_label(const inlay_result* result, size_t index) {
  if (result == nullptr || index >= result->value.labels.size()) return nullptr;
  return result->value.labels[index].c_str();
}

inlay_status inlay_result_text_info(const inlay_result* result, size_t index,
                                    inlay_text_info* info) {
  return guarded([&] {
    need(result, "result");
    need(info, "info");
    check_index(index, result->value.texts.size());
    const inlay::TextInfo& text = result->value.texts[index];
    inlay_text_info own = read_struct(info, "info");
    own.tokens = text.tokens;
    own.truncated = text.truncated ? 1 : 0;
    own.prompt = text.prompt ? text.prompt->c_str() : nullptr;
    own.error = text.error.empty() ? nullptr : text.error.c_str();
    own.whole = text.whole ? 1 : 0;
    std::memcpy(info, &own, std::min(own.struct_size, sizeof own));
  });
}

void inlay_result_destroy(inlay_result* result) { delete result; }

inlay_status inlay_tokenizer_create(const char* model, inlay_tokenizer** tokenizer) {
  return guarded([&] {
    need(tokenizer, "tokenizer");
    *tokenizer = new inlay_tokenizer{inlay::Tokenizer(text_or_empty(model))};
  });
}

void inlay_tokenizer_destroy(inlay_tokenizer* tokenizer) { delete tokenizer; }

inlay_status inlay_tokenizer_encode(const inlay_tokenizer* tokenizer, const char* text,
                                    size_t length, const inlay_tokenize_options* options,
                                    inlay_tokens** tokens) {
  return guarded([&] {
    need(tokenizer, "tokenizer");
    need(tokens, "tokens");
    const inlay_tokenize_options given = read_struct(options, "options");
    inlay::TokenizeOptions how;
    how.add_special_tokens = given.no_special_tokens == 0;
    how.max_length = given.max_length;
    how.truncate = truncate_of(given.truncate);
    *tokens = new inlay_tokens{tokenizer->value.encode(checked_text(text, length, "text"), how)};
  });
}

const int32_t* inlay_tokens_ids(const inlay_tokens* tokens) {
  return tokens == nullptr ? nullptr : tokens->value.ids.data();
}
size_t inlay_tokens_count(const inlay_tokens* tokens) {
  return tokens == nullptr ? 0 : tokens->value.ids.size();
}
int32_t inlay_tokens_truncated(const inlay_tokens* tokens) {
  return tokens != nullptr && tokens->value.truncated ? 1 : 0;
}
void inlay_tokens_destroy(inlay_tokens* tokens) { delete tokens; }

inlay_status inlay_tokenizer_decode(const inlay_tokenizer* tokenizer, const int32_t* ids,
                                    size_t count, int32_t skip_special_tokens, char** text,
                                    size_t* length) {
  return guarded([&] {
    need(tokenizer, "tokenizer");
    need(text, "text");
    if (count > 0) need(ids, "ids");
    const std::span<const std::int32_t> list(ids, count);
    const std::string decoded = tokenizer->value.decode(list, skip_special_tokens != 0);
    *text = copy_string(decoded);
    if (length != nullptr) *length = decoded.size();
  });
}
