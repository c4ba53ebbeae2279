/* The C ABI from a C99 program: every function, what it gives and what it refuses. The arguments
 * are a folder of dense vectors and tests/data/heads. Prints what failed; exit 1 when anything did.
 */
#include <inlay/inlay.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures = 0;

#define CHECK(condition)                                                              \
  do {                                                                                \
    if (!(condition)) {                                                               \
      fprintf(stderr, "%s:%d: %s (last error: %s)\n", __FILE__, __LINE__, #condition, \
              inlay_last_error());                                                    \
      ++failures;                                                                     \
    }                                                                                 \
  } while (0)

static void check_library(void) {
  char* json = NULL;
  CHECK(strcmp(inlay_version(), INLAY_EXPECTED_VERSION) == 0);
  CHECK(strcmp(inlay_status_name(INLAY_OK), "ok") == 0);
  CHECK(strcmp(inlay_status_name(INLAY_BAD_INPUT), "bad_input") == 0);
  CHECK(inlay_status_name(12345) != NULL);
  CHECK(inlay_status_json(NULL, NULL, &json) == INLAY_OK);
  CHECK(json != NULL && strstr(json, "\"devices\"") != NULL);
  inlay_string_free(json);
  json = NULL;
  CHECK(inlay_status_json(NULL, "bogus", &json) == INLAY_USAGE);
  CHECK(json == NULL);
  CHECK(strstr(inlay_last_error(), "bogus") != NULL);
  CHECK(inlay_status_json(NULL, NULL, NULL) == INLAY_USAGE);
  inlay_string_free(NULL);
}

static void check_tokenizer(const char* model) {
  const char text[] = "hello\0world";
  inlay_tokenizer* tokenizer = NULL;
  inlay_tokens* tokens = NULL;
  inlay_tokens* cut = NULL;
  inlay_tokenize_options options = INLAY_INIT(inlay_tokenize_options);
  char* decoded = NULL;
  size_t length = 0;

  CHECK(inlay_tokenizer_create("./no/such/folder", &tokenizer) == INLAY_NOT_FOUND);
  CHECK(tokenizer == NULL);
  CHECK(inlay_tokenizer_create(model, NULL) == INLAY_USAGE);
  CHECK(inlay_tokenizer_create(model, &tokenizer) == INLAY_OK);
  if (tokenizer == NULL) return;
  CHECK(inlay_tokenizer_encode(tokenizer, text, sizeof text - 1, NULL, &tokens) == INLAY_OK);
  CHECK(inlay_tokens_count(tokens) >= 2);
  CHECK(inlay_tokens_truncated(tokens) == 0);
  CHECK(inlay_tokenizer_decode(tokenizer, inlay_tokens_ids(tokens), inlay_tokens_count(tokens), 1,
                               &decoded, &length) == INLAY_OK);
  CHECK(decoded != NULL && strlen(decoded) <= length);
  inlay_string_free(decoded);
  decoded = NULL;
  CHECK(inlay_tokenizer_decode(tokenizer, NULL, 0, 1, &decoded, NULL) == INLAY_OK);
  CHECK(decoded != NULL && decoded[0] == '\0');
  inlay_string_free(decoded);

  options.max_length = 2;
  CHECK(inlay_tokenizer_encode(tokenizer, "a b c d e f", 11, &options, &cut) == INLAY_OK);
  CHECK(inlay_tokens_count(cut) == 2 && inlay_tokens_truncated(cut) == 1);
  inlay_tokens_destroy(cut);
  cut = NULL;
  options.truncate = INLAY_TRUNCATE_ERROR;
  CHECK(inlay_tokenizer_encode(tokenizer, "a b c d e f", 11, &options, &cut) == INLAY_BAD_INPUT);
  options.truncate = 7;
  CHECK(inlay_tokenizer_encode(tokenizer, "a", 1, &options, &cut) == INLAY_USAGE);
  options.struct_size = 0;
  CHECK(inlay_tokenizer_encode(tokenizer, "a", 1, &options, &cut) == INLAY_USAGE);
  /* A caller of an older version, whose struct ends after the first member. */
  options.struct_size = offsetof(inlay_tokenize_options, max_length);
  options.no_special_tokens = 1;
  CHECK(inlay_tokenizer_encode(tokenizer, "", 0, &options, &cut) == INLAY_OK);
  CHECK(inlay_tokens_count(cut) == 0);
  inlay_tokens_destroy(cut);
  cut = NULL;
  CHECK(inlay_tokenizer_encode(tokenizer, NULL, 3, NULL, &cut) == INLAY_USAGE);
  CHECK(inlay_tokenizer_encode(tokenizer, "\xff", 1, NULL, &cut) == INLAY_BAD_INPUT);
  CHECK(inlay_tokenizer_encode(NULL, "a", 1, NULL, &cut) == INLAY_USAGE);
  CHECK(cut == NULL);
  CHECK(inlay_tokens_count(NULL) == 0 && inlay_tokens_ids(NULL) == NULL &&
        inlay_tokens_truncated(NULL) == 0);
  inlay_tokens_destroy(tokens);
  inlay_tokens_destroy(NULL);
  inlay_tokenizer_destroy(tokenizer);
  inlay_tokenizer_destroy(NULL);
}

