/* The C ABI from a C99 program: every function, what it gives and what it refuses. The argument is
 * a model folder. Prints what failed; exit 1 when anything did. */
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
  CHECK(inlay_engine_create(NULL, NULL, 1, &engine) == INLAY_USAGE);
  CHECK(inlay_engine_create(keys, values, 4, NULL) == INLAY_USAGE);
  CHECK(inlay_engine_create(keys, values, 4, &engine) == INLAY_OK);
  if (engine == NULL) return;
  check_embed(engine);
  inlay_engine_destroy(engine);
  inlay_engine_destroy(NULL);
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  check_library();
  check_tokenizer(argv[1]);
  check_engine(argv[1]);
  if (failures > 0) fprintf(stderr, "%d checks failed\n", failures);
  return failures > 0 ? 1 : 0;
}
