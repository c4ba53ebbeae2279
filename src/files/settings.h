// The small JSON files of a model's folder, as plain values. Bytes in, so that
// tests and fuzzing need no files; `file` is what messages call them. Types and
// ranges are checked here, meaning is for arch/, task/ and tokens/. All throw
// kBadInput or kUnsupported naming file and member.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "files/model_files.h"

namespace inlay::files {

std::vector<ModuleEntry> parse_modules(std::string_view json, std::string_view file);
// "sentence_transformers.models.Pooling", "pylate.models.Dense": only the last segment counts.
std::string last_segment(std::string_view class_name);

PoolingConfig parse_pooling(std::string_view json, std::string_view file);
// Without the weights.
DenseConfig parse_dense(std::string_view json, std::string_view file);

// sentence_*_config.json
struct SentenceConfig {
  std::optional<std::int64_t> max_seq_length;
  bool do_lower_case = false;
};
SentenceConfig parse_sentence_config(std::string_view json, std::string_view file);

// config_sentence_transformers.json
struct CollectionConfig {
  std::vector<Prompt> prompts;
  std::optional<std::string> default_prompt_name, similarity_fn_name;
  std::optional<std::int64_t> truncate_dim;
  std::string model_type;  // "SentenceTransformer", "SparseEncoder", "CrossEncoder"; may be empty
  std::optional<std::string> activation_fn;  // of a CrossEncoder: a class of torch
};
CollectionConfig parse_collection_config(std::string_view json, std::string_view file);

// model_max_length of tokenizer_config.json; nothing for absent, null and "no
// limit" (1e30).
std::optional<std::int64_t> parse_model_max_length(std::string_view json, std::string_view file,
                                                   const char* key = "model_max_length");

// Whether a tokenizer_config.json asks for token types (TokenizerFiles::token_types).
bool parse_token_types(std::string_view json, std::string_view file);

// max_length of tokenizer.json's truncation; nothing for null.
std::optional<std::int64_t> parse_truncation(std::string_view json, std::string_view file);

// weight_map of a shard index: the tensors by shard. Names of shards are
// checked, existence is not.
std::map<std::string, std::vector<std::string>> parse_weight_index(std::string_view json,
                                                                   std::string_view file);

// config.json: an object whose model_type and architectures, where present, are
// text.
JsonDocument parse_config(std::string_view json, std::string_view file);

}  // namespace inlay::files
