// Any bytes as one of a model folder's small JSON files; the first byte says which.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "files/settings.h"
#include "inlay/inlay.hpp"

namespace {

// Said again without looking at the parser's own check.
bool leads_out(std::string_view path) {
  const std::string framed = "/" + std::string(path) + "/";
  return path.starts_with('/') || framed.find("/../") != std::string::npos ||
         path.find('\0') != std::string_view::npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace files = inlay::files;
  if (size == 0) return 0;
  const std::string_view json(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    switch (data[0] % 8) {
      case 0:
        files::parse_config(json, "config.json");
        break;
      case 1:
        for (const files::ModuleEntry& entry : files::parse_modules(json, "modules.json")) {
          if (leads_out(entry.path)) std::abort();
        }
        break;
      case 2:
        if (files::parse_pooling(json, "1_Pooling/config.json").modes.empty()) std::abort();
        break;
      case 3:
        if (files::parse_dense(json, "2_Dense/config.json").in_features < 1) std::abort();
        break;
      case 4:
        files::parse_sentence_config(json, "sentence_bert_config.json");
        break;
      case 5:
        files::parse_collection_config(json, "config_sentence_transformers.json");
        break;
      case 6:
        if (files::parse_model_max_length(json, "tokenizer_config.json").value_or(1) < 1)
          std::abort();
        break;
      default:
        for (const auto& [shard, tensors] : files::parse_weight_index(json, "index.json")) {
          if (shard.empty() || shard == "." || shard == ".." ||
              shard.find('/') != std::string::npos || shard.find('\0') != std::string::npos) {
            std::abort();
          }
        }
    }
  } catch (const inlay::Error&) {
  }
  return 0;
}