static void check_create_refuses(const char* key, const char* value, inlay_status expected) {
  inlay_engine* engine = NULL;
  CHECK(inlay_engine_create(&key, &value, 1, &engine) == expected);
  CHECK(engine == NULL);
  CHECK(inlay_last_error()[0] == '[');
}

static void check_embed(inlay_engine* engine) {
  const char* texts[] = {"The ferry leaves at nine.", NULL, "a\0b"};
  const size_t lengths[] = {25, 0, 3};
  inlay_embed_options options = INLAY_INIT(inlay_embed_options);
  inlay_text_info info = INLAY_INIT(inlay_text_info);
  inlay_result* together = NULL;
  inlay_result* alone = NULL;
  inlay_result* none = NULL;
  int64_t dim = 0;
  char* json = NULL;

  CHECK(inlay_engine_dim(engine, &dim) == INLAY_OK);
  CHECK(dim > 0);
  CHECK(inlay_engine_embed(engine, texts, lengths, 3, &options, &together) == INLAY_OK);
  CHECK(inlay_result_count(together) == 3 && inlay_result_dim(together) == dim);
  CHECK(inlay_engine_embed(engine, texts, lengths, 1, NULL, &alone) == INLAY_OK);
  if (together != NULL && alone != NULL) {
    CHECK(memcmp(inlay_result_vectors(together), inlay_result_vectors(alone),
                 (size_t)dim * sizeof(float)) == 0);
    CHECK(isfinite(inlay_result_vectors(together)[3 * dim - 1]));
  }
  CHECK(inlay_result_text_info(together, 0, &info) == INLAY_OK);
  CHECK(info.struct_size == sizeof info && info.tokens > 2 && info.truncated == 0);
  CHECK(info.prompt == NULL && info.error == NULL);
  info.prompt = "untouched";
  info.struct_size = offsetof(inlay_text_info, truncated);
  CHECK(inlay_result_text_info(together, 1, &info) == INLAY_OK);
  CHECK(info.tokens == 2 && strcmp(info.prompt, "untouched") == 0);
  CHECK(inlay_result_text_info(together, 3, &info) == INLAY_USAGE);

  CHECK(inlay_engine_embed(engine, NULL, NULL, 0, NULL, &none) == INLAY_OK);
  CHECK(inlay_result_count(none) == 0 && inlay_result_dim(none) == dim &&
        inlay_result_vectors(none) == NULL);
  inlay_result_destroy(none);
  none = NULL;
  options.prompt = "no such prompt";
  CHECK(inlay_engine_embed(engine, texts, lengths, 1, &options, &none) == INLAY_USAGE);
  options.prompt = "none";
  options.role = 9;
  CHECK(inlay_engine_embed(engine, texts, lengths, 1, &options, &none) == INLAY_USAGE);
  options.role = INLAY_ROLE_NONE;
  options.timeout_ms = INT64_MAX;
  CHECK(inlay_engine_embed(engine, texts, lengths, 1, &options, &none) == INLAY_OK);
  inlay_result_destroy(none);
  none = NULL;
  texts[0] = "bad \xff";
  CHECK(inlay_engine_embed(engine, texts, lengths, 1, NULL, &none) == INLAY_BAD_INPUT);
  CHECK(strstr(inlay_last_error(), "text 0") != NULL);
  CHECK(inlay_engine_embed(engine, NULL, lengths, 1, NULL, &none) == INLAY_USAGE);
  CHECK(inlay_engine_embed(engine, texts, lengths, 1, NULL, NULL) == INLAY_USAGE);
  CHECK(none == NULL);

  CHECK(inlay_engine_report_json(engine, &json) == INLAY_OK);
  CHECK(json != NULL && strstr(json, "\"device\":\"cpu\"") != NULL);
  inlay_string_free(json);
  inlay_result_destroy(together);
  inlay_result_destroy(alone);
  inlay_result_destroy(NULL);
}

