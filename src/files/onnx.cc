// From a file to named tensors. The wire is onnx_graph.cc's, the names are onnx_names.cc's.
#include "files/onnx.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <system_error>
#include <tuple>

#include "base/error.h"
#include "base/mapped_file.h"
#include "files/onnx_graph.h"
#include "files/onnx_names.h"

namespace inlay::files {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kNodesShown = 6;

void check_form(std::string_view bytes, std::string_view file) {
  if (bytes.empty()) {
    fail(ErrorCode::kBadInput, file, "expected an ONNX model, got an empty file. Fetch it again.");
  }
  if (bytes.starts_with("version https://git-lfs")) {
    fail(ErrorCode::kUnsupported, file,
         "expected an ONNX model, got a Git LFS pointer instead of the file. Run git lfs pull in "
         "its folder.");
  }
}

void check_named(const onnx::Recovered& recovered, std::string_view file) {
  if (recovered.unnamed.empty()) return;
  std::string nodes;
  for (std::size_t i = 0; i < std::min(recovered.unnamed.size(), kNodesShown); ++i) {
    nodes += (i == 0 ? "" : ", ") + recovered.unnamed[i];
  }
  if (recovered.unnamed.size() > kNodesShown) {
    nodes += " and " + std::to_string(recovered.unnamed.size() - kNodesShown) + " more";
  }
  fail(ErrorCode::kUnsupported, file,
       "expected weights whose names in the checkpoint the ONNX graph tells, got some without in " +
           nodes +
           ". Take the model's safetensors, or its ONNX file as torch's exporter wrote it "
           "(model.onnx).");
}

// The files of external data: beside the model's or below, each mapped once.
class ExternalFiles {
 public:
  ExternalFiles(const ModelFolder& folder, const fs::path& path) : folder_(&folder), path_(path) {}

  std::string_view operator()(std::string_view location) {
    const auto known = files_.find(location);
    if (known != files_.end()) return known->second->bytes();
    const auto file = std::make_shared<const MappedFile>(find(location));
    files_.emplace(location, file);
    return file->bytes();
  }

  fs::path find(std::string_view location) const {
    const std::string where = path_.string() + ": external data";
    if (location.empty() || location.back() == '/') {
      fail(ErrorCode::kBadInput, where,
           "expected the name of a file, got \"" + printable(location) +
               "\". The file is damaged; fetch it again.");
    }
    check_relative_path(location, where);
    const fs::path relative =
        (path_.parent_path() / location).lexically_normal().lexically_relative(folder_->root());
    const auto found = folder_->find(folder_->below(relative.parent_path().string(), where),
                                     relative.filename().string());
    if (!found) {
      fail(ErrorCode::kNotFound, (path_.parent_path() / location).string(),
           "expected the file with weights that " + path_.string() +
               " names, got no such file. Fetch the model again.");
    }
    return *found;
  }

  void keep_alive(Weights* weights) const {
    for (const auto& [location, file] : files_) weights->keep_alive(file);
  }

 private:
  const ModelFolder* folder_;
  fs::path path_;
  std::map<std::string, std::shared_ptr<const MappedFile>, std::less<>> files_;
};

}  // namespace

void read_onnx(std::string_view bytes, std::string_view file, const onnx::ExternalFile& external,
               Weights* weights) {
  check_form(bytes, file);
  const onnx::Graph graph = onnx::parse_graph({bytes, file});
  const onnx::Recovered recovered = onnx::recover_names(graph);
  check_named(recovered, file);
  Weights found;  // `weights` changes only when all is well
  onnx::TensorReader reader(graph.file, external);
  // A tensor may have two names; it is made once.
  std::map<std::tuple<const void*, const void*, std::int64_t, bool>, TensorView> made;
  for (const onnx::NamedWeight& weight : recovered.weights) {
    const onnx::Source& source = weight.source;
    const auto [at, fresh] =
        made.try_emplace({source.tensor, source.scale, source.first, source.transposed});
    if (fresh) at->second = reader.read(source);
    if (weights->find(weight.name) != nullptr ||
        !found.add(weight.name, at->second, std::string(file))) {
      fail(ErrorCode::kBadInput, file,
           "expected each tensor once, got a second \"" + printable(weight.name) +
               "\". Fetch the model again.");
    }
  }
  for (const auto& [name, entry] : found.entries()) weights->add(name, entry.tensor, entry.file);
  for (auto& owner : reader.take_owners()) weights->keep_alive(std::move(owner));
}

void map_onnx(const ModelFolder& folder, const fs::path& path, Weights* weights) {
  auto file = std::make_shared<const MappedFile>(path);
  ExternalFiles external(folder, path);
  read_onnx(file->bytes(), path.string(), std::ref(external), weights);
  weights->keep_alive(std::move(file));
  external.keep_alive(weights);
}

onnx::Graph map_onnx_graph(const ModelFolder& folder, const fs::path& path, const std::string& name,
                           Weights* files) {
  auto file = std::make_shared<const MappedFile>(path);
  check_form(file->bytes(), name);
  onnx::Graph graph = onnx::parse_graph({file->bytes(), name});
  files->keep_alive(std::move(file));
  ExternalFiles external(folder, path);
  for (const auto& [tensor_name, tensor] : graph.constants) {
    if (!tensor.external || files->find(tensor.location) != nullptr) continue;
    const std::string_view bytes = external(tensor.location);
    files->add(std::string(tensor.location),
               {DType::kU8, {static_cast<std::int64_t>(bytes.size())}, bytes.data()},
               external.find(tensor.location).string());
  }
  external.keep_alive(files);
  return graph;
}

std::int64_t onnx_bytes(const ModelFolder& folder, const fs::path& path) {
  const MappedFile file(path);
  check_form(file.bytes(), path.string());
  const std::string name = path.string();
  const onnx::Graph graph = onnx::parse_graph({file.bytes(), name});
  const ExternalFiles external(folder, path);
  auto total = static_cast<std::int64_t>(file.bytes().size());
  std::map<std::string_view, bool> counted;
  for (const auto& [tensor_name, tensor] : graph.constants) {
    if (!tensor.external || !counted.try_emplace(tensor.location, true).second) continue;
    std::error_code error;
    const std::uintmax_t size = fs::file_size(external.find(tensor.location), error);
    if (!error) total += static_cast<std::int64_t>(size);
  }
  return total;
}

}  // namespace inlay::files
