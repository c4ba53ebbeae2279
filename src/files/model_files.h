// The door of files/: a model folder in Hugging Face form, read and checked
// once. What it says is reported as plain values; what it means (which family,
// which head) is for arch/ and task/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/weights.h"
#include "files/folder.h"
#include "files/router.h"

namespace inlay::files {

struct OnnxFile;

// One entry of modules.json. `type` is the last segment of the class name
// ("Transformer", "Pooling", "Dense").
struct Module {
  std::string type;
  std::filesystem::path folder;  // absolute; inside the model's folder
};

// 1_Pooling/config.json in either form. Modes are spelled as the new form does
// ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
// and stand in sentence-transformers' order.
struct PoolingConfig {
  std::vector<std::string> modes;
  std::int64_t embedding_dimension = 0;
  bool include_prompt = true;
};

struct DenseConfig {
  std::int64_t in_features = 0, out_features = 0;
  bool bias = true;
  std::string activation =
      "Tanh";  // last segment of the torch class; sentence-transformers' default
  // Adds its input to what comes out, times residual.weight where there is one.
  bool residual = false;
  std::string input;  // "sentence_embedding", "token_embeddings"; empty: not said
  std::shared_ptr<const Weights> weights;  // linear.weight, linear.bias, residual.weight
};

// What tokens/ needs, as bytes, with the paths for messages. json empty: there
// is only vocab.txt.
struct TokenizerFiles {
  std::string json, json_path;
  std::string vocab, vocab_path;
  std::string config;  // tokenizer_config.json, may be empty
  // From tokenizer_config.json, of a static table from tokenizer.json; absurd values (1e30)
  std::optional<std::int64_t> model_max_length;
  // are dropped
  // tokenizer_config.json's max_length, which fastembed obeys beside model_max_length.
  std::optional<std::int64_t> max_length;
  // Whether transformers would give token types to the model: model_input_names says so, or else
  // the tokenizer's class is a model's own (the general ones leave them out).
  bool token_types = true;
};

struct Prompt {
  std::string name, text;
};

// Everything but the transformer's weights, which load_weights() brings.
// Immutable after open().
class ModelFiles {
 public:
  // Opens a folder. Throws kNotFound (no such folder, no config.json),
  // kBadInput (broken file, path outside the folder), kUnsupported (unknown
  // pooling, no Transformer module), naming the file and the place. Like
  // sentence-transformers, a folder without modules.json has no
  // sentence_*_config.
  // An empty path is for a model that is_formula() and of which nothing is here.
  static ModelFiles open(const std::filesystem::path& folder, std::string_view name = {});

  const std::filesystem::path& folder() const { return folder_.root(); }
  const std::string& name() const { return name_; }  // as the user said it, else the folder's name
  const std::string& revision() const { return revision_; }  // commit of a hub snapshot, else empty
  JsonValue config() const { return config_.root(); }        // config.json
  std::string model_type() const;                            // config.model_type, empty when absent
  std::vector<std::string> architectures() const;

  bool has_modules() const { return has_modules_; }  // modules.json exists
  // The names in config.json of the low-rank adapters that the checkpoint holds beside its weights
  // (jina-embeddings-v3's tasks), in their order; empty: none. Their task_instructions are prompts.
  std::vector<std::string> adapters() const;
  // A table of token vectors in a transformer's place: the module StaticEmbedding, or a folder of
  // model2vec. Its texts are encoded without special tokens; in model2vec's own form, without
  // modules.json, unknown tokens are left out too.
  bool is_static_table() const { return is_static_table_; }
  bool drops_unknown_tokens() const { return is_static_table_ && !has_modules_; }
  // BM25: lists of stop words at most; no weights, no tokenizer.
  bool is_formula() const { return is_formula_; }
  // The words of a list at the folder's top; nothing when there is no such file. Throws kBadInput
  // for what is not UTF-8.
  std::optional<std::vector<std::string>> stop_words(std::string_view file) const;
  bool has_file(std::string_view name) const;  // at the folder's top
  // An array in NumPy's form, and the file for messages; mapped for as long as it is held. Nothing
  // when there is no such file.
  struct Array {
    TensorView tensor;
    std::string file;
    std::shared_ptr<const void> owner;
  };
  std::optional<Array> array(std::string_view name) const;
  const std::vector<Module>& modules() const { return modules_; }
  const std::optional<PoolingConfig>& pooling() const { return pooling_; }
  // Of a folder whose first module is a Router; modules() are then those of the route that has the
  // transformer, and what follows the router.
  const std::optional<Router>& router() const { return router_; }
  // The modules that texts of one of its routes go through, those behind the router included.
  std::vector<Module> route_modules(const Router::Route& route) const;
  // The module folder's config, read when asked for.
  DenseConfig dense(const Module& module) const;
  JsonDocument module_config(const Module& module) const;
  // A file of the folder that holds a JSON object, whatever it is for; nothing where there is none.
  std::optional<JsonDocument> find_json(std::string_view name) const;
  std::optional<JsonDocument> find_json(const Module& module, std::string_view name) const;

