// Follows Stanford's colbert/modeling (tokenization/, checkpoint.py), PyLate's models/colbert.py
// and sentence-transformers' multi_vector_encoder, which reads the former two.
#include "task/late_form.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace inlay::task {
namespace {

// Python's string.punctuation, the usual skiplist.
constexpr std::string_view kPunctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
constexpr std::int64_t kExpansionLength = 32;  // ColBERT's
constexpr std::int64_t kMaxLength = std::int64_t{1} << 20;
constexpr const char* kCollection = "config_sentence_transformers.json";
constexpr const char* kMetadata = "artifact.metadata";
constexpr const char* kColbertLinear = "colbert_linear.pt";

bool is_architecture(const files::ModelFiles& model, std::string_view name) {
  const std::vector<std::string> names = model.architectures();
  return std::find(names.begin(), names.end(), name) != names.end();
}

// What PyLate writes into config_sentence_transformers.json beside what all have.
bool has_pylate_members(const JsonValue& collection) {
  static constexpr std::array<std::string_view, 9> kMembers{
      "query_prefix",       "document_prefix",       "query_length",
      "document_length",    "query_expansion",       "attend_to_expansion_tokens",
      "do_query_expansion", "attend_to_mask_tokens", "skiplist_words"};
  return std::any_of(kMembers.begin(), kMembers.end(),
                     [&](std::string_view member) { return collection.contains(member); });
}

std::int64_t length_or(const JsonValue& object, std::string_view key, std::int64_t fallback) {
  const auto value = object.find(key);
  if (!value) return fallback;
  const std::int64_t length = value->integer();
  if (length >= 1 && length <= kMaxLength) return length;
  fail(ErrorCode::kBadInput, value->where(),
       "expected 1 to " + std::to_string(kMaxLength) + " tokens, got " + std::to_string(length) +
           ".");
}

class FormReader {
 public:
  FormReader(const files::ModelFiles& model, const tokens::Tokenizer& tokenizer)
      : model_(model), tokenizer_(tokenizer) {}

  LateForm read() {
    form_.kind = late_kind(model_);
    switch (form_.kind) {
      case LateKind::kStanford:
        read_stanford();
        break;
      case LateKind::kModules:
        read_modules();
        break;
      case LateKind::kLinear:  // FlagEmbedding drops the first token, and scores by the mean
        form_.first_token = 1;
        form_.mean = true;
        break;
      case LateKind::kNone:
        refuse();
    }
    limit_queries();
    return std::move(form_);
  }

 private:
  [[noreturn]] void refuse() const {
    std::string got = "a folder whose architecture is none of it";
    if (model_.has_modules()) {
      got = "modules";
      for (const files::Module& module : model_.modules()) got += " " + printable(module.type);
    } else if (!model_.architectures().empty()) {
      got = printable(model_.architectures()[0]);
    }
    fail(ErrorCode::kBadInput, model_.name(),
         std::string("expected a late-interaction model (HF_ColBERT, PyLate's or "
                     "MultiVectorEncoder's modules, or ") +
             kColbertLinear + " beside an embedder), got " + got +
             ". Take a model such as answerdotai/answerai-colbert-small-v1 or BAAI/bge-m3.");
  }

  // A fixed length is the limit too; else a limit below the length gives way to it.
  void limit_queries() {
    LateForm::Side& query = form_.query;
    if (query.expansion.length == 0) return;
    if (query.expansion.fixed) {
      query.most_tokens = query.expansion.length;
    } else if (query.most_tokens != 0) {
      query.most_tokens = std::max(query.most_tokens, query.expansion.length);
    }
  }

  std::vector<std::int32_t> ids_of(const std::vector<std::string>& words) const {
    std::vector<std::int32_t> ids;
    for (const std::string& word : words) {
      if (const auto id = tokenizer_.token_to_id(word)) ids.push_back(*id);
    }
    std::sort(ids.begin(), ids.end());
    return ids;
  }
  static std::vector<std::string> punctuation() {
    std::vector<std::string> words;
    for (const char c : kPunctuation) words.emplace_back(1, c);
    return words;
  }
  static std::vector<std::string> words_of(const JsonValue& list) {
    std::vector<std::string> words;
    for (const JsonValue& word : list.items()) words.emplace_back(word.string());
    return words;
  }

