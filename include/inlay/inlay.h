/* Inlay's C ABI: text in, dense or sparse vectors or relevance scores out. The stable binary
 * border: within one SOVERSION functions and struct members are only added.
 *
 * Rules that hold for every function:
 * - It returns INLAY_OK or another inlay_status; what went wrong is told by inlay_last_error() on
 * the same thread. Nothing is thrown, printed or aborted. On failure output arguments are left
 * untouched.
 * - Texts are UTF-8, given by pointer and length; they may hold NUL bytes. A pointer may be NULL
 * when its length is 0.
 * - Handles are opaque. A function that gives one out names the function that takes it back; those
 * accept NULL.
 * - An engine and a tokenizer may be used from many threads at once. A result, a token list and a
 * string belong to one thread at a time. No handle may be used once it has been given back.
 * - The first member of each struct is its size: set it with INLAY_INIT(struct ...), so that a
 * library of another version knows which members there are.
 */
#ifndef INLAY_INLAY_H
#define INLAY_INLAY_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define INLAY_C_API
#else
#define INLAY_C_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The same numbers as inlay::ErrorCode. */
typedef int32_t inlay_status;
#define INLAY_OK 0
#define INLAY_USAGE 1        /* arguments contradict each other or name something unknown */
#define INLAY_BAD_INPUT 2    /* a text or a model file is malformed */
#define INLAY_UNSUPPORTED 3  /* well-formed, but nothing that Inlay has */
#define INLAY_NOT_FOUND 4    /* a file or a model is missing */
#define INLAY_UNAVAILABLE 5  /* a device cannot be had */
#define INLAY_INTERNAL 6     /* a bug in Inlay */
#define INLAY_MEMORY_LIMIT 7 /* the memory limit, or the machine, does not allow it */
#define INLAY_CANNOT_WRITE 8 /* an output cannot be written */
#define INLAY_CANCELLED 9    /* the time limit of a request passed */

/* What an engine is loaded for; the same numbers as the alternatives of inlay::TaskOptions. */
#define INLAY_TASK_EMBED 0  /* dense vectors: inlay_result_vectors() */
#define INLAY_TASK_SPARSE 1 /* sparse vectors: inlay_result_sparse() */
#define INLAY_TASK_RERANK 2 /* relevance of texts to queries: inlay_result_scores() */

/* Which of the model's prompts is put before each text. */
#define INLAY_ROLE_NONE 0
#define INLAY_ROLE_QUERY 1
#define INLAY_ROLE_DOCUMENT 2

/* Which end of a text that is too long gives way. */
#define INLAY_TRUNCATE_RIGHT 0
#define INLAY_TRUNCATE_LEFT 1
#define INLAY_TRUNCATE_ERROR 2

typedef struct inlay_engine inlay_engine;
typedef struct inlay_result inlay_result;
typedef struct inlay_tokenizer inlay_tokenizer;
typedef struct inlay_tokens inlay_tokens;

/* A zeroed struct that knows its size: inlay_text_info info = INLAY_INIT(inlay_text_info); */
#define INLAY_INIT(type) \
  { .struct_size = sizeof(type) }

/* ---------------------------------------------------------------------------------------------------
 * library */

/* "0.1.0". Never NULL; lives as long as the library. */
INLAY_C_API const char* inlay_version(void);
/* "bad_input"; "ok" for INLAY_OK. Never NULL; lives as long as the library. */
INLAY_C_API const char* inlay_status_name(inlay_status status);
/* What the last failed call on this thread said: "[where] expected X, got Y. Remedy." Empty when
 * none has failed. Valid until the next call on this thread. */
INLAY_C_API const char* inlay_last_error(void);
/* What this machine offers, as `inlay status --json` says it: a JSON object. `model` and `disable`
 * may be NULL. Give *json back with inlay_string_free(). */
INLAY_C_API inlay_status inlay_status_json(const char* model, const char* disable, char** json);
INLAY_C_API void inlay_string_free(char* text);

/* ----------------------------------------------------------------------------------------------------
 * engine */

/* Loads a model onto a device for dense vectors; as inlay_engine_create_for(INLAY_TASK_EMBED, ...).
 */
INLAY_C_API inlay_status inlay_engine_create(const char* const* keys, const char* const* values,
                                             size_t count, inlay_engine** engine);
/* Loads a model onto a device for one INLAY_TASK_... Options are pairs keys[i] = values[i],
 * i < count; docs/options.md lists the keys ("model", "device", "dtype", "threads", "max_length",
 * "memory_limit", "dimensions", ...) and the commands that they belong to, which are the tasks'
 * names. What is not given is taken from the environment (INLAY_DEVICE, ...), else the default
 * holds; without a model it is the task's default. Values have the command line's form; flags take
 * "true" or "false". Give *engine back with inlay_engine_destroy(). INLAY_USAGE for an unknown task
 * or key, a key of another task or a bad value, INLAY_NOT_FOUND, INLAY_BAD_INPUT for a model that
 * is broken or made for another task, INLAY_UNSUPPORTED for the model, INLAY_UNAVAILABLE for the
 * device, INLAY_MEMORY_LIMIT. */
