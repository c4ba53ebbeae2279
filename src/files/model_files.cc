// Opening a model's folder: which of its files count, in the order in which
// sentence-transformers reads them. What stands in the small ones is
// settings.cc's, the weights are checkpoint.cc's.
#include "files/model_files.h"

#include <algorithm>
#include <array>
#include <system_error>

#include "base/error.h"
#include "base/mapped_file.h"
#include "files/checkpoint.h"
#include "files/identity.h"
#include "files/known_models.h"
#include "files/npy.h"
#include "files/onnx_file.h"
#include "files/pickle.h"
#include "files/settings.h"
#include "files/word_lists.h"

namespace inlay::files {
namespace fs = std::filesystem;
namespace {

// Far above every published config (a few kilobytes) and tokenizer (tens of
// megabytes).
constexpr std::size_t kMaxConfig = std::size_t{16} << 20U;
constexpr std::size_t kMaxTokenizer = std::size_t{512} << 20U;

// sentence-transformers' own names in the order in which it looks; any other
// sentence_*_config.json comes after them.
constexpr std::array<std::string_view, 7> kSentenceConfigs{
    "sentence_bert_config.json",       "sentence_roberta_config.json",
    "sentence_distilbert_config.json", "sentence_camembert_config.json",
    "sentence_albert_config.json",     "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json"};

std::string required(const ModelFolder& folder, const fs::path& place, std::string_view name,
                     const char* what) {
  auto bytes = folder.read(place, name, kMaxConfig);
  if (!bytes) {
    fail(ErrorCode::kNotFound, (place / name).string(),
         std::string("expected ") + what +
             ", got no such file. Fetch the model again; a folder in Hugging "
             "Face form holds it.");
  }
  return *std::move(bytes);
}

std::optional<std::string> find_sentence_config(const ModelFolder& folder, const fs::path& place) {
  for (const std::string_view name : kSentenceConfigs) {
    if (folder.find(place, name)) return std::string(name);
  }
  std::vector<std::string> others;
  std::error_code error;
  for (fs::directory_iterator entry(place, error), end; !error && entry != end;
       entry.increment(error)) {
    std::string name = entry->path().filename().string();
    if (name.starts_with("sentence_") && name.ends_with("_config.json")) {
      others.push_back(std::move(name));
    }
  }
  if (others.empty()) return std::nullopt;
  return *std::min_element(others.begin(), others.end());
}

void check_dense_tensor(const DenseConfig& dense, const char* name, const Shape& shape,
                        const fs::path& place) {
  const Weights::Entry* entry = dense.weights->find(name);
  if (entry == nullptr || entry->tensor.shape != shape) {
    fail(ErrorCode::kBadInput, entry == nullptr ? place.string() : entry->file,
         std::string("expected a tensor ") + name + " of shape " + shape_text(shape) +
             " as the module's config.json says, got " +
             (entry == nullptr ? "none" : shape_text(entry->tensor.shape)) +
             ". The module's files do not belong together; fetch the model "
             "again.");
  }
}

// A copy of Qdrant/bm25 under any name.
bool has_words_alone(const ModelFolder& folder) {
  for (const char* name : {"modules.json", "tokenizer.json", "vocab.txt"}) {
    if (folder.find(folder.root(), name)) return false;
  }
  const auto languages = stop_word_languages();
  return std::any_of(languages.begin(), languages.end(), [&](std::string_view language) {
    return folder.find(folder.root(), std::string(language) + ".txt").has_value();
  });
}

}  // namespace

ModelFiles ModelFiles::open(const fs::path& folder, std::string_view name) {
  const KnownModel* known = find_known_model(name);
  const bool formula = known != nullptr && !needs_files(*known);
  ModelFiles model{formula && folder.empty() ? ModelFolder() : ModelFolder(folder)};
  model.name_ = name.empty() ? model.folder().filename().string() : std::string(name);
  if (formula || has_words_alone(model.folder_)) {
    model.is_formula_ = true;
    model.revision_ = model.folder_.revision();
    model.config_ = JsonDocument::parse(R"({"model_type":"bm25"})", model.name_);
    return model;
  }
  model.revision_ = model.folder_.revision();
  model.transformer_folder_ = model.folder();
  model.read_modules();
  model.read_transformer();
  model.read_collection_config();
  model.read_task_instructions();
  return model;
}

void ModelFiles::read_modules() {
  const auto json = folder_.read(folder(), "modules.json", kMaxConfig);
  if (!json) return;
  has_modules_ = true;
  const std::string file = (folder() / "modules.json").string();
  bool transformer = false;
  for (const ModuleEntry& entry : follow_router(parse_modules(*json, file), file)) {
    const Module module{entry.type, folder_.below(entry.path, file)};
    modules_.push_back(module);
    const bool table = module.type == "StaticEmbedding";
    const bool input =
        table || module.type.ends_with("Transformer") || module.type == "SparseStaticEmbedding";
    if (input && !transformer) {
      transformer = true;
      is_static_table_ = table;
      transformer_folder_ = module.folder;
    } else if (module.type == "Pooling") {
      if (pooling_) {
        fail(ErrorCode::kUnsupported, file,
             "expected one Pooling module, got a second. Such a chain is not "
             "built in.");
      }
      pooling_ = parse_pooling(
          required(folder_, module.folder, "config.json", "the Pooling module's config"),
          (module.folder / "config.json").string());
    }
  }
  if (!transformer) {
    fail(ErrorCode::kUnsupported, file,
         "expected a Transformer module, got " + printable(modules_.front().type) +
             " without one. Models of this kind are not built in.");
  }
}

// What stands for a router: the modules of the route that has a transformer.
std::vector<ModuleEntry> ModelFiles::follow_router(const std::vector<ModuleEntry>& entries,
                                                   const std::string& file) {
  const ModuleEntry& first = entries.front();
  if (first.type != "Router" && first.type != "Asym") return entries;  // Asym: its former name
  router_path_ = first.path;
  const fs::path place = folder_.below(first.path, file);
  const char* const name =
      folder_.find(place, "router_config.json") ? "router_config.json" : "config.json";
  const std::string config = (place / name).string();
  router_ = parse_router(required(folder_, place, name, "the router's config"), config);
  const Router::Route* main = nullptr;
  for (const Router::Route& route : router_->routes) {
    const bool has = std::any_of(route.modules.begin(), route.modules.end(),
                                 [](const auto& m) { return m.type.ends_with("Transformer"); });
    if (!has) continue;
    if (main != nullptr && main->modules != route.modules) {
      fail(ErrorCode::kUnsupported, config,
           "expected one route with a transformer, got \"" + printable(main->name) + "\" and \"" +
               printable(route.name) + "\". Such models are not built in.");
    }
    main = &route;
  }
  if (main == nullptr) main = router_->find("");
  if (main == nullptr) main = &router_->routes.front();
  std::vector<ModuleEntry> modules;
  for (const ModuleEntry& entry : main->modules)
    modules.push_back({entry.type, below_router(entry.path)});
  for (std::size_t i = 1; i < entries.size(); ++i) {
    modules.push_back(entries[i]);
    after_router_.push_back({entries[i].type, folder_.below(entries[i].path, file)});
  }
  return modules;
}

std::string ModelFiles::below_router(const std::string& path) const {
  if (router_path_.empty() || path.empty()) return router_path_ + path;
  return router_path_ + "/" + path;
}

std::vector<Module> ModelFiles::route_modules(const Router::Route& route) const {
  std::vector<Module> modules;
  for (const ModuleEntry& entry : route.modules) {
    modules.push_back({entry.type, folder_.below(below_router(entry.path), name_)});
  }
  modules.insert(modules.end(), after_router_.begin(), after_router_.end());
  return modules;
}

void ModelFiles::read_transformer() {
  const std::string file = (transformer_folder_ / "config.json").string();
  if (is_static_table_) {  // a table needs no config
    config_ = parse_config(
        folder_.read(transformer_folder_, "config.json", kMaxConfig).value_or("{}"), file);
    return;
  }
  config_ = parse_config(
      required(folder_, transformer_folder_, "config.json", "the model's config.json"), file);
  if (has_modules_) {
    read_sentence_config();
  } else if (model_type() == "model2vec") {
    read_model2vec();
  }
}

// model2vec's own form says in config.json what modules.json would.
void ModelFiles::read_model2vec() {
  constexpr std::int64_t kModel2vecLength = 512;  // model2vec's DEFAULT_MAX_LENGTH
  is_static_table_ = true;
  modules_.push_back({"StaticEmbedding", folder()});
  if (config().bool_or("normalize", false)) modules_.push_back({"Normalize", folder()});
  if (!config().contains("max_length")) {
    max_seq_length_ = kModel2vecLength;
  } else if (const auto length = config().find("max_length")) {
    max_seq_length_ = std::max<std::int64_t>(1, length->integer());
  }
}

void ModelFiles::read_sentence_config() {
  const auto name = find_sentence_config(folder_, transformer_folder_);
  if (!name) return;
  const SentenceConfig sentence =
      parse_sentence_config(folder_.read(transformer_folder_, *name, kMaxConfig).value_or(""),
                            (transformer_folder_ / *name).string());
  max_seq_length_ = sentence.max_seq_length;
  do_lower_case_ = sentence.do_lower_case;
}

void ModelFiles::read_collection_config() {
  constexpr std::string_view kName = "config_sentence_transformers.json";
  const auto json = folder_.read(folder(), kName, kMaxConfig);
  if (!json) return;
  CollectionConfig config = parse_collection_config(*json, (folder() / kName).string());
  prompts_ = std::move(config.prompts);
  default_prompt_name_ = std::move(config.default_prompt_name);
  similarity_fn_name_ = std::move(config.similarity_fn_name);
  truncate_dim_ = config.truncate_dim;
  collection_type_ = std::move(config.model_type);
  activation_fn_ = std::move(config.activation_fn);
}

std::vector<std::string> ModelFiles::adapters() const {
  std::vector<std::string> names;
  if (const auto list = config().find("lora_adaptations")) {
    for (const JsonValue& name : list->items()) names.emplace_back(name.string());
  }
  return names;
}

void ModelFiles::read_task_instructions() {
  const auto texts = config().find("task_instructions");
  if (!texts) return;
  for (const std::string& name : adapters()) {
    const bool own = std::any_of(prompts_.begin(), prompts_.end(),
                                 [&](const Prompt& prompt) { return prompt.name == name; });
    if (const auto text = texts->find(name); text && !own)
      prompts_.push_back({name, std::string(text->string())});
  }
}

std::string ModelFiles::model_type() const { return config().string_or("model_type", ""); }

std::vector<std::string> ModelFiles::architectures() const {
  std::vector<std::string> names;
  if (const auto list = config().find("architectures")) {
    for (const JsonValue& name : list->items()) names.emplace_back(name.string());
  }
  return names;
}

DenseConfig ModelFiles::dense(const Module& module) const {
  DenseConfig dense =
      parse_dense(required(folder_, module.folder, "config.json", "the Dense module's config"),
                  (module.folder / "config.json").string());
  dense.weights = load_checkpoint(folder_, module.folder);
  check_dense_tensor(dense, "linear.weight", {dense.out_features, dense.in_features},
                     module.folder);
  if (dense.bias) check_dense_tensor(dense, "linear.bias", {dense.out_features}, module.folder);
  if (dense.residual && dense.in_features != dense.out_features) {
    check_dense_tensor(dense, "residual.weight", {dense.out_features, dense.in_features},
                       module.folder);
  }
  return dense;
}

JsonDocument ModelFiles::module_config(const Module& module) const {
  return parse_config(required(folder_, module.folder, "config.json", "the module's config"),
                      (module.folder / "config.json").string());
}

std::optional<JsonDocument> ModelFiles::find_json(std::string_view name) const {
  return find_json({"", folder()}, name);
}

std::optional<JsonDocument> ModelFiles::find_json(const Module& module,
                                                  std::string_view name) const {
  const auto json = folder_.read(module.folder, name, kMaxConfig);
  if (!json) return std::nullopt;
  return parse_config(*json, (module.folder / name).string());
}

TokenizerFiles ModelFiles::tokenizer() const { return read_tokenizer(transformer_folder_); }

TokenizerFiles ModelFiles::tokenizer(const Module& module) const {
  const bool own =
      folder_.find(module.folder, "tokenizer.json") || folder_.find(module.folder, "vocab.txt");
  return read_tokenizer(own ? module.folder : transformer_folder_);
}

std::string ModelFiles::chat_template() const {
  if (auto file = folder_.read(transformer_folder_, "chat_template.jinja", kMaxConfig))
    return *std::move(file);
  const auto config = folder_.read(transformer_folder_, "tokenizer_config.json", kMaxConfig);
  if (!config) return "";
  const JsonDocument document =
      parse_config(*config, (transformer_folder_ / "tokenizer_config.json").string());
  const auto text = document.root().find("chat_template");
  return text && text->is_string() ? std::string(text->string()) : "";
}

ModelFiles::TokenWeights ModelFiles::token_weights(const Module& module) const {
  TokenWeights table;
  const JsonDocument config = module_config(module);
  if (const auto path = config.root().find("path")) {
    const std::string name(path->string());
    check_file_name(name, path->where());
    for (const fs::path& place : {module.folder, folder()}) {
      auto json = folder_.read(place, name, kMaxTokenizer);
      if (!json) continue;
      table.json = *std::move(json);
      table.json_path = (place / name).string();
      return table;
    }
    fail(ErrorCode::kNotFound, path->where(),
         "expected the file " + printable(name) +
             " beside it or in the model's folder, got none. Fetch the model again.");
  }
  table.weights = load_checkpoint(folder_, module.folder);
  return table;
}

TokenizerFiles ModelFiles::read_tokenizer(const fs::path& place) const {
  TokenizerFiles files;
  // A table's tokenizer is tokenizer.json alone.
  auto config =
      is_static_table_ ? std::nullopt : folder_.read(place, "tokenizer_config.json", kMaxConfig);
  if (config) {
    files.config = *std::move(config);
    files.model_max_length =
        parse_model_max_length(files.config, (place / "tokenizer_config.json").string());
    files.max_length = parse_model_max_length(
        files.config, (place / "tokenizer_config.json").string(), "max_length");
    files.token_types = parse_token_types(files.config, (place / "tokenizer_config.json").string());
  }
  if (auto json = folder_.read(place, "tokenizer.json", kMaxTokenizer)) {
    files.json = *std::move(json);
    files.json_path = (place / "tokenizer.json").string();
    if (files.json.empty()) {  // the door says empty for "there is none"
      fail(ErrorCode::kBadInput, files.json_path,
           "expected a tokenizer in JSON, got an empty file. Fetch the model "
           "again.");
    }
    if (is_static_table_) files.model_max_length = parse_truncation(files.json, files.json_path);
    return files;
  }
  auto vocab = folder_.read(place, "vocab.txt", kMaxTokenizer);
  if (!vocab) {
    fail(ErrorCode::kNotFound, place.string(),
         "expected the model's tokenizer, got neither tokenizer.json nor "
         "vocab.txt. Fetch the "
         "model again, or write tokenizer.json with transformers' "
         "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER).");
  }
  files.vocab = *std::move(vocab);
  files.vocab_path = (place / "vocab.txt").string();
  return files;
}

std::shared_ptr<const Weights> ModelFiles::load_weights() const {
  return load_checkpoint(folder_, transformer_folder_);
}
OnnxFile ModelFiles::onnx_file(std::string_view wish) const {
  return open_onnx(folder_, transformer_folder_, wish);
}
std::shared_ptr<const Weights> ModelFiles::load_beside(std::string_view name) const {
  const auto path = folder_.find(folder(), name);
  if (!path) return nullptr;
  auto weights = std::make_shared<Weights>();
  map_pytorch(*path, weights.get());
  return weights;
}
std::optional<std::vector<std::string>> ModelFiles::stop_words(std::string_view file) const {
  const auto text = folder_.read(folder(), file, kMaxConfig);
  if (!text) return std::nullopt;
  return parse_stop_words(*text, (folder() / file).string());
}
bool ModelFiles::has_file(std::string_view name) const {
  return folder_.find(folder(), name).has_value();
}
std::optional<ModelFiles::Array> ModelFiles::array(std::string_view name) const {
  const auto path = folder_.find(folder(), name);
  if (!path) return std::nullopt;
  const auto map = std::make_shared<MappedFile>(*path);
  return Array{parse_npy(map->bytes(), path->string()), path->string(), map};
}
std::int64_t ModelFiles::weight_bytes() const {
  if (is_formula_) return 0;
  return checkpoint_bytes(folder_, transformer_folder_);
}
std::string ModelFiles::identity() const {
  return folder_identity(folder(), std::chrono::system_clock::now());
}

std::string ModelFiles::weight_file() const {
  if (is_formula_) return "";
  return checkpoint_file(folder_, transformer_folder_).lexically_relative(folder()).string();
}

}  // namespace inlay::files