  const std::vector<Prompt>& prompts() const { return prompts_; }
  const std::optional<std::string>& default_prompt_name() const { return default_prompt_name_; }
  std::optional<std::int64_t> truncate_dim() const { return truncate_dim_; }
  // What config_sentence_transformers.json says: "SentenceTransformer", "SparseEncoder",
  // "CrossEncoder", "MultiVectorEncoder", PyLate's "ColBERT"; empty when it does not.
  const std::string& collection_type() const { return collection_type_; }
  const std::optional<std::string>& activation_fn() const { return activation_fn_; }
  // "cosine", "dot", ...; empty when the folder does not say.
  const std::optional<std::string>& similarity_fn_name() const { return similarity_fn_name_; }
  std::optional<std::int64_t> max_seq_length() const {
    return max_seq_length_;
  }  // sentence_*_config.json
  bool do_lower_case() const { return do_lower_case_; }
  TokenizerFiles tokenizer() const;
  // Of a module that has its own; the transformer's when it has none.
  TokenizerFiles tokenizer(const Module& module) const;
  // tokenizer_config.json's chat_template, else chat_template.jinja; empty when there is none.
  std::string chat_template() const;
  // A table of token weights, SparseStaticEmbedding's: its tensor "weight" [vocabulary], or, where
  // its config names a path, the JSON object of tokens and numbers (idf.json).
  struct TokenWeights {
    std::shared_ptr<const Weights> weights;  // null: json is set
    std::string json, json_path;
  };
  TokenWeights token_weights(const Module& module) const;

  // Maps or reads the checkpoint: model.safetensors,
  // model.safetensors.index.json, pytorch_model.bin(.index.json); where there is
  // none of these, an ONNX file's weights (checkpoint.cc has the list). Throws
  // kNotFound naming every file looked for.
  std::shared_ptr<const Weights> load_weights() const;
  // The folder's own ONNX file as something to run (onnx_file.h): a path in it, a name beside
  // config.json or in onnx/, or "auto". Throws kNotFound naming those that are there.
  OnnxFile onnx_file(std::string_view wish) const;
  // A PyTorch file beside the checkpoint, such as bge-m3's "sparse_linear.pt"; null where there is
  // none.
  std::shared_ptr<const Weights> load_beside(std::string_view name) const;
  // The folder's files by device, number, size and times: while the text stays the same, so does
  // what they hold. Empty where a file is too young to tell (a change within its clock's tick would
  // not show) or there are too many of them.
  std::string identity() const;
  std::int64_t weight_bytes() const;  // size of those files, without reading them
  // The file that load_weights() reads or its index, relative to folder(). Throws kNotFound.
  std::string weight_file() const;

 private:
  explicit ModelFiles(ModelFolder folder) : folder_(std::move(folder)) {}
  void read_modules();
  std::vector<ModuleEntry> follow_router(const std::vector<ModuleEntry>& entries,
                                         const std::string& file);
  std::string below_router(const std::string& path) const;
  TokenizerFiles read_tokenizer(const std::filesystem::path& place) const;
  void read_transformer();
  void read_model2vec();
  void read_sentence_config();
  void read_collection_config();
  void read_task_instructions();

  ModelFolder folder_;
  std::filesystem::path transformer_folder_;
  std::string name_, revision_;
  JsonDocument config_;
  bool has_modules_ = false, is_static_table_ = false, is_formula_ = false;
  std::vector<Module> modules_;
  std::optional<Router> router_;
  std::string router_path_;
  std::vector<Module> after_router_;
  std::optional<PoolingConfig> pooling_;
  std::vector<Prompt> prompts_;
  std::optional<std::string> default_prompt_name_, similarity_fn_name_, activation_fn_;
  std::string collection_type_;
  std::optional<std::int64_t> truncate_dim_, max_seq_length_;
  bool do_lower_case_ = false;
};

}  // namespace inlay::files
