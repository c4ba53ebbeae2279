// Choosing is by name alone, so that it can be done before anything is fetched.
#include "files/hub_listing.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/error.h"
#include "base/json.h"
#include "files/folder.h"
#include "files/places.h"
#include "files/word_lists.h"

namespace inlay::files {
namespace {

// What is read from a folder, whatever it holds beside these.
constexpr std::array<std::string_view, 22> kSmallFiles{"config.json",
                                                       "modules.json",
                                                       "router_config.json",
                                                       "config_sentence_transformers.json",
                                                       "tokenizer.json",
                                                       "tokenizer_config.json",
                                                       "special_tokens_map.json",
                                                       "added_tokens.json",
                                                       "vocab.txt",
                                                       "vocab.json",
                                                       "merges.txt",
                                                       "spiece.model",
                                                       "sentencepiece.bpe.model",
                                                       "tokenizer.model",
                                                       "unigram.json",
                                                       "chat_template.jinja",
                                                       "chat_template.json",
                                                       "artifact.metadata",
                                                       "idf.json",
                                                       "vocabulary.json",
                                                       "sparse_linear.pt",
                                                       "colbert_linear.pt"};

bool is_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// A folder of a module, as sentence-transformers names them: "1_Pooling", and in a Router's
// "query_0_SparseStaticEmbedding".
bool is_module_folder(std::string_view name) {
  if (name.find('/') != std::string_view::npos) return false;
  while (true) {
    const std::size_t end = name.find('_');
    if (end == std::string_view::npos || end + 1 == name.size()) return false;
    if (is_digits(name.substr(0, end))) return true;
    name.remove_prefix(end + 1);
  }
}

// "model-00001-of-00003.safetensors" for stem "model" and this ending.
bool is_shard(std::string_view name, std::string_view stem, std::string_view ending) {
  if (!name.starts_with(stem) || !name.ends_with(ending) ||
      name.size() < stem.size() + ending.size())
    return false;
  name = name.substr(stem.size(), name.size() - stem.size() - ending.size());
  const std::size_t of = name.find("-of-");
  return of != std::string_view::npos && name.starts_with("-") &&
         is_digits(name.substr(1, of - 1)) && is_digits(name.substr(of + 4));
}

// The forms of weights in the order in which a folder is read; shards come with their index.
int weight_form(std::string_view name) {
  if (name == "model.safetensors") return 0;
  if (name == "model.safetensors.index.json" || is_shard(name, "model", ".safetensors")) return 1;
  if (name == "pytorch_model.bin") return 2;
  if (name == "pytorch_model.bin.index.json" || is_shard(name, "pytorch_model", ".bin")) return 3;
  return -1;
}

bool is_onnx(std::string_view path) {
  for (const std::string_view folder : {"onnx/", ""}) {
    for (const std::string_view ending : {"model.onnx", "model.onnx_data", "model.onnx.data"}) {
      if (path == std::string(folder) + std::string(ending)) return true;
    }
  }
  return false;
}

bool is_small_file(std::string_view name) {
  return std::find(kSmallFiles.begin(), kSmallFiles.end(), name) != kSmallFiles.end() ||
         is_word_file(name) || (name.starts_with("sentence_") && name.ends_with("_config.json"));
}

std::string text_of(const JsonValue& object, std::string_view key) {
  const auto value = object.find(key);
  return value && value->is_string() ? std::string(value->string()) : "";
}

}  // namespace

std::string clean_etag(std::string_view text) {
  if (text.starts_with("W/")) text.remove_prefix(2);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    text = text.substr(1, text.size() - 2);
  }
  const bool hash = (text.size() == 40 || text.size() == 64) &&
                    text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  return hash ? std::string(text) : "";
}

HubListing parse_listing(std::string_view json, const std::string& where) {
  const JsonDocument document =
      JsonDocument::parse(json, where, "That is no answer of a Hugging Face Hub: see HF_ENDPOINT.");
  HubListing listing;
  listing.commit = document.root().at("sha").string();
  if (!is_commit(listing.commit)) {
    fail(ErrorCode::kBadInput, where + ": /sha",
         "expected a commit of 40 hexadecimal digits, got \"" + printable(listing.commit) + "\".");
  }
  for (const JsonValue& entry : document.root().at("siblings").items()) {
    HubFile file;
    file.path = entry.at("rfilename").string();
    file.size = entry.integer_or("size", -1);
    file.etag = clean_etag(text_of(entry, "blobId"));
    if (const auto lfs = entry.find("lfs"); lfs && lfs->is_object()) {
      file.etag = clean_etag(text_of(*lfs, "sha256"));
      file.size = lfs->integer_or("size", file.size);
    }
    listing.files.push_back(std::move(file));
  }
  return listing;
}

std::vector<HubFile> needed_files(const HubListing& listing) {
  struct Parts {
    std::string folder, name;
  };
  const auto split = [](const HubFile& file) {
    const std::size_t slash = file.path.rfind('/');
    return slash == std::string::npos
               ? Parts{"", file.path}
               : Parts{file.path.substr(0, slash), file.path.substr(slash + 1)};
  };
  std::map<std::string, int> forms;  // folder -> the best form of weights that it has
  for (const HubFile& file : listing.files) {
    const auto [folder, name] = split(file);
    const int form = weight_form(name);
    if (form < 0) continue;
    const auto [at, added] = forms.emplace(folder, form);
    if (!added) at->second = std::min(at->second, form);
  }
  const auto is_place = [](const std::string& folder) {
    return folder.empty() || is_module_folder(folder);
  };
  const bool has_weights = std::any_of(forms.begin(), forms.end(), [&](const auto& entry) {
    // A Dense module's weights are not the model's.
    return entry.first.empty() || entry.first.starts_with("0_") ||
           entry.first.find("_0_") != std::string::npos;
  });
  std::vector<HubFile> small, weights;
  for (const HubFile& file : listing.files) {
    const auto [folder, name] = split(file);
    const int form = weight_form(name);
    const bool weight = is_place(folder) && form >= 0 && form == forms.at(folder);
    const bool chosen = is_place(folder) && form < 0 && is_small_file(name);
    if (!weight && !chosen && (has_weights || !is_onnx(file.path))) continue;
    check_relative_path(file.path, "listing of the Hub");
    (chosen ? small : weights).push_back(file);
  }
  small.insert(small.end(), weights.begin(), weights.end());
  return small;
}

}  // namespace inlay::files