  // The token that queries are expanded with; [MASK], else the end of text.
  std::int32_t expansion_token(const JsonValue* config) const {
    if (config != nullptr) {
      if (const auto name = config->find("token")) {
        if (const auto id = tokenizer_.token_to_id(name->string())) return *id;
        fail(ErrorCode::kBadInput, name->where(),
             "expected a token of the vocabulary, got \"" + printable(name->string()) + "\".");
      }
    }
    const tokens::SpecialIds& ids = tokenizer_.special_ids();
    if (ids.mask) return *ids.mask;
    if (ids.eos) return *ids.eos;
    fail(ErrorCode::kBadInput, model_.name() + ": tokenizer",
         "expected a mask token to expand queries with, got a tokenizer without one.");
  }
  void expand(std::int64_t length, bool attend, bool fixed, const JsonValue* config) {
    form_.query.expansion = {length, expansion_token(config), attend, fixed};
  }

  // A marker that the vocabulary has is put in as a token, else it is text. What follows the token
  // in `prefix` (a blank) stays text.
  void mark(LateForm::Side* side, const std::string& prefix) {
    side->prefix = prefix;
    const std::string word = prefix.substr(0, prefix.find_last_not_of(" \t\n") + 1);
    for (const std::string& token : {prefix, word}) {
      if (token.empty()) continue;
      side->marker = tokenizer_.token_to_id(token);
      if (!side->marker) continue;
      side->opening = prefix.substr(token.size());
      return;
    }
    side->opening = prefix;
  }

  void read_stanford() {
    const auto document = model_.find_json(kMetadata);
    const JsonDocument empty = JsonDocument::parse("{}", kMetadata);
    const JsonValue metadata = document ? document->root() : empty.root();
    const std::string similarity = metadata.string_or("similarity", "cosine");
    if (similarity != "cosine") {
      fail(ErrorCode::kUnsupported, metadata.where() + "similarity",
           "expected \"cosine\", got \"" + printable(similarity) + "\".");
    }
    form_.query.marker = stanford_marker(metadata, "query_token_id", "[unused0]");
    form_.document.marker = stanford_marker(metadata, "doc_token_id", "[unused1]");
    form_.document.most_tokens = length_or(metadata, "doc_maxlen", 0);
    expand(length_or(metadata, "query_maxlen", kExpansionLength),
           metadata.bool_or("attend_to_mask_tokens", false), true, nullptr);
    if (!metadata.bool_or("mask_punctuation", true)) return;
    // The first token of each symbol, as Stanford's code has it.
    tokens::EncodeOptions options;
    options.add_special_tokens = false;
    for (const std::string& symbol : punctuation()) {
      const tokens::Encoding encoding = tokenizer_.encode(symbol, options);
      if (!encoding.ids.empty()) form_.document.skip.push_back(encoding.ids[0]);
    }
    std::sort(form_.document.skip.begin(), form_.document.skip.end());
  }
  std::int32_t stanford_marker(const JsonValue& metadata, const char* key,
                               const char* usual) const {
    const std::string token = metadata.string_or(key, usual);
    if (const auto id = tokenizer_.token_to_id(token)) return *id;
    fail(ErrorCode::kBadInput, metadata.where() + key,
         "expected a token of the vocabulary, got \"" + printable(token) +
             "\". Tokenizer and metadata do not belong together; fetch the model again.");
  }

  void read_modules() {
    const auto document = model_.find_json(kCollection);
    const JsonDocument empty = JsonDocument::parse("{}", kCollection);
    const JsonValue collection = document ? document->root() : empty.root();
    const std::string similarity = collection.string_or("similarity_fn_name", "maxsim");
    form_.mean = similarity == "meanmaxsim";
    for (const auto& [member, side] :
         {std::pair{"query_prefix", &form_.query}, std::pair{"document_prefix", &form_.document}}) {
      if (const auto prefix = collection.find(member)) mark(side, std::string(prefix->string()));
    }
    read_lengths(collection);
    // PyLate's own folders leave masking and normalizing to the code.
    const bool plain = model_.collection_type() != "MultiVectorEncoder";
    form_.normalize = plain;
    bool masked = plain;
    if (plain) {
      const auto words = collection.find("skiplist_words");
      form_.document.skip = ids_of(words ? words_of(*words) : punctuation());
    }
    for (std::size_t i = 1; i < model_.modules().size(); ++i) {
      const files::Module& module = model_.modules()[i];
      if (module.type == "Dense") {
        form_.dense.push_back(module);
      } else if (module.type == "MultiVectorMask") {
        read_mask(model_.module_config(module).root());
        masked = true;
      } else if (module.type == "Normalize") {
        read_normalize(module);
      } else {
        fail(ErrorCode::kUnsupported, model_.name() + ": modules.json",
             "expected Transformer, Dense, MultiVectorMask or Normalize modules of a "
             "late-interaction model, got \"" +
                 printable(module.type) + "\".");
      }
    }
    // Without the mask's module nobody counts them.
    if (!masked && !form_.query.expansion.attend) form_.query.expansion = {};
  }
  void read_normalize(const files::Module& module) {
    const auto config = model_.find_json(module, "config.json");
    const std::string input =
        config ? config->root().string_or("module_input_name", "sentence_embedding")
               : "sentence_embedding";
    if (input == "token_embeddings") form_.normalize = true;  // another has nothing to work on
  }

