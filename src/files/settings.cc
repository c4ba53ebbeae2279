// The spellings that sentence-transformers, PyLate and transformers have
// written over the years.
#include "files/settings.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "files/folder.h"

namespace inlay::files {
namespace {

// Far above any published model: a length limit, a width.
constexpr std::int64_t kMaxLength = std::int64_t{1} << 30;
constexpr std::int64_t kMaxWidth = std::int64_t{1} << 24;
constexpr std::size_t kMaxModules = 64;

JsonDocument parse_object(std::string_view json, std::string_view file) {
  JsonDocument document = JsonDocument::parse(json, file);
  if (!document.root().is_object()) {
    fail(ErrorCode::kBadInput, file,
         std::string("expected a JSON object, got ") + document.root().type_name() +
             ". The file is damaged; fetch it again.");
  }
  return document;
}

std::int64_t in_range(const JsonValue& value, std::int64_t largest) {
  const std::int64_t number = value.integer();
  if (number < 1 || number > largest) {
    fail(ErrorCode::kBadInput, value.where(),
         "expected 1 to " + std::to_string(largest) + ", got " + std::to_string(number) +
             ". Correct the value.");
  }
  return number;
}

std::optional<std::int64_t> optional_range(const JsonValue& object, std::string_view key,
                                           std::int64_t largest) {
  const auto member = object.find(key);
  if (!member) return std::nullopt;
  return in_range(*member, largest);
}

struct PoolingName {
  const char* legacy;  // a boolean of the old form
  const char* name;    // the new form's spelling
};
// The order in which sentence-transformers concatenates the old form's modes.
constexpr std::array<PoolingName, 6> kPoolingModes{
    {{"pooling_mode_cls_token", "cls"},
     {"pooling_mode_max_tokens", "max"},
     {"pooling_mode_mean_tokens", "mean"},
     {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"},
     {"pooling_mode_weightedmean_tokens", "weightedmean"},
     {"pooling_mode_lasttoken", "lasttoken"}}};

std::string pooling_mode(const JsonValue& value) {
  const std::string_view name = value.string();
  for (const PoolingName& mode : kPoolingModes) {
    if (mode.name == name) return std::string(name);
  }
  fail(ErrorCode::kUnsupported, value.where(),
       "expected cls, max, mean, mean_sqrt_len_tokens, weightedmean or "
       "lasttoken, got \"" +
           printable(name) + "\". Choose a pooling with --pooling.");
}

}  // namespace

std::string last_segment(std::string_view class_name) {
  return std::string(class_name.substr(class_name.rfind('.') + 1));
}

JsonDocument parse_config(std::string_view json, std::string_view file) {
  JsonDocument document = parse_object(json, file);
  document.root().string_or("model_type", "");
  if (const auto names = document.root().find("architectures")) {
    for (const JsonValue& name : names->items()) name.string();
  }
  return document;
}

std::vector<ModuleEntry> parse_modules(std::string_view json, std::string_view file) {
  const JsonDocument document = JsonDocument::parse(json, file);
  const std::vector<JsonValue> entries = document.root().items();
  if (entries.empty() || entries.size() > kMaxModules) {
    fail(ErrorCode::kBadInput, file,
         "expected 1 to " + std::to_string(kMaxModules) + " modules, got " +
             std::to_string(entries.size()) + ". The file is damaged; fetch it again.");
  }
  std::vector<ModuleEntry> modules;
  for (const JsonValue& entry : entries) {
    const JsonValue type = entry.at("type");
    ModuleEntry module;
    module.type = last_segment(type.string());
    if (module.type.empty()) {
      fail(ErrorCode::kBadInput, type.where(),
           "expected a class name such as "
           "sentence_transformers.models.Pooling, got \"" +
               printable(type.string()) + "\".");
    }
    const JsonValue path = entry.at("path");
    module.path = path.string();
    check_relative_path(module.path, path.where());
    modules.push_back(std::move(module));
  }
  return modules;
}

PoolingConfig parse_pooling(std::string_view json, std::string_view file) {
  const JsonDocument document = parse_object(json, file);
  const JsonValue root = document.root();
  PoolingConfig pooling;
  pooling.include_prompt = root.bool_or("include_prompt", true);
  for (const char* key : {"embedding_dimension", "word_embedding_dimension"}) {
    const auto width = optional_range(root, key, kMaxWidth);
    if (width && pooling.embedding_dimension == 0) pooling.embedding_dimension = *width;
  }
  if (const auto mode =
          root.find("pooling_mode")) {  // the new form wins over left-overs of the old
    if (!mode->is_array()) {
      pooling.modes.push_back(pooling_mode(*mode));
      return pooling;
    }
    const std::vector<JsonValue> items = mode->items();
    if (items.empty() || items.size() > kPoolingModes.size()) {
      fail(ErrorCode::kBadInput, mode->where(),
           "expected 1 to 6 pooling modes, got " + std::to_string(items.size()) + ".");
    }
    for (const JsonValue& item : items) pooling.modes.push_back(pooling_mode(item));
    return pooling;
  }
  for (const PoolingName& mode : kPoolingModes) {
    if (root.bool_or(mode.legacy, false)) pooling.modes.emplace_back(mode.name);
  }
  if (pooling.modes.empty()) pooling.modes.emplace_back("mean");
  return pooling;
}

DenseConfig parse_dense(std::string_view json, std::string_view file) {
  const JsonDocument document = parse_object(json, file);
  const JsonValue root = document.root();
  DenseConfig dense;
  dense.in_features = in_range(root.at("in_features"), kMaxWidth);
  dense.out_features = in_range(root.at("out_features"), kMaxWidth);
  dense.bias = root.bool_or("bias", true);
  if (root.contains("activation_function")) {
    const std::string name = root.string_or("activation_function", "null");
    if (!name.starts_with("torch.")) {  // the reference would need code from the folder for it
      fail(ErrorCode::kUnsupported, root.where() + "activation_function",
           "expected a class of torch such as "
           "torch.nn.modules.activation.Tanh, got \"" +
               printable(name) + "\". Activations that need code of their own are not built in.");
    }
    dense.activation = last_segment(name);
  }
  dense.residual = root.bool_or("use_residual", false);
  const std::string input = root.string_or("module_input_name", "sentence_embedding");
  const std::string output = root.string_or("module_output_name", input);
  if ((input != "sentence_embedding" && input != "token_embeddings") || output != input) {
    fail(ErrorCode::kUnsupported, root.where() + "module_input_name",
         "expected \"sentence_embedding\" or \"token_embeddings\" as input and output, got \"" +
             printable(input) + "\" and \"" + printable(output) +
             "\". Dense modules between other values are not built in.");
  }
  if (root.find("module_input_name")) dense.input = input;
  return dense;
}

SentenceConfig parse_sentence_config(std::string_view json, std::string_view file) {
  const JsonDocument document = parse_object(json, file);
  SentenceConfig config;
  config.max_seq_length = optional_range(document.root(), "max_seq_length", kMaxLength);
  config.do_lower_case = document.root().bool_or("do_lower_case", false);
  return config;
}

CollectionConfig parse_collection_config(std::string_view json, std::string_view file) {
  const JsonDocument document = parse_object(json, file);
  const JsonValue root = document.root();
  CollectionConfig config;
  if (const auto prompts = root.find("prompts")) {
    for (const auto& [name, text] : prompts->members()) {
      config.prompts.push_back({std::string(name), std::string(text.string())});
    }
  }
  if (const auto name = root.find("default_prompt_name")) {
    config.default_prompt_name = std::string(name->string());
    const bool known = std::any_of(
        config.prompts.begin(), config.prompts.end(),
        [&](const Prompt& prompt) { return prompt.name == *config.default_prompt_name; });
    if (!known) {
      fail(ErrorCode::kBadInput, name->where(),
           "expected the name of one of the file's prompts, got \"" +
               printable(*config.default_prompt_name) + "\". Add the prompt or set null.");
    }
  }
  if (const auto name = root.find("similarity_fn_name")) {
    config.similarity_fn_name = std::string(name->string());
  }
  config.truncate_dim = optional_range(root, "truncate_dim", kMaxWidth);
  config.model_type = root.string_or("model_type", "");
  if (const auto name = root.find("activation_fn")) config.activation_fn = name->string();
  return config;
}

std::optional<std::int64_t> parse_model_max_length(std::string_view json, std::string_view file,
                                                   const char* key) {
  const JsonDocument document = parse_object(json, file);
  const auto limit = document.root().find(key);
  if (!limit || limit->number() > static_cast<double>(kMaxLength)) return std::nullopt;
  return in_range(*limit, kMaxLength);
}

std::optional<std::int64_t> parse_truncation(std::string_view json, std::string_view file) {
  const JsonDocument document = parse_object(json, file);
  const auto truncation = document.root().find("truncation");
  if (!truncation) return std::nullopt;
  const JsonValue limit = truncation->at("max_length");
  if (limit.number() > static_cast<double>(kMaxLength)) return std::nullopt;
  return in_range(limit, kMaxLength);
}

bool parse_token_types(std::string_view json, std::string_view file) {
  const JsonDocument document = parse_object(json, file);
  if (const auto names = document.root().find("model_input_names")) {
    for (const JsonValue& name : names->items()) {
      if (name.string() == "token_type_ids") return true;
    }
    return false;
  }
  const std::string type = document.root().string_or("tokenizer_class", "");
  return type != "TokenizersBackend" && type != "PreTrainedTokenizerFast";
}

std::map<std::string, std::vector<std::string>> parse_weight_index(std::string_view json,
                                                                   std::string_view file) {
  const JsonDocument document = parse_object(json, file);
  const JsonValue map = document.root().at("weight_map");
  std::map<std::string, std::vector<std::string>> shards;
  for (const auto& [tensor, shard] : map.members()) {
    const std::string_view name = shard.string();
    check_file_name(name, shard.where());
    shards[std::string(name)].emplace_back(tensor);
  }
  if (shards.empty()) {
    fail(ErrorCode::kBadInput, map.where(),
         "expected the tensors and their files, got an empty object. Fetch the "
         "file again.");
  }
  return shards;
}

}  // namespace inlay::files