static void check_chunks(const char* model) {
  const char* keys[] = {"model", "device", "chunk", "chunk_tokens"};
  const char* values[] = {NULL, "cpu", "true", "3"};
  /* "The ferry \xc3\xa9t\xc3\xa9 leaves.": 17 characters to the end of its third word. */
  const char* texts[] = {"The ferry \xc3\xa9t\xc3\xa9 leaves.", "short", ""};
  const size_t lengths[] = {23, 5, 0};
  const inlay_span mine[] = {{10, 13}, {0, 9}};
  const inlay_span outside[] = {{0, 6}};
  const inlay_span* spans[] = {mine, NULL, NULL};
  size_t counts[] = {2, 0, 0};
  inlay_request request = INLAY_INIT(inlay_request);
  inlay_chunk chunk = INLAY_INIT(inlay_chunk);
  inlay_text_info info = INLAY_INIT(inlay_text_info);
  inlay_engine* engine = NULL;
  inlay_result* cut = NULL;
  inlay_result* given = NULL;
  inlay_result* none = NULL;

  values[0] = model;
  CHECK(inlay_engine_create(keys, values, 4, &engine) == INLAY_OK);
  if (engine == NULL) return;
  request.texts = texts;
  request.lengths = lengths;
  request.count = 3;
  CHECK(inlay_engine_run(engine, &request, &cut) == INLAY_OK);
  CHECK(inlay_result_count(cut) == 3 && inlay_result_vectors(cut) == NULL);
  CHECK(inlay_result_chunk_count(cut, 0) > 1 && inlay_result_chunk_count(cut, 2) == 1);
  CHECK(inlay_result_chunk_count(cut, 3) == 0 && inlay_result_chunk_count(NULL, 0) == 0);
  CHECK(inlay_result_text_info(cut, 0, &info) == INLAY_OK && info.whole == 1);
  CHECK(inlay_result_chunk(cut, 0, 99, &chunk) == INLAY_USAGE);
  CHECK(inlay_result_chunk(cut, 3, 0, &chunk) == INLAY_USAGE);
  CHECK(inlay_result_chunk(cut, 0, 0, NULL) == INLAY_USAGE);

  request.spans = spans;
  request.span_counts = counts;
  CHECK(inlay_engine_run(engine, &request, &given) == INLAY_OK);
  CHECK(inlay_result_chunk_count(given, 0) == 2);
  CHECK(inlay_result_chunk(given, 0, 0, &chunk) == INLAY_OK);
  CHECK(chunk.begin == 10 && chunk.end == 13 && chunk.byte_begin == 10 && chunk.byte_end == 15);
  CHECK(chunk.tokens > 0 && chunk.vector != NULL && isfinite(chunk.vector[0]));
  /* A caller of an older version. */
  chunk.struct_size = offsetof(inlay_chunk, tokens);
  chunk.tokens = -7;
  CHECK(inlay_result_chunk(given, 0, 1, &chunk) == INLAY_OK && chunk.end == 9);
  CHECK(chunk.tokens == -7);
  spans[1] = outside;
  counts[1] = 1;
  CHECK(inlay_engine_run(engine, &request, &none) == INLAY_BAD_INPUT);
  CHECK(strstr(inlay_last_error(), "text 1") != NULL);
  request.span_counts = NULL;
  CHECK(inlay_engine_run(engine, &request, &none) == INLAY_USAGE && none == NULL);
  inlay_result_destroy(cut);
  inlay_result_destroy(given);
  inlay_engine_destroy(engine);
}