  void read_mask(const JsonValue& config) {
    std::vector<std::int32_t> skip;
    if (const auto words = config.find("skiplist_words")) skip = ids_of(words_of(*words));
    std::vector<std::string> tasks{"document"};
    if (const auto list = config.find("skiplist_tasks")) tasks = words_of(*list);
    const auto listed = [&](const char* task) {
      return std::find(tasks.begin(), tasks.end(), task) != tasks.end();
    };
    if (listed("query")) form_.query.skip = skip;
    if (listed("document")) form_.document.skip = skip;
    if (const auto keep = config.find("keep_only_token_ids")) {
      for (const JsonValue& id : keep->items())
        form_.document.keep.push_back(static_cast<std::int32_t>(id.integer()));
      std::sort(form_.document.keep.begin(), form_.document.keep.end());
    }
  }

  // Lengths and expansion stand in the transformer's config, in PyLate's folders in the
  // collection's under other names.
  void read_lengths(const JsonValue& collection) {
    const auto document = model_.find_json(model_.modules()[0], "sentence_bert_config.json");
    const JsonDocument empty = JsonDocument::parse("{}", "sentence_bert_config.json");
    const JsonValue own = document ? document->root() : empty.root();
    const auto holder = [&](const char* key) { return own.contains(key) ? own : collection; };
    form_.document.most_tokens = length_or(holder("document_length"), "document_length", 0);
    if (own.contains("query_expansion") || collection.contains("query_expansion")) {
      form_.query.most_tokens = length_or(holder("query_length"), "query_length", 0);
      if (const auto config = holder("query_expansion").find("query_expansion"))
        read_expansion(*config);
    } else if (!has_pylate_members(collection) || !collection.bool_or("do_query_expansion", true)) {
      form_.query.most_tokens = length_or(holder("query_length"), "query_length", 0);
    } else {
      const bool attend = collection.bool_or("attend_to_expansion_tokens",
                                             collection.bool_or("attend_to_mask_tokens", false));
      expand(length_or(collection, "query_length", kExpansionLength), attend, true, nullptr);
    }
  }
  void read_expansion(const JsonValue& config) {
    const std::string strategy(config.at("strategy").string());
    if (strategy != "fixed" && strategy != "min") {
      fail(ErrorCode::kUnsupported, config.where() + "/strategy",
           "expected \"fixed\" or \"min\", got \"" + printable(strategy) + "\".");
    }
    config.at("length");  // says that it is missing
    expand(length_or(config, "length", 0), config.bool_or("attend", false), strategy == "fixed",
           &config);
  }

  const files::ModelFiles& model_;
  const tokens::Tokenizer& tokenizer_;
  LateForm form_;
};

}  // namespace

bool LateForm::Side::counts(std::int32_t id) const {
  if (std::binary_search(skip.begin(), skip.end(), id)) return false;
  return keep.empty() || std::binary_search(keep.begin(), keep.end(), id);
}

LateKind late_kind(const files::ModelFiles& model) {
  const std::string& type = model.collection_type();
  if (type == "MultiVectorEncoder" || type == "ColBERT")
    return model.has_modules() ? LateKind::kModules : LateKind::kStanford;
  if (model.has_modules() && !model.pooling() && type.empty()) {
    const auto collection = model.find_json(kCollection);
    if (collection && has_pylate_members(collection->root())) return LateKind::kModules;
  }
  if (!model.has_modules() && (is_architecture(model, "HF_ColBERT") || model.has_file(kMetadata)))
    return LateKind::kStanford;
  return model.has_file(kColbertLinear) ? LateKind::kLinear : LateKind::kNone;
}

bool made_for_late(const files::ModelFiles& model) {
  const LateKind kind = late_kind(model);
  return kind == LateKind::kStanford || kind == LateKind::kModules;
}

LateForm read_late_form(const files::ModelFiles& model, const tokens::Tokenizer& tokenizer) {
  return FormReader(model, tokenizer).read();
}

}  // namespace inlay::task
