// Which files hold the weights, and that they hold what the index says.
#include "files/checkpoint.h"

#include <array>
#include <map>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"
#include "files/byte_weights.h"
#include "files/onnx.h"
#include "files/pickle.h"
#include "files/safetensors.h"
#include "files/settings.h"

namespace inlay::files {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMaxIndex = std::size_t{64} << 20U;

using Read = void (*)(const ModelFolder& folder, const fs::path& path, Weights* weights);

void read_safetensors_file(const ModelFolder& folder, const fs::path& path, Weights* weights) {
  static_cast<void>(folder);
  map_safetensors(path, weights);
}
void read_pytorch_file(const ModelFolder& folder, const fs::path& path, Weights* weights) {
  static_cast<void>(folder);
  map_pytorch(path, weights);
}

struct Form {
  const char* name;
  bool index;
  Read read;
};
constexpr std::array<Form, 4> kForms{{{"model.safetensors", false, read_safetensors_file},
                                      {"model.safetensors.index.json", true, read_safetensors_file},
                                      {"pytorch_model.bin", false, read_pytorch_file},
                                      {"pytorch_model.bin.index.json", true, read_pytorch_file}}};

// ONNX files in the order of what they keep of the weights: as exported, fused by onnxruntime
// (Optimum's O1 to O3), half precision, then eight bits under each name in use. Each is looked for
// beside config.json, then in onnx/.
constexpr Form kOnnx{"model.onnx", false, map_onnx};
constexpr std::array<const char*, 14> kOnnxNames{"model.onnx",
                                                 "model_optimized.onnx",
                                                 "model_O1.onnx",
                                                 "model_O2.onnx",
                                                 "model_O3.onnx",
                                                 "model_fp16.onnx",
                                                 "model_O4.onnx",
                                                 "model_quantized.onnx",
                                                 "model_int8.onnx",
                                                 "model_uint8.onnx",
                                                 "model_qint8_avx512_vnni.onnx",
                                                 "model_qint8_avx512.onnx",
                                                 "model_qint8_arm64.onnx",
                                                 "model_quint8_avx2.onnx"};

struct Shard {
  fs::path path;
  std::vector<std::string> tensors;  // what an index promises; empty for a single file
};
struct Checkpoint {
  const Form* form;
  fs::path named;  // the file that was found: the weights themselves or the index
  std::vector<Shard> shards;
};

Checkpoint find_checkpoint(const ModelFolder& folder, const fs::path& place) {
  std::string looked;
  for (const Form& form : kForms) {
    const auto path = folder.find(place, form.name);
    if (!path) {
      looked += (looked.empty() ? "" : ", ") + std::string(form.name);
      continue;
    }
    if (!form.index) return {&form, *path, {{*path, {}}}};
    Checkpoint checkpoint{&form, *path, {}};
    const std::string json = folder.read(place, form.name, kMaxIndex).value_or("");
    for (auto& [name, tensors] : parse_weight_index(json, path->string())) {
      const auto shard = folder.find(place, name);
      if (!shard) {
        fail(ErrorCode::kNotFound, (place / name).string(),
             "expected a part of the checkpoint that " + path->string() +
                 " names, got no such file. Fetch the model again.");
      }
      checkpoint.shards.push_back({*shard, std::move(tensors)});
    }
    return checkpoint;
  }
  if (const auto path = find_onnx(folder, place)) return {&kOnnx, *path, {{*path, {}}}};
  fail(ErrorCode::kNotFound, place.string(),
       "expected the model's weights, got none of " + looked +
           ", model.onnx and its variants. Fetch the model again, or save it as safetensors.");
}

}  // namespace

std::optional<fs::path> find_onnx(const ModelFolder& folder, const fs::path& place) {
  for (const char* name : kOnnxNames) {
    for (const fs::path& where : {place, place / "onnx"}) {
      if (auto path = folder.find(where, name)) return path;
    }
  }
  return std::nullopt;
}

std::shared_ptr<const Weights> load_checkpoint(const ModelFolder& folder, const fs::path& place) {
  const Checkpoint checkpoint = find_checkpoint(folder, place);
  auto weights = std::make_shared<Weights>();
  for (const Shard& shard : checkpoint.shards) {
    checkpoint.form->read(folder, shard.path, weights.get());
    for (const std::string& tensor : shard.tensors) {
      const Weights::Entry* entry = weights->find(tensor);
      if (entry != nullptr && entry->file == shard.path.string()) continue;
      fail(ErrorCode::kBadInput, shard.path.string(),
           "expected tensor \"" + printable(tensor) + "\" as " + checkpoint.named.string() +
               " says, got a file without it. Index and file are of different "
               "checkpoints; fetch "
               "the model again.");
    }
  }
  return restore_bytes(std::move(weights));
}

fs::path checkpoint_file(const ModelFolder& folder, const fs::path& place) {
  return find_checkpoint(folder, place).named;
}

std::int64_t checkpoint_bytes(const ModelFolder& folder, const fs::path& place) {
  const Checkpoint checkpoint = find_checkpoint(folder, place);
  if (checkpoint.form == &kOnnx) return onnx_bytes(folder, checkpoint.named);
  std::int64_t bytes = 0;
  for (const Shard& shard : checkpoint.shards) {
    std::error_code error;
    const std::uintmax_t size = fs::file_size(shard.path, error);
    if (!error) bytes += static_cast<std::int64_t>(size);
  }
  return bytes;
}

}  // namespace inlay::files