static void check_engine(const char* model) {
  const char* keys[] = {"model", "device", "threads", "max_length"};
  const char* values[] = {NULL, "cpu", "2", "40"};
  inlay_engine* engine = NULL;

  values[0] = model;
  check_create_refuses("bogus", "1", INLAY_USAGE);
  check_create_refuses("input", "1", INLAY_USAGE);
  check_create_refuses("threads", "none", INLAY_USAGE);
  check_create_refuses("device", "bogus", INLAY_USAGE);
  check_create_refuses("model", "./no/such/folder", INLAY_NOT_FOUND);
  check_create_refuses("top_k", "3", INLAY_USAGE);
  CHECK(strstr(inlay_last_error(), "embed") != NULL);
  CHECK(inlay_engine_create_for(99, keys, values, 4, &engine) == INLAY_USAGE);
  CHECK(inlay_engine_create(NULL, NULL, 1, &engine) == INLAY_USAGE);
  CHECK(inlay_engine_create(keys, values, 4, NULL) == INLAY_USAGE);
  CHECK(inlay_engine_create(keys, values, 4, &engine) == INLAY_OK);
  if (engine == NULL) return;
  check_embed(engine);
  inlay_engine_destroy(engine);
  check_chunks(model);
  inlay_engine_destroy(NULL);
}

static inlay_engine* create(int32_t task, const char* heads, const char* name, const char* key,
                            const char* value) {
  const char* keys[] = {"model", "device", NULL};
  const char* values[] = {NULL, "cpu", NULL};
  char model[4096];
  inlay_engine* engine = NULL;
  int32_t got = -1;

  CHECK(snprintf(model, sizeof model, "%s/%s", heads, name) < (int)sizeof model);
  values[0] = model;
  keys[2] = key;
  values[2] = value;
  CHECK(inlay_engine_create_for(task, keys, values, key != NULL ? 3 : 2, &engine) == INLAY_OK);
  CHECK(inlay_engine_task(engine, &got) == INLAY_OK && got == task);
  return engine;
}

static const char* const kTexts[] = {"the quick brown fox", NULL, "river bank, river bank"};
static const size_t kLengths[] = {19, 0, 22};