INLAY_C_API inlay_status inlay_engine_create_for(int32_t task, const char* const* keys,
                                                 const char* const* values, size_t count,
                                                 inlay_engine** engine);
/* Finishes what other threads have under way, then frees. */
INLAY_C_API void inlay_engine_destroy(inlay_engine* engine);
/* The INLAY_TASK_... that it was loaded for. */
INLAY_C_API inlay_status inlay_engine_task(const inlay_engine* engine, int32_t* task);
/* embed: width of one vector, in floats; sparse: size of the vocabulary that indices are from;
 * rerank: number of labels. */
INLAY_C_API inlay_status inlay_engine_dim(const inlay_engine* engine, int64_t* dim);
/* The token of the vocabulary that an index of a sparse vector stands for, NUL-terminated; *length
 * (may be NULL) is without that NUL. Give *text back with inlay_string_free(). INLAY_BAD_INPUT for
 * an id outside the vocabulary. */
INLAY_C_API inlay_status inlay_engine_token(const inlay_engine* engine, int32_t id, char** text,
                                            size_t* length);
/* What the engine is and has done, a JSON object: the form of `inlay embed --report`, with the
 * seconds since it was created as total. Give *json back with inlay_string_free(). */
INLAY_C_API inlay_status inlay_engine_report_json(const inlay_engine* engine, char** json);

typedef struct inlay_embed_options {
  size_t struct_size;
  const char* prompt; /* name of one of the model's prompts, or "none"; NULL: by role, then the
                         model's default */
  int32_t role;       /* INLAY_ROLE_... */
  int32_t priority;   /* higher first */
  int64_t
      timeout_ms; /* more than 0: texts not begun after so many milliseconds give INLAY_CANCELLED */
} inlay_embed_options;

/* Embeds `count` texts: text i is texts[i][0 .. lengths[i]). `options` may be NULL. Waits for the
 * result; calls from many threads share batches. Give *result back with inlay_result_destroy().
 * Only for INLAY_TASK_EMBED, else INLAY_USAGE; inlay_engine_run() serves every task. */
INLAY_C_API inlay_status inlay_engine_embed(inlay_engine* engine, const char* const* texts,
                                            const size_t* lengths, size_t count,
                                            const inlay_embed_options* options,
                                            inlay_result** result);

/* Characters [begin, end) of a text; a character is a Unicode code point. */
typedef struct inlay_span {
  int64_t begin, end;
} inlay_span;

/* Set with INLAY_INIT; what is left zero is not given. Nothing of it is kept after the call. */
typedef struct inlay_request {
  size_t struct_size;
  const char* const* texts; /* text i is texts[i][0 .. lengths[i]) */
  const size_t* lengths;
  size_t count;
  /* rerank: query_count is 1, for all texts, or equal to count; other tasks: 0. */
  const char* const* queries;
  const size_t* query_lengths;
  size_t query_count;
  /* rerank by a language model: what relevance means; NULL: the prompt, else the model's own. */
  const char* instruction;
  const char* prompt; /* as in inlay_embed_options, and so are those below */
  int32_t role;
  int32_t priority;
  int64_t timeout_ms;
  /* embed with "chunk": the chunks of text i are spans[i][0 .. span_counts[i]), in any order,
   * overlapping or not; NULL spans[i]: cut as the options say. NULL, both: all so. */
  const inlay_span* const* spans;
  const size_t* span_counts;
} inlay_request;

/* Runs one request of any task and waits for the result; calls from many threads share batches.
 * Give *result back with inlay_result_destroy(). INLAY_USAGE for queries that do not fit the task
 * or the count, an instruction that the model does not take, an unknown prompt or role;
 * INLAY_BAD_INPUT for a text that is not UTF-8; INLAY_CANCELLED. */
INLAY_C_API inlay_status inlay_engine_run(inlay_engine* engine, const inlay_request* request,
                                          inlay_result** result);

typedef struct inlay_text_info {
  size_t struct_size;
  int32_t tokens;     /* used, special tokens and prompt included */
  int32_t truncated;  /* 1: the text was cut */
  const char* prompt; /* name of the prompt that was added, or NULL; lives as long as the result */
  const char* error;  /* not NULL: this text has no vector or score, and why; lives as long as the
                         result */
  int32_t whole;      /* 0: a chunked text was longer than the limit and went through in windows, so
                         that its chunks have not seen all of it */
} inlay_text_info;