static void check_sparse(const char* heads) {
  inlay_engine* engine = create(INLAY_TASK_SPARSE, heads, "bert-mlm", "assume_splade", "true");
  inlay_request request = INLAY_INIT(inlay_request);
  inlay_sparse_vector vector = INLAY_INIT(inlay_sparse_vector);
  inlay_sparse_vector again = INLAY_INIT(inlay_sparse_vector);
  inlay_result* result = NULL;
  inlay_result* alone = NULL;
  inlay_result* none = NULL;
  int64_t dim = 0;
  char* token = NULL;
  size_t length = 0;
  size_t i = 0;

  if (engine == NULL) return;
  CHECK(inlay_engine_dim(engine, &dim) == INLAY_OK && dim > 100);
  request.texts = kTexts;
  request.lengths = kLengths;
  request.count = 3;
  CHECK(inlay_engine_run(engine, &request, &result) == INLAY_OK);
  CHECK(inlay_result_count(result) == 3 && inlay_result_dim(result) == dim);
  CHECK(inlay_result_vectors(result) == NULL && inlay_result_scores(result) == NULL);
  CHECK(inlay_result_label(result, 0) == NULL);
  CHECK(inlay_result_sparse(result, 0, &vector) == INLAY_OK);
  CHECK(vector.struct_size == sizeof vector && vector.count > 10);
  for (i = 0; i < vector.count; ++i) {
    CHECK(vector.values[i] > 0 && vector.indices[i] >= 0 && vector.indices[i] < dim);
    CHECK(i == 0 || vector.indices[i] > vector.indices[i - 1]);
  }
  request.count = 1;
  CHECK(inlay_engine_run(engine, &request, &alone) == INLAY_OK);
  CHECK(inlay_result_sparse(alone, 0, &again) == INLAY_OK && again.count == vector.count);
  CHECK(memcmp(again.values, vector.values, vector.count * sizeof(float)) == 0);
  CHECK(inlay_result_sparse(result, 3, &again) == INLAY_USAGE);
  CHECK(inlay_result_sparse(result, 0, NULL) == INLAY_USAGE);
  CHECK(inlay_result_sparse(NULL, 0, &again) == INLAY_USAGE);

  CHECK(inlay_engine_token(engine, vector.indices[0], &token, &length) == INLAY_OK);
  CHECK(token != NULL && length > 0 && strlen(token) == length);
  inlay_string_free(token);
  token = NULL;
  CHECK(inlay_engine_token(engine, (int32_t)dim, &token, NULL) == INLAY_BAD_INPUT);
  CHECK(inlay_engine_token(engine, -1, &token, NULL) == INLAY_BAD_INPUT && token == NULL);

  CHECK(inlay_engine_embed(engine, kTexts, kLengths, 3, NULL, &none) == INLAY_USAGE);
  CHECK(strstr(inlay_last_error(), "sparse") != NULL);
  request.queries = kTexts;
  request.query_lengths = kLengths;
  request.query_count = 1;
  CHECK(inlay_engine_run(engine, &request, &none) == INLAY_USAGE);
  CHECK(inlay_engine_run(engine, NULL, &none) == INLAY_USAGE);
  CHECK(inlay_engine_run(engine, &request, NULL) == INLAY_USAGE);
  CHECK(inlay_engine_run(NULL, &request, &none) == INLAY_USAGE && none == NULL);
  inlay_result_destroy(result);
  inlay_result_destroy(alone);
  inlay_engine_destroy(engine);
}

static void check_rerank(const char* heads) {
  const char* query[] = {"fox of the river", "fox of the river", "fox of the river"};
  const size_t query_lengths[] = {16, 16, 16};
  inlay_engine* engine = create(INLAY_TASK_RERANK, heads, "bert-labels-1", NULL, NULL);
  inlay_engine* raw_engine = create(INLAY_TASK_RERANK, heads, "bert-labels-1", "raw_scores", "1");
  inlay_request request = INLAY_INIT(inlay_request);
  inlay_sparse_vector vector = INLAY_INIT(inlay_sparse_vector);
  inlay_text_info info = INLAY_INIT(inlay_text_info);
  inlay_result* ranked = NULL;
  inlay_result* pairs = NULL;
  inlay_result* raw = NULL;
  inlay_result* none = NULL;
  int64_t dim = 0;
  size_t i = 0;

  if (engine == NULL || raw_engine == NULL) return;
  CHECK(inlay_engine_dim(engine, &dim) == INLAY_OK && dim == 1);
  request.texts = kTexts;
  request.lengths = kLengths;
  request.count = 3;
  CHECK(inlay_engine_run(engine, &request, &none) == INLAY_USAGE);
  request.queries = query;
  request.query_lengths = query_lengths;
  request.query_count = 1;
  CHECK(inlay_engine_run(engine, &request, &ranked) == INLAY_OK);
  CHECK(inlay_engine_run(raw_engine, &request, &raw) == INLAY_OK);
  request.query_count = 2;
  CHECK(inlay_engine_run(engine, &request, &none) == INLAY_USAGE);
  request.query_count = 3;
  CHECK(inlay_engine_run(engine, &request, &pairs) == INLAY_OK);
  if (ranked != NULL && pairs != NULL && raw != NULL) {
    CHECK(memcmp(inlay_result_scores(ranked), inlay_result_scores(pairs), 3 * sizeof(float)) == 0);
    for (i = 0; i < 3; ++i) {
      const double sigmoid = 1 / (1 + exp(-(double)inlay_result_scores(raw)[i]));
      CHECK(fabs(inlay_result_scores(ranked)[i] - sigmoid) < 1e-6);
    }
    CHECK(inlay_result_scores(ranked)[0] != inlay_result_scores(ranked)[1]);
  }
  CHECK(strcmp(inlay_result_label(ranked, 0), "LABEL_0") == 0);
  CHECK(inlay_result_label(ranked, 1) == NULL && inlay_result_label(NULL, 0) == NULL);
  CHECK(inlay_result_vectors(ranked) == NULL && inlay_result_scores(NULL) == NULL);
  CHECK(inlay_result_sparse(ranked, 0, &vector) == INLAY_USAGE);
  CHECK(inlay_result_text_info(ranked, 0, &info) == INLAY_OK && info.tokens > 5);
  request.query_count = 1;
  request.instruction = "relevance";
  CHECK(inlay_engine_run(engine, &request, &none) == INLAY_USAGE);
  request.instruction = NULL;
  query[0] = "bad \xff";
  CHECK(inlay_engine_run(engine, &request, &none) == INLAY_BAD_INPUT);
  CHECK(strstr(inlay_last_error(), "query 0") != NULL);
  request.queries = NULL;
  CHECK(inlay_engine_run(engine, &request, &none) == INLAY_USAGE);
  /* A caller of an older version, whose struct ends before the queries. */
  request.queries = query;
  request.struct_size = offsetof(inlay_request, queries);
  CHECK(inlay_engine_run(engine, &request, &none) == INLAY_USAGE && none == NULL);
  inlay_result_destroy(ranked);
  inlay_result_destroy(pairs);
  inlay_result_destroy(raw);
  inlay_engine_destroy(engine);
  inlay_engine_destroy(raw_engine);
}

static void check_labels(const char* heads) {
  inlay_engine* engine = create(INLAY_TASK_RERANK, heads, "bert-labels-2", NULL, NULL);
  inlay_request request = INLAY_INIT(inlay_request);
  inlay_result* result = NULL;

  if (engine == NULL) return;
  request.texts = request.queries = kTexts;
  request.lengths = request.query_lengths = kLengths;
  request.count = request.query_count = 3;
  CHECK(inlay_engine_run(engine, &request, &result) == INLAY_OK);
  CHECK(inlay_result_dim(result) == 2 && inlay_result_scores(result) != NULL);
  CHECK(inlay_result_label(result, 1) != NULL && inlay_result_label(result, 2) == NULL);
  inlay_result_destroy(result);
  inlay_engine_destroy(engine);
}

/* A language model that judges takes an instruction. */
static void check_judge(const char* heads) {
  inlay_engine* engine = create(INLAY_TASK_RERANK, heads, "qwen3-reranker", NULL, NULL);
  inlay_request request = INLAY_INIT(inlay_request);
  inlay_result* plain = NULL;
  inlay_result* told = NULL;
  inlay_result* none = NULL;

  if (engine == NULL) return;
  request.texts = request.queries = kTexts;
  request.lengths = request.query_lengths = kLengths;
  request.count = 3;
  request.query_count = 1;
  CHECK(inlay_engine_run(engine, &request, &plain) == INLAY_OK);
  request.instruction = "Find texts about animals";
  CHECK(inlay_engine_run(engine, &request, &told) == INLAY_OK);
  if (plain != NULL && told != NULL)
    CHECK(inlay_result_scores(plain)[0] != inlay_result_scores(told)[0]);
  request.instruction = "bad \xff";
  CHECK(inlay_engine_run(engine, &request, &none) == INLAY_BAD_INPUT && none == NULL);
  CHECK(strstr(inlay_last_error(), "instruction") != NULL);
  inlay_result_destroy(plain);
  inlay_result_destroy(told);
  inlay_engine_destroy(engine);
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  check_library();
  check_tokenizer(argv[1]);
  check_engine(argv[1]);
  check_sparse(argv[2]);
  check_rerank(argv[2]);
  check_labels(argv[2]);
  check_judge(argv[2]);
  if (failures > 0) fprintf(stderr, "%d checks failed\n", failures);
  return failures > 0 ? 1 : 0;
}