/* Number of texts, and what inlay_engine_dim() says; 0 for a NULL result. */
INLAY_C_API size_t inlay_result_count(const inlay_result* result);
INLAY_C_API int64_t inlay_result_dim(const inlay_result* result);

/* embed: the vectors, float32, row-major [count, dim], in the order of the texts. Lives as long as
 * the result; NULL for a NULL result, one without texts, one of chunks and one of another task. A
 * text with an
 * error has a row of unspecified values. */
INLAY_C_API const float* inlay_result_vectors(const inlay_result* result);

/* A chunk of a text, of an engine with "chunk" ("true"). */
typedef struct inlay_chunk {
  size_t struct_size;
  int64_t begin, end;           /* characters */
  int64_t byte_begin, byte_end; /* the same in bytes of the text */
  int32_t tokens;               /* pooled; special tokens and prompt are the outer chunks' */
  const float* vector;          /* [dim], zero without tokens; lives as long as the result */
} inlay_chunk;

/* embed: how many chunks a text has; 0 for a NULL result, one without chunks and index >= count. */
INLAY_C_API size_t inlay_result_chunk_count(const inlay_result* result, size_t index);
/* embed: a chunk of a text, in the text's order or that of its spans; its values are unspecified
 * for a text with an error. INLAY_USAGE when there is none of that number. */
INLAY_C_API inlay_status inlay_result_chunk(const inlay_result* result, size_t index, size_t number,
                                            inlay_chunk* chunk);

typedef struct inlay_sparse_vector {
  size_t struct_size;
  size_t count;           /* of both arrays; may be 0 */
  const int32_t* indices; /* ascending; of the vocabulary; lives as long as the result */
  const float* values;    /* above 0; lives as long as the result */
} inlay_sparse_vector;

/* sparse: the vector of a text; no values for a text with an error. INLAY_USAGE when index >= count
 * and for a result of another task. */
INLAY_C_API inlay_status inlay_result_sparse(const inlay_result* result, size_t index,
                                             inlay_sparse_vector* vector);

/* rerank: the scores, float32, row-major [count, dim], in the order of the texts; dim is the number
 * of labels, 1 for models that rank. Lives as long as the result; NULL as for vectors. A text with
 * an error has a row of unspecified values. */
INLAY_C_API const float* inlay_result_scores(const inlay_result* result);
/* rerank: name of a label. Lives as long as the result; NULL when there is none of that number. */
INLAY_C_API const char* inlay_result_label(const inlay_result* result, size_t index);

/* INLAY_USAGE when index >= count. */
INLAY_C_API inlay_status inlay_result_text_info(const inlay_result* result, size_t index,
                                                inlay_text_info* info);
INLAY_C_API void inlay_result_destroy(inlay_result* result);

/* -------------------------------------------------------------------------------------------------
 * tokenizer */

/* `model` is a folder, org/name[@revision] or a short name; NULL: the default model. */
INLAY_C_API inlay_status inlay_tokenizer_create(const char* model, inlay_tokenizer** tokenizer);
INLAY_C_API void inlay_tokenizer_destroy(inlay_tokenizer* tokenizer);

typedef struct inlay_tokenize_options {
  size_t struct_size;
  int32_t no_special_tokens; /* 1: leave out what the model adds at the ends */
  int32_t max_length;        /* tokens; 0: no cut */
  int32_t truncate;          /* INLAY_TRUNCATE_... */
} inlay_tokenize_options;

/* `options` may be NULL. Give *tokens back with inlay_tokens_destroy(). */
INLAY_C_API inlay_status inlay_tokenizer_encode(const inlay_tokenizer* tokenizer, const char* text,
                                                size_t length,
                                                const inlay_tokenize_options* options,
                                                inlay_tokens** tokens);
INLAY_C_API const int32_t* inlay_tokens_ids(
    const inlay_tokens* tokens); /* [count], lives as long as the list */
INLAY_C_API size_t inlay_tokens_count(const inlay_tokens* tokens);
INLAY_C_API int32_t inlay_tokens_truncated(const inlay_tokens* tokens);
INLAY_C_API void inlay_tokens_destroy(inlay_tokens* tokens);

/* Ids back to text, NUL-terminated; *length (may be NULL) is without that NUL. Ids outside the
 * vocabulary are passed over. Give *text back with inlay_string_free(). */
INLAY_C_API inlay_status inlay_tokenizer_decode(const inlay_tokenizer* tokenizer,
                                                const int32_t* ids, size_t count,
                                                int32_t skip_special_tokens, char** text,
                                                size_t* length);

#ifdef __cplusplus
}
#endif

#endif /* INLAY_INLAY_H */
